"""What the recipients do: read their inboxes, see that nothing comes twice, acknowledge; and the senders' tally of it."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from adapters.demo.agency import PAGE, Agency
from adapters.demo.outcome import Outcome, Progress
from adapters.demo.processes import DemoError

PATIENCE_SECONDS: Final = 120
"""How long nothing may move before the demonstration gives up."""


class Tally:
    """What became of one sender's issues; pages that have nothing to wait for any more are not read again."""

    def __init__(self, sender: str) -> None:
        self.published = self.owed = self.acknowledged = 0
        self._sender = sender
        self._cursor = 0
        self._settled = (0, 0)

    async def count(self, agency: Agency) -> None:
        """Read on from the first page that had something to wait for."""
        cursor, (self.published, self.owed) = self._cursor, self._settled
        self.acknowledged, waiting = self.owed, False
        while True:
            items, following = await agency.notices(cursor)
            issues = [item for item in items if item["act"] == "issue" and item["receipt"]]
            others = [one for item in issues for one in item["recipients"] if one["participant"] != self._sender]
            done = sum(one["acknowledged_at"] is not None for one in others)
            self.published += len(issues)
            self.owed += len(others)
            self.acknowledged += done
            waiting = waiting or done < len(others) or len(items) < PAGE
            if len(items) < PAGE:
                return
            cursor = following
            if not waiting:
                self._cursor, self._settled = cursor, (self.published, self.owed)


class Readers:
    """The recipients among the agencies."""

    def __init__(self, who: Sequence[str], agencies: Mapping[str, Agency], outcome: Outcome, logs: object) -> None:
        self._agencies = agencies
        self._outcome = outcome
        self._logs = logs
        self._cursors = dict.fromkeys(who, 0)
        self._seen: dict[str, set[str]] = {one: set() for one in who}
        self._opened: dict[str, set[str]] = {one: set() for one in who}

    async def until(self, wanted: int, of: int, progress: Progress) -> None:
        """Read the inboxes, acknowledging what is there, until so many notices have arrived."""
        last, moved_at = -1, time.monotonic()
        while True:
            arrived = await self.read()
            progress.moved(min(arrived, of), of)
            now = time.monotonic()
            if arrived != last:
                last, moved_at = arrived, now
            if arrived >= wanted:
                return
            if now - moved_at > PATIENCE_SECONDS:
                raise DemoError(f"Only {arrived} of {wanted} notices arrived.", hint=f"See {self._logs}.")
            await asyncio.sleep(0.15)

    async def read(self) -> int:
        """Read what is new in every inbox; return how many notices have arrived in all."""
        await asyncio.gather(*map(self._read, self._cursors))
        return sum(map(len, self._seen.values()))

    async def settle(self) -> None:
        """Wait until everything that was sent has arrived and is acknowledged, then count."""
        until = time.monotonic() + PATIENCE_SECONDS
        tallies = {who: Tally(who) for who in self._agencies}
        while True:
            delivered = await self.read()
            await asyncio.gather(*(tally.count(self._agencies[who]) for who, tally in tallies.items()))
            owed = sum(tally.owed for tally in tallies.values())
            acknowledged = sum(tally.acknowledged for tally in tallies.values())
            if owed == acknowledged or time.monotonic() > until:
                break
            await asyncio.sleep(0.2)
        out = self._outcome
        out.notices_published = sum(tally.published for tally in tallies.values())
        out.notices_acknowledged = acknowledged
        out.notices_delivered = delivered
        out.notices_opened = sum(map(len, self._opened.values()))
        if acknowledged != owed:
            raise DemoError(f"Only {acknowledged} of {owed} acknowledgements came back.")

    async def has_read(self, who: str, marker: str) -> None:
        """Make sure that a search could have found something: a recipient has read the marker."""
        after = 0
        while True:
            items, after = await self._agencies[who].inbox(after)
            if any(marker in str(item["notice"]) for item in items):
                return
            if len(items) < PAGE:
                raise DemoError("The marker did not arrive at its recipient.")

    async def _read(self, who: str) -> None:
        agency = self._agencies[who]
        while True:
            items, cursor = await agency.inbox(self._cursors[who])
            fresh = [item for item in items if item["act"] == "issue"]
            names = {item["id"] for item in fresh}
            if len(names) < len(fresh) or names & self._seen[who]:
                raise DemoError(f"{who} was given a notice twice.", hint=f"See {self._logs}.")
            self._seen[who] |= names
            self._opened[who] |= {item["id"] for item in fresh if item["status"] == "opened"}
            if fresh:
                self._keep_sample(fresh)
                await agency.acknowledge([item["id"] for item in fresh])
            self._cursors[who] = cursor
            if len(items) < PAGE:
                return

    def _keep_sample(self, items: Sequence[dict[str, Any]]) -> None:
        seizures = [item for item in items if item["notice"] and item["notice"]["kind"] == "seizure"]
        self._outcome.sample = self._outcome.sample or next(iter(seizures), {})
