"""The forms of a State's law profile, the directory target `law.json` (design: access, Law profile).

`law/1` is made of conditions of the vocabulary (`condition_types`), over labels and contents. `law/0`, which States may
have signed, denies or obliges by labels alone; its conditions read as those of the types `not-permitted` and `duty`, so
that one engine evaluates both. Nothing here states any law.
"""

import re
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator

from schemas.errors import FormError
from schemas.ids import Code, Role
from schemas.limits import LIMITS
from schemas.rules.builtin import RESERVED
from schemas.rules.condition_types import CONDITION_TYPES
from schemas.rules.reading import (
    Codes,
    FormCode,
    FormDay,
    FormDigest,
    FormState,
    FormTime,
    ascending,
    check_validity,
    form_of,
    in_order,
    read,
    write,
)
from schemas.rules.text import Sentence, Text

_FORM = ConfigDict(strict=True, frozen=True, extra="forbid")

_NAME: Final = re.compile("[a-z]+(?:_[a-z]+)*")
_CODE: Final = re.compile("[a-z0-9][a-z0-9-]*")

Value = tuple[str, ...] | str | int
"""What a parameter is: codes, a code, or a number."""


def _name(name: object) -> str:
    if not isinstance(name, str) or len(name) > _LONGEST or not _NAME.fullmatch(name):
        raise ValueError("Must be names in lower-case letters and underscores.")
    return name


def _value(value: object) -> Value:
    """Read a parameter; raise `ValueError`, as pydantic wants it."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LIMITS.integer:
        return value
    given: list[object] = value if isinstance(value, list) else [value]
    codes = [code for code in given if isinstance(code, str) and len(code) <= _LONGEST and _CODE.fullmatch(code)]
    if not codes or len(codes) < len(given):
        raise ValueError("Must be a list of codes, a code, or a number; codes are lower-case letters, digits, hyphens.")
    return ascending(tuple(codes)) if isinstance(value, list) else codes[0]


def _plain(value: Value) -> list[str] | str | int:
    return list(value) if isinstance(value, tuple) else value


_LONGEST: Final = 64
Parameters = dict[
    Annotated[str, PlainValidator(_name)], Annotated[Value, PlainValidator(_value), PlainSerializer(_plain)]
]


class Applies(BaseModel):
    """Which notices a condition is about. A member that is null restricts nothing.

    `direction` is seen from the profile's State; `counterparts` are the other side: States, organisations (`int-name`)
    or groups of the network, `counterparts_except` those to whom the condition does not apply. A group includes the
    State itself where it is a member.
    """

    model_config = _FORM

    direction: Literal["send", "receive", "both"]
    kinds: Codes
    themes: Codes
    regions: Codes
    counterparts: Codes
    counterparts_except: Codes
    nominal: bool | None
    tlp: Codes
    purpose: Codes
    classification: Codes


class LabelCondition(BaseModel):
    """One condition of `law/0`: where it stands, to what it applies, and whether it denies or obliges."""

    model_config = _FORM

    id: FormCode
    instrument: Sentence
    article: Sentence
    applies_to: Applies
    effect: Literal["deny", "require", "oblige", "limit"]
    obligation: FormCode | None
    explanation: Text
    valid_from: FormTime | None
    valid_to: FormTime | None
    inputs: Literal["label", "content"]

    @property
    def type(self) -> Code:
        """Return the type of `law/1` that it is."""
        return Code("not-permitted" if self.obligation is None else "duty")

    @property
    def parameters(self) -> dict[str, Value]:
        """Return the parameters of that type."""
        return {} if self.obligation is None else {"obligation": self.obligation}


class LawCondition(BaseModel):
    """One condition of a State's law: of which type, where it stands, to what it applies, and with which parameters.

    In force at a boundary b if `valid_from` <= b < `valid_to`. `explanation` is the State's own sentence; the type's
    stands in for it in languages that it lacks. `parameters` ascend by name; what the type does not need may be absent.
    """

    model_config = _FORM

    id: FormCode
    type: FormCode
    instrument: Sentence
    article: Sentence
    applies_to: Applies
    effect: Literal["deny", "require", "oblige", "limit"]
    parameters: Parameters
    explanation: Text | None
    valid_from: FormTime | None
    valid_to: FormTime | None
    inputs: Literal["label", "content"]


class LabelProfile(BaseModel):
    """A State's law profile in the older form."""

    model_config = _FORM

    v: Literal[1]
    form: Literal["law/0"]
    state: FormState
    version: Sentence
    adopted: FormDay
    illustration: bool
    baseline: FormCode | None
    conditions: Annotated[tuple[LabelCondition, ...], Field(min_length=1)]


