"""`valise notice`: send a notice through the gateway, see what became of it, correct it, take it back."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.cli import asking, verdicts
from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile, GatewayUrl, TokenFile, connect, segment
from adapters.cli.terminal import Column, clean, terminal
from adapters.cli.words import article, reason, when
from schemas import strict_json
from schemas.strict_json import Json

app = typer.Typer(help="Send notices and see what became of them.", no_args_is_help=True)
asking.about_notices(app)

NoticeFile = Annotated[
    str, typer.Argument(metavar="FILE", help="JSON: the notice, or the whole request; - reads standard input.")
]
NoticeIdArgument = Annotated[str, typer.Argument(metavar="ID", help="The notice's id.")]
Wait = Annotated[int, typer.Option(min=0, max=30, help="Seconds to wait for the outcome.")]
DONE = ("published", "recalled", "corrected")


@app.command()
def send(
    file: NoticeFile,
    topic: Annotated[str | None, typer.Option(help="Topic, such as central-asia.seizures.")] = None,
    to: Annotated[list[str] | None, typer.Option(help="A recipient beside the subscribers; may be repeated.")] = None,
    wait: Wait = 5,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Name of this request: repeating it sends nothing new.")
    ] = None,
    *,
    sanitise: Annotated[
        bool,
        typer.Option("--sanitise", help="Send a copy without the nominal part to those who may have it only so."),
    ] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Say who would get it and why; send nothing.")] = False,
    states: Annotated[bool, typer.Option("--states", help="With --preview: ask about all States.")] = False,
    pattern: Annotated[
        str | None, typer.Option(help="With --preview: ask about each topic of a pattern, such as central-asia.*.")
    ] = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Send a notice. Exit code 1 where it came back or was refused."""
    request = _request(file, {"topic": topic, "to": to or None, "sanitise": sanitise or None})
    client = connect(gateway, token_file, ca_file)
    if preview:
        query = {"states": "true" if states else None, "pattern": pattern}
        _show_preview(client.call("POST", "/v1/notices/preview", body=request, query=query))
        return
    headers = {} if key is None else {"Idempotency-Key": key}
    if wait:
        headers["Prefer"] = f"wait={wait}"
    accepted = client.call("POST", "/v1/notices", body=request, headers=headers, timeout=60 + wait)
    _show_outcome(client.call("GET", f"/v1/notices/{segment(str(accepted['id']))}"))


