"""The ledger on a Kafka cluster: the port's verbs, for the ledger thread; the topics' life is that of another thread.

An append sends bodies, objects and decisions first, and the records once all of these are acknowledged by all in-sync
copies: no transaction is needed, for what is left behind by a crash is a body that no record names. Own records go into
the mirror at once where nobody's lie between; else they come by the topic, in its order.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import structlog
import uvloop

from broker.ledger.kafka.admin import prepare
from broker.ledger.kafka.care import Care
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.follower import Follower
from broker.ledger.kafka.frames import FrameKeys
from broker.ledger.kafka.loggers import bound_loggers
from broker.ledger.kafka.mirror import Batch, Mirror, MirrorReader, ReadBody, ReadDecision, ReadObject, ReadRecord
from broker.ledger.kafka.payloads import CHECKPOINT, INSTANCE, Heartbeat, encode_checkpoint, encode_record
from broker.ledger.kafka.producer import Producer, Sending, Sent, demand_all
from broker.ledger.kafka.topics import (
    CHECKPOINTS,
    DECISIONS,
    LEDGER,
    OBJECTS,
    Finding,
    body_topic,
)
from broker.ledger.port import (
    Append,
    Condition,
    Entry,
    LedgerUnavailableError,
    StoredBody,
    Told,
)
from broker.ledger.stanzas import stanza_kids
from keys.digests import sha256, statement_digest
from schemas.ids import Kid, Origin
from schemas.record import Record
from schemas.statement import Statement

ANSWER_S: Final = 5.0
"""Seconds that an append or a refresh may take before the ledger is said to be unavailable."""
BODIES_S: Final = 0.5
"""Seconds that the bodies of an append are waited for: one slow topic must not hold up the others."""
BEAT_S: Final = 1.0
STALE_S: Final = 5.0
"""Seconds without an acknowledged heartbeat after which nothing is signed or appended."""
SKEW_MS: Final = 30_000
"""How far the instance's clock may be off the cluster's."""
STALE_ANSWER_S: Final = 1.0
"""Seconds that a store which has been silent is given to answer again: whoever asks then must not wait long."""
START_S: Final = 60.0
STOP_S: Final = 10.0

T = TypeVar("T")
log = structlog.get_logger("broker")


@dataclass(frozen=True, slots=True)
class Place:
    """What an instance needs to take part: where the cluster is, its frame keys, its name, whether it signs.

    `replication` is the number of copies that every topic must have; `create` lets missing topics be made. Topics are
    looked at every `recheck_s` seconds; a body that has had no record for `alone_s` is erased: its append never came to an
    end.
    """

    connection: Connection
    keys: FrameKeys
    name: str
    signer: bool
    replication: int
    create: bool = True
    recheck_s: float = 60.0
    alone_s: float = 3600.0


class Moved(Protocol):
    """A record of another store, the key ids that its body is for, and the body; None where it has none any more."""

    @property
    def record(self) -> Record:
        """Return the record."""
        ...

    @property
    def holders(self) -> tuple[Kid, ...]:
        """Return the key ids."""
        ...

    @property
    def body(self) -> bytes | None:
        """Return the body."""
        ...


class KafkaLedger:
    """Implements `Ledger` and `Shared` for one thread, the ledger thread; `reader` is for others.

    Ownership: `_reads` and `_put` are the ledger thread's; `_mirror` is written under its lock; what is `Follower`'s or `Producer`'s
    belongs to the loop of `_thread`. `confirmed`, `skew_ms` are written by that thread and read by anybody.
    """

    def __init__(self, folder: Path, origin: Origin, place: Place) -> None:
        """Open the mirror, make or check the topics, begin to read; return once all that was there is in the mirror.

        Raises `UnsafeStoreError` for topics or settings that are not safe, `LedgerUnavailableError` where the cluster
        cannot be reached, `StorageFullError`.
        """
        bound_loggers()
        self.origin: Final = origin
        self._place = place
        self._mirror = Mirror(folder / "mirror.sqlite", origin)
        self.new = self._mirror.new
        self._reads: MirrorReader | None = None
        self._wake: Callable[[], None] = lambda: None
        self.confirmed = 0.0
        self.skew_ms = 0
        self.broken = False
        self._size = 0
        self._put: dict[str, bytes] = {}  # digests of own objects that have not come by their topic
        self._telling: Future[list[Sent | Exception]] | None = None
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="kafka", daemon=True)
        self._tasks: list[asyncio.Task[None]] = []
        self._follower: Follower | None = None
        self._producer: Producer | None = None
        self._care: Care | None = None
        self._thread.start()
        try:
            self._do(self._start(), START_S)
            self._reads = self._mirror.reader()
        except BaseException:
            self.close()
            raise

    async def _start(self) -> None:
        place = self._place
        # Once something was read, a topic that is missing was deleted: it must not come back empty.
        bodies = await prepare(place.connection, place.replication, create=place.create and self._mirror.untouched)
        self._producer = Producer(place.connection)
        self._care = Care(
            place.connection,
            place.replication,
            self._mirror,
            self._producer,
            every=place.recheck_s,
            alone_s=place.alone_s,
            cluster_ms=self._cluster_ms,
        )
        self._follower = Follower(
            place.connection, place.keys, self._mirror, bodies, name=place.name, news=self._tell_news
        )
        await self._follower.start()
        await self._beat()
        self._tasks = [
            *self._follower.tasks(),
            asyncio.create_task(self._beat_on(), name="beat"),
            asyncio.create_task(self._care.look_on(self._may_clean, self._refresh_soon), name="care"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)
        try:
            await self._follower.refresh()
        except LedgerUnavailableError:
            if not self._follower.short:  # then what is here is served, and `troubles` says so
                raise

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """Note that a task ended by an error that nobody foresaw: the instance must not look as if it read on."""
        if not task.cancelled() and task.exception() is not None:
            self.broken = True
            log.error(
                "kafka.task_failed",
                task=task.get_name(),
                failed=type(task.exception()).__name__,
                exc_info=task.exception(),
            )

    def _do(self, work: Awaitable[T], within: float) -> T:
        """Run something on the loop and wait for it, for so many seconds; raise `LedgerUnavailableError` beyond."""
        try:
            return asyncio.run_coroutine_threadsafe(_within(work, within), self._loop).result(within + STOP_S)
        except TimeoutError:
            raise LedgerUnavailableError("The cluster does not answer in time.") from None

    def _parts(self) -> tuple[Follower, Producer]:
        if self._follower is None or self._producer is None:
            raise LedgerUnavailableError("The ledger is closed.")
        return self._follower, self._producer

    # Reading

    @property
    def _reading(self) -> MirrorReader:
        if self._reads is None:
            raise LedgerUnavailableError("The ledger is closed.")
        return self._reads

    def read(self, position: int, limit: int) -> list[tuple[int, Record]]:
        """Return at most `limit` records from `position` on; see the port."""
        return self._reading.read(position, limit)

    def length(self) -> int:
        """Return the position after the last record's."""
        return self._mirror.length()

    def body(self, digest: bytes) -> bytes | None:
        """Return a body that has been read and not erased."""
        return self._reading.body(digest)

    def holds(self, digest: bytes) -> bool:
        """Say whether a body is here, or may still come."""
        return self._reading.holds(digest)

    def holders(self, digest: bytes) -> tuple[Kid, ...] | None:
        """Return the key ids of a body's stanzas, also of an erased one."""
        return self._reading.holders(digest)

    def holders_of(self, digests: Sequence[bytes]) -> Mapping[bytes, tuple[Kid, ...]]:
        """Return the same for many bodies by their digests."""
        return self._reading.holders_of(digests)

    def bodies(self) -> Iterator[StoredBody]:
        """Iterate over the bodies that have been read and not erased."""
        return self._reading.bodies()

    def object(self, name: str) -> bytes | None:
        """Return the newest object of this name."""
        return self._reading.object(name)

    def object_names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects that begin with `prefix`."""
        return self._reading.object_names(prefix)

    def decisions(self, day: str) -> list[bytes]:
        """Return a day's decisions in the order of their topic."""
        return self._reading.decisions(day)

    def decision_days(self) -> list[str]:
        """Return the days that have decisions."""
        return self._reading.decision_days()

    def reader(self) -> MirrorReader:
        """Return a reader for another thread."""
        return self._mirror.reader()

    def refresh(self) -> None:
        """Return once all can be read here that anybody had appended before the call."""
        follower, _ = self._parts()
        self._do(follower.refresh(), STALE_ANSWER_S if self.stale else ANSWER_S)

    def changed(self) -> list[str]:
        """Return the names of objects that came by their topic since the last call."""
        follower, _ = self._parts()
        if not follower.changed:
            return []
        with self._mirror.lock:
            names, follower.changed = follower.changed, []
        return [name for name in names if not self._is_own(name)]

    def _is_own(self, name: str) -> bool:
        """Say whether an object that came is what was put here last; once, for then others may have put it."""
        put, now = self._put.pop(name, None), self.object(name)
        return put is not None and now is not None and put == sha256(now)

    # Appending

    def append(self, append: Append) -> tuple[int | None, ...]:
        """Send what belongs to records, then the records, and return where they are; see the port."""
        self._demand_fresh()
        begin = self._mirror.next(LEDGER)
        entries = [(entry, () if entry.body is None else stanza_kids(entry.body)) for entry in append.entries]
        self._put |= {name: sha256(data) for name, data in append.objects.items()}
        kept, marks = self._do(self._send_parts(append), ANSWER_S + STOP_S)
        chosen = [pair for pair, is_kept in zip(entries, kept, strict=True) if is_kept]
        offsets = self._append_records([(entry.record, kids) for entry, kids in chosen], begin) if chosen else []
        self._take_own(chosen, offsets, append, marks)
        if offsets:
            self._reach(max(offsets) + 1)
        found = iter(offsets)
        return tuple(next(found) if is_kept else None for is_kept in kept)

    def take(self, moved: Sequence[Moved]) -> None:
        """Append records of another store in this very order, their bodies before them; see `broker.migrate.Target`."""
        self._demand_fresh()
        begin = self._mirror.next(LEDGER)
        _, producer = self._parts()
        bodies = [
            self._framed(
                body_topic(Statement.parse(one.record.document).topic), statement_digest(one.record.document), one.body
            )
            for one in moved
            if one.body is not None
        ]
        demand_all(self._do(producer.send(bodies, ANSWER_S), ANSWER_S + STOP_S))
        with self._mirror.lock:
            self._mirror.forget(
                (one.record.body_digest, one.record.leaf.received_at, one.holders)
                for one in moved
                if one.body is None and one.record.body_digest is not None
            )
        offsets = self._append_records([(one.record, one.holders) for one in moved], begin, in_order=True)
        self._reach(max(offsets) + 1)

    def _demand_fresh(self) -> None:
        """Demand that the cluster has acknowledged something just now: a process may have stood still for minutes."""
        if self.stale:
            self._do(self._beat(STALE_ANSWER_S), ANSWER_S)
        troubles = self.troubles()
        if troubles:
            raise LedgerUnavailableError(f"Nothing can be appended now: {troubles[0]}.")

    async def _send_parts(self, append: Append) -> tuple[list[bool], list[int]]:
        """Send bodies, objects and decisions; return which entries may go on, and the objects' and decisions' offsets.

        Raises `LedgerUnavailableError` where an object or decision is not known to be there.
        """
        _, producer = self._parts()
        bodies = [self._body(entry) for entry in append.entries if entry.body is not None]
        objects = [self._framed(OBJECTS, name.encode(), data) for name, data in append.objects.items()]
        decisions = [self._framed(DECISIONS, item.day.encode(), item.data) for item in append.decisions]
        parts, others = await asyncio.gather(
            producer.send(bodies, BODIES_S if len(bodies) > 1 else ANSWER_S),
            producer.send([*objects, *decisions], ANSWER_S),
        )
        demand_all(others)
        if bodies and not any(isinstance(one, Sent) for one in parts):
            demand_all(parts)
        outcomes = iter(parts)
        kept = [entry.body is None or isinstance(next(outcomes), Sent) for entry in append.entries]
        return kept, [one.offset for one in others if isinstance(one, Sent)]

    def _body(self, entry: Entry) -> Sending:
        assert entry.body is not None  # the caller has looked
        return self._framed(body_topic(entry.topic), statement_digest(entry.record.document), entry.body)

    def _framed(self, topic: str, key: bytes | None, payload: bytes) -> Sending:
        return Sending(topic, key, self._place.keys.sign(topic, key, payload))

    def _append_records(
        self, entries: Sequence[tuple[Record, tuple[Kid, ...]]], begin: int, *, in_order: bool = False
    ) -> list[int]:
        """Send records and return the offset of each; what failed is looked for in the topic, then sent once more.

        Where they must lie in this very order, all behind the first that is missing are sent once more: doubles fold away.
        """
        _, producer = self._parts()
        records = [self._framed(LEDGER, None, encode_record(record, kids)) for record, kids in entries]
        sent = self._do(producer.send(records, ANSWER_S), ANSWER_S + STOP_S)
        places = [one.offset if isinstance(one, Sent) else None for one in sent]
        if any(place is None for place in places):
            places = self._find(entries, places, begin)
            again = [number for number, place in enumerate(places) if place is None]
            if again:
                if in_order:
                    again = list(range(again[0], len(records)))
                resent = self._do(producer.send([records[number] for number in again], ANSWER_S), ANSWER_S + STOP_S)
                demand_all(resent)
                for number, one in zip(again, resent, strict=True):
                    places[number] = one.offset if isinstance(one, Sent) else None
        return [place for place in places if place is not None]  # all of them, or it has raised

    def _find(
        self, entries: Sequence[tuple[Record, tuple[Kid, ...]]], places: Sequence[int | None], begin: int
    ) -> list[int | None]:
        """Read the ledger's tail and match by leaf and document: a failed send may have arrived."""
        self.refresh()
        found: dict[tuple[bytes, bytes], int] = {}
        position = begin
        while records := self.read(position, 500):
            found |= {(record.leaf.encode(), record.document): at for at, record in records}
            position = records[-1][0] + 1
        return [
            found.get((record.leaf.encode(), record.document)) if place is None else place
            for (record, _), place in zip(entries, places, strict=True)
        ]

    def _take_own(
        self,
        entries: Sequence[tuple[Entry, tuple[Kid, ...]]],
        offsets: Sequence[int],
        append: Append,
        marks: Sequence[int],
    ) -> None:
        """Put into the mirror what was just appended, the records only where nobody's lie between."""
        with self._mirror.lock:
            count = len(append.objects)
            batch = Batch(
                objects=[ReadObject(at, *item) for at, item in zip(marks[:count], append.objects.items(), strict=True)],
                decisions=[
                    ReadDecision(at, item.day, item.data)
                    for at, item in zip(marks[count:], append.decisions, strict=True)
                ],
            )
            first = self._mirror.next(LEDGER)
            if offsets and list(offsets) == list(range(first, first + len(offsets))):
                batch.records = [
                    ReadRecord(at, entry.record, kids) for at, (entry, kids) in zip(offsets, entries, strict=True)
                ]
                batch.next = {LEDGER: offsets[-1] + 1}
            for entry, kids in entries:
                digest = entry.record.body_digest
                if entry.body is not None and digest is not None:
                    topic, key = body_topic(entry.topic), statement_digest(entry.record.document)
                    at = entry.record.leaf.received_at
                    batch.bodies.append(ReadBody(topic, key, digest, kids, entry.body, at))
            if batch.records or batch.bodies or marks:
                self._mirror.take(batch)
        follower, _ = self._parts()
        follower.know(item.key for item in batch.bodies)
        if batch.records:
            self._loop.call_soon_threadsafe(follower.pass_over)

    def _reach(self, position: int) -> None:
        """Wait until the mirror has all records before a position."""
        with self._mirror.lock:
            if not self._mirror.lock.wait_for(lambda: self._mirror.next(LEDGER) >= position, ANSWER_S):
                raise LedgerUnavailableError("The ledger's topic cannot be read in time.")

    def erase(self, digests: Iterable[bytes]) -> None:
        """Erase bodies here for good, and let their topics forget them; see the port."""
        wanted = list(digests)
        if not wanted:
            return
        with self._mirror.lock:
            found = self._mirror.places(wanted)
        if found and self._place.signer:
            self._bury(found)
        # --- crash point: what the mirror still holds is buried again ---
        with self._mirror.lock:
            self._mirror.erase(wanted)

    def _bury(self, found: Sequence[tuple[str, bytes]]) -> None:
        _, producer = self._parts()
        tombs = [Sending(topic, key, None) for topic, key in found]
        demand_all(self._do(producer.send(tombs, ANSWER_S), ANSWER_S + STOP_S))
        if self._care is not None:
            self._care.erased_in([topic for topic, _ in found])

    # Instances

    def on_news(self, wake: Callable[[], None]) -> None:
        """Call `wake` from the store's thread whenever there is something new to read."""
        self._wake = wake

    def _tell_news(self) -> None:
        self._wake()

    def tell(self, note: bytes) -> None:
        """Publish a checkpoint, without waiting; raise for the one before, if that did not arrive."""
        _, producer = self._parts()
        before = self._telling
        sending = self._framed(CHECKPOINTS, CHECKPOINT, encode_checkpoint(self._place.name, note))
        self._telling = asyncio.run_coroutine_threadsafe(producer.send([sending], ANSWER_S), self._loop)
        if before is not None and before.done():
            demand_all(before.result())

    def told(self) -> Told | None:
        """Return the newest checkpoint that was published."""
        follower, _ = self._parts()
        return follower.told

    def signers(self) -> list[str]:
        """Return the names of other instances that sign and were alive within seconds."""
        return [name for name, beat in self._alive().items() if beat.signer and name != self._place.name]

    def _alive(self) -> dict[str, Heartbeat]:
        follower, _ = self._parts()
        now_ms = self._cluster_ms()
        return {name: beat for name, (beat, at) in list(follower.instances.items()) if now_ms - at < 2 * STALE_S * 1000}

    def _cluster_ms(self) -> int:
        """Return the cluster's time, whatever this machine's clock says."""
        return time.time_ns() // 1_000_000 + self.skew_ms

    async def _beat(self, within: float = ANSWER_S) -> None:
        """Tell the others that this instance is alive; the answer says that the cluster is, and what time it is there."""
        _, producer = self._parts()
        now_ms = time.time_ns() // 1_000_000
        key = INSTANCE + self._place.name.encode()
        beat = Heartbeat(now_ms, self._place.signer, self._size)
        (sent,) = await producer.send([self._framed(CHECKPOINTS, key, beat.encode())], within)
        demand_all([sent])
        assert isinstance(sent, Sent)
        self.confirmed = time.monotonic()
        self.skew_ms = sent.at - now_ms

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self._beat()
                if self._follower is not None:
                    await self._follower.look()
            except LedgerUnavailableError:
                log.warning("cluster.silent", seconds=int(time.monotonic() - self.confirmed))

    def _may_clean(self) -> bool:
        return self._place.signer and not self.troubles()

    def _refresh_soon(self) -> "asyncio.Future[None]":
        follower, _ = self._parts()
        return asyncio.ensure_future(_within(follower.refresh(), ANSWER_S))

    # Health

    @property
    def behind(self) -> bool:
        """Say whether bodies of before the start are still being read."""
        return self._follower is None or self._follower.behind

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what is unsafe about topics and nodes by now."""
        return () if self._care is None else self._care.findings

    @property
    def stale(self) -> bool:
        """Say whether the cluster has not answered for seconds."""
        return time.monotonic() - self.confirmed > STALE_S

    def troubles(self) -> Sequence[str]:
        """Return what is wrong between this instance and the cluster."""
        found = []
        if self.broken:
            found.append("reading the cluster has stopped")
        if self.stale:
            found.append("the cluster does not answer, what is shown may be old")
        if abs(self.skew_ms) > SKEW_MS:
            found.append("the clock differs from the cluster's")
        if self._follower is not None and self._follower.short:
            found.append("the ledger's topic is shorter than what was read of it, or another one")
        elif self._follower is not None and self._follower.suspicious:
            found.append("where the ledger's topic ends is not clear")
        if self.findings:
            found.append("a topic is missing or its settings are not safe")
        return found

    def condition(self) -> Condition:
        """Return how the instance and the cluster stand to each other."""
        follower, producer = self._parts()
        return Condition(
            seconds=time.monotonic() - self.confirmed,
            clock_offset=-self.skew_ms / 1000,
            instances=len(self._alive()),
            signer=self._place.signer,
            replacements=producer.replacements,
            skipped=dict(follower.skipped),
            absent=follower.absent,
            unsafe=len(self.findings),
            short=follower.short,
        )

    def close(self) -> None:
        """Stop reading and sending within a bound, and release the mirror."""
        if self._thread.is_alive():
            try:
                self._do(self._stop(), STOP_S)
            except LedgerUnavailableError:
                log.warning("cluster.left_open")
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_S)
        if not self._thread.is_alive() and not self._loop.is_closed():
            self._loop.close()
        if self._reads is not None:
            self._reads.close()
            self._reads = None
        self._mirror.close()

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._follower is not None:
            await self._follower.stop()
        if self._producer is not None:
            await self._producer.stop()


async def _within(work: Awaitable[T], seconds: float) -> T:
    """Wait for something, for so many seconds; raise `LedgerUnavailableError` beyond."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise LedgerUnavailableError("The cluster does not answer in time.") from None
