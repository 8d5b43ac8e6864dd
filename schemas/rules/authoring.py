"""Make `law.json` from the TOML that a legal officer edits (design: access, Law profile).

What is left out restricts nothing; lists may stand in any order; times may be TOML's own. Codes must be in the lists,
since a misspelt one would restrict nothing that exists. Nobody is asked here whether the text says what the law says.
"""

import re
import tomllib
from datetime import UTC, date, datetime
from typing import Final

import orjson
from pydantic import ValidationError

from schemas.errors import Error, FormError, MalformedError, TooLargeError
from schemas.ids import Role
from schemas.limits import LIMITS
from schemas.rules.condition import Applies, LawCondition, Profile, encode_profile, parse_profile
from schemas.rules.reading import explained
from schemas.rules.text import Text
from schemas.rules.vocabulary import unknown_codes, vocabulary
from schemas.strict_json import Json

_PLACE: Final = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)")
_MEMBERS: Final = frozenset({"form", "state", "version", "adopted", "illustration", "baseline", "condition"})
_CODE: Final = re.compile("[a-z0-9][a-z0-9-]*")
_IN_CONDITION: Final = re.compile(r"/conditions/([0-9]+)(.*)")


def compile_profile(toml: bytes, *, today: date, state: Role | None = None) -> bytes:
    """Make `law.json` from an author's TOML and return its canonical bytes.

    `today` is the day of adoption where the text names none, and no later one is accepted; `state` is for a baseline
    pack, which names none. Raises `TooLargeError`, `MalformedError` and `FormError`: `offset` is the line where one is
    known, the sentence names the condition, the pointer the member.
    """
    if len(toml) > LIMITS.body:
        raise TooLargeError(f"More than {LIMITS.body} bytes.")
    try:
        text = toml.decode("utf-8")
        given = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise MalformedError("Not UTF-8.", offset=error.start) from None
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(str(error)) from None
    except (RecursionError, ValueError):
        # What tomllib lets escape: lists nested hundreds deep, an integer of thousands of digits.
        raise MalformedError("Not TOML that can be read: nested too deep, or a number is too long.") from None
    document = _document(given, today, state)
    try:
        return _checked(document, today)
    except ValidationError as error:
        raise _placed(explained(error), document, text) from None
    except FormError as error:
        raise _placed(error, document, text) from None


def _checked(document: dict[str, Json], today: date) -> bytes:
    data = encode_profile(Profile.model_validate_json(orjson.dumps(document)))
    # What the model lets pass may still be refused: the same reader speaks here and wherever the file is read.
    profile = parse_profile(data)
    for number, member, allowed in unknown_codes(profile, vocabulary()):
        at = f"/conditions/{number}/{member}"
        raise FormError(f"Is not in the code list. Known are: {', '.join(allowed)}.", pointer=at)
    if profile.adopted > today.isoformat():
        raise FormError("Lies in the future.", pointer="/adopted")
    return data


def _not_toml(message: str) -> MalformedError:
    # The library's sentence may quote the text, so only its place is kept; at the end of the text it gives none.
    place = _PLACE.search(message)
    if place is None:
        return MalformedError("Not TOML: the text ends where something is still open.")
    return MalformedError(
        f"Not TOML at line {place[1]}, column {place[2]}: look for a quote or bracket, or a name that stands twice.",
        offset=int(place[1]),
    )


def _document(given: dict[str, object], today: date, state: Role | None) -> dict[str, Json]:
    """Return the document that the author's text stands for, with null for what is left out."""
    members = {name: _plain(value, f"/{name}") for name, value in given.items()}
    if not members.keys() <= _MEMBERS:
        raise FormError(
            f"Has a member that this form does not know. It has: {', '.join(sorted(_MEMBERS))}.", pointer=""
        )
    if state is not None and members.get("state") not in (None, state):
        raise FormError("Names another State.", pointer="/state")
    conditions = members.pop("condition", None)
    if not isinstance(conditions, list):
        raise FormError("Must be one or more tables [[condition]].", pointer="/condition")
    return {
        **dict.fromkeys(Profile.model_fields),
        "v": 1,
        "state": state,
        "adopted": today.isoformat(),
        "illustration": False,
        **members,
        "conditions": sorted(map(_condition, conditions), key=_id),
    }


def _condition(given: Json) -> Json:
    if not isinstance(given, dict):
        return given
    condition = {**dict.fromkeys(LawCondition.model_fields), "inputs": "label", "applies_to": {}, **given}
    about, explanation = condition["applies_to"], condition["explanation"]
    if isinstance(about, dict):
        condition["applies_to"] = {
            **dict.fromkeys(Applies.model_fields),
            "direction": "both",
            **{name: sorted(value, key=str) if isinstance(value, list) else value for name, value in about.items()},
        }
    if isinstance(explanation, dict):
        condition["explanation"] = {**dict.fromkeys(Text.model_fields), **explanation}
    for name in ("valid_from", "valid_to"):
        value = condition[name]
        if isinstance(value, str) and len(value) == len("YYYY-MM-DD"):
            condition[name] = f"{value}T00:00:00Z"
    return condition


def _id(condition: Json) -> str:
    return str(condition["id"]) if isinstance(condition, dict) else ""


def _plain(value: object, at: str) -> Json:
    """Turn TOML's values into JSON's; raise `FormError` for what JSON here does not have."""
    if at.count("/") > LIMITS.depth:
        raise FormError(f"Nested deeper than {LIMITS.depth} tables and lists.")
    if isinstance(value, dict):
        return {name: _plain(member, f"{at}/{name}") for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(item, f"{at}/{number}") for number, item in enumerate(value)]
    if isinstance(value, datetime):
        if value.tzinfo is None or value.microsecond:
            raise FormError("Must be a time with an offset, such as Z, in whole seconds.", pointer=at)
        try:
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        except OverflowError:
            raise FormError("Must be a time of the years 0001 to 9999.", pointer=at) from None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str) or (isinstance(value, int) and abs(value) <= LIMITS.integer):
        return value
    raise FormError("Must be a text, true or false, an integer, a date, a list or a table.", pointer=at)


def _placed(error: FormError | MalformedError, document: dict[str, Json], text: str) -> Error:
    """Return an error that names the author's condition and its line, where it is about one."""
    found = _IN_CONDITION.fullmatch(error.pointer or "")
    conditions = document["conditions"]
    if found is None or not isinstance(conditions, list):
        return error
    condition = conditions[int(found[1])]
    name = condition.get("id") if isinstance(condition, dict) else None
    if not isinstance(name, str) or not _CODE.fullmatch(name):
        return error
    return FormError(
        f"Condition {name}, {found[2].lstrip('/') or 'as a whole'}: {error.detail}",
        pointer=error.pointer,
        offset=_line(text, name),
    )


def _line(text: str, name: str) -> int | None:
    """Return the line on which a condition's id stands, where it stands on one as people write it."""
    place = re.search(rf"^\s*id\s*=\s*[\"']{name}[\"']", text, re.MULTILINE)
    return None if place is None else text.count("\n", 0, place.end()) + 1
