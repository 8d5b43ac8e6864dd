"""Framed records: every value in every topic is a frame, so that a stranger's record is known by itself (design: ledger).

What a frame is, is said in `keys.frame`; what a payload is, by who writes it. Tombstones have no value and cannot be
framed: who can write to a topic can empty a key of it, so nothing is ever believed because of a tombstone.
"""

from dataclasses import dataclass
from pathlib import Path

from broker.ledger.files import read_file
from keys.custody.errors import CustodyError
from keys.frame import BadFrameError, FrameKeys

__all__ = ["BadFrameError", "FrameKeys", "TopicFrames", "read_frame_keys"]


@dataclass(frozen=True, slots=True)
class TopicFrames:
    """Frames as they stand in one topic."""

    keys: FrameKeys
    topic: str

    def sign(self, key: bytes | None, payload: bytes) -> bytes:
        """Return the value to write under a record's key."""
        return self.keys.sign(self.topic, key, payload)

    def open(self, key: bytes | None, value: bytes | None) -> bytes:
        """Return the payload of a value that was read under a record's key; raise `BadFrameError`."""
        return self.keys.open(self.topic, key, value)


def read_frame_keys(path: Path) -> FrameKeys:
    """Read the key file; raise `CustodyError`, or `LedgerUnavailableError` where it cannot be read.

    That only its owner can read it is for the settings to demand.
    """
    data = read_file(path)
    if data is None:
        raise CustodyError("The file of frame keys is not there.")
    return FrameKeys.parse(data)
