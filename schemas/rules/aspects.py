"""What a condition of law can look at in a question.

An aspect has a value in every question: a set of codes, a number, true or false, or None where it is not known, which
denies. Reading is total: it never raises, whatever the facts are. Where a person at the desk could make the aspect
another one, `way` says how (`changes`); who the recipient is, or what the offence was, nobody there can change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal

from schemas.encoding import Time, from_seconds, to_seconds
from schemas.rules.changes import values_of
from schemas.rules.facts import Facts, Party

Value = frozenset[str] | Fraction | int | bool | None
"""What an aspect is: codes, a number (seconds, grams, years), true or false; None is unknown."""

Inputs = Literal["label", "content"]
Read = Callable[[Facts, Party | None], Value]
_NOBODY: Final = 1_000
"""Years of age of the youngest of nobody."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that conditions look at: `read` takes the facts and the other side.

    `inputs` says who can see it; `towards` that there is none before there is a recipient; `timed` that it reads the
    statement's times. `way` is how it is changed; for a number of seconds `begin` is what they count from.
    """

    inputs: Inputs
    read: Read
    way: str | None = None
    towards: bool = False
    timed: bool = False
    begin: Callable[[Facts], Time | None] | None = None


def after(begin: Time | None, seconds: int) -> Time | None:
    """Return the time some seconds after another one, None where there is none."""
    return None if begin is None else from_seconds(to_seconds(begin) + seconds)


def age(born: str, on: str) -> int:
    """Return how many years old somebody is on a day (`YYYY-MM-DD`); who was born on 29 February turns on 1 March.

    Who is not born yet is 0 years old.
    """
    return max(int(on[:4]) - int(born[:4]) - (on[5:10] < born[5:10]), 0)


@lru_cache(maxsize=256)  # the same statement's times are asked for by each State and for each recipient
def _seconds(begin: Time | None, end: Time | None) -> int | None:
    return None if begin is None or end is None else to_seconds(end) - to_seconds(begin)


def _issued(facts: Facts) -> Time | None:
    return facts.issued_at


def _begins(facts: Facts) -> Time | None:
    return None if facts.content is None else facts.content.begins


def _of_label(name: str) -> Read:
    def read(facts: Facts, _: Party | None) -> Value:
        value = getattr(facts.label, name, None)
        return frozenset() if value is None else frozenset((value,))

    return read


def _stated(name: str) -> Read:
    return lambda facts, _: values_of(facts.label, name)


def _of_content(name: str) -> Read:
    def read(facts: Facts, _: Party | None) -> Value:
        value: Value | str = getattr(facts.content, name, None)
        return frozenset((value,)) if isinstance(value, str) else value

    return read


def _nominal(facts: Facts, _: Party | None) -> Value:
    return None if facts.label is None else facts.label.nominal


def _handling(facts: Facts, _: Party | None) -> Value:
    return frozenset() if facts.label is None else frozenset(facts.label.handling)


def _conditions(facts: Facts, _: Party | None) -> Value:
    return frozenset() if facts.label is None else frozenset(item.code for item in facts.label.conditions)


def _sources_without_consent(facts: Facts, _: Party | None) -> Value:
    here, there = facts.sender.role, None if facts.recipient is None else facts.recipient.role
    # Inside its own State nothing is sent on, and what goes back to its source needs no consent of that.
    sources = values_of(facts.label, "received-from") - values_of(facts.label, "consent-of") - {here, there}
    return None if there is None else frozenset() if there == here else sources


def _counterpart(_: Facts, other: Party | None) -> Value:
    return None if other is None else frozenset((str(other.role),))


def _transfer(facts: Facts, other: Party | None) -> Value:
    return None if other is None else values_of(facts.label, "transfer-basis") | {str(other.role)}


def _kind_of_recipient(facts: Facts, _: Party | None) -> Value:
    return None if facts.recipient is None else frozenset((facts.recipient.kind,))


def _clearance(facts: Facts, _: Party | None) -> Value:
    who = facts.recipient
    return None if who is None else frozenset(() if who.clearance is None else (who.clearance,))


def _kept_for(facts: Facts, _: Party | None) -> Value:
    return _seconds(facts.issued_at, facts.expires_at)


def _reply_asked(facts: Facts, _: Party | None) -> Value:
    return facts.label is not None and facts.label.reply_due is not None


def _time_to_reply(facts: Facts, _: Party | None) -> Value:
    return _seconds(facts.issued_at, None if facts.label is None else facts.label.reply_due)


def _states_without_consent(facts: Facts, _: Party | None) -> Value:
    if facts.content is None or facts.content.states is None:
        return None
    return facts.content.states - values_of(facts.label, "consent-of") - {facts.sender.role}


def _youngest(facts: Facts, _: Party | None) -> Value:
    if facts.content is None or facts.content.births is None or facts.issued_at is None:
        return None
    ages = []
    for born in facts.content.births:
        if born is None:
            return None
        ages.append(age(born, facts.issued_at))
    return min(ages, default=_NOBODY)


def _oral_until(facts: Facts, _: Party | None) -> Value:
    return None if facts.content is None else _seconds(facts.issued_at, facts.content.oral_until)


def _duration(facts: Facts, _: Party | None) -> Value:
    return None if facts.content is None else _seconds(facts.content.begins, facts.content.ends)


ASPECTS: Final[Mapping[str, Aspect]] = {
    # what the label and the statement show to everybody
    "purpose": Aspect("label", _of_label("purpose"), "purpose"),
    "legal-basis": Aspect("label", _of_label("legal_basis"), "legal-basis"),
    "nominal": Aspect("label", _nominal, "nominal"),
    "classification": Aspect("label", _of_label("classification")),
    "handling": Aspect("label", _handling, "handling"),
    "undertakings": Aspect("label", _conditions, "undertaking"),
    "authorised-by": Aspect("label", _stated("authorised-by"), "authorised-by"),
    "sources-without-consent": Aspect("label", _sources_without_consent, "consent-of", towards=True),
    "counterpart": Aspect("label", _counterpart, towards=True),
    "transfer-basis": Aspect("label", _transfer, "transfer-basis", towards=True),
    "recipient-kind": Aspect("label", _kind_of_recipient, towards=True),
    "clearance": Aspect("label", _clearance, towards=True),
    "kept-for": Aspect("label", _kept_for, "expires-at", timed=True, begin=_issued),
    "reply-asked": Aspect("label", _reply_asked),
    "time-to-reply": Aspect("label", _time_to_reply, "reply-due", timed=True, begin=_issued),
    # what only an opened notice shows
    "states": Aspect("content", _of_content("states")),
    "states-without-consent": Aspect("content", _states_without_consent, "consent-of"),
    "grams": Aspect("content", _of_content("grams")),
    "youngest": Aspect("content", _youngest, timed=True),
    "special-categories": Aspect("content", _of_content("special_categories"), "special-categories"),
    "operators": Aspect("content", _of_content("operators"), "operators"),
    "offences": Aspect("content", _of_content("offences")),
    "authorities": Aspect("content", _of_content("authorities"), "authorities"),
    "decided-in": Aspect("content", _of_content("decided_in")),
    "assistance": Aspect("content", _of_content("assistance"), "assistance"),
    "oral": Aspect("content", _of_content("oral"), "oral"),
    "oral-until": Aspect("content", _oral_until, "oral-until", timed=True, begin=_issued),
    "last-resort": Aspect("content", _of_content("last_resort"), "last-resort"),
    "constant-surveillance": Aspect("content", _of_content("constant_surveillance"), "constant-surveillance"),
    "final-interception": Aspect("content", _of_content("final_interception"), "final-interception"),
    "foreign-officers": Aspect("content", _of_content("foreign_officers"), "foreign-officers"),
    "handover": Aspect("content", _of_content("handover"), "handover"),
    "dangerous-goods": Aspect("content", _of_content("dangerous_goods")),
    "substitution": Aspect("content", _of_content("substitution"), "substitution"),
    "languages": Aspect("content", _of_content("languages"), "languages"),
    "duration": Aspect("content", _duration, "until", begin=_begins),
}
"""Every aspect, by name."""
