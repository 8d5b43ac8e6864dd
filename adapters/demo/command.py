"""`valise demo`: everything at once, with real processes, in less than half a minute."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal, Self

import typer

from adapters.cli.terminal import Terminal, terminal
from adapters.demo import case_cast, report
from adapters.demo.case import Case
from adapters.demo.case_report import Sheet
from adapters.demo.ceremony import new_stage, three_states
from adapters.demo.clustered import Clustered
from adapters.demo.outcome import Progress
from adapters.demo.processes import ended_by_signals
from adapters.demo.rows import choose
from adapters.demo.scenario import Scenario
from schemas.errors import Error

app = typer.Typer(help="Show the whole exchange: three States, a broker that is killed, an audit.")


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
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Two brokers over three nodes of Kafka; one of each is killed.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave broker and gateways running.")] = False,
    case: Annotated[
        Literal["albania"] | None,
        typer.Option("--case", help="Instead: a worked case of national law, and of its change, with 13 States."),
    ] = None,
) -> None:
    """Start a broker and the gateways of three States, let real seizures travel, kill the broker, prove the record."""
    if case is not None:
        if kafka or keep or data is not None or rows is not None:
            raise typer.BadParameter("--case takes --state and --json only.")
        _tell(_folder(state), kept=state is not None)
        return
    chosen = choose(data, rows)
    folder, where = _folder(state), terminal()
    where.say("A demonstration: its keys count nowhere else, its laws are illustrations.\n")
    with _Bar(where) as bar, ended_by_signals():
        stage, progress = new_stage(folder, three_states()), Progress(where.step, bar.moved)
        scenario = Scenario(stage, chosen, progress, Clustered(stage, progress.say) if kafka else None)
        try:
            outcome = asyncio.run(scenario.run(keep=keep))
        except BaseException:
            where.say(f"What was written, logs too, is in {folder}.")
            raise
    kept = state is not None or keep
    if where.as_json:
        where.json(outcome.figures())
    else:
        running = (
            report.Running(scenario.addresses(), scenario.process_ids(), scenario.exchange.kafka) if keep else None
        )
        report.show(outcome, folder if kept else None, running)
    if not kept:
        shutil.rmtree(folder)


def _folder(state: Path | None) -> Path:
    """Return the folder where everything is written; raise `Error` for one that is not empty."""
    if state is not None and state.exists() and any(state.iterdir()):
        raise Error("The folder is not empty.", problem="configuration", hint="Give --state a new folder.")
    return Path(tempfile.mkdtemp(prefix="valise-demo-")) if state is None else state.absolute()


def _tell(folder: Path, *, kept: bool) -> None:
    """Tell Albania's case, from the ceremony to the law that is changed back."""
    where, begun = terminal(), time.monotonic()
    where.say("A demonstration: its keys count nowhere else; its laws are illustrations; none states the law.\n")
    sheet = Sheet(quiet=where.as_json)
    with ended_by_signals():
        told = Case(new_stage(folder, case_cast.cast()), sheet, where.step)
        try:
            asyncio.run(told.run())
        except BaseException:
            where.say(f"What was written, logs too, is in {folder}.")
            raise
    seconds = round(time.monotonic() - begun, 1)
    if where.as_json:
        where.json({"case": "albania", "steps": sheet.steps, "seconds": seconds})
    else:
        claims = sum(len(step["claims"]) for step in sheet.steps)
        sheet.end(f"{claims} claims in {len(sheet.steps)} steps, each seen to hold, in {seconds} s.")
        if kept:
            sheet.say(f"The draft, its simulation as a page (simulation.html), and everything else is in {folder}.")
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
