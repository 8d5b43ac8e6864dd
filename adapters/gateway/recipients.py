"""Choose the recipients of a statement that is about to be sealed: who is concerned, who may have it, under which key.

An `issue` goes to those named and to the verified subscribers of its topic whom the rules allow; a correction or recall
to everybody who has what it is about. A denied subscriber is left out and reported; a denied one that a person named
gives the notice back to that person. Pure: the same network, draft and moment give the same choice.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from adapters.gateway import duties, sanitising
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Addressed
from adapters.gateway.network import SENDER, Network
from adapters.gateway.status import Addressee, Considered, Denial, LeftOut, SanitisedPreview, TopicPreview, Trouble, Via
from keys.directory.directory import Moment
from keys.directory.records import SealingRecord
from schemas.acts import ACTS
from schemas.encoding import Time
from schemas.errors import FormError
from schemas.ids import ParticipantId, Pattern, Role, Topic, is_state, role_of
from schemas.label import Label
from schemas.notice import parse_notice
from schemas.problems import PROBLEMS
from schemas.rules.answer import MOST_DECISIONS, Answer, answer
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
OFFER: Final = (
    "Ask for sanitised copies (`sanitise`): it can go out without its nominal part to those who may not have that."
)
BUDGET: Final = 20_000
"""Decisions that a question about a pattern of topics may cost beyond one for each answer: half a second of one core."""
SANITISED_ONLY: Final = "Whose notice this passes on asks that the nominal part goes to nobody else."


@dataclass(frozen=True, slots=True)
class Choice:
    """Who gets a statement, under which keys, and who does not; with a `trouble` it must not be sealed.

    `publish` is the verdict on the sender, None for acts that are not decided on. `instead` is the sanitised draft that is
    to be sealed in place of the whole one, where nobody may have that.
    """

    keys: tuple[SealingRecord, ...]
    addressed: Addressed
    considered: tuple[Considered, ...]
    publish: Verdict | None
    trouble: Trouble | None
    instead: Draft | None = None


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
        key: tuple[object, ...] = (*self._read(draft), *_wishes(draft), holders)
        choice = self._choices.get(key)
        if choice is None:
            choice = self._choices[key] = self._choose(draft, holders, excluded)
        return choice

    def elsewhere(self, draft: Draft, pattern: Pattern, *, states: bool = False) -> tuple[TopicPreview, ...]:
        """Return who would get a draft under each topic of a pattern, as `explained` does; raise `FormError` for too many.

        All of it together costs at most `BUDGET` decisions beyond one for each answer.
        """
        party, known = self.network.parties[self.sender], self.network.rules.known
        region, _, theme = pattern.partition(".")
        regions = sorted(known.regions) if region == "*" else [region]
        themes = sorted(known.themes) if theme == "*" else [theme]
        drafts = [replace(draft, topic=Topic(f"{one}.{other}")) for one in regions for other in themes]
        choices = [(each, self.choose(each)) for each in drafts]
        asked = len(self.network.rules.roles) if states else 0
        most = BUDGET // sum(len(choice.considered) + asked + 1 for _, choice in choices)
        return tuple(self._under(each, choice, party, states=states, most=max(most, 1)) for each, choice in choices)

    def _under(self, draft: Draft, choice: Choice, party: Party, *, states: bool, most: int) -> TopicPreview:
        said = self.answer(draft, party, None, most=most)
        explained = self.explained(draft, choice, states=states, most=most)
        assert draft.topic is not None  # it was just put there
        return TopicPreview(
            draft.topic, said.verdict, said.changes, said.complete, explained.considered, choice.trouble is None
        )

    def explained(self, draft: Draft, choice: Choice, *, states: bool = False, most: int = MOST_DECISIONS) -> Choice:
        """Return a choice with what would make each denial lawful; with `states`, each State's focal point is asked too.

        For people who look before they send: it costs some ten decisions a denial, at most so many.
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
        return replace(choice, considered=tuple(self._explain(draft, party, item, most) for item in considered))

    def sanitised(self, draft: Draft) -> SanitisedPreview | None:
        """Return the sanitised copy that some may have, whether a draft asks for it or not; None where nobody would get it."""
        wishing = replace(draft, sanitise=True)
        if not sanitising.wanted(wishing):
            return None
        choice = self.choose(wishing)
        served = choice.addressed.copies or (choice.addressed.sealed if choice.instead is not None else ())
        if not served:
            return None
        clean = sanitising.sanitised(draft)
        assert clean.label is not None  # it was read and sanitised
        assert clean.notice is not None
        return SanitisedPreview(
            asked=draft.sanitise,
            alone=choice.instead is not None,
            recipients=tuple(item.participant for item in served),
            label=clean.label,
            notice=clean.notice,
            left_out=sanitising.left_out(draft),
        )

    def answer(self, draft: Draft, party: Party, recipient: Party | None, *, most: int = MOST_DECISIONS) -> Answer:
        """Return whether a draft may be published, or be received, and the smallest changes under which it might."""
        return answer(self._facts(draft, party, recipient), self.network.rules, evaluator=SENDER, most=most)

    def _explain(self, draft: Draft, party: Party, item: Considered, most: int) -> Considered:
        if item.verdict is None or item.verdict.permitted:
            return item
        said = self.answer(draft, party, self.network.parties[item.participant], most=most)
        return replace(item, changes=said.changes, complete=said.complete)

    def _choose(self, draft: Draft, holders: tuple[ParticipantId, ...], excluded: tuple[LeftOut, ...]) -> Choice:
        whole = self._choose_whole(draft, holders, excluded)
        if sanitising.wanted(draft):
            return self._with_sanitised(draft, whole, excluded)
        if whole.trouble is not None and sanitising.wanted(wishing := replace(draft, sanitise=True)):
            offer = self._with_sanitised(wishing, whole, excluded)
            if offer.trouble is None:
                return replace(whole, trouble=replace(whole.trouble, hint=OFFER))
        return whole

    def _with_sanitised(self, draft: Draft, whole: Choice, excluded: tuple[LeftOut, ...]) -> Choice:
        """Give those who may have a notice only without its nominal part a copy without it.

        Where nobody may have the whole notice, all get the sanitised text at once, in place of it.
        """
        denied = [Addressee(item.participant, item.via) for item in whole.considered if not item.permitted]
        denied += [Addressee(item.participant, item.via) for item in excluded]
        sender_denied = whole.publish is not None and not whole.publish.permitted
        if not denied and not sender_denied:
            return whole
        try:
            clean = sanitising.sanitised(draft)
        except FormError:
            return whole  # it could not be read; the verdicts say so
        permitted = [item for item in whole.considered if item.permitted]
        if not permitted:
            instead = self._choose_whole(clean, (), ())
            if not instead.addressed.sealed:
                return whole
            considered = _marked(whole.considered or instead.considered, instead.addressed.sealed)
            return replace(instead, considered=considered, publish=whole.publish, instead=clean)
        may = {item.participant for item in self._choose_whole(sanitising.copy(clean, denied), (), ()).addressed.sealed}
        # Those whom a clock or law brings along have the whole notice already, and get the copy beside it.
        copies = tuple(item for item in denied if item.participant in may)
        served = {item.participant for item in copies}
        rest = [item for item in whole.considered if item.participant not in served]
        still = tuple(item for item in excluded if item.participant not in served)
        choice = self._settle(draft, rest, whole.publish, still)
        return replace(
            choice,
            addressed=replace(choice.addressed, copies=copies),
            considered=_marked(whole.considered, copies),
            trouble=choice.trouble or _unserved(still),
        )

    def _choose_whole(self, draft: Draft, holders: tuple[ParticipantId, ...], excluded: tuple[LeftOut, ...]) -> Choice:
        party = self.network.parties.get(self.sender)
        if party is None:
            return _troubled("enrolment", "The directory does not have this participant yet.")
        publish = None if draft.act in UNASKED else self._decide(draft, party, None)
        if publish is not None and (why := publish.first_denial()) is not None:
            trouble = _denied((Denial.of(self.sender, why),), "The rules do not let this participant publish it.")
            return Choice((), Addressed(), (), publish, replace(trouble, pointer=_missing((publish,))))
        if draft.act == "issue":
            considered = self._issue(draft, party, excluded)
        elif draft.act == "correct":
            gone = [item.participant for item in excluded]
            considered = self._each(draft, party, _others(holders, self.sender, but=gone), Via.HOLDER)
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
        gone = {item.participant for item in excluded}
        # Whom a person named and the broker denied is here again only where a sanitised copy is to be had.
        named = _others(draft.to, self.sender, but=gone)
        subscribed = [] if draft.closed else list(self.network.subscribers(draft.topic))
        considered = [
            self._consider(draft, party, item.participant, item.via)
            for item in draft.copy_for
            if item.participant not in gone
        ]
        considered += self._each(draft, party, named, Via.NAMED)
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
        if draft.whole_for is not None and who not in draft.whole_for:
            return Considered(who, via, permitted=False, detail=SANITISED_ONLY, verdict=verdict)
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
        # Who stands in by the time that a deputy is called must have it then.
        called = duties.called_by(label, self.moment.received_at)
        for role in sorted({party.role, *(role_of(item.participant) for item in considered if item.permitted)}):
            point = self.network.focal_point(role)
            for deputy in self.network.deputies(role, self.moment.time, called):
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
        # Whom a person named is for a person to give up. A holder who may not have a correction keeps it from nobody else,
        # but one that may must get it: where only its clock stands in the way, that is what a person has to give up.
        demanded = [
            item for item in left_out if item.via is Via.NAMED or (item.detail == CLOCK and item.via is Via.HOLDER)
        ]
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


