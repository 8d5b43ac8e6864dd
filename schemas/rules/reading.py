"""Read the two signed rule files: one canonical JSON form, checked by a pydantic model.

Canonical: UTF-8, compact, members in the model's order, all present, no escape that is not needed, no final newline;
the model is written again and the bytes are compared, which also refuses members that stand twice. Errors carry a
pointer and never the input.
"""

from itertools import pairwise
from typing import Annotated, Final, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, StringConstraints, ValidationError

from schemas.encoding import Time, is_day, is_time
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Code, Role
from schemas.limits import LIMITS
from schemas.rules.text import SENTENCE

M = TypeVar("M", bound=BaseModel)

_CODE: Final = r"^[a-z0-9][a-z0-9-]*$"
_ROLE: Final = r"^(?:[a-z]{2}|int-[a-z0-9][a-z0-9-]*|audit)$"
_STATE: Final = r"^[a-z]{2}$"
_ACT: Final = r"^[a-z]+(?:_[a-z]+)?$"
_DIGEST: Final = r"^[0-9a-f]{64}$"
_FORMS: Final = {
    _DIGEST: "Must be a SHA-256 in 64 hexadecimal digits.",
    _STATE: "Must be the two letters of a State.",
    _ACT: "Must be the name of an act.",
    _CODE: "Must be a code: lower-case letters, digits and hyphens.",
    _ROLE: "Must be a role: two letters for a State, int-name for an organisation, or audit.",
    SENTENCE: "Must be one line of text without control characters, not beginning or ending with a space.",
}


_NO_TIME: Final = "Must be a real calendar time, YYYY-MM-DDTHH:MM:SSZ or YYYY-MM-DD."


def _time(text: Time) -> Time:
    if not is_time(text):
        raise ValueError(_NO_TIME)
    return text


def _day(text: str) -> str:
    if not is_day(text):
        raise ValueError(_NO_TIME)
    return text


def ascending(items: tuple[str, ...]) -> tuple[str, ...]:
    """Demand a list that ascends by its characters, each once; raise `ValueError`, as pydantic wants it."""
    if any(a >= b for a, b in pairwise(items)):
        raise ValueError("Must be sorted, each once.")
    return items


def some(items: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Demand a sorted list with something in it, or none at all; raise `ValueError`."""
    # An empty list would be read by some as "nothing" and by others as "no restriction": it is an error instead.
    if items is not None and not ascending(items):
        raise ValueError("Must not be empty; null stands for no restriction.")
    return items


FormCode = Annotated[Code, StringConstraints(pattern=_CODE, max_length=64)]
FormRole = Annotated[Role, StringConstraints(pattern=_ROLE, max_length=64)]
FormState = Annotated[Role, StringConstraints(pattern=_STATE)]
FormDay = Annotated[str, AfterValidator(_day)]
ActName = Annotated[str, StringConstraints(pattern=_ACT, max_length=64)]
FormDigest = Annotated[str, StringConstraints(pattern=_DIGEST)]
FormTime = Annotated[Time, AfterValidator(_time)]
Codes = Annotated[tuple[FormCode, ...] | None, AfterValidator(some)]
"""A restriction to some codes: null for none, else sorted, unique and not empty."""


def read(model: type[M], data: bytes) -> M:
    """Read `data` as a `model`; raise `TooLargeError`, `MalformedError`, or `FormError` with a pointer."""
    if len(data) > LIMITS.body:
        raise TooLargeError(f"More than {LIMITS.body} bytes.")
    try:
        value = model.model_validate_json(data)
    except ValidationError as error:
        raise explained(error) from None
    if write(value) != data:
        raise MalformedError("Not the one canonical form: spaces, escapes, order of members, or a member twice.")
    return value


def form_of(data: bytes) -> str | None:
    """Return what a file says of its form, None where it says nothing that can be read; its reader finds out why."""
    try:
        value = orjson.loads(data) if len(data) <= LIMITS.body else None
    except orjson.JSONDecodeError:
        return None
    form = value.get("form") if isinstance(value, dict) else None
    return form if isinstance(form, str) else None


def write(value: BaseModel) -> bytes:
    """Return a model's canonical bytes."""
    return value.model_dump_json().encode()


def in_order(names: list[str], at: str) -> None:
    """Demand that the items of a list ascend by their names, each once; raise `FormError`."""
    if any(a >= b for a, b in pairwise(names)):
        raise FormError("Must be sorted by name, each once.", pointer=at)


def check_validity(valid_from: Time | None, valid_to: Time | None, at: str) -> None:
    """Demand that a validity does not end before it begins; raise `FormError`."""
    if valid_from is not None and valid_to is not None and valid_from >= valid_to:
        raise FormError("Must be later than valid_from.", pointer=f"{at}/valid_to")


def explained(error: ValidationError) -> FormError | MalformedError:
    """Turn pydantic's first error into ours, without what it quotes of the input."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return MalformedError("Not JSON.")
    location = first["loc"]
    detail = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        # The last step is a name that the author made up; the object around it is ours.
        location, detail = location[:-1], "Has a member that this form does not know."
    if location[-1:] == ("[key]",):
        location = location[:-2]
    if first["type"] == "string_pattern_mismatch":
        detail = _FORMS[first["ctx"]["pattern"]]
    return FormError(detail, pointer="".join(f"/{step}" for step in location))
