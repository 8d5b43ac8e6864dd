"""The form of a State's law profile `law/0`, the directory target `law.json` (design: access, Law profile).

`law/0` has conditions over labels with the effects `deny` and `oblige`; conditions over contents, and the effects
`require` and `limit`, come with `law/1`: they are refused here rather than skipped. Nothing here states any law.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import FormError
from schemas.rules.builtin import RESERVED
from schemas.rules.reading import Codes, FormCode, FormDay, FormState, FormTime, check_validity, in_order, read, write
from schemas.rules.text import Sentence, Text

_FORM = ConfigDict(strict=True, frozen=True, extra="forbid")


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


class LawCondition(BaseModel):
    """One condition of a State's law: where it stands, to what it applies, and what follows.

    In force at a boundary b if `valid_from` <= b < `valid_to`; `obligation` is there for `oblige` only.
    """

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


class Profile(BaseModel):
    """A State's law profile. It can only take away from what the network grants.

    `version` is the author's own text, `adopted` a day, `baseline` the name of the baseline pack that was taken over
    unchanged; `illustration` says that it is an example and no statement of law. Conditions ascend by id.
    """

    model_config = _FORM

    v: Literal[1]
    form: Literal["law/0"]
    state: FormState
    version: Sentence
    adopted: FormDay
    illustration: bool
    baseline: FormCode | None
    conditions: Annotated[tuple[LawCondition, ...], Field(min_length=1)]


def parse_profile(data: bytes) -> Profile:
    """Read `law.json`; raise `TooLargeError`, `MalformedError`, or `FormError` with a pointer.

    Codes are checked for their form only: a list may know more than this version does, and what is unknown denies.
    """
    profile = read(Profile, data)
    in_order([item.id for item in profile.conditions], "/conditions")
    for number, condition in enumerate(profile.conditions):
        _check_condition(condition, f"/conditions/{number}")
    return profile


def encode_profile(profile: Profile) -> bytes:
    """Return the canonical bytes of a profile."""
    return write(profile)


def _check_condition(condition: LawCondition, at: str) -> None:
    if condition.id in RESERVED:
        raise FormError("Is an id of the rules themselves.", pointer=f"{at}/id")
    if condition.inputs == "content":
        raise FormError("Conditions over contents come with law/1; law/0 has label only.", pointer=f"{at}/inputs")
    if condition.effect not in ("deny", "oblige"):
        raise FormError("Comes with law/1; law/0 has deny and oblige.", pointer=f"{at}/effect")
    if (condition.effect == "oblige") is (condition.obligation is None):
        raise FormError("Must be there for oblige and null for deny.", pointer=f"{at}/obligation")
    check_validity(condition.valid_from, condition.valid_to, at)
