"""What the demonstration shows at its end: a table of what happened, and what to try next."""

import sys
from collections.abc import Mapping
from pathlib import Path

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from adapters.demo.scenario import READERS, Outcome
from schemas.notice import parse_notice, summary


def show(outcome: Outcome, folder: Path | None, addresses: Mapping[str, str]) -> None:
    """Print the outcome on standard output; `folder` is where things stay, `addresses` what goes on running."""
    console = Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print()
    console.print(_table(outcome))
    console.print(
        Panel(_next(outcome, folder, addresses), title="What to try next", title_align="left", box=box.ROUNDED)
    )


def _table(outcome: Outcome) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title="What happened", title_justify="left", pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    readers = len(READERS)
    table.add_row("Rows", f"{outcome.rows_read} read, {outcome.rows_imported} imported, {outcome.rows_refused} refused")
    table.add_row("", Text(outcome.rows_origin, style="dim"))
    table.add_row(
        "Published", f"{outcome.notices_published} notices, each sealed to {readers} recipients and its sender"
    )
    table.add_row("Delivered", f"{outcome.notices_delivered}, opened {outcome.notices_opened}, "
                  f"acknowledged {outcome.notices_acknowledged}")  # fmt: skip
    if outcome.sample:
        table.add_row("One of them", _sample(outcome))
    for denied in outcome.denied:
        text = Text()
        text.append(f"{denied['state'].upper()} ", style="bold red")
        text.append(f"by {denied['article']}: {denied['reason']}")
        table.add_row("Denied", text)
    table.add_row("Broker killed", f"{outcome.broker_restarts} × SIGKILL, nothing lost, nothing delivered twice")
    table.add_row(
        "Ledger", _verdict(f"{outcome.ledger_size} leaves, root and open statements verified", outcome.ledger_sound)
    )
    table.add_row("Evidence", _verdict("one notice's file checked offline", outcome.evidence_sound))
    megabytes = outcome.searched_bytes / 1e6
    hits = f"{outcome.marker_hits} hits in {megabytes:.1f} MB that the broker wrote, logged and measured"
    table.add_row("Marker of a notice", _verdict(hits, outcome.marker_hits == 0))
    table.add_row("Time", f"{outcome.seconds:.1f} s")
    return table


def _sample(outcome: Outcome) -> Text:
    item = outcome.sample
    text = Text(f"{item['sender']}  {item['topic']}  ", style="dim")
    content = dict(item["notice"] or {})
    text.append(summary(parse_notice(content["kind"], content, known_codes=False)), style="none")
    return text


def _verdict(text: str, good: bool) -> Text:
    return Text(("✓ " if good else "✗ ") + text, style="green" if good else "bold red")


def _next(outcome: Outcome, folder: Path | None, addresses: Mapping[str, str]) -> Text:
    text = Text()
    if addresses:
        text.append("Everything is still running; end it by its process ids.\n", style="bold")
        for name, address in addresses.items():
            text.append(f"  {name:<12} {address}\n")
        gateway = addresses["gateway-tj"]
        text.append(f"  valise inbox list --gateway {gateway} --token-file {folder}/token-tj-focal-point\n")
        text.append(f"  curl -s {addresses['broker']}/v1/log/checkpoint\n")
    else:
        text.append("  make demo ARGS=--keep                        leave it running, and look inside\n")
        text.append("  make demo ARGS='--data FILE.csv --rows 2000'  your own file with the same columns\n")
    if folder is not None:
        text.append(f"  valise audit check {outcome.evidence_file}\n")
    text.append("  README.md                                    a first notice with curl, and how to check it\n")
    text.append("  schemas/spec/README.md                       the formats, for whoever implements them")
    return text
