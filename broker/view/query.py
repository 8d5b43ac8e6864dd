"""What every query of the view stands on: one connection, and the ledger's reader for what the view only points to."""

import sqlite3
from typing import Any, Final

from broker.ledger.database import explained
from broker.ledger.port import LedgerReader, LedgerUnavailableError
from schemas.record import Record


class Query:
    """A connection to the view and a reader of its ledger, for the one thread that has them."""

    def __init__(self, db: sqlite3.Connection, ledger: LedgerReader | None) -> None:
        self._db: Final = db
        self._ledger = ledger

    @property
    def _reader(self) -> LedgerReader:
        if self._ledger is None:
            raise RuntimeError("The view does not know its ledger before it has caught up.")
        return self._ledger

    def _all(self, query: str, *values: str | int | bytes | None) -> list[tuple[Any, ...]]:
        with explained():
            return self._db.execute(query, values).fetchall()

    def _record(self, position: int) -> Record:
        records = self._reader.read(position, 1)
        if not records or records[0][0] != position:
            raise LedgerUnavailableError("The ledger has no record where the view knows one.")
        return records[0][1]

    def stored_object(self, name: str) -> bytes | None:
        """Return an object of the ledger by its name, such as a file of the directory."""
        return self._reader.object(name)
