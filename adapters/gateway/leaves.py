"""Read the log's leaves as it serves them, and what stands behind those that every gateway demands (C2SP tlog-tiles).

Nothing is believed here but digests: whether the leaves make the signed root is for `follow` to compare.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from adapters.client.broker import BrokerClient, Sign
from adapters.client.errors import AnswerError, RefusedError
from adapters.gateway.fold import DEMANDED, Found, found
from keys.log.tiles import WIDTH, Tile
from schemas.errors import Error, FormError
from schemas.ids import LedgerIndex
from schemas.leaf import Leaf, LeafType

AT_ONCE: Final = 8
_OURS: Final = frozenset({"unauthenticated", "unknown-key", "revoked-key", "forbidden", "clock-skew"})


class WithheldError(Error):
    """The log does not serve what stands behind an open leaf: it may hide a revocation or an end of subscription."""

    problem = "wrong-log"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Entries of the log from `start` on, 41 bytes each, and what stands behind the demanded ones, in their order."""

    start: int
    entries: Sequence[bytes]
    things: tuple[Found, ...]


async def read_stretch(client: BrokerClient, sign: Sign, start: int, end: int) -> Stretch:
    """Read the leaves from `start` up to `end`, and what stands behind those of types 2 to 6.

    Raises `BrokerAwayError`, `AnswerError`, and `WithheldError` where an object is refused or another one is served.
    """
    entries: list[bytes] = []
    limit = asyncio.Semaphore(AT_ONCE)
    tiles = [Tile(0, number, min(WIDTH, end - number * WIDTH)) for number in range(start // WIDTH, -(-end // WIDTH))]
    for bundle in await asyncio.gather(*(_bundle(client, tile, limit) for tile in tiles)):
        entries += bundle
    entries = entries[start % WIDTH :]
    wanted = [
        (LedgerIndex(start + place), leaf)
        for place, entry in enumerate(entries)
        if (leaf := _leaf(entry)).type in DEMANDED
    ]
    things = await asyncio.gather(*(_thing(client, sign, index, leaf, limit) for index, leaf in wanted))
    return Stretch(start, entries, tuple(things))


async def _bundle(client: BrokerClient, tile: Tile, limit: asyncio.Semaphore) -> list[bytes]:
    async with limit:
        try:
            return await client.entries(tile)
        except RefusedError:
            if tile.width == WIDTH:
                raise AnswerError("The log does not serve its entries.") from None
            # A partial bundle may be gone once the full one is there (C2SP tlog-tiles).
            return (await client.entries(Tile(0, tile.index)))[: tile.width]


def _leaf(entry: bytes) -> Leaf:
    try:
        return Leaf.parse(entry)
    except FormError as error:
        raise AnswerError(f"An entry of the log is no leaf: {error.detail}") from None


async def _thing(client: BrokerClient, sign: Sign, index: LedgerIndex, leaf: Leaf, limit: asyncio.Semaphore) -> Found:
    # Events are everybody's: whoever has the wrong time, or is not let in, sees them nevertheless.
    signed = sign if leaf.type is LeafType.OPEN else None
    async with limit:
        try:
            served = await client.log_object(leaf.digest, signed)
            return found(index, leaf, served.document, served.proof)
        except RefusedError as error:
            if error.remote in _OURS:
                raise  # it is we who are not let in
            raise WithheldError(f"What stands behind the open leaf {index} is not served.") from None
        except (AnswerError, FormError):
            raise WithheldError(f"What is served for the open leaf {index} is something else.") from None
