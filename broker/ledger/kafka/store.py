"""The ledger on a Kafka cluster: the port's verbs, for the ledger thread; the topics' life is that of another thread.

Reading is from the mirror, which the follower fills; appending is the appender's; this puts the parts together.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from broker.clock import boot_seconds
from broker.ledger.kafka.admin import prepare
from broker.ledger.kafka.appender import ANSWER_S, SEND_S, Appender, Appending, Moved
from broker.ledger.kafka.care import Care
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.follower import Follower
from broker.ledger.kafka.frames import FrameKeys
from broker.ledger.kafka.loggers import bound_loggers
from broker.ledger.kafka.loop import LoopThread, within_seconds
from broker.ledger.kafka.mirror import Mirror, MirrorReader
from broker.ledger.kafka.payloads import CHECKPOINT, INSTANCE, Heartbeat, encode_checkpoint
from broker.ledger.kafka.producer import Producer, Sending, Sent, demand_all
from broker.ledger.kafka.topics import CHECKPOINTS, LEDGER, Finding
from broker.ledger.port import (
    Append,
    Condition,
    LedgerUnavailableError,
    StoredBody,
    StoreVersionError,
    Told,
)
from keys.digests import sha256
from schemas.ids import Kid, Origin
from schemas.record import Record

BEAT_S: Final = 1.0
STALE_S: Final = 5.0
"""Seconds without an acknowledged heartbeat after which nothing is signed or appended."""
SKEW_MS: Final = 30_000
"""How far the instance's clock may be off the cluster's."""
STALE_ANSWER_S: Final = 1.0
"""Seconds that a store which has been silent is given to answer again: whoever asks then must not wait long."""
START_S: Final = 60.0
"""Seconds in which the cluster must be reached at the start."""
PROGRESS_S: Final = 60.0
"""Seconds in which something more must have been read at the start; all of it may take long."""
STOP_S: Final = 10.0

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


class KafkaLedger:
    """Implements `Ledger` and `Shared` for one thread, the ledger thread; `reader` is for others.

    Ownership: `_reads` and `_put` are the ledger thread's; `_mirror` is written under its lock; what is `Follower`'s or `Producer`'s
    belongs to the thread of `_loop`. `confirmed`, `skew_ms` are written by that thread and read by anybody.
    """

    def __init__(self, folder: Path, origin: Origin, place: Place) -> None:
        """Open the mirror, make or check the topics, begin to read; return once all that was there is in the mirror.

        Raises `UnsafeStoreError` for topics or settings that are not safe, `LedgerUnavailableError` where the cluster
        cannot be reached, `StoreVersionError` where a newer version has written to the ledger, `StorageFullError`.
        """
        bound_loggers()
        self.origin: Final = origin
        self._place = place
        self._mirror = Mirror(folder / "mirror.sqlite", origin)
        self._reads: MirrorReader | None = None
        self._wake: Callable[[], None] = lambda: None
        self.confirmed = 0.0
        self.skew_ms = 0
        self.broken = False
        self._size = 0
        self._put: dict[str, bytes] = {}  # digests of own objects that have not come by their topic
        self._telling: Future[list[Sent | Exception]] | None = None
        self._loop = LoopThread("kafka")
        self._tasks: list[asyncio.Task[None]] = []
        self._follower: Follower | None = None
        self._producer: Producer | None = None
        self._appender: Appender | None = None
        self._care: Care | None = None
        try:
            self._loop.do(self._start(), START_S)
            self._catch_up()
            self._mirror.built()
            self._reads = self._mirror.reader()
            follower, producer = self._parts()
            self._appender = Appender(
                place.keys, self._mirror, self._reads, producer, follower, self._loop, self.refresh
            )
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
            asyncio.create_task(self._look_on(self._follower), name="look"),
            asyncio.create_task(self._care.look_on(self._may_clean, self._refresh_soon), name="care"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    def _catch_up(self) -> None:
        """Return once all is here that was in the topics; raise `LedgerUnavailableError` where nothing more comes."""
        follower, _ = self._parts()
        while True:
            before = follower.progress
            try:
                return self._loop.do(follower.refresh(), PROGRESS_S)
            except LedgerUnavailableError:
                if follower.newer is not None:
                    raise StoreVersionError("A newer version of this software has written to the ledger.") from None
                if follower.short:
                    return None  # then what is here is served, and `troubles` says so
                if follower.progress == before:
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

    def _parts(self) -> tuple[Follower, Producer]:
        if self._follower is None or self._producer is None:
            raise LedgerUnavailableError("The ledger is closed.")
        return self._follower, self._producer

    # Reading

    @property
    def new(self) -> bool:
        """Say whether the mirror was made anew, and nobody has been told of all of it since."""
        return self._mirror.new

    def _missing(self) -> int:
        """Return how many bodies never came, or were lost before this instance could read them."""
        with self._mirror.lock:
            return self._mirror.missing()

    def filled(self) -> None:
        """Take note that a view has been told of all that there was."""
        with self._mirror.lock:
            self._mirror.filled()

    @property
    def _reading(self) -> MirrorReader:
        if self._reads is None:
            raise LedgerUnavailableError("The ledger is closed.")
        return self._reads

    def read(self, position: int, limit: int) -> list[tuple[int, Record]]:
        """Return at most `limit` records from `position` on; see the port."""
        found = self._reading.read(position, limit)
        if 1 < limit == len(found) and self._follower is not None:
            self._follower.give_way()
        return found

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
        self._loop.do(follower.refresh(), STALE_ANSWER_S if self.stale else ANSWER_S)

    def changed(self) -> list[str]:
        """Return the names of objects that came by their topic since the last call."""
        follower, _ = self._parts()
        if not follower.changed:
            return []
        with self._mirror.lock:
            names = list(follower.changed)
        found = [name for name in names if not self._is_own(name)]
        with self._mirror.lock:
            del follower.changed[: len(names)]  # not before they could all be read
        return found

    def _is_own(self, name: str) -> bool:
        """Say whether an object that came is what was put here last; once, for then others may have put it."""
        put, now = self._put.pop(name, None), self.object(name)
        return put is not None and now is not None and put == sha256(now)

    # Appending

    def append(self, append: Append) -> tuple[int | None, ...]:
        """Send what belongs to records, then the records, and return where they are; see the port."""
        return self.begin(append).finish()

    def begin(self, append: Append) -> Appending:
        """Begin an append: what belongs to its records is on its way; see `Shared`."""
        self._demand_fresh()
        self._put |= {name: sha256(data) for name, data in append.objects.items()}
        return self._appends.begin(append)

    def take(self, moved: Sequence[Moved]) -> None:
        """Append records of another store in this very order, their bodies before them; see `broker.migrate.Target`."""
        self._demand_fresh()
        self._appends.take(moved)

    @property
    def _appends(self) -> Appender:
        if self._appender is None:
            raise LedgerUnavailableError("The ledger is closed.")
        return self._appender

    def _demand_fresh(self) -> None:
        """Demand that the cluster has acknowledged something just now: a process may have stood still for minutes."""
        if self.stale:
            self._loop.do(self._beat(STALE_ANSWER_S), ANSWER_S)
        troubles = self.troubles()
        if troubles:
            raise LedgerUnavailableError(f"Nothing can be appended now: {troubles[0]}.")

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
        demand_all(self._loop.do(producer.send(tombs, ANSWER_S), SEND_S))
        assert self._care is not None
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
        sending = self._told(CHECKPOINT, encode_checkpoint(self._place.name, note))
        self._telling = self._loop.start(producer.send([sending], ANSWER_S), SEND_S)
        if before is not None and before.done():
            demand_all(before.result())

    def _told(self, key: bytes, payload: bytes) -> Sending:
        return Sending(CHECKPOINTS, key, self._place.keys.sign(CHECKPOINTS, key, payload))

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
        (sent,) = await producer.send([self._told(key, beat.encode())], within)
        demand_all([sent])
        assert isinstance(sent, Sent)
        self.confirmed = boot_seconds()
        self.skew_ms = sent.at - now_ms

    async def _beat_on(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await self._beat()
            except LedgerUnavailableError:
                log.warning("cluster.silent", seconds=int(boot_seconds() - self.confirmed))

    async def _look_on(self, follower: Follower) -> None:
        """Look whether the topics are what was read; by itself, for a topic that is missing is asked for in vain for long."""
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                await follower.look()
            except LedgerUnavailableError:
                log.warning("topics.unreadable", kind="ends")

    def _may_clean(self) -> bool:
        return self._place.signer and not self.troubles()

    def _refresh_soon(self) -> "asyncio.Future[None]":
        follower, _ = self._parts()
        return asyncio.ensure_future(within_seconds(follower.refresh(), ANSWER_S))

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
        return boot_seconds() - self.confirmed > STALE_S

    def troubles(self) -> Sequence[str]:
        """Return what is wrong between this instance and the cluster."""
        found = []
        if self.broken:
            found.append("reading the cluster has stopped")
        if self.stale:
            found.append("the cluster does not answer, what is shown may be old")
        if abs(self.skew_ms) > SKEW_MS:
            found.append("the clock differs from the cluster's")
        if self._follower is not None and self._follower.newer is not None:
            found.append("a newer version wrote to the ledger, and this one cannot read it")
        cut = None if self._follower is None else self._follower.cut
        if cut is not None:
            which = "the ledger's topic" if cut == LEDGER else f"the topic {cut}"
            found.append(f"{which} is shorter than what was read of it, or another one")
        elif self._follower is not None and self._follower.suspicious:
            found.append("where a topic ends is not clear")
        if self.findings:
            found.append("a topic is missing or its settings are not safe")
        return found

    def condition(self) -> Condition:
        """Return how the instance and the cluster stand to each other."""
        follower, producer = self._parts()
        return Condition(
            seconds=boot_seconds() - self.confirmed,
            clock_offset=-self.skew_ms / 1000,
            instances=len(self._alive()),
            signer=self._place.signer,
            replacements=producer.replacements,
            skipped=dict(follower.skipped),
            absent=0 if follower.behind else self._missing(),
            unsafe=len(self.findings),
            short=follower.short,
        )

    def close(self) -> None:
        """Stop reading and sending within a bound, and release the mirror."""
        if self._loop.running:
            try:
                self._loop.do(self._stop(), STOP_S)
            except LedgerUnavailableError:
                log.warning("cluster.left_open")
        self._loop.stop()
        self._follower = self._producer = self._appender = None
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
