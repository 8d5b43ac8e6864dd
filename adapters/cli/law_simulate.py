"""`valise law simulate`: what a draft would have done to past notices, before anybody signs it.

Past notices come from the broker's log as an auditor reads it (labels), from a file of it, or in full from a gateway's own boxes.
The report's digest enters the draft.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from adapters.cli import law_report
from adapters.cli.audit import FolderOption, Who, auditor_of, statement_row
from adapters.cli.broker_access import with_broker
from adapters.cli.gateway_client import CaFile, GatewayUrl, TokenFile, connect
from adapters.cli.law_world import AtTime, DeploymentOption, LawsFolder, World, read_law, world
from adapters.cli.passphrase import PassphraseFile
from adapters.cli.terminal import terminal
from adapters.client.broker import BrokerClient
from keys.custody import durable
from schemas import strict_json
from schemas.encoding import Time
from schemas.errors import Error, FormError
from schemas.ids import ParticipantId, Topic
from schemas.label import Label
from schemas.notice import parse_notice
from schemas.rules.content import Content, content_of
from schemas.rules.facts import Party
from schemas.rules.simulate import Past, simulate
from schemas.strict_json import Json

ACTS: Final = ("issue", "correct")
PAGE: Final = 200
_SIMULATION: Final = re.compile(r"^simulation\s*=.*$", re.MULTILINE)
_VERSION: Final = re.compile(r"^version\s*=.*$", re.MULTILINE)


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The draft as TOML.", exists=True, dir_okay=False)],
    statements: Annotated[
        list[Path] | None,
        typer.Option("--statements", metavar="FILE", help="What `valise audit statements --json` wrote.", exists=True),
    ] = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    folder: FolderOption = None,
    participant: Who = None,
    passphrase_file: PassphraseFile = None,
    deployment: DeploymentOption = None,
    laws: LawsFolder = None,
    at: AtTime = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write the report as JSON.")] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report as a page.")] = None,
    ca_file: CaFile = None,
    *,
    log: Annotated[bool, typer.Option("--log", help="Read the broker's log, as an auditor may (--folder).")] = False,
    enter: Annotated[bool, typer.Option("--enter", help="Enter the report's digest in the draft.")] = False,
) -> None:
    """Simulate a draft over past notices: who gains, who loses, what would have been refused, which States conflict."""
    place = world(deployment, laws, at, ca_file)
    rows: list[dict[str, Any]] = [row for one in statements or () for row in _from_file(one)]
    if log:
        auditor = auditor_of(folder, participant, passphrase_file)
        rows += with_broker(auditor.deployment.broker, ca_file, lambda broker: _from_log(broker, auditor.sign))
    if gateway is not None or token_file is not None:
        rows += _from_gateway(gateway, token_file, ca_file)
    past, skipped = _past(rows, place)
    if not past:
        raise Error(
            "There are no past notices to simulate over.",
            hint="Give --statements FILE, --log with an auditor's --folder, or --gateway URL with its token.",
            problem="configuration",
        )
    data = read_law(file)
    where = terminal()
    with where.progress("Simulating", len(past)) as told:
        report = simulate(past, place.points, place.rules, place.with_law(data).rules, progress=told)
    encoded = report.encode()
    digest = sha256(encoded).hexdigest()
    # What was asked to be written is written before anything is shown: whoever reads may stop reading.
    if skipped:
        where.warn(f"{skipped} statements are of participants that the directory does not have, and were left out.")
    if out is not None:
        durable.write(out, encoded)
    if html is not None:
        durable.write(html, law_report.html(report, digest))
    if enter:
        durable.write(file, entered(file.read_text(encoding="utf-8"), digest).encode())
    law_report.show(report, digest, where)
    if enter:
        where.say(f"The report's digest stands in {file.name} now.")


def entered(text: str, digest: str) -> str:
    """Return a draft's text with the digest of its simulation in it; raise `FormError` where there is no place for it."""
    line = f'simulation = "{digest}"'
    if _SIMULATION.search(text):
        return _SIMULATION.sub(line, text, count=1)
    if not _VERSION.search(text):
        raise FormError("The draft has no line `version = …` to put the digest behind.", pointer="/version")
    return _VERSION.sub(lambda found: f"{found[0]}\n{line}", text, count=1)


