"""What an audit reads from a broker: `adapters.client.broker.BrokerClient` has it, and so has a test's own log."""

from collections.abc import Callable
from typing import Protocol

from adapters.client.answers import AuditPage, LogObject
from adapters.client.broker import ServedNote, Sign
from keys.log.tiles import WIDTH, Tile
from schemas.ids import NoticeId

__all__ = ["Sign", "Source", "Told", "bundle_of"]

Told = Callable[[int], None]
"""Is told how many leaves are done."""


class Source(Protocol):
    """A broker, as far as auditors need it. Calls raise `Error` as the client's do."""

    async def checkpoint(self) -> ServedNote:
        """Return the newest checkpoint's note, and the broker's clock."""
        ...

    async def tile(self, tile: Tile) -> bytes:
        """Return a tile's hashes."""
        ...

    async def entries(self, tile: Tile) -> list[bytes]:
        """Return the entries beside a tile of level 0."""
        ...

    async def log_object(self, digest: bytes, sign: Sign | None = None) -> LogObject:
        """Return what stands behind a leaf's digest."""
        ...

    async def proof(self, notice_id: NoticeId, sign: Sign) -> bytes:
        """Return the `.tlog-proof` of a statement's leaf."""
        ...

    async def audit(self, sign: Sign, *, after: int, limit: int = 100) -> AuditPage:
        """Return a page of signed statements."""
        ...

    async def directory_file(self, name: str) -> bytes | None:
        """Return a file of the static directory, or None."""
        ...


def bundle_of(index: int, size: int) -> Tile:
    """Return the bundle of entries that holds a leaf of a tree of `size` leaves."""
    number = index // WIDTH
    return Tile(0, number, min(WIDTH, size - number * WIDTH))
