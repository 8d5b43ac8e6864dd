"""Verdicts as they are kept for auditors: all conditions that determined them, with what they speak of, for everybody.

Who was told the same stands together, since a notice to 57 States mostly is. Ids, codes and versions, never content; the
reasons in six languages are in the laws, which the directory keeps by version.
"""

from collections.abc import Iterable
from functools import lru_cache

import orjson

from schemas.ids import ParticipantId
from schemas.rules.facts import Action
from schemas.rules.verdict import Determination, Verdict

Said = tuple[Action, ParticipantId, Verdict]
"""What was asked of whom, and the verdict."""

REMEMBERED = 4096
"""Verdicts whose bytes are kept: labels repeat, and so do the grants and obligations of their recipients."""


def account(said: Iterable[Said]) -> bytes:
    """Return verdicts as a JSON list: what was asked (`publish`, `receive`, …), of whom, and what determined it."""
    together: dict[tuple[Action, bytes], list[ParticipantId]] = {}
    for action, who, verdict in said:
        told = _told(verdict.permitted, verdict.determining, verdict.obligations, verdict.unseen)
        together.setdefault((action, told), []).append(who)
    return orjson.dumps(
        [
            {"action": action, "participants": list(dict.fromkeys(whose)), "verdict": orjson.Fragment(told)}
            for (action, told), whose in together.items()
        ]
    )


Determinations = tuple[Determination, ...]


@lru_cache(maxsize=REMEMBERED)
def _told(permitted: bool, determining: Determinations, owed: Determinations, unseen: Determinations) -> bytes:
    return orjson.dumps(
        {
            "permitted": permitted,
            "determining": [_named(item) for item in determining],
            "owed": [_named(item) for item in owed],
            "unseen": [_named(item) for item in unseen],
        }
    )


def _named(why: Determination) -> dict[str, object]:
    """Return a determination as it is kept: which condition of whose rules, where it stands, and what it speaks of."""
    return {
        "condition": why.condition,
        "layer": why.layer,
        "state": why.state,
        "effect": why.effect,
        "instrument": why.instrument,
        "article": why.article,
        "obligation": why.obligation,
        "parameters": dict(why.parameters),
    }
