"""Look for a marker in everything that a broker wrote: as it is, and in the encodings that could hide it."""

import base64
import errno
import os
import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Final

_BLOCK: Final = 1 << 20


def traces_of(marker: str) -> tuple[bytes, ...]:
    """Return the byte strings that would show a marker: plain, UTF-16, hexadecimal, base64 at each alignment."""
    plain = marker.encode()
    found = [plain, marker.encode("utf-16-le"), plain.hex().encode(), plain.hex().upper().encode()]
    for shift in range(3):
        text = base64.b64encode(b"\x00" * shift + plain)
        # What depends on the neighbours is cut off at both ends.
        core = text[(0, 2, 3)[shift] : len(text) // 4 * 4 - 4]
        found += [core, core.translate(bytes.maketrans(b"+/", b"-_"))]
    return tuple(dict.fromkeys(found))


def hits_in(folder: Path, marker: str) -> tuple[int, int]:
    """Return how often a marker occurs below a folder, and how many bytes were searched."""
    traces = traces_of(marker)
    hits = searched = 0
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            size, found = _hits_in_file(path, traces)
            searched += size
            hits += found
    return hits, searched


def hits_in_bytes(data: bytes, marker: str) -> int:
    """Return how often a marker occurs in some bytes."""
    return sum(data.count(trace) for trace in traces_of(marker))


def _hits_in_file(path: Path, traces: tuple[bytes, ...]) -> tuple[int, int]:
    overlap = max(map(len, traces)) - 1
    hits = size = 0
    tail = b""
    for block in _blocks(path):
        size += len(block)
        window = tail + block
        hits += sum(window.count(trace) for trace in traces)
        tail = window[-overlap:]
        # What lies wholly in the overlap was counted with this block already.
        hits -= sum(tail.count(trace) for trace in traces)
    hits += sum(tail.count(trace) for trace in traces)
    return size, hits


def _blocks(path: Path) -> Iterator[bytes]:
    """Read what was written of a file: of a hole, such as Kafka's indexes are made of, one byte stands for all."""
    with path.open("rb", buffering=0) as file:
        end = 0
        while (begin := _seek(file, end, os.SEEK_DATA)) is not None:
            if begin > end:
                yield b"\0"
            end = _seek(file, begin, os.SEEK_HOLE) or begin
            file.seek(begin)
            while begin < end and (block := file.read(min(_BLOCK, end - begin))):
                begin += len(block)
                yield block


def _seek(file: FileIO, offset: int, what: int) -> int | None:
    """Find where data or a hole begins, None where nothing follows."""
    try:
        return os.lseek(file.fileno(), offset, what)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


def new_marker(random: bytes) -> str:
    """Return a marker that nobody writes by chance."""
    return f"marker-{zlib.crc32(random):08x}-{random.hex()}"
