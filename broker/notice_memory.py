"""The notices that are being delivered just now, each read and cut once: many ask for the same ones within seconds.

Bounded in bytes, and forgetful: what is erased from the ledger is gone from here within half a minute, and is not served
meanwhile, for its row says so. For the one thread that has the view's reader.
"""

import time
from collections.abc import Callable
from typing import Final

from broker.deliver import SharedNotice, grant_part, inclusion_part
from broker.view.statements import StatementRow
from broker.view.store import ViewReader
from schemas.delivery import Inclusion

MOST_BYTES: Final = 32 << 20
"""Bytes of bodies that are kept; in memory a notice takes up to twice as much."""

GRANT: Final = "grant"

SECONDS: Final = 15.0
"""How long a notice is kept; `prune` is called as often."""


class _Kept:
    """A notice, when it was read, and its inclusion under the newest checkpoint that was asked for."""

    __slots__ = ("inclusion", "notice", "since", "size")

    def __init__(self, notice: SharedNotice, since: float) -> None:
        self.notice = notice
        self.since = since
        self.size = 0
        self.inclusion = b""


class NoticeMemory:
    """Reads notices from the view and keeps the last ones."""

    def __init__(self, reader: ViewReader, clock: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._clock = clock
        self._kept: dict[int, _Kept] = {}  # in the order in which they were read
        self._bytes = 0

    def find(self, row: StatementRow, size: int, note: bytes) -> tuple[SharedNotice, bytes] | None:
        """Return a notice and its inclusion in the first `size` leaves, under the checkpoint `note`.

        Of a grant it is the notice that it grants, for those whom it is granted to. None for an open act, and once the
        notice is erased.
        """
        granted = None
        if row.act == GRANT and not row.erased:
            granted = None if row.ref is None else self._reader.by_notice(row.ref)
            if granted is None:
                return None
        if row.erased or (granted is not None and granted.erased):
            return None
        kept = self._kept.get(row.index) or self._read(row, granted)
        if kept is None:
            return None
        if kept.size != size:
            kept.inclusion = self._inclusion(row, granted, kept.notice, size, note)
            kept.size = size
        return kept.notice, kept.inclusion

    def _inclusion(
        self, row: StatementRow, granted: StatementRow | None, notice: SharedNotice, size: int, note: bytes
    ) -> bytes:
        index, grant = row.index, b"null"
        if granted is not None:
            index, record = granted.index, self._reader.record(row.index)
            path = self._reader.inclusion(row.index, size)
            grant = grant_part(record, Inclusion(record.leaf.received_at, row.index, size, path, note))
        path = self._reader.inclusion(index, size)
        return inclusion_part(Inclusion(notice.received_at, index, size, path, b""), grant)

    def _read(self, row: StatementRow, granted: StatementRow | None) -> _Kept | None:
        body = self._reader.body(row)
        sealed = None if granted is None else self._reader.body(granted)
        if body is None or (granted is not None and sealed is None):
            return None
        original = None
        if granted is not None and sealed is not None:
            original = (self._reader.record(granted.index), sealed)
        kept = _Kept(SharedNotice(self._reader.record(row.index), body, original), self._clock())
        self._kept[row.index] = kept
        self._bytes += kept.notice.size
        while self._bytes > MOST_BYTES and len(self._kept) > 1:
            self._drop(next(iter(self._kept)))
        return kept

    def prune(self) -> None:
        """Forget what was read too long ago."""
        until = self._clock() - SECONDS
        while self._kept and self._kept[first := next(iter(self._kept))].since <= until:
            self._drop(first)

    def _drop(self, index: int) -> None:
        self._bytes -= self._kept.pop(index).notice.size