class LawProfile(BaseModel):
    """A State's law profile. It can only take away from what the network grants.

    `version` is the author's own text, `adopted` a day, `baseline` the name of the baseline pack that was taken over
    unchanged, `source` what it was written from; `illustration` says that it is an example and no statement of law.
    `simulation` is the SHA-256 of the report that showed what the change would do. Conditions ascend by id and time.
    """

    model_config = _FORM

    v: Literal[1]
    form: Literal["law/1"]
    state: FormState
    version: Sentence
    adopted: FormDay
    illustration: bool
    baseline: FormCode | None
    source: Sentence | None
    simulation: FormDigest | None
    conditions: Annotated[tuple[LawCondition, ...], Field(min_length=1)]


Profile = LawProfile | LabelProfile
AnyCondition = LawCondition | LabelCondition


def parse_profile(data: bytes) -> Profile:
    """Read `law.json`; raise `TooLargeError`, `MalformedError`, or `FormError` with a pointer.

    Types and codes are checked for their form only: a list may know more than this version does, and what is unknown
    denies.
    """
    form = form_of(data)
    if form is not None and form not in ("law/0", "law/1"):
        raise FormError("Must be law/0 or law/1: a newer form needs a newer version.", pointer="/form")
    profile: Profile = read(LabelProfile, data) if form == "law/0" else read(LawProfile, data)
    if isinstance(profile, LabelProfile):
        in_order([item.id for item in profile.conditions], "/conditions")
        for number, condition in enumerate(profile.conditions):
            _check_label_condition(condition, f"/conditions/{number}")
    else:
        _check_succession(profile.conditions)
    conditions: tuple[AnyCondition, ...] = profile.conditions
    for number, item in enumerate(conditions):
        if item.id in RESERVED:
            raise FormError("Is an id of the rules themselves.", pointer=f"/conditions/{number}/id")
        check_validity(item.valid_from, item.valid_to, f"/conditions/{number}")
        in_order(list(item.parameters), f"/conditions/{number}/parameters")
    return profile


def encode_profile(profile: Profile) -> bytes:
    """Return the canonical bytes of a profile."""
    return write(profile)


def own_profile(state: Role, data: bytes) -> Profile:
    """Read the profile of a State; raise what `parse_profile` raises, and `FormError` where it is another State's."""
    profile = parse_profile(data)
    # The directory's delegation keeps a State from signing another's path; this keeps a file from being put there.
    if profile.state != state:
        raise FormError("Is another State's profile.", pointer="/state", problem="law-scope")
    return profile


def _check_label_condition(condition: LabelCondition, at: str) -> None:
    if condition.inputs == "content":
        raise FormError("Conditions over contents come with law/1; law/0 has label only.", pointer=f"{at}/inputs")
    if condition.effect not in ("deny", "oblige"):
        raise FormError("Comes with law/1; law/0 has deny and oblige.", pointer=f"{at}/effect")
    if (condition.effect == "oblige") is (condition.obligation is None):
        raise FormError("Must be there for oblige and null for deny.", pointer=f"{at}/obligation")


def _check_succession(conditions: tuple[LawCondition, ...]) -> None:
    """Demand conditions by id; one id may stand again with a later validity, as the same provision's later text."""
    for number, (a, b) in enumerate(pairwise(conditions), 1):
        if a.id > b.id or (a.id == b.id and (a.valid_from or "") > (b.valid_from or "")):
            raise FormError("Must be sorted by id and time.", pointer="/conditions")
        if a.id == b.id and (a.valid_to is None or b.valid_from is None or a.valid_to > b.valid_from):
            raise FormError(
                "Is in force together with an earlier text of the same id.",
                pointer=f"/conditions/{number}/valid_from",
                problem="law-overlap",
            )


def sentences(condition: AnyCondition) -> dict[str, str]:
    """Return what a condition says to a person, by language: the State's own words, else the type's."""
    own = {} if condition.explanation is None else condition.explanation.by_language()
    kind = CONDITION_TYPES.get(condition.type)
    return own if kind is None or isinstance(condition, LabelCondition) else {**kind.says, **own}


def sentence(condition: AnyCondition, language: str) -> str:
    """Return what a condition says in a language, in English where it lacks that one."""
    said = sentences(condition)
    return said.get(language) or said.get("en", "")
