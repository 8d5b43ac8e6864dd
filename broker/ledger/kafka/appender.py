"""Appending: bodies, objects and decisions first, and the records once all of these are acknowledged by all in-sync copies.

No transaction is needed: what a crash leaves behind is a body that no record names. An append is begun and then finished,
so that the next one's bodies are on their way while the records of the one before are. What was appended goes into the
mirror at once where nobody's lies between; else it comes by its topic, in the topic's order.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from broker.ledger.kafka.follower import Follower
from broker.ledger.kafka.frames import FrameKeys
from broker.ledger.kafka.loop import LoopThread
from broker.ledger.kafka.mirror import Batch, Mirror, MirrorReader, ReadBody, ReadDecision, ReadObject, ReadRecord
from broker.ledger.kafka.payloads import encode_record
from broker.ledger.kafka.producer import Producer, Sending, Sent, demand_all
from broker.ledger.kafka.topics import DECISIONS, LEDGER, OBJECTS, body_topic
from broker.ledger.port import Append, Entry, LedgerUnavailableError
from broker.ledger.stanzas import stanza_kids
from keys.digests import statement_digest
from schemas.ids import Kid
from schemas.record import Record
from schemas.statement import Statement

ANSWER_S: Final = 5.0
"""Seconds that a step of an append may take before the ledger is said to be unavailable."""
SEND_S: Final = 10.0
"""The same with what the cluster's client may take to say so."""
BODIES_S: Final = 0.5
"""Seconds that the bodies of an append are waited for: one slow topic must not hold up the others."""


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


class _Kept(NamedTuple):
    """An entry whose body is there: the body's key ids, topic and offset; none of an open act's."""

    entry: Entry
    kids: tuple[Kid, ...]
    topic: str
    offset: int


@dataclass(frozen=True, slots=True)
class _Parts:
    """What became of the bodies, one for each entry (None: it has none), and of objects and decisions."""

    bodies: list[Sent | Exception | None]
    others: list[Sent]


