"""Tiles and entry bundles of a log (C2SP tlog-tiles): coordinates, paths, and how entries stand in a bundle.

Paths are relative to the log's prefix and begin with `tile/`. This module reads and hashes nothing: `tile_nodes` says
which nodes (see `keys.log.merkle`) a tile holds, one after the other.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from schemas.errors import FormError, MalformedError
from schemas.limits import LIMITS

WIDTH: Final = 256
"""Hashes in a full tile, entries in a full bundle."""

_HEIGHT: Final = 8
_LEVELS: Final = 64
_NUMBER: Final = r"((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
_TILE: Final = re.compile(rf"tile/(0|[1-9][0-9]?)/{_NUMBER}", re.ASCII)
_BUNDLE: Final = re.compile(rf"tile/entries/{_NUMBER}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's level (0 to 63), index within the level, and width (256, or 1 to 255 where it is partial).

    A bundle of entries is named by the tile of level 0 that holds the entries' leaf hashes. Raises `FormError` for
    coordinates outside every tree of up to 2⁵³ − 1 leaves.
    """

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (0 <= self.level < _LEVELS and 1 <= self.width <= WIDTH):
            raise FormError("There is no such tile.")
        if not 0 <= self.index <= LIMITS.integer >> _HEIGHT * (self.level + 1):
            raise FormError("There is no such tile.")

    def path(self) -> str:
        """Return where the tile's hashes are served, such as `tile/0/x001/234.p/5`."""
        return f"tile/{self.level}/{self._number()}"

    def entries_path(self) -> str:
        """Return where the entries of a tile of level 0 are served, such as `tile/entries/x001/234.p/5`."""
        if self.level:
            raise ValueError("Only tiles of level 0 have entries.")
        return f"tile/entries/{self._number()}"

    def _number(self) -> str:
        rest, last = divmod(self.index, 1000)
        number = f"{last:03}"
        while rest:
            rest, part = divmod(rest, 1000)
            number = f"x{part:03}/{number}"
        return number if self.width == WIDTH else f"{number}.p/{self.width}"


def parse_tile_path(path: str) -> Tile:
    """Read a tile's path; raise `FormError` when it is not the one path of a tile."""
    match = _TILE.fullmatch(path)
    if match is None:
        raise FormError("Must be the path of a tile.")
    level, number, width = match.groups()
    return _tile(int(level), number, width)


def parse_entries_path(path: str) -> Tile:
    """Read a bundle's path as the tile of level 0 beside it; raise `FormError` when it is not the one path of a bundle."""
    match = _BUNDLE.fullmatch(path)
    if match is None:
        raise FormError("Must be the path of an entry bundle.")
    return _tile(0, *match.groups())


def _tile(level: int, number: str, width: str | None) -> Tile:
    # Leading groups of zeros and a `.p/256` would be second names of the same tile, which caches would keep apart.
    if number.startswith("x000/") or (width is not None and int(width) >= WIDTH):
        raise FormError("Must be the shortest path of the tile.")
    index = int(number.replace("x", "").replace("/", ""))
    return Tile(level, index, WIDTH if width is None else int(width))


def tile_nodes(tile: Tile) -> list[tuple[int, int]]:
    """Return the nodes `(level, n)` whose hashes stand one after the other in the tile."""
    level, first = tile.level * _HEIGHT, tile.index * WIDTH
    return [(level, first + n) for n in range(tile.width)]


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Encode entries as a bundle: each after its length, a big-endian uint16.

    Raises `OverflowError` for an entry of more than 65,535 bytes.
    """
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry))


def parse_bundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle; raise `MalformedError` when it is cut short or holds more than 256."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        begin = at + 2
        at = begin + int.from_bytes(data[at:begin], "big")
        if begin > len(data) or at > len(data):
            raise MalformedError("The entry bundle is cut short.", offset=len(data))
        entries.append(data[begin:at])
        if len(entries) > WIDTH:
            raise MalformedError(f"The entry bundle holds more than {WIDTH} entries.", offset=begin)
    return entries