def _from_file(file: Path) -> list[dict[str, Any]]:
    value = strict_json.parse_object(file.read_bytes(), limit=1 << 30)
    return _objects(value.get("statements"))


async def _from_log(broker: BrokerClient, sign: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    after = 0
    while True:
        page = await broker.audit(sign, after=after, limit=PAGE)
        rows += [statement_row(one) for one in page.statements]
        if len(page.statements) < PAGE:
            return rows
        after = page.next


def _from_gateway(url: str | None, token_file: Path | None, ca_file: Path | None) -> list[dict[str, Any]]:
    client = connect(url, token_file, ca_file)
    rows = []
    for page in _pages(client, "/v1/notices", "notices", texts=True):
        for item in page:
            if item["published_at"] is not None and item["act"] in ACTS:
                people = _objects(item["recipients"])
                rows.append(
                    {
                        **{name: item[name] for name in ("act", "topic", "label", "notice_id", "expires_at", "notice")},
                        "index": item["index"],
                        "issued_at": item["sealed_at"],
                        "sender": next((one["participant"] for one in people if one["via"] == "sender"), ""),
                        "recipients": [one["participant"] for one in people],
                        "named": [one["participant"] for one in people if one["via"] in ("named", "holder")],
                        "waiting": [
                            one["participant"]
                            for one in people
                            if one["acknowledged_at"] is None and one["via"] != "sender"
                        ],
                    }
                )
    for page in _pages(client, "/v1/inbox", "items"):
        rows += [
            {
                **{name: item[name] for name in ("act", "topic", "label", "sender", "index", "expires_at", "notice")},
                "notice_id": item["id"],
                "issued_at": item["published_at"],
            }
            for item in page
        ]
    return rows


def _pages(client: Any, path: str, member: str, *, texts: bool = False) -> Iterator[list[dict[str, Any]]]:
    after = 0
    while True:
        query = {"after": after, "limit": PAGE} | ({"texts": "true"} if texts else {})
        page = client.call("GET", path, query=query)
        items = _objects(page[member])
        yield items
        if len(items) < PAGE:
            return
        after = page["next"]


def _past(rows: list[dict[str, Any]], place: World) -> tuple[list[Past], int]:
    """Return past notices, each once, and how many statements were of nobody that is known here."""
    found: dict[str, Past] = {}
    skipped = 0
    for row in rows:
        if row["act"] not in ACTS or row["label"] is None or row["topic"] is None:
            continue
        sender = place.find(ParticipantId(str(row["sender"])))
        if sender is None:
            skipped += 1
            continue
        one = _one(row, sender, place)
        if one.content is not None or str(row["notice_id"]) not in found:
            found[str(row["notice_id"])] = one
    return list(found.values()), skipped


def _one(row: dict[str, Any], sender: Party, place: World) -> Past:
    label = Label.from_json(row["label"])
    people = row.get("recipients")
    return Past(
        index=int(row["index"]),
        notice_id=str(row["notice_id"]),
        act=row["act"],
        topic=Topic(row["topic"]),
        label=label,
        sender=sender,
        issued_at=_time(row["issued_at"]),
        expires_at=_time(row["expires_at"]),
        recipients=None if people is None else _parties(people, place),
        named=frozenset(ParticipantId(name) for name in row.get("named", ())),
        waiting=None if row.get("waiting") is None else _parties(row["waiting"], place),
        content=_content(label.kind, row.get("notice")),
    )


def _parties(names: Any, place: World) -> tuple[Party, ...]:
    found = (place.find(ParticipantId(name)) for name in names)
    return tuple(party for party in found if party is not None)


def _content(kind: str, notice: Json) -> Content | None:
    if not isinstance(notice, dict):
        return None
    try:
        return content_of(parse_notice(kind, notice, known_codes=False))
    except FormError:
        return None


def _time(value: Json) -> Time | None:
    return Time(value) if isinstance(value, str) else None


def _objects(value: Json) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
