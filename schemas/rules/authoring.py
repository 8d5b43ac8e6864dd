"""Make `law.json` from the TOML that a legal officer edits (design: access, Law profile).

What is left out restricts nothing, or is what the condition's type says; lists and conditions may stand in any order;
times may be TOML's own. Codes must be in the lists, since a misspelt one would restrict nothing that exists. Nobody is
asked here whether the text says what the law says.
"""

import re
import tomllib
from datetime import UTC, date, datetime
from typing import Final

import orjson
from pydantic import BaseModel, ValidationError

from schemas.errors import Error, FormError, MalformedError, TooLargeError
from schemas.ids import Role
from schemas.limits import LIMITS
from schemas.rules.condition import (
    Applies,
    LabelCondition,
    LabelProfile,
    LawCondition,
    LawProfile,
    encode_profile,
    parse_profile,
)
from schemas.rules.condition_types import CONDITION_TYPES
from schemas.rules.flaws import check_flawless
from schemas.rules.reading import explained
from schemas.rules.text import Text
from schemas.rules.vocabulary import vocabulary
from schemas.strict_json import Json

_PLACE: Final = re.compile(r"\(at line ([0-9]+), column ([0-9]+)\)")
_NAME: Final = re.compile("[a-z0-9][a-z0-9-]*")
_IN_CONDITION: Final = re.compile(r"/conditions/([0-9]+)(.*)")
_BLOCK: Final = re.compile(r"^\s*\[\[\s*condition\s*\]\]", re.MULTILINE)
_STRICTER: Final = "A profile can only make its own State's rules stricter: deny, require, oblige or limit."


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
    draft = _Draft(text, given, today, state)
    try:
        return draft.checked(today)
    except ValidationError as error:
        raise draft.placed(explained(error)) from None
    except FormError as error:
        raise draft.placed(error) from None


def _not_toml(message: str) -> MalformedError:
    # The library's sentence may quote the text, so only its place is kept; at the end of the text it gives none.
    place = _PLACE.search(message)
    if place is None:
        return MalformedError("Not TOML: the text ends where something is still open.")
    return MalformedError(
        f"Not TOML at line {place[1]}, column {place[2]}: look for a quote or bracket, or a name that stands twice.",
        offset=int(place[1]),
    )


class _Draft:
    """The document that an author's text stands for, and where its conditions stand in the text."""

    def __init__(self, text: str, given: dict[str, object], today: date, state: Role | None) -> None:
        self.text = text
        self.places: list[int] = []
        members = {name: _plain(value, f"/{name}") for name, value in given.items()}
        self.model: type[LawProfile | LabelProfile] = LabelProfile if members.get("form") == "law/0" else LawProfile
        if members.get("form") not in (None, "law/0", "law/1"):
            raise FormError("Must be law/1, or law/0 for an older text.", pointer="/form")
        known = self.model.model_fields.keys() - {"v", "conditions"} | {"condition"}
        if not members.keys() <= known:
            raise FormError(
                f"Has a member that this form does not know. It has: {', '.join(sorted(known))}.", pointer=""
            )
        if state is not None and members.get("state") not in (None, state):
            raise FormError("Names another State.", pointer="/state", problem="law-scope")
        conditions = members.pop("condition", None)
        if not isinstance(conditions, list):
            raise FormError("Must be one or more tables [[condition]].", pointer="/condition")
        make = _label_condition if self.model is LabelProfile else _law_condition
        made = sorted(((make(item), place) for place, item in enumerate(conditions)), key=lambda item: _order(item[0]))
        self.places = [place for _, place in made]
        self.document: dict[str, Json] = {
            **dict.fromkeys(self.model.model_fields),
            "v": 1,
            "state": state,
            "adopted": today.isoformat(),
            "illustration": False,
            **members,
            "conditions": [item for item, _ in made],
        }

    def checked(self, today: date) -> bytes:
        """Return the document's canonical bytes; raise `ValidationError` or `FormError`."""
        for number, condition in enumerate(_list(self.document["conditions"])):
            if isinstance(condition, dict) and (condition.get("effect") in _LOOSER or "state" in condition):
                raise FormError(_STRICTER, pointer=f"/conditions/{number}/effect", problem="law-scope")
        data = encode_profile(self.model.model_validate_json(orjson.dumps(self.document)))
        # What the model lets pass may still be refused: the same reader speaks here and wherever the file is read.
        profile = parse_profile(data)
        check_flawless(profile, vocabulary())
        if profile.adopted > today.isoformat():
            raise FormError("Lies in the future.", pointer="/adopted")
        return data

    def _lacks(self, pointer: str) -> bool:
        """Say whether the author left out what stands at a pointer: the model only finds that null is no text."""
        here: Json = self.document
        for step in pointer.split("/")[1:]:
            here = here[int(step)] if isinstance(here, list) else here.get(step) if isinstance(here, dict) else ""
        return bool(pointer) and here is None

    def placed(self, error: FormError | MalformedError) -> Error:
        """Return an error that names the author's condition, its member and its line, as far as they are known."""
        if (
            error.code == FormError.problem
            and not error.detail.startswith("Is missing.")
            and self._lacks(error.pointer or "")
        ):
            error = FormError("Is missing.", pointer=error.pointer, problem=error.code)
        found = _IN_CONDITION.fullmatch(error.pointer or "")
        if found is None:
            name = (error.pointer or "").strip("/").partition("/")[0]
            line = _line(self.text, name, 0, len(self.text)) if name else None
            return FormError(error.detail, pointer=error.pointer, offset=line, problem=error.code)
        condition = _list(self.document["conditions"])[int(found[1])]
        own = condition.get("id") if isinstance(condition, dict) else None
        blocks = [match.start() for match in _BLOCK.finditer(self.text)]
        place = self.places[int(found[1])]
        line = None
        # An author who writes conditions otherwise than as [[condition]] is given no line rather than a wrong one.
        if len(blocks) == len(self.places):
            begin, end = blocks[place], [*blocks[1:], len(self.text)][place]
            wanted = [step for step in reversed(found[2].split("/")) if step]
            lines = (_line(self.text, step, begin, end) for step in (*wanted, "id"))
            line = next((one for one in lines if one is not None), self.text.count("\n", 0, begin) + 1)
        if not isinstance(own, str) or not _NAME.fullmatch(own):
            return FormError(error.detail, pointer=error.pointer, offset=line, problem=error.code)
        return FormError(
            f"Condition {own}, {found[2].lstrip('/') or 'as a whole'}: {error.detail}",
            pointer=error.pointer,
            offset=line,
            problem=error.code,
        )


