"""Do what is owed at its time: delete, certify, and call those who have to answer (design: access, focal-point network).

One loop for all participants of a gateway. Each step is one commit, so that a crash in between repeats nothing: a text
is gone and its certificate owed in the same commit, and the certificate is in the outbox in the commit that says so.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from adapters.gateway import asking, awaited, catching_up, deletions, duties, inbox, outbox
from adapters.gateway.alarms import Alarms
from adapters.gateway.awaited import Awaited
from adapters.gateway.duties import Late
from adapters.gateway.follow import Follower
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.network import Network
from adapters.gateway.status import Duty
from adapters.gateway.store import Store, Transaction
from schemas import ids
from schemas.encoding import from_seconds
from schemas.ids import Code, NoticeId, ParticipantId

AT_ONCE: Final = 500
OVERDUE: Final = "reply-overdue"
ESCALATED: Final = "reply-escalated"
DUTY: Final = "duty-overdue"
UNCERTIFIED: Final = "certificate-overdue"
_log = structlog.get_logger("gateway")


class Keeper:
    """Keeps the duties of a gateway's participants. Used in one event loop; `run` is its one task."""

    def __init__(
        self,
        *,
        store: Store,
        alarms: Alarms,
        follower: Follower,
        defaults: Callable[[ParticipantId], LabelDefaults],
        participants: tuple[ParticipantId, ...],
        now_ms: Callable[[], int],
        seconds: float,
        wake: Callable[[ParticipantId], None],
    ) -> None:
        """Look every `seconds`; `wake` tells a participant's sender that something waits."""
        self._store = store
        self._alarms = alarms
        self._follower = follower
        self._defaults = defaults
        self._participants = participants
        self._now_ms = now_ms
        self._seconds = seconds
        self._wake = wake
        self._caught_up: tuple[object, ...] | None = None

    async def run(self) -> None:
        """Keep until cancelled."""
        network = await self._follower.wait()
        while True:
            network = self._follower.network or network
            await self.keep(network)
            await asyncio.sleep(self._seconds)

    async def keep(self, network: Network) -> None:
        """Do once what is due now."""
        # A machine whose clock is behind the log's deletes and calls by the log's.
        now = network.moment(self._now_ms()).received_at
        past = await self._store.read(partial(duties.past, now=now, limit=AT_ONCE))
        if past:
            await self._store.write(partial(_delete, past, now))
        if await self._store.read(self._certificates_owed):
            for who in await self._store.write(partial(self._certify, now=now)):
                self._wake(who)
        if await self._store.read(partial(duties.becomes_overdue, now=now)):
            await self._store.write(partial(duties.mark_overdue, now=now))
        for who in self._participants:
            if await self._store.read(partial(duties.silent, participant=who, now=now)):
                await self._store.write(partial(duties.take_effect, participant=who, now=now))
        due = await self._store.read(partial(awaited.past, now=now, limit=AT_ONCE))
        if any(not item.lacking for item in due):
            await self._store.write(partial(awaited.complete, found=due))
        await self._call(network, tuple(item for item in due if item.lacking), now)
        await self._catch_up(network, now)

    def _certificates_owed(self, tx: Transaction) -> bool:
        return any(deletions.owed(tx, who, limit=1) for who in self._participants)

    def _certify(self, tx: Transaction, now: int) -> list[ParticipantId]:
        """Put the certificates that are owed into the outbox; return whose they are."""
        told = []
        for who in self._participants:
            for deletion in deletions.owed(tx, who, limit=AT_ONCE):
                item = inbox.item(tx, who, deletion.notice_id)
                assert item is not None  # it was deleted there
                name = ids.new_notice_id(now)
                draft = asking.certify(
                    item,
                    Code(deletion.reason),
                    from_seconds(deletion.at // 1000),
                    self._defaults(who),
                    at=now,
                )
                outbox.accept(tx, who, [(name, draft)], at=now, ref=deletion.notice_id)
                deletions.told(tx, deletion, name, at=now)
                told.append(who)
        return told

    async def _catch_up(self, network: Network, now: int) -> None:
        """See to it, whenever the network has changed, that those who must answer and those who may now can read what was sent."""
        at = from_seconds(now // 1000)
        begun = tuple(one for one in network.delegations if one.body.covers(at))
        seen = (network.directory.version, network.rules.boundary, network.delegations, begun)
        if seen == self._caught_up:
            return
        for who in self._participants:
            after: int | None = 0
            while after is not None:
                work = partial(catching_up.grant, participant=who, network=network, after=after, now=now)
                number, after = await self._store.write(work)
                if number:
                    self._wake(who)
        self._caught_up = seen

    async def _call(self, network: Network, uncertified: tuple[Awaited, ...], now: int) -> None:
        """Raise an alarm for what each participant has to do at once, and end it once nothing is left."""
        found = await self._store.read(partial(self._late, network=network, now=now))
        for kind in (OVERDUE, ESCALATED, DUTY):
            late = [one for one in found if one.kind == kind]
            # The newest of each participant first: nobody's is hidden behind another's.
            ranked = ((one, rank) for rank in range(_SHOWN) for one in late if rank < len(one.notices))
            names = [f"{one.participant} {one.notices[rank]}" for one, rank in ranked]
            await self._say(kind, names, sum(one.number for one in late))
        names = [f"{item.notice_id} by {', '.join(item.lacking)}" for item in uncertified]
        await self._say(UNCERTIFIED, names, len(names))

    async def _say(self, kind: str, names: list[str], number: int) -> None:
        """Raise the alarm of one kind for so many, or end it where there are none."""
        shown = names[:_SHOWN]
        if number:
            more = f" and {number - len(shown)} more" if number > len(shown) else ""
            await self._alarms.start(kind, f"{_SAYS[kind]}: {', '.join(shown)}{more}.")
        else:
            await self._alarms.end(kind)

    def _late(self, tx: Transaction, network: Network, now: int) -> list["_Late"]:
        found = []
        for who in self._participants:
            for kind, which in _kinds(who, network, now):
                number, notices = duties.late(tx, who, which, now, most=_SHOWN)
                if number:
                    found.append(_Late(kind, who, number, tuple(notices)))
        return found


_SHOWN: Final = 5
_SAYS: Final[Mapping[str, str]] = {
    OVERDUE: "The time for an answer is over",
    ESCALATED: "An agency has not answered in time, and its State must",
    DUTY: "An obligation is overdue",
    UNCERTIFIED: "A text is to be gone, and nobody has certified that it is",
}


@dataclass(frozen=True, slots=True)
class _Late:
    """What one participant is called for: the alarm's kind, how many duties, and the notices of the newest of them."""

    kind: str
    participant: ParticipantId
    number: int
    notices: tuple[NoticeId, ...]


def _kinds(who: ParticipantId, network: Network, now: int) -> tuple[tuple[str, Late], ...]:
    """Return which alarm which overdue duties are for a participant: deputies are called after the focal point."""
    role = ids.role_of(who)
    if network.focal_point(role) == who:
        return (ESCALATED, Late.REPLIES), (DUTY, Late.OTHERS)
    if who in network.deputies(role, from_seconds(now // 1000)):
        return (ESCALATED, Late.CALLED), (OVERDUE, Late.NOT_CALLED), (DUTY, Late.OTHERS)
    return (OVERDUE, Late.REPLIES), (DUTY, Late.OTHERS)


def _delete(past: tuple[Duty, ...], now: int, tx: Transaction) -> None:
    for duty in past:
        reason = duties.RETENTION if duty.code == duties.CERTIFY else duty.code
        if inbox.delete(tx, duty.participant, NoticeId(duty.notice_id), reason, at=now):
            _log.info("notice.deleted", participant=duty.participant, notice=duty.notice_id, reason=duty.code)
        elif duty.code != duties.CERTIFY:
            # It was recalled, or never could be read: there is nothing left to delete.
            duties.deleted(tx, duty.participant, duty.notice_id, at=now, recalled=False)
