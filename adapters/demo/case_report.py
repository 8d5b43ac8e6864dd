"""What Albania's case shows: numbered steps, tables, and claims that each hold or end it. Prints as it goes."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.cli import verdicts
from adapters.cli.terminal import STYLES, clean
from adapters.demo.processes import DemoError

WIDTH: Final = 100
KEPT: Final = "The folder that is named above has the logs of every process."
Rows = Sequence[Sequence[str]]


class Sheet:
    """Where the case is told: on standard output for people, in `steps` for a program."""

    def __init__(self, *, quiet: bool) -> None:
        self.steps: list[dict[str, Any]] = []
        width = min(WIDTH, Console().width) if sys.stdout.isatty() else WIDTH
        self._out = Console(file=sys.stdout, highlight=False, width=width, quiet=quiet)

    def step(self, title: str, *paragraphs: str) -> None:
        """Begin a step."""
        self.steps.append({"step": len(self.steps) + 1, "title": title, "claims": []})
        self._out.print()
        self._out.print(Text(f"{len(self.steps)}. {title}", style="bold"))
        for text in paragraphs:
            self.say(text)

    def say(self, text: str) -> None:
        """Tell something."""
        self._out.print(Text(clean(text)))

    def end(self, text: str) -> None:
        """Tell something last, apart from the rest."""
        self._out.print()
        self.say(text)

    def command(self, *words: str) -> None:
        """Show a command that is run."""
        self._hanging("$", f"valise {' '.join(words)}", "cyan")

    def call(self, request: str) -> None:
        """Show a request to Albania's gateway that is sent."""
        self._hanging(">", request, "cyan")

    def line(self, sign: str, text: str) -> None:
        """Show a line of a text that is taken out (`-`) or put in (`+`)."""
        self._hanging(sign, clean(text), "green" if sign == "+" else "red")

    def table(self, columns: Sequence[str], rows: Rows, *, apart: bool = True) -> None:
        """Show a table; columns in which nothing stands are left out, and rows stand `apart` where they are long."""
        kept = [n for n in range(len(columns)) if any(row[n] for row in rows)]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), header_style="bold", show_lines=apart)
        for n in kept:
            whole = columns[n] in _WHOLE
            table.add_column(columns[n], overflow="fold", no_wrap=whole, ratio=None if whole else 1)
        for row in rows:
            table.add_row(*(Text("\n".join(map(clean, row[n].split("\n"))), style=_style(row[n])) for n in kept))
        self._out.print(table)

    def _hanging(self, sign: str, text: str, style: str) -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_row(Text(sign, style=style), Text(text, style=style))
        self._out.print(grid)

    def claim(self, text: str, holds: object) -> None:
        """Show what a step was to show; raise `DemoError` where it does not."""
        self.steps[-1]["claims"].append({"claim": text, "holds": bool(holds)})
        self._out.print(Text(f"{'✓' if holds else '✗'} {clean(text)}", style="green" if holds else "bold red"))
        if not holds:
            raise DemoError(f"Step {len(self.steps)} does not show what it says: {text}", hint=KEPT)


_WHOLE: Final = ("States", "Law of", "Answer", "Before", "Now", "Simulated")
UNSEEN: Final = ("Law of", "What the broker does not see, and leaves to both gateways")
ANSWERS: Final = ("States", "Answer", "Why not", "Lawful, any of")
OWED: Final = ("Whoever receives it owes", "States")
MOVED: Final = ("States", "Before", "Now", "Why not", "Lawful, any of")
_WORDS: Final = {"yes": "yes", "yes-if": "yes if", "no": "no"}


def _style(text: str) -> str:
    return STYLES.get(text.replace(" ", "-"), "")


def answers(candidates: Sequence[Mapping[str, Any]]) -> Rows:
    """Return a row for each answer, with the States that get it: those that may have it first."""
    order = list(_WORDS.values())
    rows = together({state_of(one).upper(): _answer(one) for one in sorted(candidates, key=state_of)})
    return sorted(rows, key=lambda row: (bool(row[2]), order.index(row[1])))


def owed(candidates: Sequence[Mapping[str, Any]]) -> Rows:
    """Return a row for each obligation of those that may have it, with their States."""
    found: dict[str, list[str]] = {}
    permitted = [one for one in candidates if one["permitted"]]
    for one in sorted(permitted, key=state_of):
        for code in verdicts.codes_owed(one["verdict"]):
            found.setdefault(verdicts.obligation(code), []).append(state_of(one).upper())
    return [
        (said, "all of them" if len(states) == len(permitted) else ", ".join(states))
        for said, states in sorted(found.items())
    ]


def unseen(received: Sequence[Mapping[str, Any]]) -> Rows:
    """Return a row for each State whose law the broker left to the gateways in part, with the conditions."""
    by_state: dict[str, list[str]] = {}
    for item in sorted({item for one in received for item in verdicts.unseen(one["verdict"])}):
        state, _, condition = item.partition(": ")
        by_state.setdefault(state.upper(), []).append(condition)
    return together({state: (", ".join(conditions),) for state, conditions in by_state.items()})


def moved(before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """Return, for each State that may receive it now and could not, or the other way round, or by other ways, its row."""
    old = {one["participant"]: _answer(one) for one in before}
    found: dict[str, tuple[str, ...]] = {}
    for one in sorted(now, key=state_of):
        was, said = old[one["participant"]], _answer(one)
        if (was[0], was[2]) != (said[0], said[2]):
            found[state_of(one).upper()] = (_short(was), _short(said), *said[1:])
    return found


def together(rows: Mapping[str, tuple[str, ...]]) -> Rows:
    """Return rows with the States that have the same one."""
    found: dict[tuple[str, ...], list[str]] = {}
    for state, row in rows.items():
        found.setdefault(row, []).append(state)
    return [(", ".join(states), *row) for row, states in found.items()]


def _answer(one: Mapping[str, Any]) -> tuple[str, str, str]:
    row = verdicts.told(one["verdict"], one["changes"], detail=str(one["detail"]))
    why = (
        verdicts.each_denial(one["verdict"])
        if one["verdict"] and not one["verdict"]["permitted"]
        else [str(row["why"])]
    )
    ways = verdicts.phrases(verdicts.objects_each(one["changes"]))
    return _WORDS[str(row["answer"])], "\n".join(why), "\nor ".join(ways)


def _short(answer: tuple[str, str, str]) -> str:
    return "may" if not answer[1] else "may not" if answer[2] else "never"


def state_of(one: Mapping[str, Any]) -> str:
    """Return whose State a candidate is of."""
    return str(one["participant"]).partition("/")[0]
