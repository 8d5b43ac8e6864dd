"""Show what a change of law would have done to past notices: the same decisions, under the old rules and the new.

Pure: past notices and two sets of rules in, a report out. Only pairs of States that the change concerns are decided on;
a notice that was not seen in full is decided on as far as its label shows, and the report says how many those were.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import orjson

from schemas.encoding import Time
from schemas.ids import ParticipantId, Role, Topic
from schemas.label import Label
from schemas.rules.alike import Alike
from schemas.rules.compile import Rules
from schemas.rules.content import Content
from schemas.rules.decide import decide
from schemas.rules.facts import Facts, Party
from schemas.rules.verdict import Determination
from schemas.strict_json import Json

MOST_LISTED = 1000
"""Notices that a report lists; all are counted."""
SIMULATOR = "simulation"


@dataclass(frozen=True, slots=True)
class Past:
    """A notice as it once was published, as far as whoever simulates may know it.

    `recipients` are who got it, `named` those of them without whom it would not have been sent, None where that is not
    known; `waiting` those who have not fetched it yet, None where that is not known; `content` what it says, None where
    it was not opened.
    """

    index: int
    notice_id: str
    act: str
    topic: Topic
    label: Label
    sender: Party
    issued_at: Time | None
    expires_at: Time | None
    recipients: tuple[Party, ...] | None = None
    named: frozenset[ParticipantId] = frozenset()
    waiting: tuple[Party, ...] | None = None
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A past notice that the new rules treat otherwise, and the condition that decides."""

    past: Past
    denied: tuple[ParticipantId, ...]
    why: Determination | None

    def to_json(self) -> dict[str, Json]:
        """Return the outcome with its members in order."""
        why = self.why
        return {
            "index": self.past.index,
            "notice_id": self.past.notice_id,
            "sender": self.past.sender.id,
            "topic": self.past.topic,
            "kind": self.past.label.kind,
            "concerns": list(self.denied),
            "condition": None if why is None else _named(why),
        }


@dataclass(slots=True)
class Pair:
    """Two States, and how many past notices of the first could go to the second under both rules."""

    before: int = 0
    after: int = 0
    lost: int = 0
    gained: int = 0

    @property
    def shut(self) -> bool:
        """Say whether something could pass before, and nothing can any more."""
        return self.before > 0 and self.after == 0


