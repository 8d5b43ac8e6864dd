"""`valise law`: write, check, explain, try out, sign and upload a State's law profile (design: access, Law profile).

The legal officer writes TOML and signs first, the focal point signs second and uploads; either sees what it says first.
What it would do is asked with `decide` and `simulate` before anybody signs; back is `restore`.
"""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli import desk, law_decide, law_resolve, law_simulate, law_vocabulary
from adapters.cli.broker_access import with_broker
from adapters.cli.deployment import Deployment, DeploymentFile, cache_folder
from adapters.cli.gateway_client import CaFile
from adapters.cli.key import Folder, open_key
from adapters.cli.law_world import DeploymentOption, read_law, today, world
from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.role_update import RoleUpdate
from adapters.cli.terminal import Column, terminal
from adapters.cli.words import language
from adapters.client.answers import Uploaded
from adapters.client.broker import BrokerClient
from keys.custody import durable
from schemas import ids, strict_json
from schemas.codes import code_list
from schemas.errors import Error, FormError
from schemas.ids import Code, Role
from schemas.rules.condition import AnyCondition, LawProfile, Profile, own_profile, parse_profile, sentence
from schemas.rules.review import check_profile
from schemas.strict_json import Json

app = typer.Typer(help="Write, check, try out, sign and upload a State's law profile.", no_args_is_help=True)
app.command("decide")(law_decide.decide)
app.command("resolve")(law_resolve.resolve)
app.command("simulate")(law_simulate.run)
app.command("vocabulary")(law_vocabulary.vocabulary)

LAW: Final = "law.json"
ProfileFile = Annotated[Path, typer.Argument(metavar="FILE", help="The profile as TOML.", exists=True, dir_okay=False)]
StateOption = Annotated[
    str | None, typer.Option("--state", help="The State, for a baseline pack that names none, such as fr.")
]
Key = Annotated[str, typer.Option("--key", metavar="NAME", help="Which key of the folder signs.")]
UpdateFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the update is written.")]


@app.command()
def new(
    state: Annotated[str, typer.Option("--state", help="The State, such as al.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the draft is written.")] = None,
    pack: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="A pack (TOML) to begin with.", exists=True)
    ] = None,
) -> None:
    """Begin a draft: a profile with one condition to fill in, or a pack as this State's own."""
    if not ids.is_state(Role(state)) or Code(state) not in code_list("states").entries:
        raise FormError("Must be the two letters of a State.", pointer="/state")
    path = out or Path(f"{state}.toml")
    if path.exists():
        raise Error(
            "The draft is there already.", hint=f"Move {path.name} away, or give --out.", problem="configuration"
        )
    text = _TEMPLATE.format(state=state, today=today()) if pack is None else _taken_over(pack, state)
    durable.write(path, text.encode())
    terminal().record({"state": state, "draft": str(path)}, shown=[("State", "state"), ("Draft", "draft")])
    terminal().say("Types of condition: valise law vocabulary. Next: valise law check.")


_TEMPLATE: Final = """# The law profile of a State, written by its legal officer. It can only make this State's own rules stricter.
# Types of condition and their parameters: valise law vocabulary [TYPE]

form = "law/1"
state = "{state}"
version = "draft 1"
adopted = {today}
illustration = false
# source = "What this was written from."

[[condition]]
id = "nominal-recipients"
type = "nominal-recipients"
instrument = "The act"
article = "1"
parameters = {{ agency_kinds = ["customs", "focal-point", "police", "prosecutor"] }}
applies_to = {{ direction = "send" }}

# The State's own sentence. In languages that it lacks, readers get the type's general one.
[condition.explanation]
en = "Data on persons goes to customs, police and prosecutors only."
"""


def _taken_over(pack: Path, state: str) -> str:
    """Return a pack's text with the State in it, having read it as that State's profile."""
    text = pack.read_text(encoding="utf-8")
    read_law(pack, Role(state))
    head, mark, rest = text.partition("\nversion")
    return text if f'state = "{state}"' in head else f'{head}\nstate = "{state}"{mark}{rest}'


@app.command()
def check(
    file: ProfileFile,
    state: StateOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write law.json there.")] = None,
) -> None:
    """Say what a profile does, and what it may not mean to do. Nothing is signed."""
    data = _compiled(file, state)
    profile = parse_profile(data)
    warnings = [remark.text(language()) for remark in check_profile(profile, today=today())]
    if out is not None:
        durable.write(out, data)
    _show(profile, data, warnings)


