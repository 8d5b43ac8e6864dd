"""`valise broker migrate`: a ledger's file of this machine into the cluster that its configuration names. Composition.

The moving itself is `broker.migrate`; here are its two ends. The source is locked, so that no broker runs on it, and is
the embedded ledger or, to fill a cluster that was lost anew, an instance's mirror. The machine is the one that signs: what
was signed last is in its folder, and only a ledger that has it is moved.
"""

import os
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from broker.app import SIGNER, demand_private_folder
from broker.init import LEDGER, public_of
from broker.ledger.files import lock, read_file
from broker.ledger.kafka.mirror import MirrorReader
from broker.ledger.kafka.store import KafkaLedger
from broker.ledger.port import LedgerReader, LedgerUnavailableError, StoreMismatchError
from broker.ledger.signer import HEAD
from broker.ledger.sqlite import SqliteReader
from broker.migrate import Move, Progress, migrate
from broker.settings import ConfigurationError, Settings
from broker.shared import open_ledger
from schemas import checkpoint as checkpoints
from schemas.ids import Origin

MIRROR: Final = "mirror.sqlite"
POLL_S: Final = 0.1


def move_ledger(settings: Settings, file: Path | None = None, progress: Progress | None = None) -> Move:
    """Move the embedded ledger, or the ledger of `file`, into the cluster of the settings; may be repeated.

    Raises `ConfigurationError` where they name no cluster, another origin, or another instance as the one that signs;
    `LedgerUnavailableError` while a broker runs on the source or in the folder; and as `migrate` does.
    """
    folder = settings.state
    demand_private_folder(folder)
    origin = public_of(folder).origin
    if origin != settings.origin:
        raise ConfigurationError("The folder is another origin's.", pointer="/origin")
    if not settings.kafka.signer:
        raise ConfigurationError(
            "Only the instance that signs moves a ledger.",
            pointer="/kafka/signer",
            hint="Move on the machine that has signed until now, and set signer = true there.",
        )
    head = read_file(folder / SIGNER / HEAD)
    with ExitStack() as opened:
        source = _source(opened, file or folder / LEDGER, origin)
        _forget_unread(folder / MIRROR, origin)
        target = open_ledger(settings, origin)
        opened.callback(target.close)
        if others := target.signers():
            raise ConfigurationError(f"Another instance signs: {others[0][:80]}.", pointer="/kafka/signer")
        _await_bodies(target)
        return migrate(source, target, head=None if head is None else checkpoints.parse(head), progress=progress)


def _source(opened: ExitStack, file: Path, origin: Origin) -> LedgerReader:
    """Open a ledger's file for reading, and keep everybody else out of it."""
    if not file.is_file():
        raise ConfigurationError("There is no ledger to move.", pointer="/state")
    opened.callback(os.close, lock(file.with_name(f"{file.name}.lock")))
    source: LedgerReader
    try:
        source = SqliteReader(file, origin)
    except StoreMismatchError:
        source = MirrorReader(file, origin)
    opened.callback(source.close)
    return source


def _forget_unread(mirror: Path, origin: Origin) -> None:
    """Remove a mirror in which nothing was read yet: behind one that was, topics that are missing are not made.

    An interruption between the two would otherwise leave a move that cannot be begun again.
    """
    if not mirror.is_file():
        return
    with ExitStack() as opened:
        opened.callback(os.close, lock(mirror.with_name(f"{mirror.name}.lock")))
        reader = MirrorReader(mirror, origin)
        opened.callback(reader.close)
        try:
            if reader.length() or reader.object_names() or reader.decision_days():
                return
        except LedgerUnavailableError:
            pass  # cut off while it was made, or damaged: the ledger would make it anew as well
        for name in (mirror.name, f"{mirror.name}-wal", f"{mirror.name}-shm"):
            mirror.with_name(name).unlink(missing_ok=True)


def _await_bodies(target: KafkaLedger) -> None:
    """Wait until what an earlier run has moved can be read with its bodies; they follow behind their records."""
    while target.behind:
        if target.stale:
            raise LedgerUnavailableError("The cluster does not answer.")
        time.sleep(POLL_S)
