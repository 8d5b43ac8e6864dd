"""Two conditions that cannot both be met, of whatever types; and those that only look so."""

from typing import Any

import orjson
import pytest

from schemas.rules.profile import parse_profile
from schemas.rules.review import check_profile
from tests.unit.schemas.rules.laws import law, law_condition
from tests.unit.schemas.rules.worlds import text

Given = tuple[str, str, dict[str, Any], dict[str, Any]]
IT, KZ = {"states": ["it"]}, {"states": ["kz"]}


def warnings(*given: Given) -> list[str]:
    conditions = [
        law_condition(
            f"c{number}",
            kind,
            effect,
            parameters,
            explanation=text("So it is."),
            inputs="content" if kind.startswith("cd-") or kind in ("minors", "special-categories") else "label",
            **more,
        )
        for number, (kind, effect, parameters, more) in enumerate(given)
    ]
    profile = parse_profile(orjson.dumps(law("al", conditions)))
    return [said for one in check_profile(profile) if "explanation" not in (said := one.text())]


def of(kind: str, effect: str, parameters: dict[str, Any] | None = None, **more: Any) -> Given:
    return kind, effect, parameters or {}, more


NOTHING = "c1: contradicts c0: nothing meets both."


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ((of("reciprocity", "require", IT), of("embargo", "deny", IT)), NOTHING),
        ((of("embargo", "deny", IT), of("reciprocity", "require", IT)), NOTHING),
        ((of("reciprocity", "require", IT), of("reciprocity", "require", KZ)), NOTHING),
        ((of("cd-states-only", "require", IT), of("cd-states-never", "deny", IT)), NOTHING),
        ((of("cd-states-only", "require", IT), of("cd-states-only", "require", KZ)), NOTHING),
        (
            (of("reply-time", "limit", {"hours": 72}), of("retention", "limit", {"days": 1})),
            "c1: contradicts c0: there must be more time to reply than a notice may be kept.",
        ),
        (
            (of("cd-no-oral-request", "deny"), of("cd-oral-request", "limit", {"days": 3})),
            "c1: never decides anything: c0 denies all that it is about.",
        ),
        (
            (of("cd-foreign-officers", "oblige"), of("cd-foreign-officers", "deny")),
            "c0: never asks for anything: wherever it would, c1 denies.",
        ),
        (
            (of("minors", "oblige", {"years": 14}), of("minors", "deny", {"years": 18})),
            "c0: never asks for anything: wherever it would, c1 denies.",
        ),
        (
            (of("evidence-consent", "oblige"), of("evidence-consent", "require")),
            "c0: never asks for anything: wherever it would, c1 denies.",
        ),
        (
            (
                of("cd-substitution", "require", {"rule": "forbidden"}),
                of("cd-substitution", "require", {"rule": "mandatory"}),
            ),
            NOTHING,
        ),
        (
            (
                of("special-categories", "oblige", {"categories": ["health"]}),
                of("special-categories", "deny", {"categories": ["genetic", "health"]}),
            ),
            "c0: never asks for anything: wherever it would, c1 denies.",
        ),
        (
            (
                of("purpose", "require", {"purposes": ["investigation"]}, applies_to={"kinds": ["route", "seizure"]}),
                of("purpose", "require", {"purposes": ["prevention"]}, applies_to={"kinds": ["event", "route"]}),
            ),
            NOTHING,
        ),
    ],
)
def test_what_cannot_both_be_met_is_said(pair: tuple[Given, Given], says: str) -> None:
    assert says in warnings(*pair)


@pytest.mark.parametrize(
    "pair",
    [
        (of("reciprocity", "require", {"states": ["it", "kz"]}), of("embargo", "deny", IT)),
        # A State may be in the group: only the network knows.
        (of("reciprocity", "require", IT), of("reciprocity", "require", {"states": ["osce"]})),
        (of("cd-states-only", "require", {"states": ["it", "kz"]}), of("cd-states-never", "deny", IT)),
        (of("reply-time", "limit", {"hours": 24}), of("retention", "limit", {"days": 1})),
        (of("minors", "oblige", {"years": 18}), of("minors", "deny", {"years": 14})),
        (
            of("special-categories", "oblige", {"categories": ["genetic", "health"]}),
            of("special-categories", "deny", {"categories": ["health"]}),
        ),
        (of("cd-foreign-officers", "deny"), of("cd-last-resort", "require")),
        (
            of("reciprocity", "require", IT, applies_to={"direction": "send"}),
            of("embargo", "deny", IT, applies_to={"direction": "receive"}),
        ),
        (
            of("purpose", "require", {"purposes": ["investigation"]}, applies_to={"kinds": ["route"]}),
            of("purpose", "require", {"purposes": ["prevention"]}, applies_to={"kinds": ["event"]}),
        ),
        (
            of("purpose", "require", {"purposes": ["investigation"]}, valid_to="2026-07-01T00:00:00Z"),
            of("purpose", "require", {"purposes": ["prevention"]}, valid_from="2026-07-01T00:00:00Z"),
        ),
        (
            of("purpose", "require", {"purposes": ["investigation"]}, applies_to={"counterparts": ["it"]}),
            of("purpose", "require", {"purposes": ["prevention"]}, applies_to={"counterparts_except": ["al", "it"]}),
        ),
        (
            of("purpose", "require", {"purposes": ["investigation"]}, applies_to={"counterparts": ["it"]}),
            of("purpose", "require", {"purposes": ["prevention"]}, applies_to={"counterparts": ["kz"]}),
        ),
        # Where the oral request is denied only towards some, it may still be made to others.
        (
            of("cd-no-oral-request", "deny", applies_to={"counterparts": ["it"]}),
            of("cd-oral-request", "limit", {"days": 3}),
        ),
    ],
)
def test_what_can_both_be_met_is_left_alone(pair: tuple[Given, Given]) -> None:
    said = warnings(*pair)
    assert not [one for one in said if "contradicts" in one or "never" in one], said