class Appender:
    """Appends for the ledger thread."""

    def __init__(
        self,
        keys: FrameKeys,
        mirror: Mirror,
        reads: MirrorReader,
        producer: Producer,
        follower: Follower,
        loop: LoopThread,
        refresh: Callable[[], None],
    ) -> None:
        """Append with a producer; `refresh` brings all into the mirror that is in the ledger."""
        self._keys = keys
        self._mirror = mirror
        self._reads = reads
        self._producer = producer
        self._follower = follower
        self._loop = loop
        self._refresh = refresh

    def begin(self, append: Append) -> "Appending":
        """Send what belongs to records; `finish` goes on from there. Raises `FormError` before anything is sent."""
        kids = [() if entry.body is None else stanza_kids(entry.body) for entry in append.entries]
        begin = self._mirror.next(LEDGER)
        return Appending(self, append, kids, begin, self._loop.start(self._send_parts(append), SEND_S))

    def take(self, moved: Sequence[Moved]) -> None:
        """Append records of another store in this very order, their bodies before them; see `broker.migrate.Target`."""
        begin = self._mirror.next(LEDGER)
        bodies = [
            self._framed(
                body_topic(Statement.parse(one.record.document).topic), statement_digest(one.record.document), one.body
            )
            for one in moved
            if one.body is not None
        ]
        demand_all(self._send(bodies))
        with self._mirror.lock:
            self._mirror.forget(
                (one.record.body_digest, one.record.leaf.received_at, one.holders)
                for one in moved
                if one.body is None and one.record.body_digest is not None
            )
        offsets = self._append_records([(one.record, one.holders) for one in moved], begin, in_order=True)
        self._reach(max(offsets) + 1)

    def finish(
        self, append: Append, kids: Sequence[tuple[Kid, ...]], begin: int, sending: "Future[_Parts]"
    ) -> tuple[int | None, ...]:
        """Append the records of entries whose bodies are there, and return where they are; see the port."""
        parts = self._loop.wait(sending, SEND_S)
        kept = [
            _Kept(
                entry,
                own,
                "" if entry.body is None else body_topic(entry.topic),
                one.offset if isinstance(one, Sent) else -1,
            )
            for entry, own, one in zip(append.entries, kids, parts.bodies, strict=True)
            if entry.body is None or isinstance(one, Sent)
        ]
        offsets = self._append_records([(one.entry.record, one.kids) for one in kept], begin) if kept else []
        self._take_own(kept, offsets, append, [one.offset for one in parts.others])
        if offsets:
            self._reach(max(offsets) + 1)
        found = iter(offsets)
        return tuple(
            next(found) if entry.body is None or isinstance(one, Sent) else None
            for entry, one in zip(append.entries, parts.bodies, strict=True)
        )

    async def _send_parts(self, append: Append) -> _Parts:
        """Send bodies, objects and decisions.

        Raises `LedgerUnavailableError` where an object or decision is not known to be there, or none of the bodies.
        """
        bodies = [
            self._framed(body_topic(entry.topic), statement_digest(entry.record.document), entry.body)
            for entry in append.entries
            if entry.body is not None
        ]
        objects = [self._framed(OBJECTS, name.encode(), data) for name, data in append.objects.items()]
        decisions = [self._framed(DECISIONS, item.day.encode(), item.data) for item in append.decisions]
        sent, others = await asyncio.gather(
            self._producer.send(bodies, BODIES_S if len(bodies) > 1 else ANSWER_S),
            self._producer.send([*objects, *decisions], ANSWER_S),
        )
        demand_all(others)
        if bodies and not any(isinstance(one, Sent) for one in sent):
            demand_all(sent)
        outcomes = iter(sent)
        return _Parts(
            [None if entry.body is None else next(outcomes) for entry in append.entries],
            [one for one in others if isinstance(one, Sent)],
        )

    def _framed(self, topic: str, key: bytes | None, payload: bytes) -> Sending:
        return Sending(topic, key, self._keys.sign(topic, key, payload))

    def _send(self, items: Sequence[Sending]) -> list[Sent | Exception]:
        return self._loop.do(self._producer.send(items, ANSWER_S), SEND_S)

    def _append_records(
        self, entries: Sequence[tuple[Record, tuple[Kid, ...]]], begin: int, *, in_order: bool = False
    ) -> list[int]:
        """Send records and return the offset of each; what failed is looked for in the topic, then sent once more.

        Where they must lie in this very order, all behind the first that is missing are sent once more: doubles fold away.
        """
        records = [self._framed(LEDGER, None, encode_record(record, kids)) for record, kids in entries]
        places = [one.offset if isinstance(one, Sent) else None for one in self._send(records)]
        if any(place is None for place in places):
            places = self._find(entries, places, begin)
            again = [number for number, place in enumerate(places) if place is None]
            if again:
                if in_order:
                    again = list(range(again[0], len(records)))
                resent = self._send([records[number] for number in again])
                demand_all(resent)
                for number, one in zip(again, resent, strict=True):
                    places[number] = one.offset if isinstance(one, Sent) else None
        return [place for place in places if place is not None]  # all of them, or it has raised

    def _find(
        self, entries: Sequence[tuple[Record, tuple[Kid, ...]]], places: Sequence[int | None], begin: int
    ) -> list[int | None]:
        """Read the ledger's tail and match by leaf and document: a failed send may have arrived."""
        self._refresh()
        found: dict[tuple[bytes, bytes], int] = {}
        position = begin
        while records := self._reads.read(position, 500):
            found |= {(record.leaf.encode(), record.document): at for at, record in records}
            position = records[-1][0] + 1
        return [
            found.get((record.leaf.encode(), record.document)) if place is None else place
            for (record, _), place in zip(entries, places, strict=True)
        ]

    def _take_own(self, kept: Sequence[_Kept], offsets: Sequence[int], append: Append, marks: Sequence[int]) -> None:
        """Put into the mirror what was just appended, the records only where nobody's lie between."""
        count = len(append.objects)
        batch = Batch(
            objects=[ReadObject(at, *item) for at, item in zip(marks[:count], append.objects.items(), strict=True)],
            decisions=[
                ReadDecision(at, item.day, item.data) for at, item in zip(marks[count:], append.decisions, strict=True)
            ],
        )
        bodies = []
        for item in kept:
            digest, body = item.entry.record.body_digest, item.entry.body
            if body is not None and digest is not None:
                key, since = statement_digest(item.entry.record.document), item.entry.record.leaf.received_at
                bodies.append((item.offset, ReadBody(item.topic, key, digest, item.kids, body, since)))
        batch.bodies = [body for _, body in bodies]
        with self._mirror.lock:
            alone = bool(offsets) and self._passed(LEDGER, offsets) == offsets[-1] + 1
            if alone:
                batch.records = [
                    ReadRecord(at, item.entry.record, item.kids) for at, item in zip(offsets, kept, strict=True)
                ]
                batch.next[LEDGER] = offsets[-1] + 1
            for topic in {body.topic for body in batch.bodies}:
                batch.next[topic] = self._passed(topic, (at for at, body in bodies if body.topic == topic))
            if batch.decisions:
                batch.next[DECISIONS] = self._passed(DECISIONS, marks[count:])
            if not batch.empty:
                self._mirror.take(batch)
        again = [body.key for at, body in bodies if at >= batch.next[body.topic]]
        self._loop.call(lambda: self._follower.pass_over(again, alone=alone))

    def _passed(self, topic: str, offsets: Iterable[int]) -> int:
        """Return how far a topic is in the mirror with these offsets, which need not be read any more."""
        following = self._mirror.next(topic)
        for at in sorted(offsets):
            if at == following:
                following += 1
        return following

    def _reach(self, position: int) -> None:
        """Wait until the mirror has all records before a position."""
        with self._mirror.lock:
            if self._mirror.next(LEDGER) >= position:
                return
        self._loop.call(self._follower.hurry)
        with self._mirror.lock:
            if not self._mirror.lock.wait_for(lambda: self._mirror.next(LEDGER) >= position, ANSWER_S):
                raise LedgerUnavailableError("The ledger's topic cannot be read in time.")


class Appending:
    """An append that was begun."""

    def __init__(
        self,
        appender: Appender,
        append: Append,
        kids: Sequence[tuple[Kid, ...]],
        begin: int,
        sending: "Future[_Parts]",
    ) -> None:
        self._appender = appender
        self._append = append
        self._kids = kids
        self._begin = begin
        self._sending = sending

    def finish(self) -> tuple[int | None, ...]:
        """Return each entry's position once it is durable; see `Ledger.append`."""
        return self._appender.finish(self._append, self._kids, self._begin, self._sending)
