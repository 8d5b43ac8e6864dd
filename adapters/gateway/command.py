"""`valise gateway`: set one up, run it, hand out tokens, back it up. The agency's operator is at the terminal."""

import os
import time
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.terminal import Column, terminal
from keys.custody import durable
from schemas import ids
from schemas.errors import Error
from schemas.ids import ParticipantId

app = typer.Typer(help="The agency's own service: keys, spool, inbox, plain REST.", no_args_is_help=True)
token = typer.Typer(help="Tokens of agency systems.", no_args_is_help=True)
app.add_typer(token, name="token")

SEALED: Final = ".sealed"
Folder = Annotated[
    Path,
    typer.Option(
        "--folder", envvar="VALISE_GATEWAY_FOLDER", metavar="DIR", help="The gateway's folder.", file_okay=False
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file; the environment goes over it.")
]
BackupPassphrase = Annotated[
    Path | None, typer.Option("--backup-passphrase-file", metavar="FILE", help="File with the backup's own passphrase.")
]


@app.command()
def init(
    kit: Annotated[Path, typer.Option("--kit", metavar="FILE", help="The kit that the focal point made.", exists=True)],
    folder: Folder,
    gateway: Annotated[
        str, typer.Option("--gateway", metavar="NAME", help="This gateway's name, such as main.")
    ] = "main",
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The request; default: fr-customs.request.json.")
    ] = None,
    backup: Annotated[
        Path | None, typer.Option("--backup", metavar="FILE", help="Where the sealed backup of the keys is written.")
    ] = None,
    backup_passphrase_file: BackupPassphrase = None,
    *,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Make no backup: what is lost is lost.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make keys and the request to enter them. Read the eight words out to your focal point by telephone."""
    from adapters.gateway.enrol import init_gateway

    if (backup is None) is not no_backup:
        raise Error(
            "A lost key loses what only it opened.",
            problem="configuration",
            hint="Give --backup FILE, or say --no-backup.",
        )
    secret = passphrase(passphrase_file, f"New passphrase of {folder}", new=True)
    own = None if no_backup else passphrase(backup_passphrase_file, "New passphrase of the backup", new=True)
    done = init_gateway(
        kit.read_bytes(),
        folder,
        secret,
        gateway=ids.code(gateway),
        now_ms=time.time_ns() // 1_000_000,
        backup_passphrase=own,
        no_backup=no_backup,
    )
    path = out or Path(f"{done.participant.replace('/', '-')}.request.json")
    durable.write(path, done.request)
    if backup is not None and done.backup is not None:
        durable.write(backup, done.backup)
    terminal().record(
        {
            "participant": done.participant,
            "request": str(path),
            "words": done.words,
            "fingerprint": done.fingerprint,
            "backup": None if backup is None else str(backup),
        },
        shown=[
            ("Participant", "participant"),
            ("Request", "request"),
            ("Eight words", "words"),
            ("Root fingerprint", "fingerprint"),
            ("Backup of the keys", "backup"),
        ],
    )
    terminal().say(
        "Compare the fingerprint with what your focal point says. Send it the request and read the eight words out to it.\n"
        "Then: valise gateway run"
    )


@app.command()
def run(
    config: Config = None,
    folder: Annotated[Path | None, typer.Option("--folder", metavar="DIR", help="The gateway's folder.")] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Serve until told to stop."""
    import logging

    from adapters.gateway import serve
    from adapters.gateway.service import Gateway
    from adapters.gateway.settings import load
    from adapters.gateway.telemetry import configure_logging

    given = {} if folder is None else {"folder": str(folder.absolute())}
    settings = load(config, os.environ, given).settings
    configure_logging(level=logging.getLevelNamesMapping()[settings.log_level.upper()])
    secret = passphrase(passphrase_file or settings.passphrase_file, f"Passphrase of {settings.folder}")
    serve.run(settings, Gateway.open(settings.options(), secret), _ready)


def _ready(address: str, metrics: str | None) -> None:
    terminal().say(f"listening on {address}" + ("" if metrics is None else f", metrics on {metrics}"))


@app.command("check-config")
def check_config(config: Config = None) -> None:
    """Explain every setting and where it came from; refuse what is unsafe."""
    from adapters.gateway.settings import load

    rows = [
        {"name": row.name, "value": row.value, "source": row.source, "about": row.about}
        for row in load(config, os.environ).explained
    ]
    columns = [
        Column("Setting", "name", whole=True),
        Column("Value", "value"),
        Column("From", "source"),
        Column("What it is", "about"),
    ]
    terminal().listing("settings", rows, columns)
    terminal().say("The configuration can be started with.")


@app.command("next-key")
def next_key(
    folder: Folder,
    participant: Annotated[str | None, typer.Option(help="Whose it is, where the gateway serves several.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The request; default: fr-customs.next.json.")
    ] = None,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make the participant's next sealing key, and the request to enter it. The earlier ones stay."""
    from adapters.gateway.rotation import next_sealing_key

    who = _served(folder, participant)
    secret = passphrase(passphrase_file, f"Passphrase of {folder}")
    done = next_sealing_key(folder, secret, who, now_ms=time.time_ns() // 1_000_000)
    path = out or Path(f"{who.replace('/', '-')}.next.json")
    durable.write(path, done.request)
    terminal().record(
        {"participant": who, "kid": done.kid, "request": str(path), "words": done.words},
        shown=[("Participant", "participant"), ("Key id", "kid"), ("Request", "request"), ("Eight words", "words")],
    )
    terminal().say(
        "Start the gateway again, make a new backup, and send the request to your focal point with the eight words."
    )


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup to write.")],
    folder: Folder,
    passphrase_file: PassphraseFile = None,
    backup_passphrase_file: BackupPassphrase = None,
) -> None:
    """Write keys, store, tokens and enrolment into one file, also while the gateway runs."""
    from adapters.gateway import backup as backups

    secret = passphrase(passphrase_file, f"Passphrase of {folder}")
    own = passphrase(backup_passphrase_file, "New passphrase of the backup", new=True)
    durable.create(file, backups.make(folder, secret, own))
    terminal().record(
        {"backup": str(file), "bytes": file.stat().st_size}, shown=[("Backup", "backup"), ("Bytes", "bytes")]
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.", exists=True, dir_okay=False)],
    folder: Folder,
    passphrase_file: PassphraseFile = None,
    backup_passphrase_file: BackupPassphrase = None,
) -> None:
    """Put a backup into a new folder. Never let two gateways of one backup run."""
    from adapters.gateway import backup as backups

    own = passphrase(backup_passphrase_file, "Passphrase of the backup")
    secret = passphrase(passphrase_file, f"New passphrase of {folder}", new=True)
    enrolled = backups.restore(file.read_bytes(), folder, secret, own)
    terminal().record(
        {"folder": str(folder), "origin": enrolled.origin, "gateway": enrolled.gateway},
        shown=[("Folder", "folder"), ("Origin", "origin"), ("Gateway", "gateway")],
    )


@token.command("new")
def token_new(
    folder: Folder,
    label: Annotated[str, typer.Option(help="Which system it is for.")],
    participant: Annotated[str | None, typer.Option(help="Whose it is, where the gateway serves several.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the token there (mode 600), not here.")
    ] = None,
) -> None:
    """Make a token. It is shown once: only its hash is kept."""
    from adapters.gateway.tokens import Tokens

    record, text = Tokens(folder).new(_served(folder, participant), label)
    shown = [("Id", "id"), ("Participant", "participant"), ("Label", "label")]
    if out is not None:
        durable.write(out, f"{text}\n".encode())
        shown.append(("Token file", "token_file"))
    else:
        shown.append(("Token", "token"))
    terminal().record(
        {
            "id": record.id,
            "participant": record.participant,
            "label": record.label,
            **({"token": text} if out is None else {"token_file": str(out)}),
        },
        shown=shown,
    )


@token.command("list")
def token_list(folder: Folder) -> None:
    """List the tokens in force."""
    from adapters.gateway.tokens import Tokens

    rows = [
        {
            "id": one.id,
            "participant": one.participant,
            "label": one.label,
            "created": one.created,
            "last_used": one.last_used,
        }
        for one in Tokens(folder).list()
    ]
    columns = [
        Column("Id", "id", whole=True),
        Column("Participant", "participant"),
        Column("Label", "label"),
        Column("Created", "created"),
        Column("Last used", "last_used"),
    ]
    terminal().listing("tokens", rows, columns)


@token.command("revoke")
def token_revoke(
    folder: Folder, id_: Annotated[str, typer.Argument(metavar="ID", help="The token's id: `gateway token list`.")]
) -> None:
    """End a token; a gateway that runs refuses it at once."""
    from adapters.gateway.tokens import Tokens

    gone = Tokens(folder).revoke(id_)
    terminal().record({"id": gone.id, "label": gone.label}, shown=[("Revoked", "id"), ("Label", "label")])


def _served(folder: Path, wanted: str | None) -> ParticipantId:
    """Return the participant that a token is for; the names of sealed files say whom a gateway serves."""
    files = (folder / "keys").glob(f"signing.*{SEALED}")
    served = sorted(
        ids.participant(path.name.removeprefix("signing.").removesuffix(SEALED).replace(".", "/")) for path in files
    )
    if not served:
        raise Error(
            "This folder has no gateway yet.", problem="enrolment", hint="Run `valise gateway init --kit FILE`."
        )
    if wanted is None and len(served) == 1:
        return served[0]
    if wanted not in served:
        raise Error(
            "The gateway does not serve this participant." if wanted else "The gateway serves several participants.",
            problem="configuration",
            hint=f"Give --participant, one of: {', '.join(served)}.",
        )
    return ParticipantId(wanted)
