"""Choose the recipients of a statement that is about to be sealed: who is concerned, who may have it, under which key.

An `issue` goes to those named and to the verified subscribers of its topic whom the rules allow; a correction or recall
to everybody who has what it is about. A denied subscriber is left out and reported; a denied one that a person named
gives the notice back to that person. Pure: the same network, draft and moment give the same choice.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from adapters.gateway.draft import Draft
from adapters.gateway.network import SENDER, Network
from adapters.gateway.outbox import Addressed
from adapters.gateway.status import Addressee, Considered, Denial, LeftOut, Trouble, Via
from keys.directory.directory import Moment
from keys.directory.records import SealingRecord
from schemas.acts import ACTS
from schemas.encoding import Time
from schemas.errors import FormError
from schemas.ids import ParticipantId, Role, Topic, is_state, role_of
from schemas.label import Label
from schemas.notice import parse_notice
from schemas.problems import PROBLEMS
from schemas.rules.answer import Changes, answer
from schemas.rules.content import Content, content_of
from schemas.rules.copies import copies_owed
from schemas.rules.decide import CARRIES, decide
from schemas.rules.facts import Action, Facts, Party
from schemas.rules.verdict import Verdict

NO_KEY: Final = "It has no sealing key in force."
UNASKED: Final = frozenset(name for name, act in ACTS.items() if act.unblockable)
"""Acts of which nobody is left out because the rules deny it: the broker holds such copies."""

UNKNOWN: Final = "The directory has no such participant."
CLOCK: Final = "A notice with a clock goes to its State's focal point as well, which may not have it."


@dataclass(frozen=True, slots=True)
class Choice:
    """Who gets a statement, under which keys, and who does not; with a `trouble` it must not be sealed.

    `publish` is the verdict on the sender, None for acts that are not decided on.
    """

    keys: tuple[SealingRecord, ...]
    addressed: Addressed
    considered: tuple[Considered, ...]
    publish: Verdict | None
    trouble: Trouble | None


@dataclass(slots=True)
class Chooser:
    """Chooses for one sender at one place of the log, and remembers what it chose: an import has thousands of one label.

    `issued_at` is the statement's time of issue, which laws on retention and clocks count from.
    """

    network: Network
    sender: ParticipantId
    moment: Moment
    issued_at: Time | None = None
    _verdicts: dict[tuple[object, ...], Verdict] = field(default_factory=dict)
    _choices: dict[tuple[object, ...], Choice] = field(default_factory=dict)

    def choose(
        self, draft: Draft, holders: tuple[ParticipantId, ...] = (), excluded: tuple[LeftOut, ...] = ()
    ) -> Choice:
        """Choose for a draft; `holders` have what a correction or recall is about, `excluded` the broker has denied."""
        if excluded:
            return self._choose(draft, holders, excluded)
        # All that the choice reads of a draft.
        key: tuple[object, ...] = (*self._read(draft), draft.to, draft.beside, draft.closed, holders)
        choice = self._choices.get(key)
        if choice is None:
            choice = self._choices[key] = self._choose(draft, holders, excluded)
        return choice

    def explained(self, draft: Draft, choice: Choice, *, states: bool = False) -> Choice:
        """Return a choice with what would make each denial lawful; with `states`, each State's focal point is asked too.

        For people who look before they send: it costs some ten decisions a denial.
        """
        party = self.network.parties.get(self.sender)
        considered = list(choice.considered)
        if party is None:
            return choice
        if states:
            there = {self.sender, *(item.participant for item in considered)}
            points = (self.network.focal_point(role) for role in sorted(self.network.rules.roles) if is_state(role))
            asked = [point for point in points if point is not None and point not in there]
            considered += self._each(draft, party, asked, Via.ASKED)
        return replace(choice, considered=tuple(self._explain(draft, party, item) for item in considered))

    def changes(self, draft: Draft, party: Party, recipient: Party | None) -> tuple[Changes, ...]:
        """Return the smallest changes under which the law would permit a draft to be published, or to be received."""
        return answer(self._facts(draft, party, recipient), self.network.rules, evaluator=SENDER).changes

    def _explain(self, draft: Draft, party: Party, item: Considered) -> Considered:
        if item.verdict is None or item.verdict.permitted:
            return item
        return replace(item, changes=self.changes(draft, party, self.network.parties[item.participant]))

    def _choose(self, draft: Draft, holders: tuple[ParticipantId, ...], excluded: tuple[LeftOut, ...]) -> Choice:
        party = self.network.parties.get(self.sender)
        if party is None:
            return _troubled("enrolment", "The directory does not have this participant yet.")
        publish = None if draft.act in UNASKED else self._decide(draft, party, None)
        if publish is not None and (why := publish.first_denial()) is not None:
            trouble = _denied((Denial.of(self.sender, why),), "The rules do not let this participant publish it.")
            return Choice((), Addressed(), (), publish, trouble)
        if draft.act == "issue":
            considered = self._issue(draft, party, excluded)
        elif draft.act == "correct":
            considered = self._each(draft, party, _others(holders, self.sender), Via.HOLDER)
            considered = self._with_copies(draft, party, considered, excluded)
            considered = self._with_clock(draft, party, considered, excluded)
        elif draft.act == "grant":
            # Who holds it is granted nothing, and is no reason to grant it to anybody else.
            named = _others(draft.to, self.sender, but=holders)
            considered = self._each(draft, party, named, Via.NAMED)
            considered = self._with_clock(draft, party, considered, excluded, holders)
        elif draft.act in UNASKED:
            via = Via.HOLDER if draft.act == "recall" else Via.NAMED
            considered = self._unasked(_others(holders or draft.to, self.sender), via)
        else:
            considered = self._each(draft, party, _others(draft.to, self.sender), Via.NAMED)
            considered = self._with_beside(draft, party, considered, excluded)
            considered = self._with_clock(draft, party, considered, excluded)
        return self._settle(draft, considered, publish, excluded)

    def _issue(self, draft: Draft, party: Party, excluded: tuple[LeftOut, ...]) -> list[Considered]:
        assert draft.topic is not None  # an issue has one
        named = _others(draft.to, self.sender)
        gone = {item.participant for item in excluded}
        subscribed = [] if draft.closed else list(self.network.subscribers(draft.topic))
        considered = self._each(draft, party, named, Via.NAMED)
        considered += self._each(
            draft, party, _others(subscribed, self.sender, but=gone.union(named)), Via.SUBSCRIPTION
        )
        considered = self._with_beside(draft, party, considered, excluded)
        considered = self._with_copies(draft, party, considered, excluded)
        return self._with_clock(draft, party, considered, excluded)

    def _with_beside(
        self, draft: Draft, party: Party, considered: list[Considered], excluded: tuple[LeftOut, ...]
    ) -> list[Considered]:
        """Add those who get a copy where they may have one."""
        there = {item.participant for item in considered} | {item.participant for item in excluded}
        return considered + self._each(draft, party, _others(draft.beside, self.sender, but=there), Via.FOCAL_POINT)

    def _with_copies(
        self, draft: Draft, party: Party, considered: list[Considered], excluded: tuple[LeftOut, ...]
    ) -> list[Considered]:
        """Add the focal points for whom a law asks for a copy: the broker refuses what goes without them."""
        there = {item.participant for item in considered} | {item.participant for item in excluded}
        roles: dict[Role, None] = {}
        for item in considered:
            if item.permitted and item.verdict is not None:
                roles |= dict.fromkeys(copies_owed(item.verdict.obligations, party.role, role_of(item.participant)))
        wanted = [point for role in roles if (point := self.network.focal_point(role)) is not None]
        points = _others(wanted, self.sender, but=there)
        return considered + self._each(draft, party, points, Via.FOCAL_POINT)

    def _each(self, draft: Draft, party: Party, who: Collection[ParticipantId], via: Via) -> list[Considered]:
        return [self._consider(draft, party, one, via) for one in who]

    def _consider(self, draft: Draft, party: Party, who: ParticipantId, via: Via) -> Considered:
        other = self.network.parties.get(who)
        if other is None:
            return Considered(who, via, permitted=False, detail=UNKNOWN, verdict=None)
        verdict = self._decide(draft, party, other)
        if (why := verdict.first_denial()) is not None:
            return Considered(who, via, permitted=False, detail=why.reason_in("en"), verdict=verdict)
        if self.network.sealing_key(who, self.moment) is None:
            return Considered(who, via, permitted=False, detail=NO_KEY, verdict=verdict)
        return Considered(who, via, permitted=True, detail="", verdict=verdict)

    def _unasked(self, who: Collection[ParticipantId], via: Via) -> list[Considered]:
        """Consider recipients of an act that must never be blocked: whether they have a key is all that counts."""
        considered = []
        for one in who:
            known = one in self.network.parties
            keyed = known and self.network.sealing_key(one, self.moment) is not None
            detail = "" if keyed else NO_KEY if known else UNKNOWN
            considered.append(Considered(one, via, permitted=keyed, detail=detail, verdict=None))
        return considered

    def _with_clock(
        self,
        draft: Draft,
        party: Party,
        considered: list[Considered],
        excluded: tuple[LeftOut, ...],
        holders: Collection[ParticipantId] = (),
    ) -> list[Considered]:
        """Add each recipient State's focal point where the notice has a clock, so that escalation can open it.

        Those who stand in for it get it too where they may; `holders` have it already.
        """
        label = draft.label
        if label is None or (label.reply_due is None and label.urgency not in self.network.rules.clocks):
            return considered
        there = {item.participant: item for item in considered}
        gone = {item.participant for item in excluded}
        lacking: set[str] = set()
        for role in sorted({party.role, *(role_of(item.participant) for item in considered if item.permitted)}):
            point = self.network.focal_point(role)
            for deputy in self.network.deputies(role, self.moment.time):
                if deputy not in there and deputy not in gone and deputy != self.sender and deputy not in holders:
                    added = self._consider(draft, party, deputy, Via.DEPUTY)
                    there[deputy] = added
                    considered = [*considered, added]
            if point is None or point == self.sender or point in holders:
                continue
            if point in there and there[point].permitted:
                continue
            added = self._consider(draft, party, point, Via.FOCAL_POINT)
            if point in gone or not added.permitted:
                lacking.add(role)
            if point not in there and point not in gone:
                considered = [*considered, added]
        return [
            Considered(item.participant, item.via, permitted=False, detail=CLOCK, verdict=item.verdict)
            if item.permitted and (role_of(item.participant) in lacking or party.role in lacking)
            else item
            for item in considered
        ]

    def _settle(
        self, draft: Draft, considered: list[Considered], publish: Verdict | None, excluded: tuple[LeftOut, ...]
    ) -> Choice:
        permitted = [item for item in considered if item.permitted]
        left_out = [item for item in considered if not item.permitted]
        addressed = Addressed(
            tuple(Addressee(item.participant, item.via) for item in permitted),
            (*(LeftOut(item.participant, item.via, item.detail, _why(item)) for item in left_out), *excluded),
        )
        own = self.network.sealing_key(self.sender, self.moment)
        trouble = None
        # Whom a person named, or who must have it, is for a person to give up; a recall is never held up by anybody.
        held_up = (Via.NAMED, Via.HOLDER) if draft.act != "recall" else ()
        demanded = [item for item in left_out if item.via in held_up]
        if demanded:
            trouble = _left_out(demanded)
        elif own is None:
            trouble = _trouble("enrolment", "This participant has no sealing key in force yet.")
        elif not permitted:
            denied = tuple(item.denied for item in addressed.left_out if item.denied is not None)
            trouble = _trouble("no-recipients", "Nobody who is concerned may have it.", denied)
        if trouble is not None or own is None:
            return Choice((), addressed, tuple(considered), publish, trouble)
        found = [self.network.sealing_key(item.participant, self.moment) for item in permitted]
        keys = tuple(key for key in found if key is not None)
        # A grant has no stanza of the sender's: it has the notice's.
        return Choice(keys if draft.act == "grant" else (own, *keys), addressed, tuple(considered), publish, None)

    def _decide(self, draft: Draft, sender: Party, recipient: Party | None) -> Verdict:
        # What is remembered is found by exactly the facts that the decision reads.
        key: tuple[object, ...] = (*self._read(draft), None if recipient is None else recipient.id)
        verdict = self._verdicts.get(key)
        if verdict is None:
            facts = self._facts(draft, sender, recipient)
            verdict = self._verdicts[key] = decide(facts, self.network.rules, evaluator=SENDER)
        return verdict

    def _facts(self, draft: Draft, sender: Party, recipient: Party | None) -> Facts:
        action: Action = "publish" if recipient is None else "receive"
        act, topic, label, expires_at, content = self._read(draft)
        return Facts(action, act, topic, label, sender, recipient, self.issued_at, expires_at, content)

    def _read(self, draft: Draft) -> tuple[str, Topic | None, Label | None, Time | None, Content | None]:
        """Return what decisions read of a draft: times and content only where some law asks for them."""
        rules = self.network.rules
        content = _content(draft) if rules.open and draft.act in CARRIES else None
        return draft.act, draft.topic, draft.label, draft.expires_at if rules.timed else None, content


def _content(draft: Draft) -> Content | None:
    """Return what a law can look at in a draft; of one that cannot be read, nothing is known, and that denies."""
    if draft.notice is None or draft.label is None:
        return None
    try:
        return content_of(parse_notice(draft.label.kind, draft.notice, known_codes=False))
    except FormError:
        return Content(draft.label.kind)


def _others(
    who: Collection[ParticipantId] | Iterator[ParticipantId], sender: ParticipantId, but: Collection[ParticipantId] = ()
) -> list[ParticipantId]:
    return [one for one in dict.fromkeys(who) if one != sender and one not in but]


def _why(item: Considered) -> Denial | None:
    why = None if item.verdict is None else item.verdict.first_denial()
    return None if why is None else Denial.of(item.participant, why)


def _left_out(items: list[Considered]) -> Trouble:
    denied = tuple(why for item in items if (why := _why(item)) is not None)
    if denied:
        return _denied(denied, f"{len(denied)} of those it must go to may not have it.")
    names = ", ".join(item.participant for item in items)
    return _trouble("recipients", f"Cannot be sealed to {names}: {items[0].detail}")


def _denied(denied: tuple[Denial, ...], detail: str) -> Trouble:
    code = "no-profile" if all(item.condition == "no-profile" for item in denied) else "denied"
    return _trouble(code, detail, denied)


def _trouble(code: str, detail: str, denied: tuple[Denial, ...] = ()) -> Trouble:
    return Trouble(code, detail, PROBLEMS[code].hint, None, denied)


def _troubled(code: str, detail: str) -> Choice:
    return Choice((), Addressed(), (), None, _trouble(code, detail))
