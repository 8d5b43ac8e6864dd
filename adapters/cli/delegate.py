"""`valise delegate`: who stands in for the focal point, and until when. What is shown is what the ledger says."""

from typing import Annotated

import typer

from adapters.cli.gateway_client import CaFile, GatewayUrl, TokenFile, connect, segment
from adapters.cli.terminal import Column, terminal
from schemas.errors import Error

app = typer.Typer()


@app.command()
def delegate(
    to: Annotated[
        str | None, typer.Argument(metavar="[PARTICIPANT]", help="Who is to stand in, such as kz/police.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="A time, such as 2026-12-24T00:00:00Z.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="A time; it ends by itself.")] = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Have somebody stand in for your focal point for a time, and show who does. The same --from again moves the end."""
    client = connect(gateway, token_file, ca_file)
    if to is not None:
        if since is None or until is None:
            raise Error(
                "A delegation has a beginning and an end.",
                hint="Give --from TIME and --until TIME.",
                problem="invalid-form",
            )
        accepted = client.call(
            "POST",
            "/v1/delegations",
            body={"to": to, "from": since, "until": until},
            headers={"Prefer": "wait=5"},
            timeout=65,
        )
        found = client.call("GET", f"/v1/notices/{segment(str(accepted['id']))}")
        terminal().say(f"{found['status']}: {to} stands in from {since} until {until}.")
    listed = client.call("GET", "/v1/delegations")["delegations"]
    rows = [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    columns = [
        Column("Focal point", "by", whole=True),
        Column("Stands in", "to", whole=True),
        Column("From (UTC)", "from", whole=True),
        Column("Until (UTC)", "until", whole=True),
        Column("Ledger index", "index", right=True),
    ]
    terminal().listing("delegations", rows, columns)
    if to is not None and not any((one["to"], one["from"], one["until"]) == (to, since, until) for one in rows):
        terminal().say("It is listed here as soon as this gateway has seen it in the log.")
