"""Receive: feed → verify → open → inbox, for one participant; and tell senders, in batches, what was acknowledged here.

A page's items, the acknowledgements in it and the cursor behind it are one commit. Crash points: before it the page is
fetched again, behind it the next one; an item that is there already is not put twice. The next page is fetched while
this one is opened. One whose checkpoint cannot be admitted is fetched again too: what was served then may be wrong for ever.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from adapters.client.answers import Page
from adapters.client.broker import BrokerClient
from adapters.client.errors import AnswerError, BrokerAwayError, RefusedError
from adapters.gateway import inbox, outbox
from adapters.gateway.alarms import Alarms
from adapters.gateway.draft import Draft
from adapters.gateway.elsewhere import Elsewhere
from adapters.gateway.feed import Feed
from adapters.gateway.follow import Follower, TooOldError
from adapters.gateway.identity import Identity
from adapters.gateway.inbox import Owed
from adapters.gateway.opening import Opened, Opener, Read, read_page
from adapters.gateway.reopening import Reopener
from adapters.gateway.send import Backoff
from adapters.gateway.status import InboxState
from adapters.gateway.store import Store, Transaction
from keys.heads import HeadMemory
from keys.log.note import VerifiedCheckpoint
from schemas import ids
from schemas.encoding import b64encode, from_seconds
from schemas.errors import Error
from schemas.ids import Origin, ParticipantId
from schemas.strict_json import Json

MOST_IN_ONE: Final = 2000
ACKNOWLEDGEMENT_DAYS: Final = 30
REOPEN_SECONDS: Final = 1.0
_log = structlog.get_logger("gateway")


class Receiver:
    """Receives for one participant. Used in one event loop; `run` and `reopen` are its two tasks."""

    def __init__(
        self,
        *,
        identity: Identity,
        origin: Origin,
        store: Store,
        client: BrokerClient,
        follower: Follower,
        alarms: Alarms,
        now_ms: Callable[[], int],
        in_thread: Callable[[Callable[[], Opened]], Awaitable[Opened]],
        arrived: Callable[[], None],
        wake: Callable[[], None],
    ) -> None:
        """`arrived` tells that something has come, `wake` the participant's sender that something waits."""
        self._identity = identity
        self._participant = identity.participant
        sign = identity.signer(origin, now_ms)
        self.elsewhere = Elsewhere(identity, store, client, follower, sign, now_ms=now_ms, wake=wake)
        self._feed = Feed(client, sign)
        self._reopener = Reopener(identity, store, client, sign)
        self._store = store
        self._follower = follower
        self._alarms = alarms
        self._now_ms = now_ms
        self._in_thread = in_thread
        self._arrived = arrived
        self._heads = HeadMemory()
        self._backoff = Backoff()

    async def run(self) -> None:
        """Receive until cancelled."""
        await self._follower.wait()
        position = await self._store.read(partial(inbox.cursor, participant=self._participant))
        fetching = asyncio.create_task(self._fetch(position))
        try:
            while True:
                page = await fetching
                fetching = asyncio.create_task(self._fetch(page.next))
                if (page.deliveries or page.next > position) and not await self._take(page):
                    fetching.cancel()
                    fetching = asyncio.create_task(self._fetch(position))
                    continue
                position = page.next
                self._backoff.reset()
                await self._alarms.end("not-receiving")
        finally:
            fetching.cancel()
            self._feed.close()

    async def _fetch(self, position: int) -> Page:
        """Fetch the page behind a cursor, as often as it takes."""
        while True:
            try:
                page = await self._feed.page(position)
            except (BrokerAwayError, RefusedError, AnswerError) as error:
                await self._not_read(error)
                continue
            if page.next >= position:
                return page
            await self._alarms.start("odd-answer", "The feed went back behind its own cursor.")
            await asyncio.sleep(self._backoff.after(5))

    async def _not_read(self, error: Error) -> None:
        await self._alarms.start("not-receiving", error.detail)
        await asyncio.sleep(self._backoff.after(getattr(error, "retry_after", None)))

    async def _take(self, page: Page) -> bool:
        """Open a page and keep what it holds; say whether that could be done, or the page is to be had anew."""
        read, broken = read_page(page.deliveries)
        opened = await self._open(read)
        if opened is None:
            return False
        if page.deliveries:
            # What is answered here may have been said through another gateway; where that cannot be read now, it is later.
            with contextlib.suppress(Error):
                await self.elsewhere.catch_up()

        def keep(tx: Transaction) -> tuple[int, int]:
            new = inbox.put(tx, self._participant, opened.arrivals, page.next, at=self._now_ms())
            unknown = 0
            for item in opened.acknowledged:
                for notice_id, digest in item.notices:
                    unknown += not outbox.mark_acknowledged(
                        tx, self._participant, item.by, notice_id, digest, at=item.at
                    )
            return len(new), unknown

        # The one commit point of a page.
        new, unknown = await self._store.write(keep)
        if new:
            self._arrived()
        await self._tell(opened, broken, unknown)
        return True

    async def reopen(self) -> None:
        """Try again what could not be opened, whenever rules or keys have changed, until cancelled."""
        while True:
            network = await self._follower.wait()
            if await self._reopener.reopen(network, self._open, at=self._now_ms()):
                self._arrived()
            await asyncio.sleep(REOPEN_SECONDS)

    async def _open(self, read: Sequence[Read]) -> Opened | None:
        """Verify and open deliveries under what is known now; None where a checkpoint cannot be admitted now."""
        checkpoints = await self._admit(read)
        if checkpoints is None:
            return None
        network = await self._follower.wait()
        opener = Opener(self._identity, network, checkpoints, self._heads)
        return await self._in_thread(lambda: opener.open(read))

    async def _admit(self, read: Sequence[Read]) -> dict[bytes, VerifiedCheckpoint] | None:
        """Have the log followed up to the page's checkpoint; wait a moment and return None where it cannot be."""
        try:
            return {
                note: await self._follower.admit(note) for note in {item.delivery.inclusion.checkpoint for item in read}
            }
        except TooOldError:
            # The page waited so long that the log has gone far beyond it: nothing is wrong.
            return None
        except Error as error:
            await self._not_read(error)
            return None

    async def _tell(self, opened: Opened, broken: Sequence[bytes], unknown: int) -> None:
        """Raise alarms about what must not happen."""
        for evidence in broken:
            await self._alarms.start("odd-delivery", "The broker delivered something that is no delivery.", evidence)
        unverified = next((item for item in opened.arrivals if item.state is InboxState.UNVERIFIED), None)
        if unverified is not None:
            await self._alarms.start(
                "unverified-delivery",
                f"Notice {unverified.statement.notice_id} is not what its statement says: {unverified.reason}",
                unverified.evidence,
            )
        if unknown:
            _log.warning("acknowledgement.unknown", participant=self._participant, count=unknown)


