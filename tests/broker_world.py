"""A broker without HTTP: the real ledger, view, signer and sequencer of a `World`, in a folder."""

from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from broker.housekeeping import Housekeeping, directory_files, directory_object
from broker.ledger.port import Append
from broker.ledger.signer import CheckpointSigner
from broker.ledger.sqlite import SqliteLedger
from broker.sequencer import Sequencer
from broker.serving import Serving
from broker.view.store import View
from tests.world import ORIGIN, World


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
        ORIGIN, ledger, view, signer=signer, receipts=world.receipts, housekeeping=housekeeping, clock=clock
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
