"""The demonstration's story, step by step; each step says what it does and leaves figures in an `Outcome`."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from adapters.demo import proving, search
from adapters.demo.agency import Agency
from adapters.demo.ceremony import Stage
from adapters.demo.exchange import Alone, Exchange
from adapters.demo.gateways import Gateways
from adapters.demo.outcome import Outcome, Progress
from adapters.demo.processes import DemoError, deaf
from adapters.demo.reading import Readers
from adapters.demo.rows import Rows
from schemas.notice import examples

SENDER: Final = "kz/customs"
PASS_SECONDS: Final = 60
"""How long a notice may take to the log when something was killed just now."""
READERS: Final = ("kz/focal-point", "uz/focal-point", "tj/focal-point")


class Scenario:
    """The processes, and what is done with them."""

    def __init__(self, stage: Stage, rows: Rows, progress: Progress, exchange: Exchange | None = None) -> None:
        """Take where it happens, what is imported, who listens, and what stands between the gateways."""
        self.stage = stage
        self.outcome = Outcome(rows_origin=rows.origin)
        self.exchange = exchange or Alone(stage, progress.say)
        self._rows = rows
        self._progress = progress
        self._gateways = Gateways(stage, self.exchange.preferred)
        self._agencies = self._gateways.agencies
        self._readers = Readers(READERS, self._agencies, self.outcome, stage.logs)

    async def run(self, *, keep: bool) -> Outcome:
        """Tell the whole story; end every process, unless they are to be kept."""
        begun, say = time.monotonic(), self._progress.say
        async with self.stage_set(keep=keep):
            await self._travel()
            marker = await self._deny()
            say("Acknowledgements: signed, sealed, batched; the sender sees who has read what")
            await self._readers.settle()
            say("Audit: every leaf is hashed again, every open statement demanded, the root compared")
            await proving.verify(self.stage, self.exchange, self.outcome)
            say(f"Search: everything that {self.exchange.who} wrote, for a marker that stood in a notice")
            await self._readers.has_read("tj/focal-point", marker)
            await proving.look_for(marker, self.exchange, self.outcome)
        self.outcome.seconds = round(time.monotonic() - begun, 2)
        return self.outcome

    @asynccontextmanager
    async def stage_set(self, *, keep: bool = False) -> AsyncIterator[Mapping[str, Agency]]:
        """Hold the ceremony, start everything, subscribe; yield the agencies.

        Every process is ended in the end, unless they are to be kept and nothing went wrong.
        """
        connector = aiohttp.TCPConnector(limit=32)
        timeout = aiohttp.ClientTimeout(total=300)
        kept = False
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                await self.exchange.start()
                await self._gateways.start(session)
                await self._subscribe()
                yield self._agencies
                kept = keep
        finally:
            with deaf():
                await (self.exchange.leave() if kept else self.stop())

    async def stop(self) -> None:
        """End every process."""
        try:
            await self._gateways.stop()
        finally:
            await self.exchange.stop()

    def addresses(self) -> dict[str, str]:
        """Return where the services listen, by name."""
        brokers = {broker.folder.name: broker.address for broker in self.exchange.brokers}
        return {**brokers, **{f"gateway-{name}": service.address for name, service in self._gateways.services.items()}}

    def process_ids(self) -> list[int]:
        """Return the ids of the processes that run."""
        return [service.pid for service in (*self._gateways.services.values(), *self.exchange.brokers)]

    # Setting up

    async def _subscribe(self) -> None:
        self._progress.say("Subscriptions: the three focal points ask for *.seizures and *.precursors")
        await asyncio.gather(*(self._agencies[who].subscribe("*.seizures", "*.precursors") for who in READERS))
        await asyncio.gather(*(self._agencies[who].subscribed(2) for who in READERS))
        await self._known_to_sender()

    async def _known_to_sender(self) -> None:
        """Wait until the sender's gateway has read the subscriptions out of the log."""
        until = time.monotonic() + 30
        request = {"topic": "central-asia.seizures", "notice": examples("seizure")}
        while time.monotonic() < until:
            preview = await self._agencies[SENDER].call("POST", "/v1/notices/preview", json=request)
            found = {item["participant"] for item in preview["candidates"] if item["permitted"]}
            if found >= set(READERS):
                return
            await asyncio.sleep(0.1)
        raise DemoError("The sender's gateway does not see the subscriptions.")

    # Travelling

    async def _travel(self) -> None:
        out = self.outcome
        report = await self.import_rows()
        out.rows_read, out.rows_imported = report["rows_read"], report["rows_imported"]
        out.rows_refused = report["rows_refused"]
        self._progress.say(
            f"Import: {out.rows_read} {self._rows.origin}; {out.rows_imported} accepted, {out.rows_refused} refused"
        )
        if not report["notices"]:
            raise DemoError(
                "No row could be imported.", hint="Import the file with `valise import`: it says why, row by row."
            )
        expected = len(report["notices"]) * len(READERS)
        for blow in self.exchange.blows():
            await self._readers.until(int(blow.share * expected), expected, self._progress)
            await blow.strike(out)
            if blow.kills:
                await self._pass()
                expected += len(READERS)
        await self._readers.until(expected, expected, self._progress)

    async def _pass(self) -> None:
        """Post a notice that goes to all recipients, and see how long it takes until it is in the log."""
        begun = time.monotonic()
        request = {"topic": "central-asia.seizures", "notice": examples("seizure")}
        status = await self._agencies[SENDER].send(request, PASS_SECONDS)
        if status["status"] != "published":
            raise DemoError(f"A notice was not published within {PASS_SECONDS} s.", hint=f"See {self.stage.logs}.")
        self.outcome.published_after_kill_seconds.append(round(time.monotonic() - begun, 2))

    async def import_rows(self) -> dict[str, Any]:
        """Post the table to the sender's gateway and return its report."""
        path = f"/v1/imports?name={self._rows.name}"
        return dict(await self._agencies[SENDER].call("POST", path, data=self._rows.data, headers=self._rows_type()))

    def _rows_type(self) -> dict[str, str]:
        return {"Content-Type": "application/gzip" if self._rows.name.endswith(".gz") else "text/csv"}

    async def _deny(self) -> str:
        """Send one notice that a law forbids to a State, with a marker in its text."""
        marker = search.new_marker(secrets.token_bytes(16))
        notice = {**examples("precursor"), "reason": {"language": "en", "text": f"The load was marked {marker}."}}
        request = {"topic": "central-asia.precursors", "notice": notice, "label": {"tlp": "red"}}
        before = await self._agencies[SENDER].call("POST", "/v1/notices/preview", json=request)
        denied = [item["participant"] for item in before["candidates"] if not item["permitted"]]
        status = await self._agencies[SENDER].send(request)
        for item in status["left_out"]:
            why = item["denied"]
            if why is not None:
                article = f"{why['instrument']}, {why['article']}"
                state = item["participant"].partition("/")[0]
                self.outcome.denied.append({"state": state, "article": article, "reason": why["reason"]["en"]})
        if status["status"] != "published" or {item["state"] for item in self.outcome.denied} != {
            who.partition("/")[0] for who in denied
        }:
            raise DemoError("The preview and the outcome differ.")
        self._progress.say(f"Law: {', '.join(denied)} is left out, by {self.outcome.denied[0]['article']}")
        return marker
