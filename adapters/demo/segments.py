"""Unpack what Kafka keeps compressed in its segment files, so that it can be searched (record batches of format v2, KIP-98)."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adapters.demo.processes import DemoError

_LENGTH: Final = 8
_BEFORE: Final = 12
"""Bytes of a batch that its length does not count."""
_ATTRIBUTES: Final = 22
"""The lower byte of the attributes; its last three bits are the codec."""
_RECORDS: Final = 61
_GZIP: Final = 1


def unpacked(folder: Path) -> Iterator[bytes]:
    """Yield the records of every compressed batch in the segments below a folder; raise `DemoError` for other codecs."""
    for path in sorted(folder.rglob("*.log")):
        yield from _unpacked(path.read_bytes())


def _unpacked(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _RECORDS < len(data):
        end = at + _BEFORE + int.from_bytes(data[at + _LENGTH : at + _BEFORE])
        if not at + _RECORDS < end <= len(data):
            return  # the last one, which is being written
        codec = data[at + _ATTRIBUTES] & 7
        if codec == _GZIP:
            yield gzip.decompress(data[at + _RECORDS : end])
        elif codec:
            raise DemoError(f"A batch of Kafka is compressed in another way ({codec}).")
        at = end
