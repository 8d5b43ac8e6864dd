"""`valise key`: keys of directory roles and laws (ML-DSA-65), in sealed files; and backups of any folder of keys.

A gateway's own keys are made by `valise gateway init`. The public half of a key lies beside it and may be shown to all.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.terminal import Column, terminal
from keys.custody import durable
from keys.custody.backup import make_backup, restore_backup
from keys.custody.errors import CustodyError
from keys.custody.file import SUFFIX, FileCustody
from keys.directory.tuf_key import TufKey, TufPublic

app = typer.Typer(help="Make, list, back up and restore keys in sealed files.", no_args_is_help=True)

PUBLIC: Final = ".public.json"
Folder = Annotated[
    Path, typer.Option("--keys", envvar="VALISE_KEYS", metavar="DIR", help="Folder of sealed keys.", file_okay=False)
]
BackupPassphrase = Annotated[
    Path | None, typer.Option("--backup-passphrase-file", metavar="FILE", help="File with the backup's own passphrase.")
]


def open_key(folder: Path, name: str, secret: bytes) -> TufKey:
    """Open a role's key; raise `CustodyError`."""
    if not folder.is_dir():
        raise CustodyError("There is no folder of keys there.")
    seed = FileCustody(folder, secret).open(name)
    if len(seed) != 32:
        raise CustodyError("The secret of this name is not a role's key.")
    return TufKey.from_bytes(seed)


def make_key(folder: Path, name: str, secret: bytes) -> TufPublic:
    """Make a role's key in a folder and return its public half, which is written beside it; raise `CustodyError`."""
    custody = FileCustody(folder, secret)
    if name in custody.names():
        raise CustodyError("There is a key of this name already.")
    key = TufKey.generate()
    custody.keep(name, key.to_bytes())
    durable.write(folder / f"{name}{PUBLIC}", key.public.encode())
    return key.public


@app.command()
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as fr-role, fr-law-officer.")],
    keys: Folder,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Make the key of a directory role or law, and the file of its public half."""
    public = make_key(keys, name, passphrase(passphrase_file, f"New passphrase for {keys}", new=True))
    path = keys / f"{name}{PUBLIC}"
    terminal().record(
        {"name": name, "keyid": public.keyid, "public": str(path)},
        shown=[("Name", "name"), ("Key id", "keyid"), ("Public half", "public")],
    )
    terminal().say("Hand out the public half; keep a backup: valise key backup.")


@app.command("list")
def list_(keys: Folder) -> None:
    """List the keys of a folder. No passphrase is needed: names and public halves are no secrets."""
    rows = []
    for path in sorted(keys.glob(f"*{SUFFIX}")):
        name = path.name.removesuffix(SUFFIX)
        public = keys / f"{name}{PUBLIC}"
        keyid = TufPublic.parse(public.read_bytes()).keyid if public.exists() else None
        rows.append({"name": name, "keyid": keyid})
    terminal().listing("keys", rows, [Column("Name", "name"), Column("Key id of a role", "keyid")])


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup to write.")],
    keys: Folder,
    passphrase_file: PassphraseFile = None,
    backup_passphrase_file: BackupPassphrase = None,
) -> None:
    """Write every secret of a folder into one file, sealed under a passphrase of its own."""
    custody = FileCustody(_existing(keys), passphrase(passphrase_file, f"Passphrase of {keys}"))
    secret = passphrase(backup_passphrase_file, "New passphrase of the backup", new=True)
    durable.create(file, make_backup(custody, secret))
    terminal().record(
        {"backup": str(file), "keys": list(custody.names())}, shown=[("Backup", "backup"), ("Keys", "keys")]
    )


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.", exists=True, dir_okay=False)],
    keys: Folder,
    passphrase_file: PassphraseFile = None,
    backup_passphrase_file: BackupPassphrase = None,
) -> None:
    """Put a backup's secrets into a folder, which is made where it does not exist."""
    secret = passphrase(backup_passphrase_file, "Passphrase of the backup")
    custody = FileCustody(keys, passphrase(passphrase_file, f"Passphrase of {keys}", new=not keys.exists()))
    names = restore_backup(file.read_bytes(), secret, custody)
    terminal().record({"keys": list(names)}, shown=[("Restored", "keys")])


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise CustodyError("There is no folder of keys there.")
    return folder
