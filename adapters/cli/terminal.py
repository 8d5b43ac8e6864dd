"""A command's manners: data on standard output, talk on standard error.

Three dresses of the same data: JSON (`--json`), tables (on a terminal), and tab-separated lines (in a pipe). Text that
came from elsewhere is cleaned before it reaches a terminal, so that a notice cannot drive it. `NO_COLOR` is honoured.
"""

import json
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_NARROWEST: Final = 14
_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
STYLES: Final = {
    "published": "green",
    "acknowledged": "green",
    "yes": "green",
    "ok": "green",
    "verified": "green",
    "kept": "cyan",
    "sealed": "cyan",
    "held": "yellow",
    "yes-if": "yellow",
    "unknown": "yellow",
    "warning": "yellow",
    "recalled": "yellow",
    "expired": "yellow",
    "denied": "bold red",
    "refused": "bold red",
    "no": "bold red",
    "failed": "bold red",
    "missing": "bold red",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, the member it shows, and whether it must stay on one line."""

    heading: str
    member: str
    whole: bool = False
    right: bool = False


def clean(value: object) -> str:
    """Return text for a person: control and direction characters replaced by their escapes, lists joined."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(clean, value))
    text = unicodedata.normalize("NFC", str(value))
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)


class Terminal:
    """Where one command's data and talk go."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._talking: Console | None = None

    # data

    def listing(self, name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[Column], **beside: Any) -> None:
        """Print rows: a table, lines, or the object `{name: rows, …}` where `beside` are its other members."""
        if self.as_json:
            self.json({name: list(rows), **beside})
        elif sys.stdout.isatty() and rows:
            self._table(rows, columns)
        elif sys.stdout.isatty():
            self.say("Nothing to list.")
        else:
            self._lines([column.heading for column in columns])
            for row in rows:
                self._lines([clean(row.get(column.member)) for column in columns])

    def record(self, value: Mapping[str, Any], *, shown: Sequence[tuple[str, str]] | None = None) -> None:
        """Print one object: two columns, lines, or JSON. `shown` picks and names the members for people."""
        if self.as_json:
            self.json(value)
            return
        named = shown or [(name, name) for name in value]
        pairs = [(heading, clean(value.get(member))) for heading, member in named]
        if not sys.stdout.isatty():
            for heading, text in pairs:
                if text:
                    self._lines([heading, text])
            return
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for heading, text in pairs:
            if text:
                table.add_row(heading, Text(text, style=STYLES.get(text, "")))
        self._out().print(table)

    def item(self, value: Mapping[str, Any], text: str) -> None:
        """Print one item of a stream at once: a line of JSON, or a line of text."""
        self._write(json.dumps(value, ensure_ascii=False) if self.as_json else clean(text))

    def json(self, value: Mapping[str, Any]) -> None:
        """Print an object as JSON: indented for a terminal, on one line for a program."""
        self._write(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))

    # talk

    def say(self, text: str, *, style: str = "") -> None:
        """Tell a person something, on standard error. With `--json` nothing is told: the object says it."""
        if not self.as_json:
            self._talk(text, style)

    def step(self, text: str) -> None:
        """Tell a person what long work does now: as a point, whose further lines stand under its first."""
        if self.as_json or not sys.stderr.isatty():
            self.say(f"• {text}")
            return
        from rich.table import Table
        from rich.text import Text

        point = Table.grid(padding=(0, 1))
        point.add_row("•", Text(clean(text)))
        self._err().print(point)

    def warn(self, text: str) -> None:
        """Warn a person, on standard error, also with `--json`."""
        self._talk(f"warning: {text}", "yellow")

    def fail(self, detail: str, hint: str | None) -> None:
        """Print an error and what to do about it."""
        self._talk(f"error: {detail}", "bold red")
        if hint:
            self._talk(f"hint: {hint}", "")

    def ask(self, question: str) -> str:
        """Ask a person for a line, the question on standard error; raise `typer.Abort` where there is nobody."""
        import typer

        answer: str = typer.prompt(question, err=True)
        return answer

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show how far long work is; the value is a function that is told how many units are done in all."""
        if self.as_json or not sys.stderr.isatty():
            yield lambda _done: None
            return
        with _progress(self._err()) as bars:
            bar = bars.add_task(clean(what), total=total)
            yield lambda done: bars.update(bar, completed=done)

    # inside

    def _table(self, rows: Iterable[Mapping[str, Any]], columns: Sequence[Column]) -> None:
        texts = [[clean(row.get(column.member)) for column in columns] for row in rows]
        # A column in which nothing stands tells nobody anything.
        kept = [n for n in range(len(columns)) if not texts or any(row[n] for row in texts)]
        shown = [columns[n] for n in kept]
        cells = [[row[n] for n in kept] for row in texts]
        out = self._out()
        if _cramped(cells, shown, out.width):
            _stack(out, cells, shown)
        else:
            _spread(out, cells, shown)

    def _talk(self, text: str, style: str) -> None:
        lines = "\n".join(map(clean, text.split("\n")))
        if not sys.stderr.isatty():
            print(lines, file=sys.stderr, flush=True)
            return
        from rich.text import Text

        self._err().print(Text(lines, style=style))

    def _lines(self, cells: Iterable[str]) -> None:
        self._write("\t".join(cells))

    @staticmethod
    def _write(text: str) -> None:
        print(text, flush=True)

    @staticmethod
    def _out() -> "Console":
        from rich.console import Console

        return Console(file=sys.stdout, highlight=False)

    def _err(self) -> "Console":
        from rich.console import Console

        # One for all talk: only the console that shows a bar can write above it.
        self._talking = self._talking or Console(file=sys.stderr, highlight=False)
        return self._talking


def _cramped(cells: Sequence[Sequence[str]], columns: Sequence[Column], width: int) -> bool:
    """Say whether the columns that may fold would have too little room beside those that must not."""
    whole = sum(
        max([len(column.heading), *(len(row[n]) for row in cells)])
        for n, column in enumerate(columns)
        if column.whole or column.right
    )
    folding = [column for column in columns if not (column.whole or column.right)]
    return bool(folding) and width - whole - 3 * len(columns) < _NARROWEST * len(folding)


def _spread(out: "Console", cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    """Print a table, a row a line."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.right else "left"
        table.add_column(column.heading, no_wrap=column.whole, overflow="fold", justify=justify)
    for row in cells:
        table.add_row(*[Text(text, style=STYLES.get(text, "")) for text in row])
    out.print(table)


def _stack(out: "Console", cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    """Print each row as two lines, for narrow terminals: what must stay whole, then the rest."""
    from rich.padding import Padding
    from rich.text import Text

    for row in cells:
        pairs = list(zip(columns, row, strict=True))
        first = Text("  ").join(Text(text, style=STYLES.get(text, "bold")) for column, text in pairs if column.whole)
        rest = Text(" · ").join(Text(text) for column, text in pairs if text and not column.whole)
        out.print(first)
        out.print(Padding(rest, (0, 0, 0, 4)))


def _progress(console: "Console") -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


CURRENT: ContextVar[Terminal] = ContextVar("terminal")
"""The terminal of the command that runs; `adapters.cli.main` sets it."""


def terminal() -> Terminal:
    """Return the terminal of the command that runs."""
    return CURRENT.get()