@app.command()
def status(
    id_: Annotated[str | None, typer.Argument(metavar="[ID]", help="A notice's id; without it, all of them.")] = None,
    state: Annotated[str | None, typer.Option("--status", help="Only those: kept, published, refused, …")] = None,
    after: Annotated[int, typer.Option(min=0, help="Cursor of the page before.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Notices a page.")] = 50,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Show what became of one notice, or list all of them."""
    client = connect(gateway, token_file, ca_file)
    if id_ is not None:
        _show_status(client.call("GET", f"/v1/notices/{segment(id_)}"))
        return
    page = client.call("GET", "/v1/notices", query={"after": after, "limit": limit, "status": state})
    rows = verdicts.objects(page["notices"])
    shown = [
        {
            **row,
            "accepted": when(row["accepted_at"]),
            "what": row["kind"] if row["act"] == "issue" else f"{row['act']} {row['kind'] or ''}".strip(),
            "seen": _acknowledged(row),
        }
        for row in rows
    ]
    if terminal().as_json:
        terminal().json(page)
        return
    columns = [
        Column("Accepted", "accepted"),
        Column("Id", "id", whole=True),
        Column("Topic", "topic"),
        Column("What", "what"),
        Column("Status", "status", whole=True),
        Column("Acknowledged", "seen"),
    ]
    terminal().listing("notices", shown, columns)
    if len(rows) == limit:
        terminal().say(f"More: --after {page['next']}")


@app.command()
def recall(
    id_: NoticeIdArgument,
    why: Annotated[str, typer.Option("--reason", help="A code, such as withdrawn.")] = "withdrawn",
    text: Annotated[str | None, typer.Option(help="A sentence for those who have the notice.")] = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Take a notice back: recipients are told, the broker erases the body, statement and proof remain."""
    client = connect(gateway, token_file, ca_file)
    body = {"reason": why} if text is None else {"reason": why, "text": text}
    accepted = client.call("POST", f"/v1/notices/{segment(id_)}/recall", body=body, headers={"Prefer": "wait=5"})
    _show_outcome(client.call("GET", f"/v1/notices/{segment(str(accepted['id']))}"))


@app.command()
def correct(
    id_: NoticeIdArgument,
    file: NoticeFile,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Send a corrected text to everybody who has the notice."""
    client = connect(gateway, token_file, ca_file)
    body = _request(file, {})
    accepted = client.call("POST", f"/v1/notices/{segment(id_)}/correct", body=body, headers={"Prefer": "wait=5"})
    _show_outcome(client.call("GET", f"/v1/notices/{segment(str(accepted['id']))}"))


def _request(file: str, beside: Mapping[str, Any]) -> dict[str, Any]:
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    value = strict_json.parse_object(data)
    # A file that begins with the notice's own members is the notice; else it is the request.
    request: dict[str, Any] = dict(value) if "notice" in value else {"notice": value}
    return {**request, **{name: member for name, member in beside.items() if member is not None}}


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _acknowledged(row: Mapping[str, Json]) -> str:
    others = [item for item in verdicts.objects(row["recipients"]) if item["via"] != "sender"]
    return f"{sum(item['acknowledged_at'] is not None for item in others)} of {len(others)}" if others else ""


def _show_outcome(found: dict[str, Json]) -> None:
    _show_status(found)
    if found["status"] in ("refused", "returned", "expired"):
        raise AnswerIsNoError


def _show_status(found: dict[str, Json]) -> None:
    where = terminal()
    if where.as_json:
        where.json(found)
        return
    trouble, copy = _object(found["problem"]), _object(found["sanitised"])
    where.record(
        {
            **found,
            "why": trouble.get("detail"),
            "hint": trouble.get("hint") if found["status"] not in DONE else None,
            "seen": _acknowledged(found),
            # Until the whole notice is published there is none yet.
            "copy": f"{copy['id'] or 'to come'} ({copy['status'] or 'waits'})" if copy else None,
        },
        shown=[
            ("Id", "id"),
            ("Status", "status"),
            ("Why", "why"),
            ("Hint", "hint"),
            ("Topic", "topic"),
            ("Kind", "kind"),
            ("Accepted", "accepted_at"),
            ("Published", "published_at"),
            ("Ledger index", "index"),
            ("Acknowledged", "seen"),
            ("Answer due (UTC)", "reply_due"),
            ("Answered by", "answered_by"),
            ("Certified as gone by", "certified_by"),
            ("Corrected by", "corrected_by"),
            ("Recalled by", "recalled_by"),
            ("Text", "text"),
            ("Sanitised copy", "copy"),
            ("Copy of", "sanitised_of"),
        ],
    )
    recipients = [(str(found["text"]), item) for item in verdicts.objects(found["recipients"])]
    recipients += [("sanitised", item) for item in verdicts.objects(copy.get("recipients"))]
    _show_people(
        recipients,
        [*verdicts.objects(found["left_out"]), *verdicts.objects(copy.get("left_out"))],
        [*verdicts.objects(trouble.get("denied")), *verdicts.objects(_object(copy.get("problem")).get("denied"))],
        "lacks a copy" if trouble.get("code") == "copy-lacking" else "denied",
    )
    if history := verdicts.objects(found["history"]):
        asking.show_history(history)


def _show_people(
    recipients: Sequence[tuple[str, Mapping[str, Json]]],
    left_out: Sequence[Mapping[str, Json]],
    refused: Sequence[Mapping[str, Json]],
    answer: str,
) -> None:
    rows: list[dict[str, Json]] = [
        {
            "who": item["participant"],
            "text": text,
            "answer": "acknowledged" if item["acknowledged_at"] else "",
            "why": item["via"],
        }
        for text, item in recipients
        if item["via"] != "sender"
    ]
    rows += [_denied(item["participant"], item.get("denied"), item["detail"]) for item in left_out]
    known = {row["who"] for row in rows}
    rows += [
        {**_denied(item["participant"], dict(item), ""), "answer": answer}
        for item in refused
        if item["participant"] not in known
    ]
    if rows:
        columns = [
            Column("Participant", "who"),
            Column("Answer", "answer", whole=True),
            Column("Why", "why"),
            Column("Text", "text", whole=True),
        ]
        terminal().listing("recipients", rows, columns)


def _denied(who: Json, denial: Json, otherwise: Json) -> dict[str, Json]:
    if not isinstance(denial, dict):
        return {"who": who, "text": "", "answer": "left out", "why": otherwise}
    return {"who": who, "text": "", "answer": "denied", "why": f"{article(denial)}: {reason(denial.get('reason'))}"}


def _show_preview(found: dict[str, Json]) -> None:
    where = terminal()
    if where.as_json:
        where.json(found)
    else:
        columns = [Column("Who", "who", whole=True), *verdicts.COLUMNS, Column("Text", "text")]
        if topics := verdicts.objects(found["topics"]):
            rows = [{"topic": one["topic"], **row} for one in topics for row in _candidates(one)]
            where.listing("topics", rows, [Column("Topic", "topic", whole=True), *columns])
        else:
            where.listing("candidates", _candidates(found), columns)
        _show_sanitised(_object(found["sanitised"]))
        where.say(f"By directory version {found['directory']}. Nothing was sent.")
    if not found["would_send"]:
        raise AnswerIsNoError


def _candidates(found: Mapping[str, Json]) -> list[dict[str, Json]]:
    """Return the rows of a preview, of a topic or of the one that the notice is about: the sender first."""
    publish = verdicts.told(found["publish"], found["changes"], complete=found["complete"] is True)
    return [
        {"who": "you", "text": "", **publish},
        *(
            {
                "who": item["participant"],
                "text": item["text"],
                **verdicts.told(
                    item["verdict"], item["changes"], detail=str(item["detail"]), complete=item["complete"] is True
                ),
            }
            for item in verdicts.objects(found["candidates"])
        ),
    ]


def _show_sanitised(copy: Mapping[str, Json]) -> None:
    """Say what a sanitised copy would leave out and for whom, and show its text: free text may still name somebody."""
    if not copy:
        return
    where = terminal()
    people, gone = clean(copy["recipients"]), clean(copy["left_out"])
    how = "gets it" if copy["asked"] else "would get it with --sanitise"
    alone = " Nobody may have the whole notice." if copy["alone"] else ""
    where.say(f"Without {gone}: {people} {how}.{alone} Free text stays as written; this is the copy:")
    for line in json.dumps(copy["notice"], ensure_ascii=False, indent=2).splitlines():
        where.say(line)
