"""`valise inbox ask|grant|permit|refuse|consent|withdraw|delete|duties` and `valise notice ask|grant`: ask and answer."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile, GatewayUrl, TokenFile, connect, segment
from adapters.cli.terminal import Column, terminal
from adapters.cli.words import article, reason, when
from schemas.strict_json import Json

_Id = Annotated[str, typer.Argument(metavar="ID", help="The notice's id.")]
_Question = Annotated[str, typer.Argument(metavar="ID", help="The id of what was asked, in the inbox.")]
_Text = Annotated[str | None, typer.Option("--text", help="A sentence beside it.")]
_Why = Annotated[str, typer.Option("--reason", help="A code, such as not-permitted.")]
_Urgency = Annotated[str | None, typer.Option("--urgency", help="Within which time an answer is due: 8h, 3d, 7d.")]
_Until = Annotated[str | None, typer.Option("--until", help="A time, such as 2027-01-31T00:00:00Z.")]
_To = Annotated[list[str] | None, typer.Option("--to", help="Who is to be able to read it; may be repeated.")]

_FAILED: Final = ("refused", "returned", "expired")


def about_notices(app: typer.Typer) -> None:
    """Add to `valise notice` what is asked about a notice that one does not have, and granted of one's own."""
    app.command("ask")(ask_access)
    app.command("grant")(grant)


def about_inbox(app: typer.Typer) -> None:
    """Add to `valise inbox` what is asked and answered about what arrived, and what is owed for it."""
    app.command("ask")(ask_use)
    app.command("grant")(grant_asked)
    for command in (permit, refuse, consent, withdraw, delete, duties):
        app.command()(command)


