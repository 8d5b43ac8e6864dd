"""Inclusion proofs made from a log's tiles by whoever can read them (C2SP tlog-tiles): no help of the broker's needed."""

from adapters.audit.source import Source
from keys.log import merkle
from keys.log.tiles import WIDTH, Tile

_HEIGHT = 8


async def inclusion(source: Source, index: int, size: int) -> tuple[bytes, ...]:
    """Return the inclusion path of a leaf in the tree's first `size` leaves; raise `IndexError`.

    The hashes are the broker's word: whoever uses the path checks it against a verified root.
    """
    wanted: list[tuple[int, int]] = []

    def note(nodes: list[tuple[int, int]]) -> list[bytes]:
        wanted.extend(nodes)
        return [bytes(merkle.HASH_SIZE)] * len(nodes)

    merkle.tree_inclusion(index, size, note)
    tiles: dict[Tile, bytes] = {}
    for level, number in wanted:
        tile, _ = _place(level, number, size)
        if tile not in tiles:
            tiles[tile] = await source.tile(tile)
    return merkle.tree_inclusion(index, size, lambda nodes: [_node(tiles, node, size) for node in nodes])


def _place(level: int, number: int, size: int) -> tuple[Tile, int]:
    """Return the tile that holds a node, or the nodes that it is made of, and where in the tile they begin."""
    row, above = divmod(level, _HEIGHT)
    first = number << above
    index = first // WIDTH
    return Tile(row, index, min(WIDTH, (size >> _HEIGHT * row) - index * WIDTH)), first % WIDTH


def _node(tiles: dict[Tile, bytes], node: tuple[int, int], size: int) -> bytes:
    level, number = node
    tile, begin = _place(level, number, size)
    count = 1 << level % _HEIGHT
    data = tiles[tile]
    at = begin * merkle.HASH_SIZE
    hashes = [data[at + n * merkle.HASH_SIZE : at + (n + 1) * merkle.HASH_SIZE] for n in range(count)]
    return merkle.root_of_hashes(hashes)