@dataclass(slots=True)
class Report:
    """What a change would have done. Counts are of notices; `pairs` are by sender's and recipient's State.

    `addressed` are the notices whose recipients are known, `tracked` those of which it is known who has not fetched them:
    only of these it can be said that they would have been refused or allowed, or withheld or released.
    """

    old: tuple[int, Time | None]
    new: tuple[int, Time | None]
    changed: tuple[Role, ...]
    notices: int = 0
    in_full: int = 0
    addressed: int = 0
    tracked: int = 0
    states: int = 0
    decisions: int = 0
    pairs: dict[tuple[Role, Role], Pair] = field(default_factory=dict)
    conditions: Counter[Determination] = field(default_factory=Counter)
    silenced: Counter[Role] = field(default_factory=Counter)
    refused: list[Outcome] = field(default_factory=list)
    allowed: list[Outcome] = field(default_factory=list)
    withheld: list[Outcome] = field(default_factory=list)
    released: list[Outcome] = field(default_factory=list)

    def gains(self) -> dict[Role, int]:
        """Return how many notices each State would have received in addition, most first."""
        return _sums({pair: value.gained for pair, value in self.pairs.items()})

    def loses(self) -> dict[Role, int]:
        """Return how many notices each State would no longer have received, most first."""
        return _sums({pair: value.lost for pair, value in self.pairs.items()})

    def conflicts(self) -> list[tuple[Role, Role, Pair]]:
        """Return the pairs between which less could pass than before, those that are shut first."""
        found = [(*pair, value) for pair, value in self.pairs.items() if value.lost]
        return sorted(found, key=lambda item: (not item[2].shut, -item[2].lost, item[0], item[1]))

    def to_json(self) -> dict[str, Json]:
        """Return the report with its members in order."""
        return {
            "typ": "valise-simulation/1",
            "old": {"directory": self.old[0], "boundary": self.old[1]},
            "new": {"directory": self.new[0], "boundary": self.new[1]},
            "changed": list(self.changed),
            "notices": self.notices,
            "in_full": self.in_full,
            "addressed": self.addressed,
            "tracked": self.tracked,
            "states": self.states,
            "decisions": self.decisions,
            "gains": [{"state": state, "notices": count} for state, count in self.gains().items()],
            "loses": [{"state": state, "notices": count} for state, count in self.loses().items()],
            "silenced": [{"state": state, "notices": count} for state, count in sorted(self.silenced.items())],
            "pairs": [
                {"sender": a, "recipient": b, "lost": pair.lost, "gained": pair.gained, "shut": pair.shut}
                for (a, b), pair in sorted(self.pairs.items())
                if pair.lost or pair.gained
            ],
            "conditions": [
                {**_named(why), "denials": count}
                for why, count in sorted(self.conditions.items(), key=lambda item: (-item[1], item[0].condition))
            ],
            **{
                name: {
                    # Of no notice known is not none of them.
                    "notices": len(found) if known or not self.notices else None,
                    "listed": [one.to_json() for one in found[:MOST_LISTED]],
                }
                for name, found, known in (
                    ("refused", self.refused, self.addressed),
                    ("allowed", self.allowed, self.addressed),
                    ("withheld", self.withheld, self.tracked),
                    ("released", self.released, self.tracked),
                )
            },
        }

    def encode(self) -> bytes:
        """Return the report's bytes, whose SHA-256 enters the draft of the law: UTF-8 JSON, compact."""
        return orjson.dumps(self.to_json())


def changed_states(old: Rules, new: Rules) -> frozenset[Role]:
    """Return the States whose decisions may differ: those of another law; all of them where the network is another."""
    everybody = frozenset(old.laws) | frozenset(new.laws) | old.roles | new.roles
    if old.network != new.network or old.known != new.known:
        return everybody
    profiles = {role for role in everybody if old.profiles.get(role) != new.profiles.get(role)}
    moved = old.boundary != new.boundary
    return frozenset(
        role
        for role in everybody
        if moved or role in profiles or (role in old.unreadable) is not (role in new.unreadable)
    )


def simulate(
    past: Collection[Past],
    states: Mapping[Role, Party],
    old: Rules,
    new: Rules,
    *,
    progress: Callable[[int], None] | None = None,
) -> Report:
    """Decide past notices under the old rules and the new, and return what differs.

    `states` are the parties that stand for each State (its focal point); `progress` is told how many notices are done.
    """
    concerned = changed_states(old, new)
    report = Report(
        old=(old.version, old.boundary),
        new=(new.version, new.boundary),
        changed=tuple(sorted(concerned)),
        states=len(states),
    )
    judge = _Judge(old, new, report)
    for number, one in enumerate(past, 1):
        report.notices += 1
        report.in_full += one.content is not None
        report.addressed += one.recipients is not None
        report.tracked += one.waiting is not None
        judge.notice(one, states, concerned)
        if progress is not None and (number % 100 == 0 or number == len(past)):
            progress(number)
    return report


Both = tuple[Determination | None, Determination | None]
"""The first denial under the old rules and under the new, None where they permit."""


