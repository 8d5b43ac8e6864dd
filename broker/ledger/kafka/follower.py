"""Reading: what the topics have is taken into the mirror, in the ledger's order, never a record before its body.

Several consumers, so that none waits for another's long poll: the ledger; the bodies, and those from before the start;
decisions; objects and checkpoints.
A record whose body (or, for a directory version, whose files) has not been read waits at the head of the line until the
body is there, or its topic has been read past the end that was asked for after the record was seen: then it is gone for
good. While an instance starts, what was in the ledger already does not wait: bodies follow behind, the newest first, and
`behind` says so.
A stranger's record is skipped, counted and alarmed; the tree does not know of it. One that is ours and cannot be read is a
newer version's: to skip it would be another tree, so nothing is read behind it.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from broker.ledger.kafka.backlog import WINDOW, Backlog, read_older
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.frames import BadFrameError, FrameKeys, TopicFrames
from broker.ledger.kafka.mirror import Batch, Mirror, ReadBody, ReadDecision, ReadObject, ReadRecord
from broker.ledger.kafka.payloads import (
    CHECKPOINT,
    INSTANCE,
    Heartbeat,
    parse_checkpoint,
    parse_record,
)
from broker.ledger.kafka.topics import CHECKPOINTS, CLOSING_KEY, DECISIONS, LEDGER, OBJECTS
from broker.ledger.port import LedgerUnavailableError, Told
from broker.ledger.stanzas import stanza_kids
from keys.digests import sha256
from schemas.errors import Error
from schemas.leaf import LeafType

PAGE: Final = 1000
"""Records that are taken at a time."""
POLL_MS: Final = 500
NOTE_S: Final = 2.0
REST_S: Final = {"ledger": 0.05, "bodies": 0.1, "decisions": 1.0}
"""Seconds for which topics are not read after something came, unless it is waited for: each fetch costs what many records do.

