"""Notices in and out: read a plain object as a notice of a kind, write one, describe the kinds.

Errors name the first member that is wrong by a JSON pointer (RFC 6901) and say what is wrong in a sentence of this
module or its neighbours; they never repeat what the input said.
"""

import copy
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import FormError
from schemas.notice import controlled_delivery, practice, precursor, route, seizure
from schemas.notice.notice import Notice, one_line
from schemas.notice.person import Nominal
from schemas.strict_json import Json

KINDS: Final[Mapping[str, type[Notice]]] = {
    "seizure": seizure.Seizure,
    "route": route.Route,
    "precursor": precursor.Precursor,
    "controlled-delivery": controlled_delivery.ControlledDelivery,
    "practice": practice.Practice,
}
"""The kinds that can be read and written so far, each with its model."""

_EXAMPLES: Final[Mapping[str, dict[str, Json]]] = {
    "seizure": seizure.EXAMPLE,
    "route": route.EXAMPLE,
    "precursor": precursor.EXAMPLE,
    "controlled-delivery": controlled_delivery.EXAMPLE,
    "practice": practice.EXAMPLE,
}

_SENTENCES: Final = {
    "missing": "Is missing.",
    "string_type": "Must be a string.",
    "string_too_short": "Must not be empty.",
    "string_too_long": "Is too long.",
    "string_unicode": "Must be Unicode without lone surrogates.",
    "int_type": "Must be an integer.",
    "bool_type": "Must be true or false.",
    "tuple_type": "Must be a list.",
    "model_type": "Must be an object.",
    "model_attributes_type": "Must be an object.",
    "too_short": "Has too few items.",
    "too_long": "Has too many items.",
    "literal_error": "Is not one of the values allowed here.",
    "union_tag_invalid": "Must be a GeoJSON Point, LineString or Polygon.",
    "union_tag_not_found": "Must be a GeoJSON geometry with a type.",
    "greater_than_equal": "Is too small.",
    "less_than_equal": "Is too large.",
}

_BRANCHES: Final = frozenset({"", "Point", "LineString", "Polygon"})


def _model(kind: str) -> type[Notice]:
    model = KINDS.get(kind)
    if model is None:
        raise FormError(f"Must be a kind that is served: {', '.join(KINDS)}.", pointer="/kind")
    return model


def _refusal(error: ErrorDetails, value: dict[str, Json]) -> FormError:
    *path, last = error["loc"] or ("",)
    pointer, here = "", cast("Any", value)
    for step in path:
        # pydantic's path also names the branch of a union, which is no member of the input.
        if step not in _BRANCHES:
            here = here[step]
            pointer += f"/{step}"
    if error["type"] == "extra_forbidden":
        # The member's name is the sender's text: say which one it is without repeating it.
        return FormError(f"Member number {list(here).index(last) + 1} is not known here.", pointer=pointer)
    if last not in _BRANCHES:
        pointer += f"/{last}"
    sentence = (
        error["msg"] if error["type"] == "form" else _SENTENCES.get(error["type"], "Is not of the form required.")
    )
    return FormError(sentence, pointer=pointer)


def parse_notice(kind: str, value: dict[str, Json], *, known_codes: bool = True) -> Notice:
    """Read a notice of a kind from its members without `label`; `kind` may be absent and must agree where it stands.

    `known_codes` checks codes, countries and units against the code lists, as a sender wants it; a reader of what others
    sealed passes `False`, because their lists may be newer. Raises `FormError` with the pointer of the first error.
    """
    model = _model(kind)
    try:
        return model.model_validate(value, context={"known_codes": known_codes})
    except ValidationError as error:
        # Without the input, which pydantic would keep and show.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    raise _refusal(first, value)


def to_json(notice: Notice) -> dict[str, Json]:
    """Return a notice as a plain object: `kind` first, members in the kind's order, absent and empty ones left out."""
    members = notice.model_dump(mode="json", exclude_defaults=True)
    members.pop("kind", None)
    return {"kind": notice.kind, **members}


def json_schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a kind's members without `label`; raise `FormError`."""
    return _model(kind).model_json_schema()


def summary(notice: Notice) -> str:
    """Return a notice in one line of English for lists: `Heroin 89.47 kg — Yerevan, AM — 2011-07-01`."""
    return one_line(notice.headline())


def nominal_members(notice: Notice) -> tuple[str, ...]:
    """Return the names of the members that hold a notice's nominal part, as its kind's schema has them; empty: none."""
    return tuple(name for name, value in notice if isinstance(value, Nominal))


def is_nominal(notice: Notice) -> bool:
    """Say whether a notice carries a nominal part; its label's `nominal` must say the same."""
    return bool(nominal_members(notice))


def without_nominal(notice: Notice) -> Notice:
    """Return a notice without its nominal part, all else as it is: free text that names somebody is not found here."""
    return notice.model_copy(update=dict.fromkeys(nominal_members(notice)))


def examples(kind: str) -> dict[str, Json]:
    """Return a complete, made-up example of a kind, to change at will; raise `FormError`."""
    _model(kind)
    return copy.deepcopy(_EXAMPLES[kind])