def _wishes(draft: Draft) -> tuple[object, ...]:
    """Return what a person has said of a draft's recipients."""
    return draft.to, draft.beside, draft.closed, draft.sanitise, draft.whole_for, draft.copy_for


def _marked(considered: tuple[Considered, ...], served: tuple[Addressee, ...]) -> tuple[Considered, ...]:
    """Return candidates, those marked who get the sanitised text."""
    there = {item.participant for item in served}
    return tuple(replace(item, sanitised=item.participant in there) for item in considered)


def _unserved(excluded: tuple[LeftOut, ...]) -> Trouble | None:
    """Return the trouble where the broker has denied whom a person named, and no copy is to be had either."""
    named = tuple(item for item in excluded if item.via is Via.NAMED)
    denied = tuple(item.denied for item in named if item.denied is not None)
    return _denied(denied, f"{len(named)} of those it must go to may not have it.") if named else None


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
        trouble = _denied(denied, f"{len(denied)} of those it must go to may not have it.")
        return replace(trouble, pointer=_missing(item.verdict for item in items if item.verdict is not None))
    names = ", ".join(item.participant for item in items)
    return _trouble("recipients", f"Cannot be sealed to {names}: {items[0].detail}")


def _missing(verdicts: Iterable[Verdict]) -> str | None:
    """Return a pointer into the request to the first member for lack of which something could not be evaluated."""
    found = (one.missing for verdict in verdicts for one in verdict.determining)
    return next((f"/notice{pointer}" for pointer in found if pointer is not None), None)


def _denied(denied: tuple[Denial, ...], detail: str) -> Trouble:
    code = "no-profile" if all(item.condition == "no-profile" for item in denied) else "denied"
    return _trouble(code, detail, denied)


def _trouble(code: str, detail: str, denied: tuple[Denial, ...] = ()) -> Trouble:
    return Trouble(code, detail, PROBLEMS[code].hint, None, denied)


def _troubled(code: str, detail: str) -> Choice:
    return Choice((), Addressed(), (), None, _trouble(code, detail))
