"""The view as a log: roots, proofs, tiles and entry bundles (RFC 6962, C2SP tlog-tiles), and what stands behind a leaf.

Every node that is complete is stored, so a proof is one query whatever the tree's size. Tiles are made when they are
asked for: they are as durable as the ledger that the view comes from.
"""

import sqlite3
from typing import Final

from broker.ledger.port import LedgerReader
from broker.view.query import Query
from broker.view.schema import node_id
from keys.log import merkle
from keys.log.tiles import Tile, encode_bundle, tile_nodes
from schemas.ids import LedgerIndex
from schemas.record import Record

# Nodes from this level on are few and in every path: they have a memo of their own, in which a million leaves find room.
_HIGH: Final = 6
_MEMO: Final = 1 << 15


class Log(Query):
    """Queries on one connection, for the thread that has it. All raise `LedgerUnavailableError`.

    Ownership: `_low`, `_high` and `_roots` are memos of that thread's; what they hold never changes.
    """

    def __init__(self, db: sqlite3.Connection, ledger: LedgerReader | None) -> None:
        super().__init__(db, ledger)
        self._low: dict[int, bytes] = {}
        self._high: dict[int, bytes] = {}
        self._roots: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        size: int = self._all("SELECT size FROM state")[0][0]
        return size

    def root(self, size: int) -> bytes:
        """Return the root of the first `size` leaves; raise `IndexError` when there are fewer."""
        root = self._roots.get(size)
        if root is None:
            root = merkle.tree_root(size, self._read)
            _keep(self._roots, size, root)
        return root

    def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the path of a leaf in the first `size` leaves; raise `IndexError` when there is no such leaf or size."""
        return merkle.tree_inclusion(index, size, self._read)

    def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the first `new` leaves begin with the first `old`; raise `IndexError` as above."""
        return merkle.tree_consistency(old, new, self._read)

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Return a tile's hashes one after the other; None while the tree is too small. Raises `FormError`."""
        try:
            return b"".join(self._read(tile_nodes(Tile(level, index, width))))
        except IndexError:
            return None

    def entries(self, index: int, width: int) -> bytes | None:
        """Return the bundle of entries of a tile of level 0; None while the tree is too small. Raises `FormError`."""
        first = Tile(0, index, width).index << 8
        rows = self._all("SELECT leaf FROM leaves WHERE idx >= ? AND idx < ? ORDER BY idx", first, first + width)
        return encode_bundle(row[0] for row in rows) if len(rows) == width else None

    def object(self, digest: bytes) -> tuple[LedgerIndex, Record] | None:
        """Return the first leaf with a digest, and its record."""
        rows = self._all(
            "SELECT idx, position, leaf FROM leaves WHERE substr(leaf, 10, 8) = ? ORDER BY idx", digest[:8]
        )
        for index, position, leaf in rows:
            if leaf[9:] == digest:
                return index, self._record(position)
        return None

    def _read(self, nodes: list[tuple[int, int]]) -> list[bytes]:
        hashes: dict[int, bytes] = {}
        missing: dict[int, bool] = {}
        ids = []
        for level, n in nodes:
            number = node_id(level, n)
            ids.append(number)
            high = level >= _HIGH
            found = (self._high if high else self._low).get(number)
            if found is None:
                missing[number] = high
            else:
                hashes[number] = found
        if missing:
            marks = ",".join("?" * len(missing))
            for number, found in self._all(f"SELECT id, hash FROM nodes WHERE id IN ({marks})", *missing):  # noqa: S608 - marks
                hashes[number] = found
                _keep(self._high if missing[number] else self._low, number, found)
        try:
            return [hashes[number] for number in ids]
        except KeyError:
            raise IndexError("The tree is smaller.") from None


def _keep(memo: dict[int, bytes], number: int, found: bytes) -> None:
    if len(memo) >= _MEMO:
        memo.clear()
    memo[number] = found