@app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="STATE|FILE", help="A State's law in force, or a profile.")],
    deployment: DeploymentOption = None,
    ca_file: CaFile = None,
) -> None:
    """Show a law: the one in force in a deployment, or a file's."""
    data = _law_of(what, deployment, ca_file)
    _show(parse_profile(data), data, [])


@app.command()
def explain(
    what: Annotated[str, typer.Argument(metavar="STATE|FILE", help="A State's law in force, or a profile.")],
    condition: Annotated[str | None, typer.Argument(metavar="[ID]", help="One condition; without it, all.")] = None,
    deployment: DeploymentOption = None,
    ca_file: CaFile = None,
) -> None:
    """Explain each condition: what it asks, of what, when, who evaluates it, and where it stands."""
    profile = parse_profile(_law_of(what, deployment, ca_file))
    conditions: tuple[AnyCondition, ...] = profile.conditions
    rows = [law_vocabulary.explained(item) for item in conditions if condition in (None, item.id)]
    if not rows:
        raise Error("The profile has no such condition.", problem="not-found")
    where = terminal()
    if where.as_json:
        where.json({"state": profile.state, "conditions": rows})
        return
    for row in rows:
        where.record(row, shown=law_vocabulary.EXPLAINED)
        where.say("")


@app.command()
def sign(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="TOML for the first signature, then the update.", exists=True)
    ],
    deployment: DeploymentFile,
    keys: Folder,
    key: Key,
    state: StateOption = None,
    out: UpdateFile = None,
    passphrase_file: PassphraseFile = None,
    ca_file: CaFile = None,
) -> None:
    """Sign a profile: the legal officer first, the focal point second."""
    if file.suffix == ".toml":
        update = _first(_compiled(file, state), Deployment.parse(deployment.read_bytes()), ca_file)
    else:
        update = _waiting(file)
    path = out or (file if file.suffix != ".toml" else Path(f"{update.role}.update.json"))
    _sign(update, path, keys, key, passphrase_file)


@app.command()
def restore(
    state: Annotated[str, typer.Argument(metavar="STATE", help="Whose law, such as al.")],
    deployment: DeploymentFile,
    keys: Folder,
    key: Key,
    version: Annotated[
        int | None, typer.Option("--version", min=1, help="Version of the law's role; without it, the one before.")
    ] = None,
    out: UpdateFile = None,
    passphrase_file: PassphraseFile = None,
    ca_file: CaFile = None,
) -> None:
    """Sign an old text of a State's law, unchanged, as its new version: the focal point then signs and uploads."""
    place = Deployment.parse(deployment.read_bytes())
    role = Role(state)

    async def work(broker: BrokerClient) -> tuple[desk.Known, int, bytes]:
        known = await desk.newest(broker, place, cache_folder(place))
        wanted = known.version(f"{role}-law") - 1 if version is None else version
        return known, wanted, await _old_law(broker, role, wanted)

    known, number, data = with_broker(place.broker, ca_file, work)
    if known.directory.laws.get(role) == data:
        raise Error("That text is in force already.", problem="precondition-failed", hint="Give --version of another.")
    profile = own_profile(role, data)
    terminal().say(f"Version {number} of {role}-law: {profile.version}, {len(profile.conditions)} conditions.")
    now = int(datetime.now(UTC).timestamp())
    update = desk.update(known, f"{role}-law", {f"{role}/{LAW}": data}, now=now)
    _sign(update, out or Path(f"{update.role}.update.json"), keys, key, passphrase_file)


async def _old_law(broker: BrokerClient, role: Role, version: int) -> bytes:
    """Fetch a version of a State's law and hold it against that version's metadata; raise `Error`.

    Both keys sign it anew, having seen it: who signed it then does not matter any more.
    """
    lacking = Error("The broker has no such version of that law.", problem="not-found")
    metadata = await broker.directory_file(f"{version}.{role}-law.json") if version > 0 else None
    if metadata is None:
        raise lacking
    signed = _object(strict_json.parse_object(metadata).get("signed"))
    target = _object(_object(signed.get("targets")).get(f"{role}/{LAW}"))
    digest = str(_object(target.get("hashes")).get("sha256"))
    data = await broker.directory_file(f"targets/{role}/{digest}.{LAW}")
    if data is None:
        raise lacking
    if sha256(data).hexdigest() != digest:
        raise Error("What the broker answered is not that text.", problem="unverified")
    return data


