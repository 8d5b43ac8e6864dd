"""What is done every minute beside reading and appending: topics are looked at, and bodies that nobody needs are buried.

Every instance looks at what administrators may have changed. The one that signs erases bodies that no record names, sends
the tombstones that an earlier signer could not send any more, and writes what lets a quiet topic close the segment in which
something was erased. Lives on the store's event loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from broker.ledger.kafka.admin import recheck
from broker.ledger.kafka.connection import Connection, ConnectionSettingsError
from broker.ledger.kafka.mirror import Mirror
from broker.ledger.kafka.producer import Producer, Sending, demand_all
from broker.ledger.kafka.topics import CLEANED_HOURS, CLOSING_KEY, Finding
from schemas.errors import Error

SEND_S: Final = 5.0
_CLOSED_MS: Final = CLEANED_HOURS * 3_600_000 + 60_000
"""After how long a segment that something was erased in is closed by the next record, and a minute: time is the nodes'."""
_MOST: Final = 1000
"""Tombstones of an earlier signer's that are sent in one round."""

log = structlog.get_logger("broker")


class Care:
    """Looks after the topics every `every` seconds; bodies without a record are erased after `alone_s`.

    `findings` is what is unsafe by now; written here, read by anybody. `erased_in` is told of topics by any thread.
    """

    def __init__(
        self,
        connection: Connection,
        replication: int,
        mirror: Mirror,
        producer: Producer,
        *,
        every: float,
        alone_s: float,
        cluster_ms: Callable[[], int],
    ) -> None:
        """Remember what to look at; `cluster_ms` is the cluster's time."""
        self._connection = connection
        self._replication = replication
        self._mirror = mirror
        self._producer = producer
        self._every = every
        self._alone_ms = int(alone_s * 1000)
        self._cluster_ms = cluster_ms
        self._closing: dict[str, int] | None = None  # when something was last erased in a topic, by the cluster's time
        self._said: set[str] = set()
        self.findings: tuple[Finding, ...] = ()

    def erased_in(self, topics: Sequence[str]) -> None:
        """Note that something was erased in topics."""
        self._said.update(topics)

    async def look_on(self, may_clean: Callable[[], bool], refresh: "Callable[[], asyncio.Future[None]]") -> None:
        """Look for ever; clean where `may_clean` says so, once `refresh` has brought the ledger's records."""
        while True:
            await asyncio.sleep(self._every)
            try:
                found = await recheck(self._connection, self._replication)
            except ConnectionSettingsError as error:  # somebody renews the files just now
                log.warning("connection.unusable", detail=str(error))
                found = None
            if found is not None:
                self._judge(found)
            if may_clean():
                try:
                    # After a long pause bodies may have been read before the records that name them.
                    await refresh()
                    await self.clean()
                except Error as error:
                    log.warning("bodies.not_cleaned", problem=error.code)

    def _judge(self, findings: tuple[Finding, ...]) -> None:
        for one in findings:
            if one not in self.findings:
                said = (one.where, one.setting, one.found, one.demand)
                where, setting, now, must = (text.replace(" ", "_").replace(",", "+") for text in said)
                log.error("store.unsafe", where=where, setting=setting, now=now, must=must)
        if self.findings and not findings:
            log.info("store.safe")
        self.findings = findings

    async def clean(self) -> None:
        """Erase bodies that no record names, bury what was erased, and let quiet topics close what something was erased in.

        A topic is written to once `_CLOSED_MS` have passed since the last erasure in it: Kafka closes no younger segment.
        Raises `LedgerUnavailableError`; then it is done at the next round.
        """
        now_ms = self._cluster_ms()
        with self._mirror.lock:
            alone = self._mirror.alone(now_ms - self._alone_ms)
            unburied = self._mirror.unburied(_MOST)
            # When an earlier life erased something is not known: perhaps long ago, perhaps just before its end.
            earlier = self._mirror.erased_topics() if self._closing is None else []
        said = set(self._said)
        tombs = [Sending(topic, key, None) for topic, key in (*((topic, key) for _, topic, key in alone), *unburied)]
        erased = said | {item.topic for item in tombs}
        closing = {} if self._closing is None else self._closing
        due = [topic for topic, at in closing.items() if topic not in erased and now_ms - at >= _CLOSED_MS]
        ends = [Sending(topic, CLOSING_KEY, None) for topic in sorted({*due, *earlier} - erased)]
        demand_all(await self._producer.send([*tombs, *ends], SEND_S))
        self._closing = closing | dict.fromkeys({*earlier, *erased}, now_ms)
        self._said.difference_update(said)
        for topic in due:
            del self._closing[topic]
        if alone:
            with self._mirror.lock:
                self._mirror.drop([digest for digest, _, _ in alone])
            log.info("bodies.without_record", erased=len(alone))