def ask_access(
    id_: _Id,
    sender: Annotated[str, typer.Option("--from", help="Whose notice it is, such as kz/customs.")],
    topic: Annotated[str, typer.Option(help="Its topic, such as central-asia.seizures.")],
    thread: Annotated[str | None, typer.Option(help="The thread's id, where it did not begin one.")] = None,
    text: _Text = None,
    urgency: _Urgency = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Ask a notice's sender for access to it; the sender grants or refuses. Exit code 1 where it came back."""
    body = {"sender": sender, "topic": topic, "thread": thread, "text": text, "urgency": urgency}
    _say("ask-access", "notices", id_, body, gateway, token_file, ca_file)


def grant(
    id_: _Id,
    to: _To = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Let others read a notice of one's own: they open the original text. Exit code 1 where it came back."""
    _say("grant", "notices", id_, {"to": to or []}, gateway, token_file, ca_file)


def ask_use(
    id_: _Id,
    use: Annotated[str, typer.Option(help="court, onward, action, evidence or administrative.")],
    for_: Annotated[
        list[str] | None, typer.Option("--for", help="To whom it is to be passed on; may be repeated.")
    ] = None,
    text: _Text = None,
    urgency: _Urgency = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Ask the originator of a notice to permit a use of it."""
    body = {"use": use, "for": for_, "text": text, "urgency": urgency}
    _say("ask-use", "inbox", id_, body, gateway, token_file, ca_file)


def grant_asked(
    id_: _Question,
    to: _To = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Grant one's own notice to who asks for it, or to those it is asked for."""
    _say("grant", "inbox", id_, {"to": to}, gateway, token_file, ca_file)


def permit(
    id_: _Question,
    until: _Until = None,
    text: _Text = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Permit the use that is asked for, perhaps for a time."""
    _say("permit", "inbox", id_, {"until": until, "text": text}, gateway, token_file, ca_file)


def refuse(
    id_: _Question,
    why: _Why = "not-permitted",
    text: _Text = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Refuse what is asked for."""
    _say("refuse", "inbox", id_, {"reason": why, "text": text}, gateway, token_file, ca_file)


def consent(
    id_: _Id,
    until: _Until = None,
    text: _Text = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Consent to what a thread's first notice asks for, a controlled delivery say."""
    _say("consent", "inbox", id_, {"until": until, "text": text}, gateway, token_file, ca_file)


def withdraw(
    id_: _Id,
    why: _Why = "withdrawn",
    text: _Text = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Take a consent back."""
    _say("withdraw", "inbox", id_, {"reason": why, "text": text}, gateway, token_file, ca_file)


def delete(
    id_: _Id,
    why: Annotated[str, typer.Option("--reason", help="A code, such as case-closed.")] = "deleted",
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Delete a text that arrived; a signed certificate goes to its sender."""
    client = connect(gateway, token_file, ca_file)
    item = client.call("POST", f"/v1/inbox/{segment(id_)}/delete", body={"reason": why})
    terminal().record(item, shown=[("Id", "id"), ("Status", "status"), ("Deleted", "deleted_at")])


def duties(
    state: Annotated[str | None, typer.Option(help="Only those: open, overdue, met, standing, permitted.")] = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """List what is owed for notices that arrived, the nearest time first. All times are UTC."""
    client = connect(gateway, token_file, ca_file)
    page = client.call("GET", "/v1/duties", query={"state": state})
    if terminal().as_json:
        terminal().json(page)
        return
    show_duties(_objects(page["duties"]))


def show_duties(found: Sequence[Mapping[str, Json]]) -> None:
    """Print obligations as a table."""
    columns = [
        Column("Owed", "code", whole=True),
        Column("State", "state", whole=True),
        Column("Due (UTC)", "due_at", whole=True),
        Column("Deputy (UTC)", "deputy", whole=True),
        Column("Permitted until", "permitted", whole=True),
        Column("Notice", "notice_id", whole=True),
        Column("Why", "why_"),
    ]
    rows = [
        {
            **one,
            "due_at": when(one["due"]),
            "deputy": when(one["deputy_at"]),
            "permitted": when(one["permitted_until"]),
            "why_": _why(one["why"]),
        }
        for one in found
    ]
    terminal().listing("duties", rows, columns)


def _why(said: Json) -> str:
    """Return why something is owed: the sentence in the reader's language, and where it stands."""
    if not isinstance(said, dict):
        return ""
    where = article(said)
    return f"{reason(said.get('reason'))}{f' ({where})' if where else ''}"


def show_history(found: Sequence[Mapping[str, Json]]) -> None:
    """Print what was said about a notice, oldest first."""
    rows = []
    for one in found:
        said = one["said"] if isinstance(one["said"], dict) else {}
        named = [
            f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}" for name, value in said.items()
        ]
        rows.append(
            {**one, "when": when(one["at"]), "says": "; ".join([*named, *([str(one["text"])] if one["text"] else [])])}
        )
    columns = [
        Column("When (UTC)", "when", whole=True),
        Column("Act", "act", whole=True),
        Column("Who", "participant"),
        Column("Says", "says"),
        Column("Id", "id", whole=True),
    ]
    terminal().listing("history", rows, columns)


def _say(
    act: str,
    where: str,
    id_: str,
    body: Mapping[str, Any],
    gateway: Any,
    token_file: Any,
    ca_file: Any,
) -> None:
    """Do one act about a notice, wait a moment, and show what became of it."""
    client = connect(gateway, token_file, ca_file)
    said = {name: value for name, value in body.items() if value is not None}
    accepted = client.call(
        "POST", f"/v1/{where}/{segment(id_)}/{act}", body=said, headers={"Prefer": "wait=5"}, timeout=65
    )
    found = client.call("GET", f"/v1/notices/{segment(str(accepted['id']))}")
    trouble = found["problem"] if isinstance(found["problem"], dict) else {}
    terminal().record(
        {**found, "why": trouble.get("detail"), "hint": trouble.get("hint")},
        shown=[
            ("Id", "id"),
            ("Act", "act"),
            ("Status", "status"),
            ("Why", "why"),
            ("Hint", "hint"),
            ("About", "ref"),
            ("Published", "published_at"),
            ("Ledger index", "index"),
        ],
    )
    if found["status"] in _FAILED:
        raise AnswerIsNoError


def _objects(value: Json) -> list[dict[str, Json]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