@dataclass(slots=True)
class _Judge:
    """Decides, and remembers by exactly what decisions read: labels repeat."""

    old: Rules
    new: Rules
    report: Report
    _known: dict[tuple[object, ...], dict[ParticipantId | None, Both]] = field(default_factory=dict)
    _told: dict[ParticipantId | None, Both] = field(default_factory=dict)
    _alike: Alike = field(init=False)

    def __post_init__(self) -> None:
        self._alike = Alike(self.old, self.new)

    def notice(self, past: Past, states: Mapping[Role, Party], concerned: frozenset[Role]) -> None:
        """Take one notice into the report."""
        self._told = self._about(past)
        publish = self._both(past, None) if past.sender.role in concerned else (None, None)
        if publish[0] is None and publish[1] is not None:
            self.report.silenced[past.sender.role] += 1
        for role, party in states.items():
            if party.id != past.sender.id and (role in concerned or past.sender.role in concerned):
                self._pair(past, role, self._whole(past, party, publish))
        if past.recipients is not None:
            self._sent(past, past.recipients, publish)
        for party in past.waiting or ():
            before, after = self._both(past, party)
            if before is None and after is not None:
                self.report.withheld.append(Outcome(past, (party.id,), after))
            elif before is not None and after is None:
                self.report.released.append(Outcome(past, (party.id,), before))

    def _pair(self, past: Past, role: Role, both: Both) -> None:
        before, after = both
        pair = self.report.pairs.setdefault((past.sender.role, role), Pair())
        pair.before += before is None
        pair.after += after is None
        if before is None and after is not None:
            pair.lost += 1
            self.report.conditions[replace(after, parameters={})] += 1
        elif before is not None and after is None:
            pair.gained += 1

    def _sent(self, past: Past, recipients: Iterable[Party], publish: Both) -> None:
        """Say whether a notice would have gone out: nobody is left without it who was named, and somebody has it."""
        found = {party.id: self._whole(past, party, publish) for party in recipients if party.id != past.sender.id}
        sent = [self._goes(past, {who: both[place] for who, both in found.items()}) for place in (0, 1)]
        if sent[0] and not sent[1]:
            denied = tuple(sorted(who for who, both in found.items() if both[1] is not None))
            why = next((both[1] for both in found.values() if both[1] is not None), None)
            self.report.refused.append(Outcome(past, denied, why))
        elif sent[1] and not sent[0]:
            freed = tuple(sorted(who for who, both in found.items() if both[0] is not None and both[1] is None))
            why = next((both[0] for both in found.values() if both[0] is not None), None)
            self.report.allowed.append(Outcome(past, freed, why))

    @staticmethod
    def _goes(past: Past, denials: Mapping[ParticipantId, Determination | None]) -> bool:
        denied = {who for who, why in denials.items() if why is not None}
        return not denied & past.named and len(denied) < len(denials)

    def _whole(self, past: Past, party: Party, publish: Both) -> Both:
        """Return the denials of a recipient, or of the sender's publishing it at all."""
        before, after = self._both(past, party)
        return publish[0] or before, publish[1] or after

    def _both(self, past: Past, party: Party | None) -> Both:
        asked = None if party is None else party.id
        found = self._told.get(asked)
        if found is None:
            facts = Facts(
                "publish" if party is None else "receive",
                past.act,
                past.topic,
                past.label,
                past.sender,
                party,
                past.issued_at,
                past.expires_at,
                past.content,
            )
            self.report.decisions += 2
            before, after = (decide(facts, rules, evaluator=SIMULATOR).first_denial() for rules in (self.old, self.new))
            found = self._told[asked] = (before, after)
        return found

    def _about(self, past: Past) -> dict[ParticipantId | None, Both]:
        """Return what is remembered of notices that decisions read the same of."""
        facts = Facts(
            "publish",
            past.act,
            past.topic,
            past.label,
            past.sender,
            None,
            past.issued_at,
            past.expires_at,
            past.content,
        )
        key = (past.act, past.topic, past.label, past.sender.id, self._alike.seen(facts))
        return self._known.setdefault(key, {})


def _named(why: Determination) -> dict[str, Json]:
    return {
        "id": why.condition,
        "layer": why.layer,
        "state": why.state,
        "instrument": why.instrument,
        "article": why.article,
        "reason": dict(why.reason),
    }


def _sums(counts: Mapping[tuple[Role, Role], int]) -> dict[Role, int]:
    found: Counter[Role] = Counter()
    for (_, recipient), count in counts.items():
        found[recipient] += count
    return {role: count for role, count in sorted(found.items(), key=lambda item: (-item[1], item[0])) if count}
