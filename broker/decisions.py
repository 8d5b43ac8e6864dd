"""Decisions of one version of the rules, remembered: labels repeat, and 57 recipients are 57 decisions.

Keyed by exactly what `decide` reads: act, topic, label, sender, recipient, under one directory version and boundary (a
`Trust` makes its own). Measured: a decision costs 10 µs, a remembered one 0.1. A property test holds every remembered
decision against a fresh one.
"""

from collections.abc import Mapping
from typing import Final

from schemas.ids import ParticipantId, Topic
from schemas.label import Label
from schemas.rules.compile import Rules
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.verdict import Determination
from schemas.statement import Statement

EVALUATOR: Final = "broker"
REMEMBERED: Final = 4096
"""Combinations of act, topic, label and sender that are kept; beyond them everything is forgotten at once."""

_Key = tuple[str, Topic | None, Label | None, ParticipantId]


class About:
    """What the rules say of one kind of notice of one sender: to itself, and to each recipient that was asked for."""

    __slots__ = ("_act", "_denials", "_label", "_parties", "_rules", "_sender", "_topic", "sender")

    def __init__(
        self, statement: Statement, sender: Party, rules: Rules, parties: Mapping[ParticipantId, Party]
    ) -> None:
        self._act = statement.act
        self._topic = statement.topic
        self._label = statement.label
        self._sender = sender
        self._rules = rules
        self._parties = parties
        self._denials: dict[ParticipantId, Determination | None] = {}
        self.sender = self._ask(Facts("publish", self._act, self._topic, self._label, sender, None))
        """The first denial of the sender's publishing it, or None."""

    def recipient(self, who: ParticipantId) -> Determination | None:
        """Return the first denial of a recipient's receiving it, or None."""
        try:
            return self._denials[who]
        except KeyError:
            facts = Facts("receive", self._act, self._topic, self._label, self._sender, self._parties[who])
            denial = self._denials[who] = self._ask(facts)
            return denial

    def _ask(self, facts: Facts) -> Determination | None:
        return decide(facts, self._rules, evaluator=EVALUATOR).first_denial()


class Decisions:
    """Remember decisions under one version of the rules.

    Used by the ledger thread and the event loop alike: what is remembered never changes, so a lost entry costs only time.
    """

    def __init__(self, rules: Rules, parties: Mapping[ParticipantId, Party]) -> None:
        self._rules = rules
        self._parties = parties
        self._known: dict[_Key, About] = {}

    def about(self, statement: Statement, sender: Party) -> About:
        """Return what the rules say of a statement that is about a notice (or an acknowledgement) of `sender`."""
        key = (statement.act, statement.topic, statement.label, sender.id)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self._known[key] = About(statement, sender, self._rules, self._parties)
        return found
