"""`valise audit`: list signed statements, verify the whole log, carry evidence away, check it with no network.

Who asks is a gateway's folder (an auditor has one too): its request key signs, its sealing key opens what it may release.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.audit.bundle import make_evidence
from adapters.audit.check import Checked, check_evidence
from adapters.audit.evidence import Content
from adapters.audit.verify import Report, verify_log
from adapters.cli import court, desk
from adapters.cli.broker_access import with_broker
from adapters.cli.deployment import Deployment, cache_folder
from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile
from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.terminal import Column, terminal
from adapters.client.answers import Audited
from adapters.client.broker import BrokerClient, Sign
from adapters.client.errors import AnswerError
from adapters.gateway.folder import Folder
from adapters.gateway.identity import Identity, load_all
from adapters.gateway.network import Network
from keys.custody import durable
from keys.custody.file import FileCustody
from keys.directory.directory import Directory
from keys.directory.update import root_fingerprint
from keys.envelope import OpenedNotice, open_notice, verify_delivery
from keys.log.note import verify_checkpoint
from schemas import ids
from schemas.delivery import Delivery
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import NoticeId, ParticipantId
from schemas.rules.compile import compile_rules
from schemas.statement import Statement

app = typer.Typer(help="Audit the log without reading notices; check evidence offline.", no_args_is_help=True)

FolderOption = Annotated[
    Path | None,
    typer.Option(
        "--folder", envvar="VALISE_GATEWAY_FOLDER", metavar="DIR", help="Folder whose keys sign the requests."
    ),
]
Who = Annotated[str | None, typer.Option("--participant", help="Who asks, where the folder serves several.")]
BundleFile = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The evidence file.", exists=True, dir_okay=False)]


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who asks, and of which deployment."""

    deployment: Deployment
    identity: Identity

    @property
    def sign(self) -> Sign:
        """Return what signs this participant's requests."""
        return self.identity.signer(self.deployment.origin, lambda: time.time_ns() // 1_000_000)


@app.command()
def statements(
    after: Annotated[int, typer.Option(min=0, help="Ledger index to begin behind.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Statements a page.")] = 50,
    folder: FolderOption = None,
    participant: Who = None,
    passphrase_file: PassphraseFile = None,
    ca_file: CaFile = None,
) -> None:
    """List signed statements: who said what about which notice, never what is in it. Every access is itself logged."""
    auditor = auditor_of(folder, participant, passphrase_file)

    async def work(broker: BrokerClient) -> tuple[int, tuple[Audited, ...]]:
        page = await broker.audit(auditor.sign, after=after, limit=limit)
        return page.next, page.statements

    following, found = with_broker(auditor.deployment.broker, ca_file, work)
    columns = [
        Column("Index", "index", right=True),
        Column("Received", "received_at"),
        Column("Act", "act", whole=True),
        Column("Sender", "sender"),
        Column("Topic", "topic"),
        Column("Notice", "notice_id", whole=True),
        Column("Body", "body"),
    ]
    terminal().listing("statements", [statement_row(one) for one in found], columns, next=following)
    if len(found) == limit:
        terminal().say(f"More: --after {following}")


@app.command()
def verify(
    deployment: Annotated[
        Path | None,
        typer.Option("--deployment", envvar="VALISE_DEPLOYMENT", metavar="FILE", help="Instead of a folder's own."),
    ] = None,
    folder: FolderOption = None,
    participant: Who = None,
    passphrase_file: PassphraseFile = None,
    ca_file: CaFile = None,
    *,
    sealed: Annotated[bool, typer.Option("--statements", help="Check every sealed statement too (auditors).")] = False,
) -> None:
    """Hash every entry again, compare the root, demand what stands behind open leaves. Exit code 1 for any finding."""
    auditor = None if folder is None else auditor_of(folder, participant, passphrase_file)
    place = auditor.deployment if auditor is not None else _deployment(deployment)
    sign = None if auditor is None else auditor.sign

    async def work(broker: BrokerClient) -> Report:
        directory = (await desk.newest(broker, place, cache_folder(place))).directory
        size = verify_checkpoint((await broker.checkpoint()).note, directory.log.keys).size
        with terminal().progress("Verifying the log", size) as told:
            return await verify_log(broker, directory, sign=sign, told=told, now=_now(), sealed=sealed)

    _show_report(with_broker(place.broker, ca_file, work))


@app.command()
def bundle(
    notice: Annotated[str, typer.Argument(metavar="NOTICE", help="The notice's id.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: NOTICE.evidence.json.")] = None,
    folder: FolderOption = None,
    participant: Who = None,
    receipt_file: Annotated[
        Path | None, typer.Option("--receipt-file", help="The receipt (compact JWS), if at hand.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    ca_file: CaFile = None,
    *,
    release_content: Annotated[
        bool, typer.Option("--release-content", help="Put the content key in: whoever has the file reads the notice.")
    ] = False,
    permit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="The originator's permit, where a received notice must not be used in court without."
        ),
    ] = None,
) -> None:
    """Gather one notice's evidence into a file that checks with no network.

    The content of a received notice is not released where its handling code or a law asks for the originator's leave,
    unless that leave is shown.
    """
    permits = tuple(ids.notice_id(one) for one in permit or ())
    auditor = auditor_of(folder, participant, passphrase_file)
    name = ids.notice_id(notice)
    receipt = None if receipt_file is None else receipt_file.read_text(encoding="ascii").strip()

    async def work(broker: BrokerClient) -> bytes:
        directory = (await desk.newest(broker, auditor.deployment, cache_folder(auditor.deployment))).directory
        content = await _content(broker, auditor, directory, name, permits) if release_content else None
        evidence = await make_evidence(broker, directory, name, sign=auditor.sign, receipt=receipt, content=content)
        return evidence.encode()

    data = with_broker(auditor.deployment.broker, ca_file, work)
    checked = check_evidence(data, fingerprint=root_fingerprint(auditor.deployment.root))
    if not checked.sound:
        _show_checked(checked)
        raise AnswerIsNoError
    path = out or Path(f"{name}.evidence.json")
    durable.write(path, data)
    terminal().record(
        {
            "notice_id": name,
            "bundle": str(path),
            "bytes": len(data),
            "content_released": release_content,
            "fingerprint": auditor.deployment.fingerprint,
        },
        shown=[
            ("Notice", "notice_id"),
            ("Evidence", "bundle"),
            ("Bytes", "bytes"),
            ("Content released", "content_released"),
            ("Root fingerprint", "fingerprint"),
        ],
    )
    terminal().say(f"Check it anywhere: valise audit check {path} --root-fingerprint '…'")


@app.command()
def check(
    file: BundleFile,
    root_fingerprint: Annotated[str | None, typer.Option(help="The root's fingerprint, learnt by another way.")] = None,
) -> None:
    """Check an evidence file with no network. Exit code 1 where anything does not hold."""
    checked = check_evidence(file.read_bytes(), fingerprint=root_fingerprint)
    _show_checked(checked)
    if not checked.sound:
        raise AnswerIsNoError


def auditor_of(folder: Path | None, who: str | None, passphrase_file: Path | None) -> Auditor:
    """Return who asks, with the keys of a folder; raise `Error` where it has none, or several."""
    if folder is None:
        raise Error(
            "No folder with keys is named.",
            hint="Give --folder DIR (VALISE_GATEWAY_FOLDER); `valise gateway init` makes one.",
            problem="configuration",
        )
    place = Folder(folder)
    enrolled = place.enrolled()
    if enrolled is None:
        raise Error("This folder has no keys yet.", hint="Run `valise gateway init --kit FILE`.", problem="enrolment")
    identities = load_all(FileCustody(place.keys, passphrase(passphrase_file, f"Passphrase of {folder}")))
    return Auditor(Deployment(enrolled.origin, enrolled.broker, place.root()), _one(identities, who))


def _one(identities: dict[ParticipantId, Identity], who: str | None) -> Identity:
    if who is None and len(identities) == 1:
        return next(iter(identities.values()))
    found = None if who is None else identities.get(ParticipantId(who))
    if found is None:
        raise Error(
            "The folder serves several participants, or not this one.",
            hint=f"Give --participant, one of: {', '.join(sorted(identities))}.",
            problem="configuration",
        )
    return found


def _deployment(file: Path | None) -> Deployment:
    if file is None:
        raise Error(
            "Neither a deployment nor a folder is named.",
            hint="Give --deployment FILE, or --folder DIR to demand open statements too.",
            problem="configuration",
        )
    return Deployment.parse(file.read_bytes())


async def _content(
    broker: BrokerClient, auditor: Auditor, directory: Directory, name: NoticeId, permits: tuple[NoticeId, ...]
) -> Content:
    """Open one's own delivery of a notice and return its content key and ciphertext, where that may be released."""

    async def fetch(wanted: NoticeId) -> tuple[Delivery, OpenedNotice]:
        delivery = Delivery.parse(await broker.notice(wanted, auditor.sign))
        checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, directory.log.keys)
        own = auditor.identity.sealing
        verified = verify_delivery(delivery, directory, checkpoint, revoked={}, own=own)
        if verified.statement.notice_id != wanted:
            raise AnswerError("What the broker delivered is not the notice that was asked for.")
        return delivery, open_notice(verified, own[delivery.sealed.stanza.kid])

    async def opened_of(wanted: NoticeId) -> OpenedNotice:
        return (await fetch(wanted))[1]

    delivery, opened = await fetch(name)
    now = from_seconds(_now())
    rules = compile_rules(version=directory.version, boundary=now, network=directory.network, laws=directory.laws)
    network = Network(directory, rules, {}, {}, None, ())
    await court.demand_leave(opened, auditor.identity.participant, network, permits, opened_of, now=now)
    share = delivery.sealed
    return Content(bytes(opened.content_key), share.header.protected, share.iv, share.ciphertext, share.tag)