class Acknowledger:
    """Tells senders what was acknowledged here: one sealed statement a sender and interval, so that none shows which."""

    def __init__(
        self,
        participant: ParticipantId,
        store: Store,
        now_ms: Callable[[], int],
        seconds: float,
        wake_sender: Callable[[], None],
    ) -> None:
        self._participant = participant
        self._store = store
        self._now_ms = now_ms
        self._seconds = seconds
        self._wake_sender = wake_sender

    async def run(self) -> None:
        """Tell, every interval, until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            if await self._store.read(partial(inbox.owed, participant=self._participant, limit=1)):
                await self.tell()

    async def tell(self) -> int:
        """Put one acknowledgement a sender into the outbox for all that is owed; return how many."""
        now = self._now_ms()

        # In one commit with the items, so that nothing is told twice and nothing forgotten.
        def work(tx: Transaction) -> int:
            by_sender: dict[ParticipantId, list[Owed]] = {}
            for item in inbox.owed(tx, self._participant, limit=MOST_IN_ONE):
                by_sender.setdefault(item.sender, []).append(item)
            for sender, items in by_sender.items():
                notice_id = ids.new_notice_id(now)
                draft = _draft(sender, items, now)
                outbox.accept(tx, self._participant, [(notice_id, draft)], at=now)
                inbox.told(tx, items, notice_id)
            return len(by_sender)

        told = await self._store.write(work)
        if told:
            self._wake_sender()
        return told


def _draft(sender: ParticipantId, items: Sequence[Owed], now_ms: int) -> Draft:
    notices: list[Json] = [
        {"notice_id": item.notice_id, "statement_digest": b64encode(item.digest)}
        for item in sorted(items, key=lambda item: item.notice_id)
    ]
    return Draft(
        act="acknowledge",
        topic=None,
        label=None,
        notice={"notices": notices},
        to=(sender,),
        expires_at=from_seconds(now_ms // 1000 + ACKNOWLEDGEMENT_DAYS * 24 * 3600),
    )
