"""Enrolment at a focal point's desk (design: access): a kit out, a request in, eight words compared, signed, uploaded.

What is edited waits in a file, `fr.update.json`, until whoever must sign has signed.
"""

import time
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli import desk
from adapters.cli.broker_access import with_broker
from adapters.cli.deployment import Deployment, DeploymentFile, cache_folder
from adapters.cli.desk import Known, NewParticipant
from adapters.cli.gateway_client import CaFile
from adapters.cli.key import Folder, open_key
from adapters.cli.law import send_update, show_uploaded
from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.role_update import RoleUpdate
from adapters.cli.terminal import terminal
from adapters.client.broker import BrokerClient
from keys.custody import durable
from keys.directory.enrolment import Kit, eight_words, verify_request
from keys.directory.records import Names
from schemas import ids
from schemas.encoding import Time, from_seconds, is_time
from schemas.errors import Error, FormError

LEAD_SECONDS: Final = 600
"""How far ahead keys begin to count where signing and uploading are still to come: they must not have begun by then."""

UpdateFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The update, such as fr.update.json.", exists=True, dir_okay=False)
]


def invite(
    participant: Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Such as fr/customs or audit/court.")],
    deployment: DeploymentFile,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: fr-customs.kit.json.")] = None,
) -> None:
    """Make the kit that an agency, focal point or auditor sets its gateway up with."""
    place = Deployment.parse(deployment.read_bytes())
    who = ids.participant(participant)
    kit = Kit(place.origin, place.broker, who, place.root)
    path = out or Path(f"{who.replace('/', '-')}.kit.json")
    durable.write(path, kit.encode())
    terminal().record(
        {"participant": who, "kit": str(path), "origin": kit.origin, "fingerprint": kit.fingerprint},
        shown=[("For", "participant"), ("Kit", "kit"), ("Origin", "origin"), ("Root fingerprint", "fingerprint")],
    )
    terminal().say("Hand the kit over, and read the fingerprint out by another way.")


def approve(
    request: Annotated[Path, typer.Argument(metavar="REQUEST", help="The gateway's request file.", exists=True)],
    deployment: DeploymentFile,
    words: Annotated[
        str | None, typer.Option(help="The eight words, as they were read out; else they are asked.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="Of a new participant: customs, police, focal-point, auditor, …")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of a new participant, as people know it.")] = None,
    has_role: Annotated[list[str] | None, typer.Option("--role", help="A role of a new participant.")] = None,
    clearance: Annotated[str | None, typer.Option(help="Of a new participant.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", help="When the keys begin to count; now with --key, else in 10 minutes.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: ROLE.update.json.")] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", envvar="VALISE_KEYS", metavar="DIR", help="To sign at once.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="NAME", help="Which key of --keys signs at once.")] = None,
    passphrase_file: PassphraseFile = None,
    *,
    upload_now: Annotated[bool, typer.Option("--upload", help="Upload at once what --key has signed.")] = False,
    focal_point: Annotated[bool, typer.Option("--focal-point", help="It becomes its State's focal point.")] = False,
    ca_file: CaFile = None,
) -> None:
    """Compare the eight words and enter the request's keys into an update of the role."""
    if upload_now and key is None:
        raise FormError("Only a signed update can be uploaded: give --key too.")
    data = request.read_bytes()
    asked = verify_request(data)
    place = Deployment.parse(deployment.read_bytes())
    if asked.origin != place.origin:
        raise Error("The request is for another deployment.", problem="wrong-origin")
    _compare(eight_words(data), words, asked.participant)
    at = from_seconds(now() + (0 if key else LEAD_SECONDS)) if from_ is None else _time(from_)
    new = _new(kind, name, has_role, clearance)
    path = out or Path(f"{ids.role_of(asked.participant)}.update.json")
    update = desk.enter(
        newest(place, ca_file),
        asked,
        new=new,
        from_=at,
        now=now(),
        focal_point=focal_point,
        onto=RoleUpdate.parse(path.read_bytes()) if path.exists() else None,
    )
    if key is not None:
        update = _signed(update, keys, key, passphrase_file)
    durable.write(path, update.encode())
    terminal().record(
        {"participant": asked.participant, "keys": list(asked.kids), "from": at, "update": str(path)},
        shown=[("Participant", "participant"), ("Keys", "keys"), ("From", "from"), ("Update", "update")],
    )
    if upload_now:
        upload(path, deployment, ca_file)
    else:
        terminal().say(f"Next: valise directory {'upload' if key else 'sign'} {path}, before the keys count.")


def sign(
    file: UpdateFile,
    keys: Folder,
    key: Annotated[str, typer.Option("--key", metavar="NAME", help="Which key of the folder signs.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign an update with a key of the role."""
    update = RoleUpdate.parse(file.read_bytes())
    durable.write(file, _signed(update, keys, key, passphrase_file).encode())
    terminal().record({"role": update.role, "update": str(file)}, shown=[("Signed", "role"), ("Update", "update")])


def upload(file: UpdateFile, deployment: DeploymentFile, ca_file: CaFile = None) -> None:
    """Upload a signed update; the broker checks it, and its leaf makes it count. The file is then moved aside."""
    update = RoleUpdate.parse(file.read_bytes())
    done = send_update(update, Deployment.parse(deployment.read_bytes()), ca_file)
    file.rename(file.with_suffix(".done"))
    show_uploaded(update, done)


def newest(place: Deployment, ca_file: Path | None) -> Known:
    """Fetch and verify the newest directory; raise `DirectoryError`."""

    async def work(broker: BrokerClient) -> Known:
        return await desk.newest(broker, place, cache_folder(place))

    return with_broker(place.broker, ca_file, work)


def now() -> int:
    """Return the Unix seconds of this machine's clock."""
    return int(time.time())


def _signed(update: RoleUpdate, keys: Path | None, key: str, passphrase_file: Path | None) -> RoleUpdate:
    if keys is None:
        raise FormError("A key needs its folder: give --keys too.")
    return update.signed(open_key(keys, key, passphrase(passphrase_file, f"Passphrase of {keys}")))


def _compare(right: str, given: str | None, who: str) -> None:
    """Compare the words of the file with those that were read out over the telephone."""
    if given is None:
        terminal().say(f"The request of {who} has the words:\n\n    {right}\n")
        given = terminal().ask("Type the words that the agency reads out to you")
    if given.lower().split() != right.split():
        raise Error(
            "The words differ: this is not the request that the agency made.",
            hint="Ask for the file again by another way; approve nothing.",
            problem="unverified",
        )


def _new(kind: str | None, name: str | None, roles: list[str] | None, clearance: str | None) -> NewParticipant | None:
    if kind is None and name is None:
        return None
    if kind is None or name is None:
        raise FormError("A new participant needs --kind and --name.")
    return NewParticipant(
        kind=ids.code(kind),
        names=Names.same(name),
        roles=tuple(sorted({ids.code(one) for one in roles or ()})),
        clearance=None if clearance is None else ids.code(clearance),
    )


def _time(text: str) -> Time:
    if not is_time(text):
        raise FormError("Must be a time YYYY-MM-DDTHH:MM:SSZ.", pointer="/from")
    return Time(text)