def statement_row(one: Audited) -> dict[str, Any]:
    """Return a statement as a listing shows it."""
    said = Statement.parse(one.statement)
    body = "" if one.body_digest is None else "erased" if one.erased else "kept"
    return {
        "index": one.index,
        "received_at": from_seconds(one.leaf.received_at // 1000),
        "act": said.act,
        "sender": said.sender,
        "topic": said.topic,
        "notice_id": said.notice_id,
        "ref": said.ref,
        "label": None if said.label is None else said.label.to_json(),
        "recipient_count": None if said.sealed is None else said.sealed.recipient_count,
        "issued_at": said.issued_at,
        "expires_at": said.expires_at,
        "body": body,
    }


def _show_report(report: Report) -> None:
    where = terminal()
    findings = [{"index": one.index, "problem": one.problem, "detail": one.detail} for one in report.findings]
    value = {
        "verified": report.sound,
        "size": report.size,
        "root": report.root.hex(),
        "signed_at": from_seconds(report.at),
        "leaves": report.leaves,
        "events": report.events,
        "open_statements": report.open_statements,
        "sealed_statements": report.sealed_statements,
        "not_demanded": report.not_demanded,
        "findings": findings,
    }
    if where.as_json:
        where.json(value)
    else:
        kinds = ", ".join(f"{number} {name}" for name, number in sorted(report.leaves.items()))
        where.record(
            {**value, "leaves": kinds, "verified": report.sound},
            shown=[
                ("Verified", "verified"),
                ("Leaves", "size"),
                ("Of which", "leaves"),
                ("Root", "root"),
                ("Signed", "signed_at"),
                ("Events demanded", "events"),
                ("Open statements demanded", "open_statements"),
                ("Sealed statements checked", "sealed_statements"),
            ],
        )
        if findings:
            columns = [Column("Leaf", "index", right=True), Column("Problem", "problem"), Column("What", "detail")]
            where.listing("findings", findings, columns)
        if report.not_demanded:
            where.warn(f"{report.not_demanded} open statements were not demanded: that needs a participant's --folder.")
    if not report.sound:
        raise AnswerIsNoError


def _show_checked(checked: Checked) -> None:
    where = terminal()
    steps = [{"step": one.name, "result": "ok" if one.ok else "failed", "detail": one.detail} for one in checked.steps]
    verified = checked.verified
    said = None if verified is None else verified.statement
    value = {
        "sound": checked.sound,
        "steps": steps,
        "statement": None
        if said is None or verified is None
        else {
            "notice_id": said.notice_id,
            "act": said.act,
            "sender": said.sender,
            "topic": said.topic,
            "label": None if said.label is None else said.label.to_json(),
            "issued_at": said.issued_at,
            "received_at": from_seconds(verified.received_at // 1000),
            "index": verified.index,
        },
        "notice": checked.notice,
    }
    if where.as_json:
        where.json(value)
        return
    where.listing(
        "steps",
        steps,
        [Column("Step", "step", whole=True), Column("Result", "result", whole=True), Column("Found", "detail")],
    )
    if isinstance(value["statement"], dict):
        where.record(
            {**value["statement"], "sound": checked.sound},
            shown=[
                ("Sound", "sound"),
                ("Notice", "notice_id"),
                ("Act", "act"),
                ("Sender", "sender"),
                ("Topic", "topic"),
                ("Issued", "issued_at"),
                ("Received", "received_at"),
                ("Ledger index", "index"),
            ],
        )
    if not checked.sound:
        where.fail("The evidence does not hold as it stands.", None)


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
