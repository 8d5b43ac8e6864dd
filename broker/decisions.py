"""Decisions of one version of the rules, remembered: labels repeat, and 57 recipients are 57 decisions.

Keyed by exactly what `decide` reads: act, topic, label, sender, recipient, and what laws that count time read of the
statement's own times (`schemas.rules.alike`), under one directory version and boundary (a `Trust` makes its own). Measured: a
decision costs 10 µs, a remembered one 0.1. A property test holds every remembered decision against a fresh one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from broker.accounts import Said, account
from schemas.ids import ParticipantId, Role, Topic
from schemas.label import Label
from schemas.rules.alike import Alike
from schemas.rules.compile import Rules
from schemas.rules.copies import copies_owed
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.verdict import Determination, Verdict
from schemas.statement import Statement

EVALUATOR: Final = "broker"
REMEMBERED: Final = 4096
"""Combinations of act, topic, label and sender that are kept; beyond them everything is forgotten at once."""

_Key = tuple[str, Topic | None, Label | None, ParticipantId, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Told:
    """What the rules say of one recipient: the verdict, and its first denial or None.

    `copies` are the focal points that are owed a copy of what it gets, and which condition obliges to each.
    """

    verdict: Verdict
    denial: Determination | None
    copies: Mapping[ParticipantId, Determination] = field(default_factory=dict, hash=False)


class About:
    """What the rules say of one kind of notice of one sender: to itself, and to each recipient that was asked for."""

    __slots__ = ("_account", "_parties", "_points", "_publish", "_rules", "_told", "publish", "sender")

    def __init__(
        self,
        publish: Facts,
        rules: Rules,
        parties: Mapping[ParticipantId, Party],
        points: Mapping[Role, ParticipantId],
    ) -> None:
        self._publish = publish
        self._rules = rules
        self._parties = parties
        self._points = points
        self._told: dict[ParticipantId, Told] = {}
        self._account: tuple[tuple[ParticipantId, ...], bytes] | None = None
        told = self._ask(self._publish)
        self.publish = told.verdict
        """The verdict on the sender's publishing it."""
        self.sender = told.denial
        """The first denial of the sender's publishing it, or None."""

    def recipient(self, who: ParticipantId) -> Determination | None:
        """Return the first denial of a recipient's receiving it, or None."""
        return self.told(who).denial

    def account(self, recipients: tuple[ParticipantId, ...]) -> bytes:
        """Return the verdicts on the sender and on each recipient, as they are kept for auditors."""
        known = self._account
        if known is None or known[0] != recipients:
            said: list[Said] = [("publish", self._publish.sender.id, self.publish)]
            said += [("receive", who, self.told(who).verdict) for who in recipients]
            known = self._account = (recipients, account(said))
        return known[1]

    def told(self, who: ParticipantId) -> Told:
        """Return what the rules say of a recipient's receiving it."""
        try:
            return self._told[who]
        except KeyError:
            facts = replace(self._publish, action="receive", recipient=self._parties[who])
            told = self._told[who] = self._ask(facts)
            return told

    def _ask(self, facts: Facts) -> Told:
        verdict = decide(facts, self._rules, evaluator=EVALUATOR)
        copies: dict[ParticipantId, Determination] = {}
        if verdict.permitted and verdict.obligations and facts.recipient is not None:
            owed = copies_owed(verdict.obligations, facts.sender.role, facts.recipient.role)
            copies = {self._points[role]: why for role, why in owed.items() if role in self._points}
        return Told(verdict, verdict.first_denial(), copies)


class Decisions:
    """Remember decisions under one version of the rules.

    Used by the ledger thread and the event loop alike: what is remembered never changes, so a lost entry costs only time.
    """

    def __init__(
        self, rules: Rules, parties: Mapping[ParticipantId, Party], points: Mapping[Role, ParticipantId]
    ) -> None:
        """Take the rules, the participants, and each State's focal point."""
        self._rules = rules
        self._parties = parties
        self._points = points
        self._timed = rules.timed
        self._alike = Alike(rules, opened=False)
        self._known: dict[_Key, About] = {}

    def about(self, statement: Statement, sender: Party) -> About:
        """Return what the rules say of a statement that is about a notice (or an acknowledgement) of `sender`."""
        facts = self._facts(statement, sender) if self._timed else None
        seen = () if facts is None else self._alike.seen(facts)
        key = (statement.act, statement.topic, statement.label, sender.id, seen)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            facts = facts or self._facts(statement, sender)
            found = self._known[key] = About(facts, self._rules, self._parties, self._points)
        return found

    def _facts(self, statement: Statement, sender: Party) -> Facts:
        """Return the question whether it may be published; times that no law reads are left out, so that none can count."""
        times = (statement.issued_at, statement.expires_at) if self._timed else (None, None)
        return Facts("publish", statement.act, statement.topic, statement.label, sender, None, *times)
