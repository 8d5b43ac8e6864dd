"""`valise directory`: the root ceremony, enrolment at a focal point's desk, and looking the directory up.

Fifteen minutes: `invite` makes a kit; the agency's `gateway init` prints eight words; `approve` compares them; `sign`;
`upload`. What is edited waits in a file, `fr.update.json`, until whoever must sign has signed.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli import desk, founding, role_keys
from adapters.cli.broker_access import with_broker
from adapters.cli.deployment import Deployment, DeploymentFile, cache_folder
from adapters.cli.desk import Known, NewParticipant
from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile
from adapters.cli.key import PUBLIC, Folder, open_key
from adapters.cli.law import send_update, show_uploaded
from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.role_update import RoleUpdate
from adapters.cli.terminal import Column, terminal
from adapters.client.broker import BrokerClient
from keys.custody import durable
from keys.custody.file import FileCustody
from keys.custody.passphrase import passphrase_from
from keys.directory.ceremony import RoleKeys, TufKey, TufPublic
from keys.directory.directory import Directory, Moment
from keys.directory.enrolment import Kit, eight_words, verify_request
from keys.directory.records import KeyRecord, Names, Participant
from schemas import ids
from schemas.encoding import Time, from_seconds, is_time
from schemas.errors import Error, FormError
from schemas.ids import Role
from schemas.rules.network import default_network, parse_network

app = typer.Typer(help="Found a directory, enrol participants, look them up.", no_args_is_help=True)

ROOT_KEY: Final = "root"
FOUNDING: Final = "founding"
UpdateFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The update, such as fr.update.json.", exists=True, dir_okay=False)
]


@app.command()
def init(
    origin: Annotated[str, typer.Option(help="Origin line of the log, such as valise.example/exchange.")],
    broker: Annotated[str, typer.Option(metavar="URL", help="Address of the broker, without /v1.")],
    broker_public: Annotated[Path, typer.Option(metavar="FILE", help="Public keys of the operator.", exists=True)],
    root_passphrase_file: Annotated[
        list[Path], typer.Option(metavar="FILE", help="One a root holder, each with a passphrase of its own.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the outcome is written.", file_okay=False)],
    role: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Keys of a State: valise directory role.")
    ] = None,
    threshold: Annotated[int, typer.Option(min=1, help="How many root holders must sign.")] = 3,
    network: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Network rules; the founding ones if none.")
    ] = None,
) -> None:
    """Hold the root ceremony: make the holders' keys, sign root and targets, delegate to each State."""
    operator = founding.Operator.parse(broker_public.read_bytes())
    if operator.origin != ids.origin(origin):
        raise FormError("The operator's keys are for another origin.", pointer="/origin")
    rules = default_network() if network is None else network.read_bytes()
    parse_network(rules)
    roles = [role_keys.parse(path.read_bytes()) for path in role or ()]
    durable.make_folder(out)
    holders = [_holder(out / f"root-{n}", file) for n, file in enumerate(root_passphrase_file, 1)]
    founded = founding.found(operator, holders, roles, rules, threshold=threshold, now=_now())
    deployment = Deployment(operator.origin, broker, founded.root)
    for name, data in founded.files().items():
        path = out / FOUNDING / name
        durable.make_folder(path.parent)
        durable.write(path, data)
    durable.write(out / "deployment.json", deployment.encode())
    terminal().record(
        {
            "origin": deployment.origin,
            "fingerprint": deployment.fingerprint,
            "threshold": f"{threshold} of {len(holders)}",
            "roles": [keys.role for keys in roles],
            "founding": str(out / FOUNDING),
            "deployment": str(out / "deployment.json"),
        },
        shown=[
            ("Origin", "origin"),
            ("Root fingerprint", "fingerprint"),
            ("Root holders", "threshold"),
            ("Delegated to", "roles"),
            ("For the operator", "founding"),
            ("For everybody", "deployment"),
        ],
    )
    terminal().say("Take each root-N folder and its passphrase away to its holder, apart from the others.")


@app.command()
def role(
    name: Annotated[str, typer.Argument(metavar="ROLE", help="fr, int-unodc or audit.")],
    public: Annotated[list[Path], typer.Option(metavar="FILE", help="Public half of a key of the role.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: ROLE.role.json.")] = None,
    law_public: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Of the law: legal officer's, focal point's.")
    ] = None,
    threshold: Annotated[int, typer.Option(min=1, help="How many of the role's keys must sign.")] = 1,
) -> None:
    """Put a role's public keys into a file for the root holders."""
    law = [_public(path) for path in law_public or ()]
    if law and len(law) != 2:
        raise FormError("A law has exactly two keys.", pointer="/law-public")
    pair = (law[0], law[1]) if law else None
    keys = RoleKeys(Role(name), tuple(map(_public, public)), pair, threshold)
    path = out or Path(f"{name}.role.json")
    durable.write(path, role_keys.encode(keys))
    terminal().record({"role": name, "file": str(path)}, shown=[("Role", "role"), ("File", "file")])


