"""The table that is imported: a given file, the published seizures beside the checkout, or the made-up ones."""

import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.errors import Error
from schemas.limits import LIMITS

ROWS: Final = 240
"""How many rows of a file that nobody named are imported."""

_PUBLISHED: Final = Path(__file__).parents[2].parent / "shared" / "data" / "unodc-ids" / "seizures-2011-2014.csv.gz"
_MADE_UP: Final = Path(__file__).with_name("sample.csv")


@dataclass(frozen=True, slots=True)
class Rows:
    """A table as it is sent to the gateway: its bytes, its name, and a sentence on where it comes from."""

    data: bytes
    name: str
    origin: str


def choose(file: Path | None, count: int | None) -> Rows:
    """Return the rows to import; all of a named file, unless `count` says how many. Raises `Error`."""
    if file is not None:
        if not file.is_file():
            raise Error("There is no such file.", problem="import", hint="Give --data a CSV file, plain or .gz.")
        return _rows(file, count, f"rows of {file.name}")
    if _PUBLISHED.is_file():
        return _rows(_PUBLISHED, count or ROWS, "real seizures that States reported to UNODC, 2011-2014")
    origin = "made-up rows: the published seizures are not beside this checkout"
    return _rows(_MADE_UP, count or ROWS, origin)


def _rows(file: Path, count: int | None, origin: str) -> Rows:
    data = file.read_bytes()
    if count is None:
        return Rows(data, file.name, origin)
    try:
        if file.suffix == ".gz":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(LIMITS.import_file)
        return Rows(_first(data, count), file.name.removesuffix(".gz"), origin)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error):
        raise Error("The file's first rows cannot be read.", problem="import") from None


def _first(data: bytes, count: int) -> bytes:
    """Cut off what follows the first rows, at the end of a row: cells may hold line breaks."""
    lines = data.decode("utf-8-sig").splitlines(keepends=True)
    reader = csv.reader(iter(lines), delimiter=";")
    for _ in range(count + 1):
        if next(reader, None) is None:
            break
    return "".join(lines[: reader.line_num]).encode()
