"""`valise subscribe`: which topics the participant receives. What is shown is what the ledger says."""

from typing import Annotated

import typer

from adapters.cli.gateway_client import CaFile, GatewayClient, GatewayUrl, TokenFile, connect, segment
from adapters.cli.terminal import Column, terminal
from schemas.strict_json import Json

app = typer.Typer()


@app.command()
def subscribe(
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="[PATTERN]...", help="Such as 'central-asia.*' or '*.precursors'.")
    ] = None,
    end: Annotated[list[str] | None, typer.Option("--end", metavar="PATTERN", help="End this one.")] = None,
    *,
    only: Annotated[bool, typer.Option("--only", help="These and no others.")] = False,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Subscribe to topics, end subscriptions, and show what is subscribed."""
    client = connect(gateway, token_file, ca_file)
    for pattern in end or ():
        client.call("DELETE", f"/v1/subscriptions/{segment(pattern)}")
    if patterns or only:
        kept = [] if only else [str(item["pattern"]) for item in _now(client)]
        client.call("PUT", "/v1/subscriptions", body={"patterns": sorted({*kept, *(patterns or ())})})
    columns = [Column("Pattern", "pattern", whole=True), Column("Ledger index", "index", right=True)]
    terminal().listing("subscriptions", _now(client), columns)


def _now(client: GatewayClient) -> list[dict[str, Json]]:
    found = client.call("GET", "/v1/subscriptions")["subscriptions"]
    assert isinstance(found, list)
    return [item for item in found if isinstance(item, dict)]
