"""Leaves of the ledger: 41 blind bytes each (spec/ledger.md).

`type (1) ‖ received_at (uint64 big-endian, Unix ms) ‖ digest (32)`. What the digest is over is for `keys.digests`.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from schemas.errors import FormError

LENGTH: Final = 41
_FORMAT: Final = struct.Struct(">BQ32s")


class LeafType(IntEnum):
    """What stands behind a leaf."""

    SEALED = 1
    OPEN = 2
    DIRECTORY = 3
    BOUNDARY = 4
    KEY = 5
    ERASURE = 6
    DAY = 7


EVENTS: Final = frozenset({LeafType.DIRECTORY, LeafType.BOUNDARY, LeafType.KEY, LeafType.ERASURE, LeafType.DAY})


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the log: `received_at` in Unix milliseconds, `digest` of 32 bytes."""

    type: LeafType
    received_at: int
    digest: bytes

    def encode(self) -> bytes:
        """Return the leaf's 41 bytes."""
        return _FORMAT.pack(self.type, self.received_at, self.digest)

    @classmethod
    def parse(cls, data: bytes) -> "Leaf":
        """Read a leaf's 41 bytes; raise `FormError`."""
        if len(data) != LENGTH or not 1 <= data[0] <= max(LeafType):
            raise FormError(f"Must be {LENGTH} bytes beginning with a leaf type from 1 to {max(LeafType)}.")
        kind, received_at, digest = _FORMAT.unpack(data)
        return cls(LeafType(kind), received_at, digest)