_LOOSER: Final = ("allow", "permit", "except", "override")


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _order(condition: Json) -> tuple[str, str]:
    if not isinstance(condition, dict):
        return "", ""
    return str(condition.get("id")), str(condition.get("valid_from") or "")


def _label_condition(given: Json) -> Json:
    return _condition(given, LabelCondition, {"inputs": "label"})


def _law_condition(given: Json) -> Json:
    """Fill in what the type says: its inputs, and its effect where it has only one."""
    kind = CONDITION_TYPES.get(str(given.get("type"))) if isinstance(given, dict) else None
    defaults: dict[str, Json] = {"parameters": {}}
    if kind is not None:
        defaults |= {"inputs": kind.inputs}
        defaults |= {"effect": kind.effects[0]} if len(kind.effects) == 1 else {}
    else:
        # What is wrong is then the type, and nothing else is said of it.
        defaults |= {"inputs": "label", "effect": "deny"}
    condition = _condition(given, LawCondition, defaults)
    if isinstance(condition, dict) and isinstance(parameters := condition["parameters"], dict):
        condition["parameters"] = {name: _sorted(value) for name, value in sorted(parameters.items())}
    return condition


def _condition(given: Json, model: type[BaseModel], defaults: dict[str, Json]) -> Json:
    if not isinstance(given, dict):
        return given
    condition = {**dict.fromkeys(model.model_fields), "applies_to": {}, **defaults, **given}
    about, explanation = condition["applies_to"], condition["explanation"]
    if isinstance(about, dict):
        condition["applies_to"] = {
            **dict.fromkeys(Applies.model_fields),
            "direction": "both",
            **{name: _sorted(value) for name, value in about.items()},
        }
    if isinstance(explanation, dict):
        condition["explanation"] = {**dict.fromkeys(Text.model_fields), **explanation}
    for name in ("valid_from", "valid_to"):
        value = condition[name]
        if isinstance(value, str) and len(value) == len("YYYY-MM-DD"):
            condition[name] = f"{value}T00:00:00Z"
    return condition


def _sorted(value: Json) -> Json:
    return sorted(value, key=str) if isinstance(value, list) else value


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


def _line(text: str, name: str, begin: int, end: int) -> int | None:
    """Return the line on which a member begins inside a part of the text, as people write it: `name =` or `[….name]`."""
    found = re.compile(
        rf"^\s*(?:{re.escape(name)}\s*=|\[[a-z_.\s]*\b{re.escape(name)}\s*\])|[{{,]\s*{re.escape(name)}\s*=",
        re.MULTILINE,
    ).search(text, begin, end)
    return None if found is None else text.count("\n", 0, found.end()) + 1