@app.command()
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


@app.command()
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
    from_: Annotated[str | None, typer.Option("--from", help="When the keys begin to count; now if not given.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: ROLE.update.json.")] = None,
    *,
    focal_point: Annotated[bool, typer.Option("--focal-point", help="It becomes its State's focal point.")] = False,
    ca_file: CaFile = None,
) -> None:
    """Compare the eight words and enter the request's keys into an update of the role."""
    data = request.read_bytes()
    asked = verify_request(data)
    place = Deployment.parse(deployment.read_bytes())
    if asked.origin != place.origin:
        raise Error("The request is for another deployment.", problem="wrong-origin")
    _compare(eight_words(data), words, asked.participant)
    at = from_seconds(_now()) if from_ is None else _time(from_)
    new = _new(kind, name, has_role, clearance)
    path = out or Path(f"{ids.role_of(asked.participant)}.update.json")
    update = desk.enter(
        _newest(place, ca_file),
        asked,
        new=new,
        from_=at,
        now=_now(),
        focal_point=focal_point,
        onto=RoleUpdate.parse(path.read_bytes()) if path.exists() else None,
    )
    durable.write(path, update.encode())
    terminal().record(
        {"participant": asked.participant, "keys": list(asked.kids), "from": at, "update": str(path)},
        shown=[("Participant", "participant"), ("Keys", "keys"), ("From", "from"), ("Update", "update")],
    )
    terminal().say(f"Next: valise directory sign {path}")


@app.command()
def sign(
    file: UpdateFile,
    keys: Folder,
    key: Annotated[str, typer.Option("--key", metavar="NAME", help="Which key of the folder signs.")],
    passphrase_file: PassphraseFile = None,
) -> None:
    """Sign an update with a key of the role."""
    update = RoleUpdate.parse(file.read_bytes())
    signed = update.signed(open_key(keys, key, passphrase(passphrase_file, f"Passphrase of {keys}")))
    durable.write(file, signed.encode())
    terminal().record({"role": update.role, "update": str(file)}, shown=[("Signed", "role"), ("Update", "update")])


@app.command()
def upload(file: UpdateFile, deployment: DeploymentFile, ca_file: CaFile = None) -> None:
    """Upload a signed update; the broker checks it, and its leaf makes it count. The file is then moved aside."""
    update = RoleUpdate.parse(file.read_bytes())
    done = send_update(update, Deployment.parse(deployment.read_bytes()), ca_file)
    file.rename(file.with_suffix(".done"))
    show_uploaded(update, done)


@app.command()
def show(
    deployment: DeploymentFile,
    which: Annotated[str | None, typer.Argument(metavar="[PARTICIPANT|ROLE]", help="One, with its keys.")] = None,
    ca_file: CaFile = None,
) -> None:
    """List the participants, or show one with its keys."""
    known = _newest(Deployment.parse(deployment.read_bytes()), ca_file)
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
        Column("", "mark"),
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


@app.command()
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
    directory = _newest(place, ca_file).directory
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


def _holder(folder: Path, file: Path) -> TufKey:
    if folder.exists():
        raise FileExistsError(17, "There is a root holder's folder already", str(folder))
    custody = FileCustody(folder, passphrase_from(file=file))
    key = TufKey.generate()
    custody.keep(ROOT_KEY, key.to_bytes())
    durable.write(folder / f"{ROOT_KEY}{PUBLIC}", key.public.encode())
    return key


def _public(path: Path) -> TufPublic:
    return TufPublic.parse(path.read_bytes())


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


def _newest(place: Deployment, ca_file: Path | None) -> Known:
    async def work(broker: BrokerClient) -> Known:
        return await desk.newest(broker, place, cache_folder(place))

    return with_broker(place.broker, ca_file, work)


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
    if not Directory.in_force(record, Moment(0, _now() * 1000), {}):
        state = "closed" if life.closed_at is not None else "not yet"
    use = str(record.to_json()["use"])
    return [{"use": use, "kid": kid, "from": life.from_, "state": state} for kid in record.kids]


def _mark(one: Participant, directory: Directory) -> str:
    if one.suspended:
        return "suspended"
    focal = directory.focal_point(one.role)
    return "focal point" if focal is not None and focal.id == one.id else ""


def _time(text: str) -> Time:
    if not is_time(text):
        raise FormError("Must be a time YYYY-MM-DDTHH:MM:SSZ.", pointer="/from")
    return Time(text)


def _digits(fingerprint: str) -> str:
    return "".join(fingerprint.split()).lower()


def _now() -> int:
    return int(datetime.now(UTC).timestamp())
