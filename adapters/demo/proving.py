"""What the demonstration proves in the end: the log, at every broker; one notice's evidence; and that nobody could read."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

import aiohttp

from adapters.audit.bundle import make_evidence
from adapters.audit.check import check_evidence
from adapters.audit.verify import Report, verify_log
from adapters.cli import desk
from adapters.client.broker import BrokerClient
from adapters.demo import search
from adapters.demo.ceremony import AUDITOR, Stage
from adapters.demo.exchange import Broker, Exchange
from adapters.demo.outcome import Outcome
from adapters.demo.processes import DemoError
from adapters.gateway import identity
from adapters.gateway.folder import Folder
from keys.custody import durable
from keys.custody.file import FileCustody
from schemas.ids import NoticeId

EVEN_SECONDS: Final = 20
"""How long brokers may take until they show the same checkpoint."""

Sign = Callable[[str, str, bytes | None], Mapping[str, str]]


async def verify(stage: Stage, exchange: Exchange, outcome: Outcome) -> None:
    """Verify the log at each broker, and one notice's evidence without network; raise `DemoError` for what is wrong."""
    custody = FileCustody(Folder(stage.folder / "auditor").keys, stage.passphrase)
    sign = identity.load(custody, AUDITOR).signer(stage.origin, lambda: time.time_ns() // 1_000_000)
    reports = await _verified(stage, exchange, sign)
    outcome.ledger_size, outcome.ledger_sound = reports[0].size, True
    await _prove(stage, exchange.brokers[-1], outcome, sign)


async def _verified(stage: Stage, exchange: Exchange, sign: Sign) -> list[Report]:
    """Verify the log at each broker until they have shown it at the same size, where the roots must be the same."""
    until = time.monotonic() + EVEN_SECONDS
    while True:
        reports = [await _verify_at(stage, broker, sign) for broker in exchange.brokers]
        for broker, report in zip(exchange.brokers, reports, strict=True):
            if not report.sound:
                raise DemoError(f"The log does not verify at {broker.name}: {report.findings[0].detail}")
        if len({report.size for report in reports}) == 1:
            break
        if time.monotonic() > until:
            raise DemoError(f"The brokers show logs of different sizes for {EVEN_SECONDS} s.")
    if len({report.root for report in reports}) > 1:
        raise DemoError("The brokers show two roots for one size.")
    return reports


async def _verify_at(stage: Stage, broker: Broker, sign: Sign) -> Report:
    async with BrokerClient(broker.address) as client:
        known = await desk.newest(client, stage.place, stage.folder / "desk")
        return await verify_log(
            client, known.directory, sign=sign, told=lambda _: None, now=int(time.time()), sealed=False
        )


async def _prove(stage: Stage, broker: Broker, outcome: Outcome, sign: Sign) -> None:
    async with BrokerClient(broker.address) as client:
        known = await desk.newest(client, stage.place, stage.folder / "desk")
        evidence = await make_evidence(client, known.directory, NoticeId(outcome.sample["id"]), sign=sign)
    file = stage.folder / "evidence.json"
    durable.write(file, evidence.encode())
    outcome.evidence_file = str(file)
    outcome.fingerprint = stage.place.fingerprint
    # Offline: this function opens no connection, and is given nothing but the file and the root's fingerprint.
    checked = check_evidence(file.read_bytes(), fingerprint=stage.place.fingerprint)
    outcome.evidence_sound = checked.sound
    if not checked.sound:
        failed = next(step for step in checked.steps if not step.ok)
        raise DemoError(f"The evidence does not check: {failed.name}: {failed.detail}")


async def look_for(marker: str, exchange: Exchange, outcome: Outcome) -> None:
    """Look for a marker in everything that the brokers, and what stands behind them, wrote, logged and measured."""
    exposed = b""
    async with aiohttp.ClientSession() as session:
        for broker in exchange.brokers:
            async with session.get(f"{broker.metrics_address}/metrics") as response:
                exposed += await response.read()
    folders, files = exchange.written()
    for folder in folders:
        hits, searched = await asyncio.to_thread(search.hits_in, folder, marker)
        outcome.marker_hits += hits
        outcome.searched_bytes += searched
    for data in (exposed, *(file.read_bytes() for file in files), *exchange.unpacked()):
        outcome.marker_hits += search.hits_in_bytes(data, marker)
        outcome.searched_bytes += len(data)
