"""Warn about a law profile that is of the right form and yet may not say what its author means.

Warnings are sentences in English for the author; none of them makes a profile unfit to be signed.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from schemas.rules.condition import Applies, LawCondition, Profile
from schemas.rules.vocabulary import unknown_codes, vocabulary

_NOTICE: Final = timedelta(days=60)
_LISTS: Final = ("kinds", "themes", "regions", "counterparts", "tlp", "purpose", "classification")


def check_profile(profile: Profile, *, today: date | None = None) -> list[str]:
    """Return warnings: what expires, which languages lack, which codes are unknown, what can never apply or decide.

    With `today`, what has ended and what ends within 60 days is said so; without, every end is named.
    """
    known = vocabulary()
    warnings = [
        f"{profile.conditions[number].id}: {member} has a code that is not in the list."
        for number, member, _ in unknown_codes(profile, known)
    ]
    for condition in profile.conditions:
        warnings += [f"{condition.id}: {said}" for said in _expiry(condition, today)]
        if missing := condition.explanation.missing():
            warnings.append(f"{condition.id}: has no explanation in {', '.join(missing)}.")
        warnings += [f"{condition.id}: {said}" for said in _reach(condition, profile, known.states)]
    if all(condition.valid_to for condition in profile.conditions):
        last = max(condition.valid_to or "" for condition in profile.conditions)
        warnings.append(f"From {last} on no condition is in force.")
    return warnings


def _expiry(condition: LawCondition, today: date | None) -> Iterator[str]:
    if condition.valid_to is None:
        return
    if today is None:
        yield f"ends on {condition.valid_to}."
        return
    end = date.fromisoformat(condition.valid_to[:10])
    if end <= today:
        yield f"has ended on {condition.valid_to}."
    elif end <= today + _NOTICE:
        yield f"ends soon, on {condition.valid_to}."


def _reach(condition: LawCondition, profile: Profile, states: frozenset[str]) -> Iterator[str]:
    about = condition.applies_to
    if about.counterparts is not None and set(about.counterparts) <= set(about.counterparts_except or ()):
        yield "can never apply: all its counterparts are excepted."
    excepted: set[str] = set(about.counterparts_except or ())
    # Only the network knows who is in a group, so this speaks where States alone are excepted.
    if excepted and excepted <= states and profile.state not in excepted and about.counterparts is None:
        yield f"applies inside the State too: except {profile.state} if it should not."
    for other in profile.conditions:
        if other.id != condition.id and other.effect == "deny" and _covers(other, condition):
            yield f"never decides anything: wherever it applies, {other.id} denies."


def _covers(wide: LawCondition, narrow: LawCondition) -> bool:
    """Say whether, as far as texts show, `wide` applies wherever and whenever `narrow` does."""
    a, b = wide.applies_to, narrow.applies_to
    return (
        a.direction in ("both", b.direction)
        and a.nominal in (None, b.nominal)
        and all(_within(_codes(b, name), _codes(a, name)) for name in _LISTS)
        and set(a.counterparts_except or ()) <= set(b.counterparts_except or ())
        and (wide.valid_from is None or (narrow.valid_from is not None and wide.valid_from <= narrow.valid_from))
        and (wide.valid_to is None or (narrow.valid_to is not None and narrow.valid_to <= wide.valid_to))
    )


def _codes(about: Applies, name: str) -> tuple[str, ...] | None:
    codes: tuple[str, ...] | None = getattr(about, name)
    return codes


def _within(narrow: tuple[str, ...] | None, wide: tuple[str, ...] | None) -> bool:
    return wide is None or (narrow is not None and set(narrow) <= set(wide))
