"""Sending: one idempotent producer at a time, replaced when it is poisoned, and no wait without an end.

When a batch ages past its request's time while a partition has no leader, its sequence numbers are lost, and every later
send of that producer fails (aiokafka #1017). So any error but a time-out or a record too large has the producer replaced.
What became of the records that failed is for the caller to read from the topic; nothing is resent here.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RequestTimedOutError

from broker.ledger.kafka.connection import Connection, ConnectionSettingsError
from broker.ledger.port import LedgerUnavailableError

STOP_S: Final = 5.0
_HARMLESS: Final = (TimeoutError, KafkaTimeoutError, RequestTimedOutError, MessageSizeTooLargeError)

log = structlog.get_logger("broker")


class Sending(NamedTuple):
    """A record to send: its value is framed already."""

    topic: str
    key: bytes | None
    value: bytes | None


class Sent(NamedTuple):
    """Where a record is, and the cluster's Unix milliseconds."""

    offset: int
    at: int


class Producer:
    """Sends for one event loop. `replacements` counts producers that were given up."""

    def __init__(self, connection: Connection) -> None:
        """Remember where to; nothing is opened before the first `send`."""
        self._connection = connection
        self._producer: Any = None
        self._opening = asyncio.Lock()
        self._leaving: set[asyncio.Task[None]] = set()
        self.replacements = 0

    async def send(self, items: Sequence[Sending], within: float) -> list[Sent | Exception]:
        """Send records, in their order where they go to one topic, and return what became of each within some seconds.

        `TimeoutError` says that one may still arrive. Raises `LedgerUnavailableError` where the connection's files are of no
        use just now; nothing was sent then.
        """
        deadline = asyncio.get_running_loop().time() + within
        try:
            async with asyncio.timeout_at(deadline):
                producer = await self._open()
        except (KafkaError, OSError, TimeoutError) as error:
            return [error] * len(items)
        topics: dict[str, list[tuple[int, Sending]]] = {}
        for number, item in enumerate(items):
            topics.setdefault(item.topic, []).append((number, item))
        sending: dict[int, asyncio.Future[Any] | Exception] = {}
        with suppress(TimeoutError):
            # A topic that takes nothing just now keeps nobody but itself.
            async with asyncio.timeout_at(deadline), asyncio.TaskGroup() as handing:
                for line in topics.values():
                    handing.create_task(_hand_over(producer, line, sending))
        waiting = [one for one in sending.values() if isinstance(one, asyncio.Future)]
        if waiting:
            await asyncio.wait(waiting, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
        found = [_outcome(sending.get(number)) for number in range(len(items))]
        self._judge(producer, [one for one in found if isinstance(one, Exception)])
        return found

    async def _open(self) -> Any:
        async with self._opening:
            if self._producer is None:
                producer = AIOKafkaProducer(**self._settings())
                try:
                    await producer.start()
                except BaseException:
                    await _stop(producer)
                    raise
                self._producer = producer
            return self._producer

    def _settings(self) -> dict[str, Any]:
        try:
            return self._connection.producer()
        except ConnectionSettingsError as error:
            # They were of use when the topics were looked at: somebody renews them just now.
            log.warning("connection.unusable", detail=str(error))
            raise LedgerUnavailableError("The files of the connection to the cluster are of no use now.") from None

    def _judge(self, producer: Any, errors: Sequence[Exception]) -> None:
        """Give a producer up that may be poisoned; the next send makes a new one."""
        if producer is not self._producer or all(isinstance(one, _HARMLESS) for one in errors):
            return
        self._producer = None
        self.replacements += 1
        log.warning("producer.replaced", replacements=self.replacements)
        # What it still holds has failed or may arrive: nobody waits for its end.
        task = asyncio.ensure_future(_stop(producer))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def stop(self) -> None:
        """Stop, within a bound."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)
        await asyncio.gather(*self._leaving)


async def _stop(producer: Any) -> None:
    # Stopping flushes; what cannot be flushed now must not keep anybody.
    task = asyncio.ensure_future(producer.stop())
    done, _ = await asyncio.wait([task], timeout=STOP_S)
    if not done:
        task.cancel()
        await asyncio.wait([task], timeout=STOP_S)
    elif task.exception() is not None:
        log.warning("producer.stopped", failed=type(task.exception()).__name__)


async def _hand_over(
    producer: Any, line: Sequence[tuple[int, Sending]], sending: "dict[int, asyncio.Future[Any] | Exception]"
) -> None:
    """Hand a topic's records to the producer one after the other, and note by number what is awaited of each."""
    for number, item in line:
        try:
            handed = await producer.send(item.topic, key=item.key, value=item.value)
        except (KafkaError, OSError, TimeoutError) as error:
            sending[number] = error
        else:
            sending[number] = asyncio.ensure_future(handed)


def _outcome(one: "asyncio.Future[Any] | Exception | None") -> Sent | Exception:
    if one is None:
        return TimeoutError()  # there was no time to hand it over
    if isinstance(one, Exception):
        return one
    if not one.done():
        # Nobody waits for it any more; it must not be reported as an exception that was never retrieved.
        one.add_done_callback(lambda done: done.cancelled() or done.exception())
        return TimeoutError()
    error = one.exception()
    if error is not None:
        return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
    metadata = one.result()
    return Sent(metadata.offset, metadata.timestamp)


def demand_all(found: Sequence[Sent | Exception]) -> None:
    """Demand that all was acknowledged; raise `LedgerUnavailableError`."""
    for one in found:
        if not isinstance(one, Sent):
            raise LedgerUnavailableError(f"The cluster did not acknowledge it ({type(one).__name__}).")
