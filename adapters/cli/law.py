"""`valise law`: check a State's law profile, sign it with both of its keys, upload it (design: access, Law profile).

The legal officer writes TOML and signs first, the focal point signs second and uploads; either sees what it says first.
"""

from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli import desk
from adapters.cli.broker_access import with_broker
from adapters.cli.deployment import Deployment, DeploymentFile, cache_folder
from adapters.cli.gateway_client import CaFile
from adapters.cli.key import Folder, open_key
from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.role_update import RoleUpdate
from adapters.cli.terminal import Column, terminal
from adapters.cli.words import language
from adapters.client.answers import Uploaded
from adapters.client.broker import BrokerClient
from keys.custody import durable
from schemas.errors import FormError
from schemas.ids import Role
from schemas.rules.authoring import compile_profile
from schemas.rules.condition import Profile, parse_profile, sentence
from schemas.rules.review import check_profile

app = typer.Typer(help="Check, sign and upload a State's law profile.", no_args_is_help=True)

LAW: Final = "law.json"
ProfileFile = Annotated[Path, typer.Argument(metavar="FILE", help="The profile as TOML.", exists=True, dir_okay=False)]
StateOption = Annotated[
    str | None, typer.Option("--state", help="The State, for a baseline pack that names none, such as fr.")
]


@app.command()
def check(
    file: ProfileFile,
    state: StateOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write law.json there.")] = None,
) -> None:
    """Say what a profile does, and what it may not mean to do. Nothing is signed."""
    data = _compiled(file, state)
    profile = parse_profile(data)
    warnings = check_profile(profile, today=datetime.now(UTC).date())
    if out is not None:
        durable.write(out, data)
    _show(profile, data, warnings)


@app.command()
def sign(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="TOML for the first signature, then the update.", exists=True)
    ],
    deployment: DeploymentFile,
    keys: Folder,
    key: Annotated[str, typer.Option("--key", metavar="NAME", help="Which key of the folder signs.")],
    state: StateOption = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where the update is written.")] = None,
    passphrase_file: PassphraseFile = None,
    ca_file: CaFile = None,
) -> None:
    """Sign a profile: the legal officer first, the focal point second."""
    update = _first(file, state, deployment, ca_file) if file.suffix == ".toml" else _waiting(file)
    data = update.targets[f"{update.role.removesuffix('-law')}/{LAW}"]
    profile = parse_profile(data)
    terminal().say(f"Signing {update.role}, version {profile.version}: {_names(profile)}.")
    signed = update.signed(open_key(keys, key, passphrase(passphrase_file, f"Passphrase of {keys}")))
    path = out or (file if file.suffix != ".toml" else Path(f"{update.role}.update.json"))
    durable.write(path, signed.encode())
    terminal().record(
        {"role": signed.role, "update": str(path), "sha256": sha256(data).hexdigest()},
        shown=[("Role", "role"), ("Update", "update"), ("SHA-256 of law.json", "sha256")],
    )
    terminal().say("Both keys must sign; then: valise law upload.")


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


def _first(file: Path, state: str | None, deployment: Path, ca_file: Path | None) -> RoleUpdate:
    data = _compiled(file, state)
    role = parse_profile(data).state
    place = Deployment.parse(deployment.read_bytes())

    async def work(broker: BrokerClient) -> desk.Known:
        return await desk.newest(broker, place, cache_folder(place))

    known = with_broker(place.broker, ca_file, work)
    now = int(datetime.now(UTC).timestamp())
    return desk.update(known, f"{role}-law", {f"{role}/{LAW}": data}, now=now)


def _waiting(file: Path) -> RoleUpdate:
    update = RoleUpdate.parse(file.read_bytes())
    if not update.role.endswith("-law"):
        raise FormError("This is not an update of a law.", hint="Use `valise directory` for other roles.")
    return update


def _compiled(file: Path, state: str | None) -> bytes:
    role = None if state is None else Role(state)
    return compile_profile(file.read_bytes(), today=datetime.now(UTC).date(), state=role)


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
