"""`valise inbox`: what arrived, opened; and saying that it was read."""

import time
from typing import Annotated

import typer

from adapters.cli import asking
from adapters.cli.gateway_client import CaFile, GatewayClient, GatewayUrl, TokenFile, connect, segment
from adapters.cli.terminal import Column, terminal
from adapters.cli.words import headline, when, why
from schemas.strict_json import Json

app = typer.Typer(help="Read what arrived, acknowledge and answer it.", no_args_is_help=True)
asking.about_inbox(app)

Unread = Annotated[bool, typer.Option("--unacknowledged", help="Only what nobody acknowledged yet.")]
_PAGE = 200


@app.command("list")
def list_(
    after: Annotated[int, typer.Option(min=0, help="Cursor of the page before.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=_PAGE, help="Notices a page.")] = 50,
    *,
    unacknowledged: Unread = False,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """List what arrived, in the order of arrival."""
    client = connect(gateway, token_file, ca_file)
    page, items = _page(client, after, limit, unacknowledged=unacknowledged)
    if terminal().as_json:
        terminal().json(page)
        return
    columns = [
        Column("Arrived", "arrived"),
        Column("Id", "id", whole=True),
        Column("From", "sender"),
        Column("What", "what"),
        Column("State", "mark", whole=True),
    ]
    rows = [
        {
            **item,
            "arrived": when(item["arrived_at"]),
            "what": headline(item["notice"]) or why(item) or item["act"],
            "mark": _mark(item),
        }
        for item in items
    ]
    terminal().listing("items", rows, columns)
    if len(items) == limit:
        terminal().say(f"More: --after {page['next']}")


@app.command()
def follow(
    after: Annotated[int | None, typer.Option(min=0, help="All that stands behind this cursor, read or not.")] = None,
    interval: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 2,
    rounds: Annotated[int | None, typer.Option(min=1, hidden=True)] = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Print what is unread and what arrives, one line each, until interrupted."""
    client = connect(gateway, token_file, ca_file)
    cursor, unread = (0, True) if after is None else (after, False)
    terminal().say("Waiting for notices; Ctrl-C ends.")
    while True:
        page, items = _page(client, cursor, _PAGE, unacknowledged=unread)
        for item in items:
            line = f"{when(item['arrived_at'])}  {item['id']}  {item['sender']}  {item['topic']}"
            terminal().item(item, f"{line}  {headline(item['notice']) or why(item) or item['act']}")
        cursor = int(str(page["next"]))
        if len(items) == _PAGE:
            continue
        if rounds is not None:
            rounds -= 1
            if rounds == 0:
                return
        time.sleep(interval)


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The notice's id.")],
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Show one notice in full."""
    item = connect(gateway, token_file, ca_file).call("GET", f"/v1/inbox/{segment(id_)}")
    where = terminal()
    if where.as_json:
        where.json(item)
        return
    label = item["label"] if isinstance(item["label"], dict) else {}
    notice = item["notice"] if isinstance(item["notice"], dict) else {}
    where.record(
        {
            **item,
            "what": headline(notice),
            "why": why(item),
            "tlp": label.get("tlp"),
            "handling": label.get("handling"),
        },
        shown=[
            ("What", "what"),
            ("Id", "id"),
            ("Status", "status"),
            ("Why", "why"),
            ("From", "sender"),
            ("Topic", "topic"),
            ("TLP", "tlp"),
            ("Handling", "handling"),
            ("Published", "published_at"),
            ("Arrived", "arrived_at"),
            ("Ledger index", "index"),
            ("Corrected by", "superseded_by"),
            ("Recalled by", "recalled_by"),
            ("Acknowledged", "acknowledged_at"),
            ("Granted by", "granted_by"),
            ("Deleted", "deleted_at"),
        ],
    )
    for name, show_them in (("duties", asking.show_duties), ("history", asking.show_history)):
        found = item[name]
        if isinstance(found, list) and found:
            where.say("")
            show_them([one for one in found if isinstance(one, dict)])
    members = dict(_flat(notice))
    if members:
        where.say("")
        where.record(members)


@app.command()
def ack(
    ids_: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of notices.")],
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Acknowledge notices: their senders are told, signed, within the interval."""
    client = connect(gateway, token_file, ca_file)
    done = [client.call("POST", f"/v1/inbox/{segment(id_)}/acknowledge") for id_ in ids_]
    terminal().listing("items", done, [Column("Id", "id", whole=True), Column("Acknowledged", "acknowledged_at")])


def _page(
    client: GatewayClient, after: int, limit: int, *, unacknowledged: bool
) -> tuple[dict[str, Json], list[dict[str, Json]]]:
    query = {"after": after, "limit": limit, "unacknowledged": True if unacknowledged else None}
    page = client.call("GET", "/v1/inbox", query=query)
    items = page["items"]
    assert isinstance(items, list)
    return page, [item for item in items if isinstance(item, dict)]


def _mark(item: dict[str, Json]) -> str:
    if item["status"] != "opened":
        return str(item["status"])
    return "acknowledged" if item["acknowledged_at"] else "new"


def _flat(value: Json, at: str = "") -> list[tuple[str, Json]]:
    """Return a notice's members as path and value, for reading."""
    if isinstance(value, dict):
        return [pair for name, member in value.items() for pair in _flat(member, f"{at}.{name}" if at else name)]
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return [pair for n, item in enumerate(value, 1) for pair in _flat(item, f"{at} {n}")]
    return [(at, value)]
