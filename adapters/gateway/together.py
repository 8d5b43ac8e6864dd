"""Which entries of the outbox may go out in one request: those of which none depends on another that goes with it."""

from collections.abc import Iterator, Sequence
from typing import Final

from adapters.gateway.entries import Entry

MOST_BYTES: Final = 4 << 20
"""Bytes of one request beyond which it takes no more entries."""

_LOOSE: Final = frozenset({"issue", "acknowledge"})
"""Acts of which one does not depend on another that waits beside it."""


def runs(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Yield runs of entries that may go out together, in their order."""
    at = 0
    while at < len(entries):
        end = at + 1
        while end < len(entries) and _together(entries[at], entries[end]):
            end += 1
        yield entries[at:end]
        at = end


def _together(one: Entry, other: Entry) -> bool:
    """Say whether two entries that wait one behind the other may go out in one request."""
    if one.series is not None or other.series is not None:
        return one.series == other.series
    return one.draft.act in _LOOSE and other.draft.act in _LOOSE


def fitting(entries: Sequence[Entry], count: int) -> Sequence[Entry]:
    """Return the first entries, up to `count` and as many as one request takes, at least one."""
    size = 0
    for number, entry in enumerate(entries[:count]):
        parts = entry.parts
        assert parts is not None  # only sealed entries are sent
        size += len(parts.statement) * 4 // 3 + len(parts.proof) + len(parts.sealed or b"")
        if size > MOST_BYTES and number:
            return entries[:number]
    return entries[:count]
