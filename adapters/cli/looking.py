"""Looking the directory up: who is in it, with which keys, and that it verifies from the root's fingerprint down."""

from typing import Annotated

import typer

from adapters.cli.deployment import Deployment, DeploymentFile
from adapters.cli.enrolling import newest, now
from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile
from adapters.cli.terminal import Column, terminal
from keys.directory.directory import Directory, Moment
from keys.directory.records import KeyRecord, Participant
from schemas import ids
from schemas.encoding import from_seconds
from schemas.errors import Error


def show(
    deployment: DeploymentFile,
    which: Annotated[str | None, typer.Argument(metavar="[PARTICIPANT|ROLE]", help="One, with its keys.")] = None,
    ca_file: CaFile = None,
) -> None:
    """List the participants, or show one with its keys."""
    known = newest(Deployment.parse(deployment.read_bytes()), ca_file)
    directory, where = known.directory, terminal()
    found = [one for who, one in sorted(directory.participants.items()) if which in (None, who, ids.role_of(who))]
    if which is not None and not found:
        raise Error("The directory has no such participant or role.", problem="not-found")
    if len(found) == 1 and which is not None:
        _show_keys(found[0], directory)
        return
    columns = [
        Column("Participant", "id", whole=True),
        Column("Kind", "kind"),
        Column("Name", "name"),
        Column("Roles", "roles"),
        Column("Keys", "keys", right=True),
        Column("Note", "mark"),
    ]
    rows = [
        {
            "id": one.id,
            "kind": one.kind,
            "name": one.names.en,
            "roles": list(one.roles),
            "keys": len(one.keys),
            "mark": _mark(one, directory),
        }
        for one in found
    ]
    where.listing("participants", rows, columns, directory=directory.version)
    where.say(f"Directory version {directory.version} of {directory.origin}.")


def verify(
    deployment: DeploymentFile,
    root_fingerprint: Annotated[str | None, typer.Option(help="The root's fingerprint, learnt by another way.")] = None,
    ca_file: CaFile = None,
) -> None:
    """Fetch and verify the newest directory: signatures, scopes, append-only. Exit code 1 for another root."""
    place = Deployment.parse(deployment.read_bytes())
    if root_fingerprint is not None and _digits(root_fingerprint) != _digits(place.fingerprint):
        terminal().record(
            {"verified": False, "fingerprint": place.fingerprint},
            shown=[("Verified", "verified"), ("Root fingerprint", "fingerprint")],
        )
        terminal().fail("The root is another one than the fingerprint says.", "Get the deployment file again.")
        raise AnswerIsNoError
    directory = newest(place, ca_file).directory
    terminal().record(
        {
            "verified": True,
            "origin": directory.origin,
            "fingerprint": place.fingerprint,
            "version": directory.version,
            "snapshot": directory.snapshot.hex(),
            "roles": sorted(directory.roles),
            "laws": sorted(directory.laws),
            "unreadable": sorted(directory.unreadable),
            "valid_until": from_seconds(directory.valid_until),
        },
        shown=[
            ("Verified", "verified"),
            ("Origin", "origin"),
            ("Root fingerprint", "fingerprint"),
            ("Version", "version"),
            ("Snapshot", "snapshot"),
            ("Roles", "roles"),
            ("Laws", "laws"),
            ("Expired", "unreadable"),
            ("Valid until", "valid_until"),
        ],
    )


def _show_keys(one: Participant, directory: Directory) -> None:
    rows = [row for record in one.keys for row in _key_rows(record)]
    columns = [
        Column("Use", "use"),
        Column("Key id", "kid", whole=True),
        Column("From", "from"),
        Column("State", "state"),
    ]
    terminal().say(f"{one.id}: {one.names.en}, {one.kind}{_mark(one, directory) and ', ' + _mark(one, directory)}")
    terminal().listing("keys", rows, columns, participant=one.id, kind=one.kind, names=one.names.to_json())


def _key_rows(record: KeyRecord) -> list[dict[str, object]]:
    life = record.life
    state = "closed" if life.closed_at is not None else "suspect" if life.suspect_from else "ok"
    if not Directory.in_force(record, Moment(0, now() * 1000), {}):
        state = "closed" if life.closed_at is not None else "not yet"
    use = str(record.to_json()["use"])
    return [{"use": use, "kid": kid, "from": life.from_, "state": state} for kid in record.kids]


def _mark(one: Participant, directory: Directory) -> str:
    if one.suspended:
        return "suspended"
    focal = directory.focal_point(one.role)
    return "focal point" if focal is not None and focal.id == one.id else ""


def _digits(fingerprint: str) -> str:
    return "".join(fingerprint.split()).lower()