def _sign(update: RoleUpdate, path: Path, keys: Path, key: str, passphrase_file: Path | None) -> None:
    data = update.targets[f"{update.role.removesuffix('-law')}/{LAW}"]
    profile = parse_profile(data)
    where = terminal()
    where.say(f"Signing {update.role}, version {profile.version}: {_names(profile)}.")
    if isinstance(profile, LawProfile) and profile.simulation is None:
        where.say("No simulation of this change is named in it: valise law simulate FILE --enter.")
    signed = update.signed(open_key(keys, key, passphrase(passphrase_file, f"Passphrase of {keys}")))
    durable.write(path, signed.encode())
    where.record(
        {"role": signed.role, "update": str(path), "sha256": sha256(data).hexdigest()},
        shown=[("Role", "role"), ("Update", "update"), ("SHA-256 of law.json", "sha256")],
    )
    where.say("Both keys must sign; then: valise law upload.")


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The update, signed by both keys.", exists=True)],
    deployment: DeploymentFile,
    ca_file: CaFile = None,
) -> None:
    """Upload a profile that both keys have signed: in force from its ledger index on."""
    update = _waiting(file)
    done = send_update(update, Deployment.parse(deployment.read_bytes()), ca_file)
    show_uploaded(update, done)


def send_update(update: RoleUpdate, deployment: Deployment, ca_file: Path | None) -> Uploaded:
    """Upload an update and return the directory version and ledger index; raise `RefusedError`."""

    async def work(broker: BrokerClient) -> Uploaded:
        return await broker.upload_role(update.role, update.metadata, update.targets, edited=update.edited)

    return with_broker(deployment.broker, ca_file, work)


def show_uploaded(update: RoleUpdate, done: Uploaded) -> None:
    """Print what an upload made."""
    terminal().record(
        {"role": update.role, "directory": done.version, "index": done.index},
        shown=[("Role", "role"), ("Directory version", "directory"), ("Ledger index", "index")],
    )


def _first(data: bytes, place: Deployment, ca_file: Path | None) -> RoleUpdate:
    role = parse_profile(data).state

    async def work(broker: BrokerClient) -> desk.Known:
        return await desk.newest(broker, place, cache_folder(place))

    known = with_broker(place.broker, ca_file, work)
    now = int(datetime.now(UTC).timestamp())
    return desk.update(known, f"{role}-law", {f"{role}/{LAW}": data}, now=now)


def _law_of(what: str, deployment: Path | None, ca_file: Path | None) -> bytes:
    """Return the profile of a file, or a State's law in force; raise `Error`."""
    if not ids.is_state(Role(what)):
        return read_law(Path(what))
    data = world(deployment, None, None, ca_file).laws.get(Role(what))
    if data is None:
        raise Error("The State has no signed law profile.", problem="not-found")
    return data


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def _waiting(file: Path) -> RoleUpdate:
    update = RoleUpdate.parse(file.read_bytes())
    if not update.role.endswith("-law"):
        raise FormError("This is not an update of a law.", hint="Use `valise directory` for other roles.")
    return update


def _compiled(file: Path, state: str | None) -> bytes:
    try:
        return read_law(file, None if state is None else Role(state))
    except FormError as error:
        # What a person reads names the file too; a program has pointer and offset.
        raise FormError(
            f"{file.name}{'' if error.offset is None else f', line {error.offset}'}: {error.detail}",
            pointer=error.pointer,
            offset=error.offset,
            problem=error.code,
        ) from None


def _show(profile: Profile, data: bytes, warnings: list[str]) -> None:
    where = terminal()
    rows = [
        {
            "id": condition.id,
            "effect": condition.effect,
            "type": condition.type,
            "article": f"{condition.instrument}, {condition.article}",
            "reason": sentence(condition, language()),
        }
        for condition in profile.conditions
    ]
    columns = [
        Column("Condition", "id", whole=True),
        Column("Effect", "effect", whole=True),
        Column("Type", "type", whole=True),
        Column("Article", "article"),
        Column("Reason", "reason"),
    ]
    about = {"state": profile.state, "version": profile.version, "sha256": sha256(data).hexdigest()}
    where.listing("conditions", rows, columns, **about, warnings=warnings)
    if profile.illustration:
        where.say("This profile is an illustration, not a statement of law.")
    if not where.as_json:
        for warning in warnings:
            where.warn(warning)


def _names(profile: Profile) -> str:
    return ", ".join(condition.id for condition in profile.conditions)
