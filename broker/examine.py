"""`fsck` of a broker's folder: the ledger against itself, the signer's head and the view. Changes nothing, wants no keys."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from broker.app import SIGNER, VIEW
from broker.clock import SystemClock
from broker.init import LEDGER, public_of
from broker.ledger.files import read_file
from broker.ledger.fsck import Report, fsck
from broker.ledger.signer import HEAD
from broker.ledger.sqlite import SqliteLedger
from broker.settings import ConfigurationError
from broker.view.store import ViewReader
from schemas import checkpoint as checkpoints
from schemas.checkpoint import Checkpoint

MOST_FINDINGS: Final = 1000
"""Findings that are listed; all are counted."""


def examine(folder: Path, *, full: bool = True, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Check a broker's folder and return the report as JSON.

    Members: `verdict` ("sound" or "unsound"), `records`, `leaves`, `root` (hexadecimal), `skipped` by reason, `counts`
    by fault, `findings` [{fault, where}]. Raises `ConfigurationError` where there is no ledger, `LedgerUnavailableError`
    while the broker runs, `StoreVersionError` for a newer store.
    """
    public = public_of(folder)
    if not (folder / LEDGER).exists():
        raise ConfigurationError("There is no ledger in this folder.", pointer="/state")
    with ExitStack() as opened:
        ledger = SqliteLedger(folder / LEDGER, public.origin)
        opened.callback(ledger.close)
        view = None
        if (folder / VIEW).exists():
            view = ViewReader(folder / VIEW, ledger.reader())
            opened.callback(view.close)
        report = fsck(
            ledger, now_ms=SystemClock().now_ms(), head=_head(folder), view=view, full=full, progress=progress
        )
    return _json(report)


def _head(folder: Path) -> Checkpoint | None:
    data = read_file(folder / SIGNER / HEAD)
    return None if data is None else checkpoints.parse(data)


def _json(report: Report) -> dict[str, Any]:
    return {
        "verdict": "unsound" if report.findings else "sound",
        "records": report.records,
        "leaves": report.leaves,
        "root": report.root.hex(),
        "skipped": dict(report.skipped),
        "counts": dict(Counter(item.fault.value for item in report.findings)),
        "findings": [{"fault": item.fault.value, "where": item.where} for item in report.findings[:MOST_FINDINGS]],
    }
