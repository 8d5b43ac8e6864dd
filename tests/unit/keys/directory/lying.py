"""What an operator with the keys of snapshot and timestamp can serve that no honest one would."""

import pytest

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.errors import DirectoryError
from keys.directory.tuf_api import Snapshot, Targets, Timestamp
from keys.directory.update import load_directory
from schemas.errors import Error
from schemas.ids import ParticipantId

PATH = "fr/directory.json"
LAW = "fr/law.json"
DAY = 24 * 3600
YEAR = 365 * DAY
CUSTOMS = ParticipantId("fr/customs")


def refused(problem: str, work, match: str | None = None) -> Error:
    with pytest.raises(DirectoryError, match=match) as caught:
        work()
    assert caught.value.code == problem
    return caught.value


def lie(world, metadata=None, targets=None, *, now=None, change=lambda snapshot: None, last=lambda timestamp: None):
    """Return the world after an operator signed snapshot and timestamp over whatever it was given, unchecked."""
    now = now or world.now
    repository = world.repository
    timestamp = files_of.read(world.file("timestamp.json"), Timestamp).signed
    old = timestamp.snapshot_meta.version
    snapshot = files_of.read(world.file(f"{old}.snapshot.json"), Snapshot).signed
    files = {files_of.stored_name(path, data): data for path, data in (targets or {}).items()}
    for name, data in (metadata or {}).items():
        version = files_of.read(data, Targets).signed.version
        files[f"{version}.{name}.json"] = data
        snapshot.meta[f"{name}.json"] = files_of.meta_file(version, data)
    snapshot.version += 1
    snapshot.expires = files_of.expiry(now, 7 * DAY)
    change(snapshot)
    signed = files_of.signed(snapshot, repository.snapshot_key)
    files[f"{snapshot.version}.snapshot.json"] = signed
    timestamp.version += 1
    timestamp.expires = files_of.expiry(now, 6 * 3600)
    timestamp.snapshot_meta = files_of.meta_file(snapshot.version, signed)
    last(timestamp)
    files["timestamp.json"] = files_of.signed(timestamp, repository.timestamp_key)
    return world.with_files(files)


def lying_role(world, role: str, change, *, keys=None, **more):
    """Return the world after an operator took a role's metadata that no honest one would."""
    signed = files_of.read(edit.renew(world.role_file(role), now=world.now), Targets).signed
    change(signed)
    metadata = files_of.signed(signed, *(world.signers(role) if keys is None else keys))
    return lie(world, {role: metadata}, **more)


def lying_state(world, role: str, state):
    """Return the world after an operator took a State's signed file unchecked."""
    targets = {f"{role}/directory.json": state.encode()}
    return lie(world, {role: world.next_role(role, targets)}, targets)


def load(world, now=None):
    return load_directory(world.repository.files, world.root, origin=world.origin, now=now or world.now)


def aged_world(world, now: int):
    """Return the world in which all but France renewed in time."""
    metadata = {
        name: signed_by(edit.renew(world.role_file(name), now=now - 1), world.signers(name))
        for name in ("targets", "de", "de-law")
    }
    return lie(world.with_files({"2.root.json": root(world, 2, now=now - 1)}), metadata, now=now)


def root(world, version: int, *, now=None) -> bytes:
    return signed_by(world.ceremony().root(now=now or world.now, version=version), world.holders[:3])


def signed_by(metadata: bytes, keys) -> bytes:
    for key in keys:
        metadata = edit.sign_role(metadata, key)
    return metadata
