"""What the demonstration shows at its end: a table of what happened, and what to try next."""

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from adapters.cli.terminal import clean
from adapters.demo.outcome import Outcome
from schemas.notice import parse_notice, summary


@dataclass(frozen=True, slots=True)
class Running:
    """What goes on running: addresses by name, process ids, and the folder of Kafka's nodes."""

    addresses: Mapping[str, str]
    process_ids: Sequence[int]
    kafka: Path | None = None


def show(outcome: Outcome, folder: Path | None, running: Running | None) -> None:
    """Print the outcome on standard output; `folder` is where things stay."""
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print()
    console.print(_table(outcome))
    if running is not None and folder is not None:
        console.print("Everything is still running:", style="bold")
        for name, address in running.addresses.items():
            console.print(f"  {name:<12} {address}")
    console.print("What to try next", style="bold")
    for command, about in _next(outcome, folder, running):
        # Commands stand whole on their line, to be copied.
        console.print(Text(f"  {command}"), soft_wrap=True)
        console.print(Text(f"      {about}", style="dim"), soft_wrap=True)


def _table(outcome: Outcome) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        title="What happened",
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        show_header=False,
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Rows", f"{outcome.rows_read} read, {outcome.rows_imported} imported, {outcome.rows_refused} refused")
    table.add_row("", Text(clean(outcome.rows_origin), style="dim"))
    table.add_row("Published", f"{outcome.notices_published} notices, each sealed to its recipients and its sender")
    table.add_row("Delivered", f"{outcome.notices_delivered}, opened {outcome.notices_opened}, "
                  f"acknowledged {outcome.notices_acknowledged}")  # fmt: skip
    if outcome.sample:
        table.add_row("One of them", _sample(outcome))
    for denied in outcome.denied:
        text = Text()
        text.append(f"{denied['state'].upper()} ", style="bold red")
        text.append(f"by {denied['article']}: {denied['reason']}")
        table.add_row("Denied", text)
    for name, said in _killed(outcome):
        table.add_row(name, said)
    shared = outcome.kafka_nodes > 0
    leaves = f"{outcome.ledger_size} leaves{', the same at both brokers' if shared else ''}"
    table.add_row("Ledger", _verdict(f"{leaves}; root and open statements verified", outcome.ledger_sound))
    table.add_row("Evidence", _verdict("one notice's file checked offline", outcome.evidence_sound))
    who = "brokers and nodes" if shared else "the broker"
    hits = f"{outcome.marker_hits} hits in {outcome.searched_bytes / 1e6:.1f} MB that {who} wrote, logged and measured"
    table.add_row("Marker of a notice", _verdict(hits, outcome.marker_hits == 0))
    table.add_row("Time", f"{outcome.seconds:.1f} s")
    return table


def _killed(outcome: Outcome) -> Iterator[tuple[str, str]]:
    if not outcome.kafka_nodes:
        yield "Broker killed", f"{outcome.broker_restarts} × SIGKILL, nothing lost, nothing delivered twice"
        return
    brokers = f"{outcome.broker_restarts} of {outcome.instances} brokers"
    nodes = f"{outcome.nodes_killed} of {outcome.kafka_nodes} nodes of Kafka"
    yield "Killed", f"{brokers} and {nodes}, by SIGKILL; nothing lost, nothing delivered twice"
    broker, node = outcome.published_after_kill_seconds
    yield "", f"A notice posted right after was in the log within {broker:.1f} s (broker) and {node:.1f} s (node)."


def _sample(outcome: Outcome) -> Text:
    item = outcome.sample
    content = dict(item["notice"] or {})
    about = summary(parse_notice(content["kind"], content, known_codes=False))
    return Text.assemble((f"{item['sender']}  {item['topic']}  ", "dim"), clean(about))


def _verdict(text: str, good: bool) -> Text:
    return Text(("✓ " if good else "✗ ") + text, style="green" if good else "bold red")


def _program() -> str:
    """Return what starts this program, also where the environment's folder is not on the path."""
    if shutil.which("valise"):
        return "valise"
    path, here = Path(sys.executable).with_name("valise"), Path.cwd()
    return quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _next(outcome: Outcome, folder: Path | None, running: Running | None) -> Iterator[tuple[str, str]]:
    if running is not None:
        gateway = running.addresses["gateway-tj"]
        yield (
            f"{_program()} inbox list --gateway {gateway} --token-file {quote(f'{folder}/token-tj-focal-point')}",
            "what the focal point of Tajikistan has received",
        )
        if running.kafka is not None:
            yield f"deploy/kafka/dev.py kill 2 --dir {quote(str(running.kafka))}", "another node; `start 2`, `status`"
        first = next(iter(running.addresses.values()))
        yield f"curl -s {first}/v1/log/checkpoint", "the newest signed checkpoint of the log"
    else:
        make = "make demo-kafka" if outcome.kafka_nodes else "make demo"
        yield f"{make} ARGS=--keep", "leave it running, and look inside"
        yield f"{make} ARGS='--data FILE.csv --rows 2000'", "your own file with the same columns"
    if folder is not None:
        yield (
            f'{_program()} audit check {quote(outcome.evidence_file)} --root-fingerprint "{outcome.fingerprint}"',
            "the evidence for one notice, offline",
        )
    if running is not None:
        yield (
            f"kill {' '.join(map(str, running.process_ids))}",
            "end brokers and gateways" if running.kafka else "end it",
        )
        if running.kafka is not None:
            yield f"deploy/kafka/dev.py down --remove --dir {quote(str(running.kafka))}", "then Kafka"
    elif not outcome.kafka_nodes:
        yield "make demo-kafka", "two brokers over three nodes of Kafka, one of each killed (Java 17 and Maven)"
    yield "less README.md", "a first notice with curl, and how to check it"
    yield "less schemas/spec/README.md", "the formats, for whoever implements them"
