"""`valise import`: a table of seizures becomes notices; what could not be read is named row by row."""

import time
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
        _follow(client, {str(name) for name in notices})
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
    if refused:
        raise AnswerIsNoError


def _follow(client: GatewayClient, wanted: set[str]) -> None:
    """Wait until none of the notices waits any more."""
    total = len(wanted)
    with terminal().progress("Publishing", total) as told:
        while wanted:
            wanted &= _waiting(client)
            told(total - len(wanted))
            if wanted:
                time.sleep(0.5)


def _waiting(client: GatewayClient) -> set[str]:
    names: set[str] = set()
    for state in _WAITING:
        cursor: Json = 0
        while True:
            page = client.call("GET", "/v1/notices", query={"after": cursor, "limit": 200, "status": state})
            rows = page["notices"]
            assert isinstance(rows, list)
            names |= {str(row["id"]) for row in rows if isinstance(row, dict)}
            if len(rows) < 200:
                break
            cursor = page["next"]
    return names
