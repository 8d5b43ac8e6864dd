"""CSV as a file of rows, none of which may get lost (RFC 4180, with a chosen delimiter).

Whoever reads a table gets every row: as a `Record` of cells, or as a `Refused` that names the row, the line, the column
and the reason. What is wrong with the whole file (encoding, delimiter, columns) is a `TableError` with the line number.
UTF-8 only, with or without byte order mark, plain or gzip. Cells are text: nothing is ever evaluated, and a cell that
a spreadsheet would take for a formula is quoted with an apostrophe in reports. The standard library's reader is not
used: it takes an unclosed quote for one cell as long as the rest of the file.
"""

import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.errors import Error, TooLargeError
from schemas.limits import LIMITS

_BOM: Final = "\ufeff"
_QUOTED: Final = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"')
_FORMULA: Final = ("=", "+", "-", "@")
_OTHER_DELIMITERS: Final = {",": "a comma", "\t": "a tab", "|": "a bar", ":": "a colon"}


class TableError(Error):
    """The file cannot be read as a table with these columns; `offset` is a line number, from 1."""

    problem = "import"


@dataclass(frozen=True, slots=True)
class Record:
    """One row: its number from 1 without the header, the line that it begins on, its cells in the header's order."""

    number: int
    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """One row that cannot be taken: where and why, and the cell escaped for display (at most 80 characters)."""

    number: int
    column: str | None
    reason: str
    cell: str
    line: int


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A checked file; iterating yields every row in order.

    `digest` is the SHA-256 (hex) of the unpacked bytes: with a row's number it is that row's identity. `lines` is at
    least the number of rows, for progress bars.
    """

    header: tuple[str, ...]
    digest: str
    lines: int
    _text: str
    _body: int
    _body_line: int
    _delimiter: str

    def __iter__(self) -> Iterator[Record | Refused]:
        """Yield each row once; blank lines are no rows."""
        at, line, number = self._body, self._body_line, 0
        while at < len(self._text):
            end = self._text.find("\n", at)
            end = len(self._text) if end < 0 else end
            if not self._text[at:end].strip("\r"):
                at, line = end + 1, line + 1
                continue
            number += 1
            split = _split(self._text, at, end, self._delimiter, len(self.header))
            # A broken row ends with its first line, so that it cannot take the next ones with it.
            after = end + 1 if isinstance(split, _Broken) else split[1]
            yield self._row(number, line, self._text[at:end], split)
            line += self._text.count("\n", at, after)
            at = after

    def _row(
        self, number: int, line: int, first_line: str, split: "_Broken | tuple[tuple[str, ...], int]"
    ) -> Record | Refused:
        if isinstance(split, _Broken):
            return Refused(number, self._name(split.column), split.reason, quote_cell(first_line), line)
        cells = split[0]
        if len(cells) != len(self.header):
            reason = f"{len(cells)} cells instead of {len(self.header)}"
            return Refused(number, None, reason, quote_cell(first_line), line)
        for column, cell in zip(self.header, cells, strict=True):
            # Counting bytes costs more than counting characters, which are never more than the bytes.
            if len(cell) * 4 > LIMITS.import_cell and len(cell.encode()) > LIMITS.import_cell:
                return Refused(
                    number, column, f"a cell of more than {LIMITS.import_cell} bytes", quote_cell(cell), line
                )
        if sum(map(len, cells)) > 4 * LIMITS.import_cell:
            reason = f"a row of more than {4 * LIMITS.import_cell} characters"
            return Refused(number, None, reason, quote_cell(first_line), line)
        return Record(number, line, cells)

    def _name(self, column: int) -> str | None:
        return self.header[column] if column < len(self.header) else None


@dataclass(frozen=True, slots=True)
class _Broken:
    reason: str
    column: int


def _split(text: str, at: int, end: int, delimiter: str, columns: int) -> _Broken | tuple[tuple[str, ...], int]:
    """Split one row whose first line is `text[at:end]`; return its cells and where the next row begins."""
    first_line = text[at:end]
    if '"' not in first_line:
        return tuple(first_line.removesuffix("\r").split(delimiter)), end + 1
    cells: list[str] = []
    # More cells than columns are wrong whatever they hold: stopping there keeps broken files linear to read.
    while len(cells) <= columns:
        if text.startswith('"', at):
            quoted = _QUOTED.match(text, at)
            if quoted is None:
                return _Broken("a quote is opened and never closed", len(cells))
            cells.append(quoted[1].replace('""', '"'))
            at = quoted.end()
            rest = text[at : at + 2]
            if rest not in ("", "\r") and not rest.startswith((delimiter, "\n", "\r\n")):
                return _Broken("text follows a closing quote", len(cells) - 1)
            at += rest == "\r\n"
        else:
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            stop = text.find(delimiter, at, end)
            cells.append(text[at:stop] if stop >= 0 else text[at:end].removesuffix("\r"))
            at = stop if stop >= 0 else end
        if not text.startswith(delimiter, at):
            return tuple(cells), at + 1
        at += 1
    return _Broken(f"more than {columns} cells", columns)


def quote_cell(cell: str) -> str:
    """Escape a cell for reports: printable characters only, no formula, at most 80 characters."""
    shown = f"'{cell}" if cell.lstrip().startswith(_FORMULA) else cell
    escaped = "".join(
        c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii")
        for c in shown[: LIMITS.quoted_cell + 1]
    )
    return escaped if len(escaped) <= LIMITS.quoted_cell else f"{escaped[: LIMITS.quoted_cell - 1]}…"


def _unpack(data: bytes, name: str) -> bytes:
    lower = name.lower()
    if lower.endswith(".csv"):
        plain = data
    elif lower.endswith(".csv.gz"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                plain = packed.read(LIMITS.import_file + 1)
        except (OSError, EOFError, zlib.error):
            raise TableError("The file is not whole gzip data.", hint="Pack the file again.") from None
    else:
        raise TableError("The file's name does not end with .csv or .csv.gz.", hint="Export the table as CSV.")
    if len(plain) > LIMITS.import_file:
        raise TooLargeError(f"More than {LIMITS.import_file} bytes unpacked.", hint="Split the file.")
    return plain


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8").removeprefix(_BOM)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TableError("The file is not UTF-8.", offset=line, hint="Export the table as UTF-8.") from None


def read_csv(data: bytes, name: str, columns: Sequence[str], delimiter: str = ";") -> CsvTable:
    """Check a file and return it as a table that has at least `columns`, each once, in any order.

    `name` is the file's name (`.csv` or `.csv.gz`). Raises `TooLargeError` beyond `LIMITS.import_file` unpacked bytes,
    and `TableError`.
    """
    plain = _unpack(data, name)
    text = _decode(plain)
    first = text.split("\n", 1)[0]
    if not first.strip():
        raise TableError("The file has no header line.", offset=1)
    split = _split(text, 0, len(first), delimiter, len(first))
    header = () if isinstance(split, _Broken) else tuple(cell.strip() for cell in split[0])
    missing = [column for column in columns if column not in header]
    for other, words in _OTHER_DELIMITERS.items() if missing else ():
        if other != delimiter and set(columns) <= {cell.strip(' "\r') for cell in first.split(other)}:
            raise TableError(f"The delimiter is {words}, not {delimiter!r}.", offset=1)
    if isinstance(split, _Broken):
        raise TableError(f"The header cannot be read: {split.reason}.", offset=1)
    if missing:
        raise TableError(f"Columns are missing: {', '.join(missing)}.", offset=1)
    if len(set(header)) != len(header):
        raise TableError("A column stands in the header twice.", offset=1)
    digest, body = hashlib.sha256(plain).hexdigest(), split[1]
    return CsvTable(header, digest, text.count("\n") + 1, text, body, text.count("\n", 0, body) + 1, delimiter)
