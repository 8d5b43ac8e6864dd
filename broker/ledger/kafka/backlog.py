"""Bodies from before the start, newest first: what was published last is asked for first.

A topic can only be read forwards, so its older part is cut into windows that are read one after the other from the end.
How far a topic was read is kept (`Mirror.next`) once all of it is there: an instance that ends before that reads it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker.ledger.kafka.connection import Connection, ConnectionSettingsError
from schemas.errors import Error

WINDOW: Final = 1000
"""Offsets of a window, and of the end of a topic that is read forwards together with what is new."""

PAGE: Final = 1000
POLL_MS: Final = 500
RETRY_S: Final = 0.2

log = structlog.get_logger("broker")


@dataclass(slots=True)
class _Left:
    """What is left of a topic: offsets from `begin` on below `high`; the window begins at `low`."""

    begin: int
    low: int
    high: int


class Backlog:
    """The windows of some topics; pure, without I/O. A topic of which nothing is left is not in it any more."""

    def __init__(self, left: Mapping[str, tuple[int, int]]) -> None:
        """Take offsets by topic: the first one, and the one behind the last."""
        self._left = {
            topic: _Left(begin, max(begin, end - WINDOW), end) for topic, (begin, end) in left.items() if begin < end
        }

    def __contains__(self, topic: str) -> bool:
        return topic in self._left

    def __bool__(self) -> bool:
        return bool(self._left)

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics of which something is left."""
        return tuple(self._left)

    def window(self, topic: str) -> tuple[int, int]:
        """Return where a topic's window begins, and where it ends."""
        left = self._left[topic]
        return left.low, left.high

    def begins(self, topic: str, begin: int) -> None:
        """Take note that nothing lies before an offset any more."""
        left = self._left[topic]
        left.begin, left.low = max(left.begin, begin), max(left.low, begin)
        self.reached(topic, left.low)

    def reached(self, topic: str, position: int) -> bool:
        """Note how far a window was read; say whether that was its end, and another one is to be read, or nothing."""
        left = self._left[topic]
        if position < left.high:
            return False
        if left.low <= left.begin:
            del self._left[topic]
        else:
            left.high = left.low
            left.low = max(left.begin, left.high - WINDOW)
        return True


async def read_older(
    connection: Connection,
    backlog: Backlog,
    take: Callable[[dict[Any, list[Any]]], None],
    moved: Callable[[], Awaitable[None]],
    turn: Callable[[], Awaitable[None]],
) -> None:
    """Read a backlog to its end with a consumer of its own; `take` gets the messages, `moved` is called after each page.

    `turn` is waited for before each page, and returns when there is nothing more urgent to do.
    """
    if not backlog:
        return
    await turn()
    consumer = await _consumer(connection)
    parts = {topic: TopicPartition(topic, 0) for topic in backlog.topics}
    try:
        while backlog:
            try:
                await _begin(consumer, backlog, parts)
                while backlog:
                    await turn()
                    found = await consumer.getmany(timeout_ms=POLL_MS, max_records=PAGE)
                    take(
                        {
                            part: [one for one in messages if one.offset < backlog.window(part.topic)[1]]
                            for part, messages in found.items()
                            if part.topic in backlog
                        }
                    )
                    for topic in backlog.topics:
                        if backlog.reached(topic, await consumer.position(parts[topic])):
                            _move(consumer, backlog, parts[topic])
                    await moved()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("topics.unreadable", kind="older", failed=type(error).__name__)
                await asyncio.sleep(RETRY_S)
            except Error as error:
                # The mirror's disk: the windows are read again.
                log.warning("mirror.failed", problem=error.code)
                await asyncio.sleep(RETRY_S)
    finally:
        await consumer.stop()
    await moved()


async def _consumer(connection: Connection) -> Any:
    """Make a consumer, once the connection's files are of use: they were at the start, and somebody may renew them now."""
    while True:
        try:
            return AIOKafkaConsumer(**connection.consumer())
        except ConnectionSettingsError as error:
            log.warning("connection.unusable", detail=str(error))
            await asyncio.sleep(RETRY_S)


async def _begin(consumer: Any, backlog: Backlog, parts: Mapping[str, TopicPartition]) -> None:
    """Begin at the windows, or begin anew after an error: topics may begin later by now."""
    if not consumer.assignment():
        await consumer.start()
        consumer.assign(list(parts.values()))
    begins = await consumer.beginning_offsets([parts[topic] for topic in backlog.topics])
    for part, begin in begins.items():
        backlog.begins(part.topic, begin)
        _move(consumer, backlog, part)


def _move(consumer: Any, backlog: Backlog, part: TopicPartition) -> None:
    """Go to a topic's window, or read the topic no more."""
    if part.topic in backlog:
        consumer.seek(part, backlog.window(part.topic)[0])
    else:
        consumer.pause(part)
