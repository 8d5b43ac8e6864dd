"""Composition: from settings and a passphrase to a broker that can be served. No logic of its own.

The order of the start is the order of trust: keys, ledger, view (caught up), the signer's own head, the directory, then
the thread that writes. What cannot be believed stops the start with an error that says which.
"""

import stat
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from broker.checkpoints import CheckpointSource, OwnCheckpoints, PublishedCheckpoints, TakenCheckpoints, demand_signed
from broker.clock import Clock, SystemClock
from broker.housekeeping import Housekeeping, directory_files, directory_object
from broker.init import KEYS, LEDGER, BrokerKeys, BrokerPublic, demand_own_log, public_of, repository_of
from broker.ledger.port import Append, Ledger
from broker.ledger.signer import CheckpointSigner
from broker.ledger.sqlite import SqliteLedger
from broker.sequencer import Sequencer
from broker.serving import Serving
from broker.settings import ConfigurationError, Settings
from broker.telemetry import Telemetry
from broker.view.store import View
from keys.custody.file import FileCustody
from keys.directory.repository import Repository

VIEW: Final = "view.sqlite"
SIGNER: Final = "signer"

log = structlog.get_logger("broker")


@dataclass
class Broker:
    """A composed broker: `serving` is to be started and stopped, then `close` releases files and locks."""

    serving: Serving
    telemetry: Telemetry
    close: Callable[[], None]


def open_broker(settings: Settings, passphrase: bytes, clock: Clock | None = None) -> Broker:
    """Open a broker's folder; raise `Error`: unsafe or missing folder, passphrase, newer or damaged store, other log."""
    clock = clock or SystemClock()
    folder = settings.state
    demand_private_folder(folder)
    public = public_of(folder)
    if public.origin != settings.origin:
        raise ConfigurationError("The folder is another origin's.", pointer="/origin")
    keys = BrokerKeys.open(FileCustody(folder / KEYS, passphrase))
    with ExitStack() as opened:
        compose = _compose if settings.kafka.bootstrap is None else _compose_shared
        serving = compose(opened, settings, public, keys, clock)
        kept = opened.pop_all()
    return Broker(serving, Telemetry(serving.figures), kept.close)


def _compose(opened: ExitStack, settings: Settings, public: BrokerPublic, keys: BrokerKeys, clock: Clock) -> Serving:
    """Open everything in the order of trust; what `opened` holds is closed in the opposite one."""
    folder = settings.state
    ledger = SqliteLedger(folder / LEDGER, public.origin)
    opened.callback(ledger.close)
    view = View(folder / VIEW, public.origin)
    opened.callback(view.close)
    view.catch_up(ledger, _progress())
    signer = CheckpointSigner(keys.log, folder / SIGNER)
    opened.callback(signer.close)
    signer.check(view.size, view.root)
    now_ms = clock.now_ms()
    files = _installed(ledger, "Run `valise broker install` with the ceremony's files.")
    repository = renewed(repository_of(files, keys), ledger, now_ms // 1000)
    housekeeping = Housekeeping(public.origin, ledger, view, repository, now_ms=now_ms)
    demand_own_log(housekeeping.trust().directory.log, public)
    sequencer = Sequencer(
        public.origin,
        ledger,
        view,
        checkpoints=OwnCheckpoints(signer),
        receipts=keys.receipts,
        housekeeping=housekeeping,
        clock=clock,
    )
    return Serving(sequencer, housekeeping, view, clock)


def _compose_shared(
    opened: ExitStack, settings: Settings, public: BrokerPublic, keys: BrokerKeys, clock: Clock
) -> Serving:
    """Open everything on a cluster, as one of several instances."""
    # Whoever runs on the embedded ledger needs none of the cluster's client.
    from broker.shared import open_ledger

    folder = settings.state
    ledger = open_ledger(settings, public.origin)
    opened.callback(ledger.close)
    if ledger.new:
        # A view of what was read before may know erasures that the new mirror has to be told again.
        for name in (VIEW, f"{VIEW}-wal", f"{VIEW}-shm"):
            (folder / name).unlink(missing_ok=True)
    view = View(folder / VIEW, public.origin)
    opened.callback(view.close)
    view.catch_up(ledger, _progress())
    ledger.filled()
    demand_signed(ledger, view, ledger, public.log.keys)
    checkpoints: CheckpointSource = TakenCheckpoints(ledger, public.log.keys)
    if settings.kafka.signer:
        if others := ledger.signers():
            raise ConfigurationError(
                f"Another instance signs: {others[0][:80]}.",
                pointer="/kafka/signer",
                hint="Exactly one may. See the runbook of the signer's fail-over.",
            )
        signer = CheckpointSigner(keys.log, folder / SIGNER)
        opened.callback(signer.close)
        signer.check(view.size, view.root)
        checkpoints = PublishedCheckpoints(signer, ledger, ledger, public.log.keys)
    now_ms = clock.now_ms()
    repository = repository_of(_installed(ledger, "Move the embedded ledger with `valise broker migrate`."), keys)
    if settings.kafka.signer:
        repository = renewed(repository, ledger, now_ms // 1000)
    housekeeping = Housekeeping(public.origin, ledger, view, repository, now_ms=now_ms, leads=settings.kafka.signer)
    demand_own_log(housekeeping.trust().directory.log, public)
    sequencer = Sequencer(
        public.origin,
        ledger,
        view,
        checkpoints=checkpoints,
        receipts=keys.receipts,
        housekeeping=housekeeping,
        clock=clock,
        shared=ledger,
    )
    return Serving(sequencer, housekeeping, view, clock)


def _installed(ledger: Ledger, hint: str) -> dict[str, bytes]:
    """Return the directory's files; raise `ConfigurationError` where there are none."""
    files = directory_files(ledger)
    if not files:
        raise ConfigurationError("No directory is installed.", pointer="/state", hint=hint)
    return files


def renewed(repository: Repository, ledger: Ledger, now: int) -> Repository:
    """Return the repository with a timestamp that is fresh, and a snapshot where that is due, kept in the ledger.

    A broker that was away for longer than they live could not load its own directory otherwise. The leaf of a new
    snapshot follows when housekeeping begins, as for every version that the ledger has no leaf of.
    """
    if repository.snapshot_due(now):
        repository = repository.after(version := repository.renew_snapshot(now))
        files = version.files
    else:
        files = repository.renew_timestamp(now)
        repository = replace(repository, files={**repository.files, **files})
    ledger.append(Append(objects={directory_object(name): data for name, data in files.items()}))
    return repository


def demand_private_folder(folder: Path) -> None:
    """Demand a folder that nobody else may look into; raise `ConfigurationError`."""
    try:
        mode = folder.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"The folder cannot be read: {error.strerror}.", pointer="/state") from None
    if not stat.S_ISDIR(mode):
        raise ConfigurationError("Must be a folder.", pointer="/state")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError("Others can look into the folder.", pointer="/state", hint="chmod 700 it.")


def _progress() -> Callable[[int, int], None]:
    """Return a function that logs how far the view is, ten times at most."""
    logged = 0

    def tell(done: int, total: int) -> None:
        nonlocal logged
        if total and done * 10 // total > logged:
            logged = done * 10 // total
            log.info("view.caught_up", done=done, total=total)

    return tell
