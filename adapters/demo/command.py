"""`valise demo`: everything at once, with real processes, in less than half a minute."""

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Self

import typer

from adapters.cli.terminal import Terminal, terminal
from adapters.demo import report
from adapters.demo.ceremony import new_stage
from adapters.demo.rows import choose
from adapters.demo.scenario import Progress, Scenario
from schemas.errors import Error

app = typer.Typer(help="Show the whole exchange: three States, a broker that is killed, an audit.")

_FOR_PEOPLE: Final = ("searched_bytes", "evidence_file", "fingerprint", "sample")


@app.callback(invoke_without_command=True)
def demo(
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Seizures to import, .csv or .csv.gz; all of its rows.")
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, metavar="N", help="Import the first N rows only.")] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where everything is written; kept afterwards.", file_okay=False)
    ] = None,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave broker and gateways running.")] = False,
) -> None:
    """Start a broker and the gateways of three States, let real seizures travel, kill the broker, prove the record."""
    chosen = choose(data, rows)
    if state is not None and state.exists() and any(state.iterdir()):
        raise Error("The folder is not empty.", problem="configuration", hint="Give --state a new folder.")
    folder = Path(tempfile.mkdtemp(prefix="valise-demo-")) if state is None else state.absolute()
    where = terminal()
    where.say("A demonstration: its keys count nowhere else, its laws are illustrations.\n")
    with _Bar(where) as bar:
        scenario = Scenario(new_stage(folder), chosen, Progress(where.step, bar.moved))
        try:
            outcome = asyncio.run(scenario.run(keep=keep))
        except BaseException:
            where.say(f"What was written, logs too, is in {folder}.")
            raise
    kept = state is not None or keep
    if where.as_json:
        where.json({name: value for name, value in asdict(outcome).items() if name not in _FOR_PEOPLE})
    else:
        running = report.Running(scenario.addresses(), scenario.process_ids()) if keep else None
        report.show(outcome, folder if kept else None, running)
    if not kept:
        shutil.rmtree(folder)


class _Bar:
    """A bar of arrived notices, from the first of them to the last."""

    def __init__(self, where: Terminal) -> None:
        self._where = where
        self._shown = ExitStack()
        self._told: Callable[[int], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def moved(self, done: int, of: int) -> None:
        """Show how many notices have arrived, of how many."""
        if self._told is None and done < of:
            self._told = self._shown.enter_context(self._where.progress("  arrived", of))
        if self._told is not None:
            self._told(done)
        if done >= of:
            self._shown.close()
