"""Tell the author of a law profile what it may not mean: what has ended, is said twice, or can never apply.

All are warnings for the author; none of them makes a profile unfit to be signed. Where a profile can be read only
against a network (who is in a group), this says nothing.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from schemas.rules.condition import AnyCondition, Applies, LabelCondition, LawCondition, Profile
from schemas.rules.condition_types import CONDITION_TYPES
from schemas.rules.contradictions import both_apply, contradiction, idle, meet
from schemas.rules.flaws import profile_flaws
from schemas.rules.remarks import Remark
from schemas.rules.vocabulary import Vocabulary, vocabulary

_NOTICE: Final = timedelta(days=60)
_LISTS: Final = ("kinds", "themes", "regions", "counterparts", "tlp", "purpose", "classification")
_AT_ONCE: Final = ("not-permitted", "cd-forbidden")
"""Types that deny wherever they apply."""


def check_profile(profile: Profile, *, today: date | None = None) -> list[Remark]:
    """Return warnings: what expires, which languages lack, which codes are unknown, what can never apply or be met.

    With `today`, what has ended and what ends within 60 days is said so; without, every end is named.
    """
    known = vocabulary()
    conditions: tuple[AnyCondition, ...] = profile.conditions
    found = []
    for number, flaw in profile_flaws(profile, known):
        code = "unknown-code" if flaw.problem == "law-unknown-code" else "flaw"
        found.append(Remark(code, conditions[number].id, {"member": flaw.member, "detail": flaw.detail}))
    for place, condition in enumerate(conditions):
        said = (
            *_expiry(condition, today),
            *_languages(condition),
            *_reach(condition, profile, known.states),
            *_against(condition, conditions[:place], conditions, known),
        )
        found += [Remark(code, condition.id, values) for code, values in said]
    if all(condition.valid_to for condition in conditions):
        last = max(condition.valid_to or "" for condition in conditions)
        found.append(Remark("none-in-force", None, {"time": last}))
    return found


_Said = Iterator[tuple[str, dict[str, str]]]
"""Remarks about one condition: code and values."""


def _expiry(condition: AnyCondition, today: date | None) -> _Said:
    if condition.valid_to is None:
        return
    time = {"time": str(condition.valid_to)}
    if today is None:
        yield "ends", time
        return
    end = date.fromisoformat(condition.valid_to[:10])
    if end <= today:
        yield "has-ended", time
    elif end <= today + _NOTICE:
        yield "ends-soon", time


def _languages(condition: AnyCondition) -> _Said:
    """Say in which languages a reader gets no sentence of this law's own."""
    if condition.explanation is None:
        yield "no-explanation", {"type": condition.type}
    elif missing := condition.explanation.missing():
        code = "english-instead" if isinstance(condition, LabelCondition) else "general-instead"
        yield code, {"languages": ", ".join(missing)}


def _reach(condition: AnyCondition, profile: Profile, states: frozenset[str]) -> _Said:
    about, kind = condition.applies_to, CONDITION_TYPES.get(condition.type)
    if about.counterparts is not None and set(about.counterparts) <= set(about.counterparts_except or ()):
        yield "all-excepted", {}
    if (
        kind is not None
        and kind.kinds is not None
        and about.kinds is not None
        and not set(kind.kinds) & set(about.kinds)
    ):
        yield "kinds-apart", {"type": kind.id, "kinds": ", ".join(kind.kinds)}
    if kind is not None and kind.when == "nominal" and about.nominal is False:
        yield "nominal-only", {"type": kind.id}
    if isinstance(condition, LawCondition) and condition.type == "purpose" and about.purpose is not None:
        permitted = set(_codes_of(condition, "purposes"))
        if set(about.purpose) <= permitted:
            yield "permits-all", {}
        elif not set(about.purpose) & permitted:
            yield "denies-all", {}
    excepted: set[str] = set(about.counterparts_except or ())
    # Only the network knows who is in a group, so this speaks where States alone are excepted.
    if excepted and excepted <= states and profile.state not in excepted and about.counterparts is None:
        yield "applies-inside", {"state": profile.state}


def _against(
    condition: AnyCondition, before: tuple[AnyCondition, ...], all_: tuple[AnyCondition, ...], known: Vocabulary
) -> _Said:
    """Say what other conditions make of this one: that it decides nothing, or that both cannot be met."""
    for other in all_:
        if other is not condition and other.type in _AT_ONCE and _covers(other, condition):
            yield "decides-nothing", {"other": other.id}
    if not isinstance(condition, LawCondition):
        return
    states = known.states | known.countries
    for other in all_:
        if other is condition or not isinstance(other, LawCondition):
            continue
        if _covers(other, condition) and (why := idle(condition, other)) is not None:
            yield why, {"other": other.id}
    for other in before:
        if not isinstance(other, LawCondition) or not _overlap(other, condition):
            continue
        if (why := contradiction(other, condition, states)) is not None:
            yield why, {"other": other.id}


def _codes_of(condition: LawCondition, name: str) -> tuple[str, ...]:
    value = condition.parameters.get(name)
    return (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()


def _covers(wide: AnyCondition, narrow: AnyCondition) -> bool:
    """Say whether, as far as texts show, `wide` applies wherever and whenever `narrow` does."""
    a, b = wide.applies_to, narrow.applies_to
    return (
        a.direction in ("both", b.direction)
        and a.nominal in (None, b.nominal)
        and _within(_kinds(narrow), _kinds(wide))
        and all(_within(_codes(b, name), _codes(a, name)) for name in _LISTS if name != "kinds")
        and set(a.counterparts_except or ()) <= set(b.counterparts_except or ())
        and (wide.valid_from is None or (narrow.valid_from is not None and wide.valid_from <= narrow.valid_from))
        and (wide.valid_to is None or (narrow.valid_to is not None and narrow.valid_to <= wide.valid_to))
    )


def _overlap(one: AnyCondition, other: AnyCondition) -> bool:
    """Say whether, as far as texts show, there is a notice and a time to which both apply."""
    begins = max(one.valid_from or "", other.valid_from or "")
    ends = [end for end in (one.valid_to, other.valid_to) if end is not None]
    meet_in_time = not ends or begins < min(ends)
    return meet_in_time and meet(_kinds(one), _kinds(other)) and both_apply(one.applies_to, other.applies_to)


def _kinds(condition: AnyCondition) -> tuple[str, ...] | None:
    kind = CONDITION_TYPES.get(condition.type)
    own = None if kind is None else kind.kinds
    return condition.applies_to.kinds if condition.applies_to.kinds is not None else own


def _codes(about: Applies, name: str) -> tuple[str, ...] | None:
    codes: tuple[str, ...] | None = getattr(about, name)
    return codes


def _within(narrow: tuple[str, ...] | None, wide: tuple[str, ...] | None) -> bool:
    return wide is None or (narrow is not None and set(narrow) <= set(wide))
