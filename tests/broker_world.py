"""A broker without HTTP: the real ledger, view, signer and sequencer of a `World`, in a folder."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.checkpoints import OwnCheckpoints
from broker.housekeeping import Housekeeping, directory_files, directory_object
from broker.ledger.port import Append
from broker.ledger.signer import CheckpointSigner
from broker.ledger.sqlite import SqliteLedger
from broker.sequencer import Sequencer
from broker.serving import Serving
from broker.view.store import View
from keys.batch import Signed
from tests.world import ORIGIN, World, put_law


@dataclass
class HandClock:
    """A clock that a test sets."""

    ms: int

    def now_ms(self) -> int:
        return self.ms


@dataclass
class Broker:
    """All parts of a running broker, for tests to look into."""

    serving: Serving
    sequencer: Sequencer
    housekeeping: Housekeeping
    ledger: SqliteLedger
    view: View
    clock: HandClock


@asynccontextmanager
async def running(world: World, folder: Path, clock: HandClock | None = None):
    """Run a broker over the files of a folder; a second one over the same folder goes on where it ended."""
    clock = clock or HandClock(world.now * 1000)
    ledger = SqliteLedger(folder / "ledger.sqlite", ORIGIN)
    view = View(folder / "view.sqlite", ORIGIN)
    view.catch_up(ledger)
    if not directory_files(ledger):
        ledger.append(Append(objects={directory_object(n): d for n, d in world.repository.files.items()}))
    signer = CheckpointSigner(world.log, folder / "signer")
    signer.check(view.size, view.root)
    housekeeping = Housekeeping(ORIGIN, ledger, view, world.repository, now_ms=clock.now_ms())
    sequencer = Sequencer(
        ORIGIN,
        ledger,
        view,
        checkpoints=OwnCheckpoints(signer),
        receipts=world.receipts,
        housekeeping=housekeeping,
        clock=clock,
    )
    serving = Serving(sequencer, housekeeping, view, clock)
    await serving.start()
    try:
        yield Broker(serving, sequencer, housekeeping, ledger, view, clock)
    finally:
        await serving.stop()
        signer.close()
        view.close()
        ledger.close()


async def publish(broker: Broker, signed: Signed):
    """Publish an envelope at its own address."""
    return await broker.serving.publish(signed.statement.notice_id, signed.envelope)


async def upload_law(world: World, broker: Broker, role: str, conditions: str):
    """Upload a State's law, as the world has it from now on."""
    data = world.law(role, conditions)
    put_law(world, role, data)
    version = world.repository.version_of(f"{role}-law")
    metadata = world.repository.files[f"{version}.{role}-law.json"]
    return await broker.serving.upload_role(f"{role}-law", metadata, {f"{role}/law.json": data}, version - 1)


async def until(condition: Callable[[], object], seconds: float = 30.0) -> object:
    """Wait until a condition, or what it returns to be awaited, holds; return it."""
    async with asyncio.timeout(seconds):
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.01)