After an own append that nobody's lay before they are not read either, else an instance fetches its own.
"""
LONGEST_REST_S: Final = 20.0
"""Seconds after which they are read all the same, however busy the instance is."""
OWN: Final = 100_000
RETRY_S: Final = 0.2
STOP_S: Final = 5.0
SAY_S: Final = 10.0
CONFIRM_S: Final = 10.0
"""Seconds, and asks, after which a topic that ends too early is believed to: a node that stood still says what was."""
CONFIRM_ASKS: Final = 5
LOOK_S: Final = 5.0
"""Seconds between two looks at where all topics end: one that was made anew is there, and its settings are safe."""
GIVE_WAY_S: Final = 0.5
"""Seconds after a whole page of records was read here in which older bodies are not: a view is being rebuilt."""
_ASKING: Final = "asking"

log = structlog.get_logger("broker")


class Follower:
    """Reads all topics into the mirror; lives on the store's event loop.

    `skipped` counts foreign records by reason. `told`, `instances` are the newest
    checkpoint and the instances that were alive, with the cluster's time. `cut` is a topic that ends before what was read
    of it already, or the ledger where it begins later than it did, or has another last record: it was restored from a
    backup, was cut, or made anew. `newer` is the offset of a ledger record that a newer version wrote: reading ends there.
    """

    def __init__(
        self,
        connection: Connection,
        keys: FrameKeys,
        mirror: Mirror,
        bodies: Sequence[str],
        *,
        name: str,
        news: Callable[[], None],
    ) -> None:
        """Read `bodies` beside the topics of every deployment; call `news` after each step forward."""
        self._connection = connection
        self._keys = keys
        self._mirror = mirror
        self._bodies = tuple(bodies)
        self._topics = (LEDGER, OBJECTS, CHECKPOINTS, DECISIONS, *self._bodies)
        self._name = name
        self._news = news
        self._consumers: dict[str, Any] = {}
        self._pending: deque[ReadRecord] = deque()
        self._seen = mirror.next(LEDGER)
        self._last = self._seen - 1  # read once more at the start, to see whether it is the same
        self._free = 0  # records before this offset do not wait for their bodies
        self._ends: dict[str, int] = {}  # where the bodies' topics ended when this instance began
        self._tails: dict[str, int] = {}  # where reading them forwards began; what lies before is the backlog's
        self._backlog = Backlog({})
        self._barrier: dict[str, int] = {}
        self._barred = 0  # the barrier was asked for when the records before this offset had been seen
        self._at: dict[str, int] = {}  # how far each topic was read in this life of the process
        self._writing = asyncio.Lock()
        self._moved = asyncio.Condition()
        self._say_after: dict[str, float] = {}
        self._note_after = 0.0
        self._own: set[bytes] = set()  # keys of bodies that this instance has written, and that will come
        self._resting: dict[str, asyncio.TimerHandle] = {}  # what is not fetched just now, and what ends that
        self._appended = 0.0  # when, by the loop's clock
        self._asked = 0  # how many wait for a refresh
        self._paged = -GIVE_WAY_S  # when a whole page of records was last read here
        self.skipped: Counter[str] = Counter()
        self.behind = True
        self.cut: str | None = None
        self.newer: int | None = None
        self._suspected: dict[str, list[float]] = {}  # when a topic was found to end too early, one after the other
        self._look_after = 0.0
        self.told: Told | None = None
        self.instances: dict[str, tuple[Heartbeat, int]] = {}
        self.changed: list[str] = []

    # Starting and stopping

    async def start(self) -> None:
        """Open the consumers where they have read to; raise `LedgerUnavailableError`, or `Error` for another ledger."""
        small = (OBJECTS, CHECKPOINTS)
        # On a connection of its own: a node answers in order, and would first let a fetch wait for news.
        self._consumers[_ASKING] = asking = AIOKafkaConsumer(**self._connection.consumer())
        with _unavailable():
            await asking.start()
            parts = [TopicPartition(topic, 0) for topic in self._topics]
            asking.assign(parts)
            asking.pause(*parts)
            for part in parts:
                asking.seek(part, 0)
        ends = await self._reached(self._topics)
        self._ends = {topic: ends[topic] for topic in self._bodies}
        self._free = ends[LEDGER]
        await asyncio.gather(
            self._assign("ledger", (LEDGER,)),
            self._assign("small", small),
            self._assign("decisions", (DECISIONS,)),
            self._assign("bodies", self._bodies),
        )
        await self._demand_beginning()
        while self.suspicious and not self.short:
            await asyncio.sleep(CONFIRM_S / CONFIRM_ASKS)
            await self._reached(self._topics)
        self._look_whether_behind()

    async def _assign(self, kind: str, topics: Sequence[str]) -> None:
        consumer = AIOKafkaConsumer(**self._connection.consumer() | {"fetch_max_wait_ms": POLL_MS})
        self._consumers[kind] = consumer
        older: dict[str, int] = {}
        with _unavailable():
            await consumer.start()
            parts = [TopicPartition(topic, 0) for topic in topics]
            consumer.assign(parts)
            begins = await consumer.beginning_offsets(parts)
            for part in parts:
                # Checkpoints are few: read from the beginning, they are kept nowhere. A topic that is cleaned begins later.
                at = max(0 if part.topic == CHECKPOINTS else self._mirror.next(part.topic), begins[part])
                if kind == "bodies":
                    older[part.topic] = at
                    at = self._tails[part.topic] = max(at, self._ends[part.topic] - WINDOW)
                self._at[part.topic] = at
                if part.topic == LEDGER:
                    at = max(0, self._last, begins[part])
                consumer.seek(part, at)
        if kind == "bodies":
            self._backlog = Backlog({topic: (at, self._tails[topic]) for topic, at in older.items()})

    def tasks(self) -> list["asyncio.Task[None]"]:
        """Begin to read; the tasks end when they are cancelled."""
        return [
            asyncio.create_task(self._follow_older(), name="follow-older"),
            *(
                asyncio.create_task(self._follow(kind, take), name=f"follow-{kind}")
                for kind, take in (
                    ("ledger", self._take_records),
                    ("bodies", self._take_bodies),
                    ("decisions", self._take_small),
                    ("small", self._take_small),
                )
            ),
        ]

    async def stop(self) -> None:
        """Close the consumers, within a bound."""
        stops = [asyncio.ensure_future(one.stop()) for one in self._consumers.values()]
        if stops:
            _, late = await asyncio.wait(stops, timeout=STOP_S)
            for one in late:
                one.cancel()
            await asyncio.gather(*stops, return_exceptions=True)

    # Reading

    async def _follow(self, kind: str, take: Callable[[dict[Any, list[Any]]], None]) -> None:
        consumer = self._consumers[kind]
        while True:
            try:
                found = await consumer.getmany(timeout_ms=POLL_MS, max_records=PAGE)
                if found:
                    take(found)
                    self._rest(kind, 0.0)
                await self._advance()
            except (OffsetOutOfRangeError, NoOffsetForPartitionError):
                await self._begin_again(kind)
            except KafkaError as error:
                log.warning("topics.unreadable", kind=kind, failed=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            except Error as error:
                # The mirror's disk: what was read is read again.
                log.warning("mirror.failed", problem=error.code)
                await asyncio.sleep(RETRY_S)
                self._again(kind)

    def give_way(self) -> None:
        """Take note that the ledger is read from far behind just now; older bodies wait for that. Any thread may call it."""
        self._paged = time.monotonic()

    async def _turn(self) -> None:
        """Return when older bodies may be read: the records are there, and nobody is reading their way through them."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.halted or self._is_past({LEDGER: self._free}))
            await self._moved.wait_for(lambda: time.monotonic() >= self._paged + GIVE_WAY_S)

    async def _follow_older(self) -> None:
        await read_older(self._connection, self._backlog, self._take_older, self._advance, self._turn)
        try:
            with self._mirror.lock:
                self._mirror.take(Batch(next={topic: self._at[topic] for topic in self._bodies}))
        except Error as error:
            log.warning("mirror.failed", problem=error.code)  # then they are read again after the next start

    def _again(self, kind: str) -> None:
        """Go back to what the mirror has."""
        if kind == "ledger":
            self._pending.clear()
            self._seen = self._mirror.next(LEDGER)
        consumer = self._consumers[kind]
        for part in consumer.assignment():
            if part.topic != CHECKPOINTS:
                at = self._mirror.next(part.topic)
                consumer.seek(part, max(at, self._tails[part.topic]) if kind == "bodies" else at)

    async def _begin_again(self, kind: str) -> None:
        """Go on where a topic begins by now: what is before that was deleted. Of the ledger nothing may ever be."""
        if kind == "ledger":
            self._suspect(LEDGER)
        consumer = self._consumers[kind]
        try:
            begins = await consumer.beginning_offsets(list(consumer.assignment()))
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("topics.unreadable", kind=kind, failed=type(error).__name__)
        else:
            for part, begin in begins.items():
                self._at[part.topic] = max(self._at[part.topic], begin)
                consumer.seek(part, max(self._position(part.topic), begin))
        await asyncio.sleep(RETRY_S)

    def _take_records(self, found: dict[Any, list[Any]]) -> None:
        frames = TopicFrames(self._keys, LEDGER)
        for message in (message for messages in found.values() for message in messages):
            if message.offset == self._last:
                self._compare(frames, message)
                self._last = -1
                continue
            if self.newer is not None and message.offset >= self.newer:
                return
            if message.offset < self._mirror.next(LEDGER):
                self._seen = message.offset + 1
                continue  # appended by this instance, and there already
            try:
                record, kids = parse_record(frames.open(message.key, message.value))
            except BadFrameError as error:
                self._seen = message.offset + 1
                self._skip(LEDGER, message.offset, error)
                continue
            except Error as error:
                self.newer = message.offset
                log.warning("ledger.newer", offset=message.offset, problem=error.code)
                return
            self._seen = message.offset + 1
            self._pending.append(ReadRecord(message.offset, record, kids))

    def _compare(self, frames: TopicFrames, message: Any) -> None:
        """Hold the last record of an earlier life against the topic's: a topic that was made anew has another one."""
        with self._mirror.lock:
            held = self._mirror.read(message.offset, 1)
        if not held or held[0][0] != message.offset:
            return  # a stranger's
        try:
            record, _ = parse_record(frames.open(message.key, message.value))
        except Error:
            record = None
        if record != held[0][1]:
            self._found_cut(LEDGER, "last-record")

    @property
    def short(self) -> bool:
        """Say whether a topic is not, or not all of, what was read of it."""
        return self.cut is not None

    @property
    def halted(self) -> bool:
        """Say whether the ledger is read no further."""
        return self.short or self.newer is not None

    @property
    def suspicious(self) -> bool:
        """Say whether a topic ended too early when it was last looked at."""
        return bool(self._suspected)

    async def look(self) -> None:
        """Look where the ledger begins, and where all topics end; raise `LedgerUnavailableError`.

        Every `LOOK_S`, or as long as one ended too early.
        """
        if not self.short and (self._suspected or time.monotonic() >= self._look_after):
            self._look_after = time.monotonic() + LOOK_S
            await self._demand_beginning()
            await self._reached(self._topics)

    async def _demand_beginning(self) -> None:
        """Take note where something was deleted of the ledger, if for a moment only its settings allowed it."""
        with _unavailable():
            (begins,) = (await self._consumers[_ASKING].beginning_offsets([TopicPartition(LEDGER, 0)])).values()
        if begins:
            self._found_cut(LEDGER, "beginning")

    async def _reached(self, topics: Sequence[str]) -> dict[str, int]:
        """Return where topics end, and take note of those that end before what was read of them: an end never goes back."""
        held = {topic: self._mirror.next(topic) for topic in topics}  # before: own appends go on meanwhile
        ends = await self._end(topics)
        for topic, end in ends.items():
            if end >= held[topic]:
                self._suspected.pop(topic, None)
            else:
                self._suspect(topic)
        return ends

    def _suspect(self, topic: str) -> None:
        asked = self._suspected.setdefault(topic, [])
        asked.append(time.monotonic())
        if asked[-1] - asked[0] >= CONFIRM_S and len(asked) >= CONFIRM_ASKS:
            self._found_cut(topic, "end")

    def _found_cut(self, topic: str, how: str) -> None:
        if not self.short:
            log.error("ledger.shorter", topic=topic, how=how)
            self.cut = topic

    def _take_bodies(self, found: dict[Any, list[Any]]) -> None:
        batch = self._read_bodies(found)
        batch.next = {part.topic: messages[-1].offset + 1 for part, messages in found.items()}
        self._write(batch)

    def _take_older(self, found: dict[Any, list[Any]]) -> None:
        batch = self._read_bodies(found)
        with self._mirror.lock:
            self._mirror.take(batch)

    def _read_bodies(self, found: dict[Any, list[Any]]) -> Batch:
        batch = Batch()
        for part, messages in found.items():
            frames = TopicFrames(self._keys, part.topic)
            for message in messages:
                if message.value is None or message.key == CLOSING_KEY:
                    # What was erased is said by the ledger; a tombstone says only that none need be sent any more.
                    if message.value is None and message.key not in (None, CLOSING_KEY):
                        batch.tombstones.append(message.key)
                    continue
                if message.key in self._own:
                    self._own.discard(message.key)
                    continue
                try:
                    body = frames.open(message.key, message.value)
                    kids = stanza_kids(body)
                except Error as error:
                    self._skip(part.topic, message.offset, error)
                    continue
                batch.bodies.append(ReadBody(part.topic, message.key, sha256(body), kids, body, message.timestamp))
        return batch

    # What this instance has appended itself

    def pass_over(self, again: Iterable[bytes], *, alone: bool) -> None:
        """Take note that this instance has just appended, and has all of it here; `again` are keys of bodies that come again.

        `alone` says that nobody else has appended since: nothing is fetched then for a moment, for what would come is most
        likely what is here already. Another instance's records are noticed by the next own ones, or after that moment.
        """
        if len(self._own) < OWN:
            self._own.update(again)
        if alone and not self._pending:
            self._appended = asyncio.get_running_loop().time()
            for kind in REST_S:
                self._rest(kind, LONGEST_REST_S)

    def _rest(self, kind: str, longest: float) -> None:
        """Fetch nothing for a moment, which own appends may draw out to so many seconds."""
        if kind in self._resting or kind not in REST_S or self.behind or self._asked or self._last >= 0:
            return
        consumer = self._consumers[kind]
        consumer.pause(*consumer.assignment())
        loop, seconds = asyncio.get_running_loop(), REST_S[kind]
        self._resting[kind] = loop.call_later(seconds, self._rise, kind, loop.time() + max(longest, seconds))

    def _rise(self, kind: str, until: float) -> None:
        """Fetch again once the last own append is long enough ago."""
        loop = asyncio.get_running_loop()
        at = min(self._appended + REST_S[kind], until)
        if at > loop.time():
            self._resting[kind] = loop.call_at(at, self._rise, kind, until)
        else:
            self._wake(kind)

    def hurry(self) -> None:
        """Read the ledger now: others have appended, too."""
        self._wake("ledger")

    def _wake(self, kind: str) -> None:
        """Fetch again, behind what the mirror has by now."""
        timer = self._resting.pop(kind, None)
        if timer is None:
            return
        timer.cancel()
        consumer = self._consumers[kind]
        for part in consumer.assignment():
            following = self._mirror.next(part.topic)
            if part.topic == LEDGER:
                if following > self._seen and not self._pending:
                    self._seen = following
                    consumer.seek(part, following)
            elif following > self._at[part.topic]:
                self._at[part.topic] = following
                consumer.seek(part, following)
            consumer.resume(part)

    def _take_small(self, found: dict[Any, list[Any]]) -> None:
        batch = Batch()
        for part, messages in found.items():
            frames = TopicFrames(self._keys, part.topic)
            for message in messages:
                try:
                    payload = frames.open(message.key, message.value)
                    if part.topic == OBJECTS:
                        batch.objects.append(ReadObject(message.offset, message.key.decode(), payload))
                    elif part.topic == DECISIONS:
                        batch.decisions.append(ReadDecision(message.offset, message.key.decode(), payload))
                    else:
                        self._hear(message.key, payload, message.timestamp)
                except (Error, UnicodeDecodeError) as error:
                    self._skip(part.topic, message.offset, error)
            batch.next[part.topic] = messages[-1].offset + 1
        self._write(batch)
        with self._mirror.lock:
            self.changed += [item.name for item in batch.objects]

    def _hear(self, key: bytes, payload: bytes, at: int) -> None:
        if key == CHECKPOINT:
            name, note = parse_checkpoint(payload)
            self.told = Told(note, name == self._name)
        else:
            self.instances[key.removeprefix(INSTANCE).decode()] = (Heartbeat.parse(payload), at)

    def _skip(self, topic: str, offset: int, error: Exception) -> None:
        reason = error.code if isinstance(error, Error) else "malformed"
        self.skipped[reason if isinstance(error, BadFrameError) else "unreadable"] += 1
        if time.monotonic() >= self._say_after.get(topic, 0.0):  # whoever writes many must not fill the disk with lines
            self._say_after[topic] = time.monotonic() + SAY_S
            log.warning("record.foreign", topic=topic, offset=offset, problem=reason, skipped=self.skipped.total())

    def _write(self, batch: Batch) -> None:
        reached = batch.next
        # Where older bodies are still to come, nothing says that all was read up to here.
        batch.next = {topic: at for topic, at in reached.items() if topic not in self._backlog}
        if not batch.empty or time.monotonic() >= self._note_after:
            # How far it was read alone can wait: what is read again is known already.
            self._note_after = time.monotonic() + NOTE_S
            with self._mirror.lock:
                self._mirror.take(batch)
        self._at |= {topic: max(at, self._at[topic]) for topic, at in reached.items()}

    # Moving on

    async def _advance(self) -> None:
        """Write the records that need not wait, and let those go on who wait for what has come."""
        async with self._writing:
            moved = await self._write_ready()
        if self.behind:
            self._look_whether_behind()
        async with self._moved:
            self._moved.notify_all()
        if moved or self.changed:
            self._news()

    async def _write_ready(self) -> bool:
        moved = False
        while self._pending:
            with self._mirror.lock:
                while self._pending and self._pending[0].offset < self._mirror.next(LEDGER):
                    self._pending.popleft()
                ready = list(islice(takewhile(self._is_ready, self._pending), PAGE))
                if ready:
                    following = self._pending[len(ready)].offset if len(ready) < len(self._pending) else self._seen
                    self._mirror.take(Batch(records=ready, next={LEDGER: following}))
                    # Only now: what the disk did not take must be taken later, by whoever comes first.
                    for _ in ready:
                        self._pending.popleft()
                    moved = True
            if not ready and self._pending and not await self._passed():
                break
            await asyncio.sleep(0)
        if not self._pending and self._seen > self._mirror.next(LEDGER):
            with self._mirror.lock:
                self._mirror.take(Batch(next={LEDGER: self._seen}))  # only foreign ones came
        return moved

    def _is_ready(self, item: ReadRecord) -> bool:
        record = item.record
        passed = item.offset < self._barred and self._is_past(self._barrier)
        if record.leaf.type is LeafType.DIRECTORY:
            return passed
        if record.body_digest is None or item.offset < self._free or self._mirror.has(record.body_digest):
            return True
        if passed:
            log.error("body.absent", offset=item.offset)
            return True
        return False

    async def _passed(self) -> bool:
        """Say whether what the first record waits for has been read, or is not going to come."""
        self._wake("bodies")
        if self._pending[0].offset >= self._barred:
            seen = self._seen
            self._barrier = await self._end((OBJECTS, *self._bodies))
            self._barred = seen
        return self._is_past(self._barrier)

    def _is_past(self, ends: dict[str, int]) -> bool:
        return all(self._position(topic) >= end for topic, end in ends.items())

    def _position(self, topic: str) -> int:
        return self._mirror.next(LEDGER) if topic == LEDGER else self._at[topic]

    def _look_whether_behind(self) -> None:
        self.behind = bool(self._backlog) or not self._is_past(self._ends)

    async def _end(self, topics: Iterable[str]) -> dict[str, int]:
        with _unavailable():
            ends = await self._consumers[_ASKING].end_offsets([TopicPartition(topic, 0) for topic in topics])
        return {part.topic: end for part, end in ends.items()}

    @property
    def progress(self) -> int:
        """Return a number that grows with whatever is read."""
        return self._mirror.next(LEDGER) + sum(self._at.values())

    async def refresh(self) -> None:
        """Return once all is in the mirror that the topics had when this was called; raise `LedgerUnavailableError`."""
        ends = await self._reached((LEDGER, OBJECTS, CHECKPOINTS))
        if self.suspicious or self.short:
            raise LedgerUnavailableError("A topic is not, or not all of, what was read of it.")
        self._asked += 1
        try:
            self.hurry()
            async with self._moved:
                while not self._is_past(ends) and not self.halted:
                    await self._moved.wait()
        finally:
            self._asked -= 1
        if self.newer is not None:
            raise LedgerUnavailableError("A newer version has written to the ledger.")


@contextmanager
def _unavailable() -> Iterator[None]:
    """Turn what Kafka reports into `LedgerUnavailableError`."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError) as error:
        raise LedgerUnavailableError(f"The cluster cannot be read now ({type(error).__name__}).") from None
