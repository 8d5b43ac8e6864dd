"""Streams of feeds: what each subscriber is to be sent next, and no subscriber waiting for another.

A stream begins in the store: it reads pages behind its cursor until it has caught up, then it is *live*: each new notice is
read and cut once, and what each live stream gets of it is put into that stream's buffer. A stream whose buffer is full, for
its reader is slow, goes back to the store from where it is; so does one that the rules deny something, for what is withheld
must be held first. When keys, rules or what is held change (a new `Trust`), every stream goes back to the store, and what
was decided but not yet sent is thrown away: it is decided again. So nothing is lost, nothing comes twice, and the store's
path is the one that knows everything.

A stream's key and owner are looked at whenever something is about to be sent. Ownership: all of this is the event loop's.
This module knows no HTTP, and what it hands out is in the form of `broker.events`.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, Protocol

import structlog

from broker import events
from broker.checkpoints import SignedTree
from broker.deliver import Parts, SharedNotice, receivers
from broker.offers import OffersPage
from broker.trust import Trust
from broker.view.statements import StatementRow
from schemas import ids
from schemas.errors import Error
from schemas.ids import Kid, ParticipantId, Pattern

BUFFER: Final = 256 << 10
"""Bytes that wait for one reader at most (more only where a single delivery has more)."""

PAGE: Final = 100
BEAT_SECONDS: Final = 15.0
"""How often an idle stream says that it is alive."""

LIFE_SECONDS: Final = 3600.0
"""How long a stream lives: then its reader opens the next one, with a new signature."""

MOST_A_PARTICIPANT: Final = 16
TURN_SECONDS: Final = 0.004
"""How long notices are handed out before other requests get their turn."""

log = structlog.get_logger("broker")


class Source(Protocol):
    """Where streams read: `broker.offers.Offers`."""

    @property
    def trust(self) -> Trust:
        """Return the trust behind the last leaf."""
        ...

    @property
    def signed(self) -> SignedTree:
        """Return the newest checkpoint."""
        ...

    def kids(self, who: ParticipantId, trust: Trust) -> frozenset[Kid]:
        """Return the key ids of all sealing keys of a participant."""
        ...

    async def page(self, caller: ParticipantId, after: int, limit: int, most: int, topic: Pattern) -> OffersPage:
        """Return a page of a feed, having held what the rules withhold."""
        ...

    def notice(self, index: int, signed: SignedTree) -> tuple[StatementRow, SharedNotice, bytes] | None:
        """Return what is to be delivered of a leaf; raise `Error` where that cannot be read now."""
        ...


class Stream:
    """One subscriber's way through its feed. `next` is for one task; everything else is the hub's."""

    def __init__(
        self, hub: "Streams", who: ParticipantId, cursor: int, topic: Pattern, demand: Callable[[], None], until: float
    ) -> None:
        self.who = who
        self.topic = topic
        self.cursor = cursor  # everything up to it has been handed out
        self.until = until
        self.live = False
        self._hub = hub
        self._demand = demand
        self._parts: list[bytes] = []  # what waits for the reader
        self._bytes = 0
        self._reached = cursor  # the cursor behind what waits
        self._noted = -1  # the size of the checkpoint that the reader has, or that waits for it
        self._closed = False
        self._wake = asyncio.Event()

    async def next(self) -> Sequence[bytes] | None:
        """Return the next events in parts, or None at the end; raise `Error` where there is nothing for the reader any more."""
        while not self._closed:
            self._hub.refresh()
            if self._parts:
                self._demand()
                return self._take()
            if self.live:
                self._wake.clear()
                await self._wake.wait()
            elif data := await self._read():
                return data
            else:
                await asyncio.sleep(0)
        return None

    def close(self) -> None:
        """End it; who waits for it is told."""
        self._closed = True
        self._parts.clear()
        self._hub.forget(self)
        self._wake.set()

    def _take(self) -> Sequence[bytes]:
        parts, self._parts = self._parts, []
        self._bytes = 0
        self.cursor = self._reached
        return parts

    async def _read(self) -> Sequence[bytes]:
        """Read a page from the store and go live behind it, where that was the last one for now."""
        hub, trust = self._hub, self._hub.source.trust
        self._demand()
        try:
            page = await hub.source.page(self.who, self.cursor, PAGE, BUFFER, self.topic)
        except Error:
            if hub.source.trust is trust:
                raise
            return ()  # the rules have changed meanwhile: once more, under the new ones
        if self._closed or hub.source.trust is not trust:
            return ()
        self._demand()
        parts = self._page(page)
        self.cursor = self._reached = page.next
        if not page.full and not hub.join(self, trust):
            self._closed = hub.finished
        return parts

    def _page(self, page: OffersPage) -> list[bytes]:
        parts: list[bytes] = []
        signed, deliveries = page.signed, page.deliveries
        if signed.note is not None and self._noted != signed.size and (deliveries or not page.full):
            parts.append(events.checkpoint(signed.size, signed.note))
            self._noted = signed.size
        for place, item in enumerate(deliveries, 1):
            last = place == len(deliveries) or deliveries[place].number != item.number
            parts += events.delivery(item.number if last else None, item.parts, item.inclusion)
        if not page.full:
            parts.append(events.cursor(page.next))
        return parts

    # For the hub

    def passed(self, number: int) -> bool:
        """Say whether an offer was handed out already, or waits to be."""
        return number <= self._reached

    def add(self, parts: Collection[bytes], size: int, reached: int, checkpoint: bytes, noted: int) -> bool:
        """Put events into the buffer, after their checkpoint where it is new; say whether there was room."""
        if self._noted != noted:
            parts = (checkpoint, *parts)
            size += len(checkpoint)
        if self._parts and self._bytes + size > BUFFER:
            return False
        self._noted = noted
        self._parts += parts
        self._bytes += size
        self._reached = reached
        if self._bytes > BUFFER // 2:
            self._wake.set()
        return True

    def wake(self) -> None:
        """Let the reader have what waits."""
        self._wake.set()

    def leave(self, processed: int) -> None:
        """Stop being live; everything up to `processed` was handed out or waits."""
        self.live = False
        if not self._parts:
            self.cursor = self._reached = max(self.cursor, processed)
        self._wake.set()

    def drop(self, processed: int) -> None:
        """Throw away what waits, and stop being live: what was decided is decided again."""
        if self._parts:
            self._parts.clear()
            self._bytes = 0
            self._reached, self._noted = self.cursor, -1
            self.live = False
            self._wake.set()
        elif self.live:
            self.leave(processed)

    def beat(self, now: float, processed: int) -> None:
        """Say that the connection is alive, and up to where everything has been there; end what has lived long enough."""
        if now >= self.until:
            self.close()
        elif self.live and not self._parts:
            if processed > self.cursor:
                self._parts.append(events.cursor(processed))
                self._reached = processed
            else:
                self._parts.append(events.BEAT)
            self._wake.set()


class Streams:
    """All streams of one process."""

    def __init__(self, source: Source, prune: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        """Read from `source`; `prune` is called with every beat."""
        self.source = source
        self.finished = False
        self._prune = prune
        self._clock = clock
        self._all: dict[Stream, None] = {}
        self._by_kid: dict[Kid, list[Stream]] = {}
        self._keys: dict[Stream, frozenset[Kid]] = {}  # of those that are live
        self._trust = source.trust
        self._processed = source.signed.size  # what live streams have, or have waiting: everything up to here
        self._turns = 0
        self._target = source.signed
        self._new: list[tuple[int, frozenset[Kid] | None]] = []  # up to which leaf, and whose business it is
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to hand out; call it in the event loop."""
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._beat())]

    def finish(self) -> None:
        """End every stream, and those to come when they have caught up."""
        self.finished = True
        for stream in tuple(self._all):
            stream.close()

    async def stop(self) -> None:
        """End everything."""
        self.finish()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._all)

    def open(self, who: ParticipantId, after: int, topic: Pattern, demand: Callable[[], None]) -> Stream:
        """Open a stream behind a cursor; `demand` raises when it may not go on. Raises `Error` for too many of them."""
        if sum(stream.who == who for stream in self._all) >= MOST_A_PARTICIPANT:
            raise Error(f"More than {MOST_A_PARTICIPANT} streams of one participant.", problem="rate-limited")
        stream = Stream(self, who, after, topic, demand, self._clock() + LIFE_SECONDS)
        self._all[stream] = None
        return stream

    def forget(self, stream: Stream) -> None:
        """Let go of a stream that has ended."""
        self._all.pop(stream, None)
        self._unlist(stream)

    def announce(self, signed: SignedTree, addressed: frozenset[Kid] | None, size: int) -> None:
        """Take note of a newer checkpoint, and of whose keys the leaves below `size` have stanzas for that are new since.

        None where they are anybody's business. An instance that takes its checkpoints from another may have more leaves
        than the checkpoint: what is said of them holds until a checkpoint covers them.
        """
        self._target = signed
        self._new.append((size, addressed))
        self._news.set()

    def refresh(self) -> None:
        """See to it that nothing is handed out that was decided under another trust than the present one."""
        if self.source.trust is not self._trust:
            self._turn()

    def join(self, stream: Stream, trust: Trust) -> bool:
        """Let a stream be live that has caught up under a trust; say whether it is."""
        self.refresh()
        if self.finished or trust is not self._trust or stream.cursor < self._processed:
            return False
        kids = self._keys[stream] = self.source.kids(stream.who, trust)
        for kid in kids:
            self._by_kid.setdefault(kid, []).append(stream)
        stream.live = True
        return True

    def _unlist(self, stream: Stream) -> None:
        for kid in self._keys.pop(stream, ()):
            self._by_kid[kid].remove(stream)
            if not self._by_kid[kid]:
                del self._by_kid[kid]

    def _leave(self, stream: Stream) -> None:
        self._unlist(stream)
        stream.leave(self._processed)

    def _turn(self) -> None:
        """Send everybody back to the store: what was decided before does not count any more."""
        self._trust = self.source.trust
        self._turns += 1
        self._by_kid.clear()
        self._keys.clear()
        for stream in self._all:
            stream.drop(self._processed)
        self._processed = max(self._processed, self.source.signed.size)

    # Handing out

    async def _follow(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            signed, new = self._target, [kids for _, kids in self._new]
            try:
                if None in new or self.source.trust is not self._trust:
                    self._turn()
                else:
                    await self._spread(signed, {kid for kids in new for kid in kids or ()})
            except Exception as error:  # noqa: BLE001 - nobody would be handed anything any more
                # Most likely the store does not answer just now: each stream finds out, and its reader comes again.
                self._failed(error)
            self._new = [item for item in self._new if item[0] > self._processed]

    def _failed(self, error: Exception) -> None:
        log.error("stream.failed", error=type(error).__name__)
        self._turn()

    async def _spread(self, signed: SignedTree, addressed: Collection[Kid]) -> None:
        """Hand out what is new up to a checkpoint, in the order of the ledger."""
        if self._by_kid.keys().isdisjoint(addressed) or signed.note is None:
            self._processed = max(self._processed, signed.size)
            return
        checkpoint = events.checkpoint(signed.size, signed.note)
        touched: dict[Stream, None] = {}
        turns, began = self._turns, time.perf_counter()
        while (index := self._processed) < signed.size:
            if (found := self.source.notice(index, signed)) is not None:
                self._share(*found, signed.size, checkpoint, touched)
            self._processed = index + 1
            if time.perf_counter() - began > TURN_SECONDS:
                await asyncio.sleep(0)
                began = time.perf_counter()
                self.refresh()
                if self._turns != turns:
                    return
        cursor = events.cursor(signed.size)
        for stream in touched:
            # Without room for it the cursor comes with what follows.
            if stream.live:
                stream.add((cursor,), len(cursor), signed.size, checkpoint, signed.size)
                stream.wake()

    def _share(
        self,
        row: StatementRow,
        notice: SharedNotice,
        inclusion: bytes,
        size: int,
        checkpoint: bytes,
        touched: dict[Stream, None],
    ) -> None:
        """Put one notice into the buffers of those that it is for."""
        number = row.index + 1
        opening, closing = events.opening(number), events.closing(inclusion)
        denial = receivers(notice.statement, self._trust)
        wanted: dict[Pattern, bool] = {}
        leaving: list[Stream] = []
        for kid in notice.numbers.keys() & self._by_kid.keys():
            parts: Parts | None = None
            for stream in self._by_kid[kid]:
                if stream.who == row.sender or stream.passed(number):
                    continue
                topic = stream.topic
                if topic not in wanted:
                    wanted[topic] = topic == "*.*" or (row.topic is not None and ids.matches(topic, row.topic))
                if not wanted[topic]:
                    continue
                if denial(stream.who) is not None:
                    leaving.append(stream)
                    continue
                if parts is None:
                    parts = (opening, *notice.parts(notice.numbers[kid]), closing)
                    length = sum(map(len, parts))
                if stream.add(parts, length, number, checkpoint, size):
                    touched[stream] = None
                else:
                    leaving.append(stream)
        for stream in leaving:
            self._leave(stream)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            self._prune()
            self.refresh()
            for stream in tuple(self._all):
                stream.beat(self._clock(), self._processed)
