"""A gateway's backup: its keys under a passphrase of their own, and its store, tokens and enrolment as they lie on disk.

One ZIP file. The keys are sealed again; the store's cells are sealed under a key that is among them; tokens are hashes. So
the file opens to nobody without the backup's passphrase, but shows ids, states and times as the gateway's folder does.
The store is copied while the gateway runs. Restored, it sends what waited again unchanged, which changes nothing twice.
"""

import io
import sqlite3
import tempfile
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from typing import Final

from adapters.gateway.folder import Enrolled, Folder
from adapters.gateway.tokens import FILE as TOKENS
from keys.custody import durable
from keys.custody.backup import make_backup, restore_backup
from keys.custody.file import FileCustody
from schemas.errors import Error

KEYS: Final = "keys.backup"
STORE: Final = "gateway.db"
ENROLLED: Final = "gateway.json"
ROOT: Final = "root.json"
_ALLOWED: Final = frozenset({KEYS, STORE, ENROLLED, ROOT, TOKENS})
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def make(folder: Path, passphrase: bytes, backup_passphrase: bytes) -> bytes:
    """Return the backup of a gateway's folder; raise `Error`: not enrolled, a wrong passphrase."""
    place = Folder(folder)
    if place.enrolled() is None:
        raise Error(
            "This folder has no gateway yet.", problem="enrolment", hint="Run `valise gateway init --kit FILE`."
        )
    custody = FileCustody(place.keys, passphrase)
    files = {KEYS: make_backup(custody, backup_passphrase), ROOT: place.root()}
    for name in (ENROLLED, TOKENS):
        if (folder / name).exists():
            files[name] = (folder / name).read_bytes()
    if place.store.exists():
        files[STORE] = _copy(place.store)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return buffer.getvalue()


def restore(data: bytes, folder: Path, passphrase: bytes, backup_passphrase: bytes) -> Enrolled:
    """Put a backup into a new folder, its keys under `passphrase`, and return what it was enrolled with.

    Raises `FileExistsError` where there is a gateway, `Error` for a file that is no backup or does not open.
    """
    place = Folder(folder)
    if place.enrolled() is not None or place.store.exists():
        raise FileExistsError(17, "There is a gateway in this folder already", str(folder))
    files = _read(data)
    enrolled = Enrolled.parse(files[ENROLLED])
    durable.make_folder(folder)
    restore_backup(files[KEYS], backup_passphrase, FileCustody(place.keys, passphrase))
    for name in (STORE, TOKENS):
        if name in files:
            durable.write(folder / name, files[name])
    place.write(enrolled, files[ROOT])
    return enrolled


def _copy(store: Path) -> bytes:
    """Copy a store that may be in use, as of one moment."""
    with tempfile.TemporaryDirectory(dir=store.parent, prefix=".backup-") as beside:
        path = Path(beside, STORE)
        with (
            closing(sqlite3.connect(f"{store.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(path)) as to,
        ):
            source.backup(to)
        return path.read_bytes()


def _read(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {name: archive.read(name) for name in archive.namelist() if name in _ALLOWED}
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, EOFError, ValueError):
        files = {}
    if not {KEYS, ENROLLED, ROOT} <= files.keys():
        raise Error("The file is not a gateway's backup, or damaged.", problem="custody")
    return files
