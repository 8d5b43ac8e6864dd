"""`valise import`: a table of seizures becomes notices; what could not be read is named row by row."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile, GatewayClient, GatewayUrl, TokenFile, blocks, connect
from adapters.cli.terminal import Column, terminal
from schemas.strict_json import Json

app = typer.Typer()

_GZIP: Final = b"\x1f\x8b"
_WAITING: Final = ("kept", "sealed")
_OTHERS: Final = ("returned", "refused", "expired")
_PAGE: Final = 200


@app.command()
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV, plain or gzip.", exists=True, dir_okay=False)],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report; send nothing.")] = False,
    routes: Annotated[
        bool, typer.Option("--routes", help="Add a route where departure and destination are known.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until every notice has its outcome.")] = False,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Import a table. Exit code 1 where rows were refused."""
    client = connect(gateway, token_file, ca_file)
    size = file.stat().st_size
    where = terminal()
    with file.open("rb") as data, where.progress(f"Reading {file.name}", size) as told:
        kind = "application/gzip" if data.read(2) == _GZIP else "text/csv"
        data.seek(0)
        query = {"dry_run": dry_run, "routes": routes, "name": file.name}
        report = client.upload("/v1/imports", blocks(data, told), size, kind, query)
    notices = report["notices"]
    assert isinstance(notices, list)
    if wait and notices:
        report["outcomes"] = _follow(client, {str(name) for name in notices})
    refused = [row for row in report["refused"] if isinstance(row, dict)] if isinstance(report["refused"], list) else []
    if where.as_json:
        where.json(report)
    else:
        if refused:
            columns = [
                Column("Row", "row", right=True),
                Column("Column", "column"),
                Column("Why", "reason"),
                Column("Cell", "cell"),
            ]
            where.listing("refused", refused, columns)
        where.record(
            report,
            shown=[
                ("Rows read", "rows_read"),
                ("imported" if not dry_run else "would be imported", "rows_imported"),
                ("known already", "already_known"),
                ("refused", "rows_refused"),
            ],
        )
        if isinstance(outcomes := report.get("outcomes"), dict):
            where.record({f"Notices {state}": number for state, number in outcomes.items()})
            if len(outcomes) > 1:
                where.say("Why they came back: valise notice status --status returned, and one by its id.")
    if refused:
        raise AnswerIsNoError


def _follow(client: GatewayClient, wanted: set[str]) -> dict[str, Json]:
    """Wait until none of the notices waits any more, and return how many ended how."""
    total = len(wanted)
    with terminal().progress("Publishing", total) as told:
        # All of them each time: one that has to be sealed anew waits again.
        while waiting := wanted & _of_states(client, _WAITING):
            told(total - len(waiting))
            time.sleep(0.5)
    others = {state: len(wanted & _of_states(client, (state,))) for state in _OTHERS}
    found: dict[str, Json] = {"published": total - sum(others.values())}
    found.update({state: number for state, number in others.items() if number})
    return found


def _of_states(client: GatewayClient, states: Sequence[str]) -> set[str]:
    """Return the ids of all notices in some states."""
    names: set[str] = set()
    for state in states:
        cursor: Json = 0
        while True:
            page = client.call("GET", "/v1/notices", query={"after": cursor, "limit": _PAGE, "status": state})
            rows = page["notices"]
            assert isinstance(rows, list)
            names |= {str(row["id"]) for row in rows if isinstance(row, dict)}
            if len(rows) < _PAGE:
                break
            cursor = page["next"]
    return names
