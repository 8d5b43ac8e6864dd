"""The broker's side: accept a role that its holder signed, and sign snapshot and timestamp over it. No I/O of its own.

The operator holds these two keys and no other: it serves what others signed. A `Repository` is a value; each acceptance
returns the new files and the directory that they make, checked by the very code that clients run. The caller makes the
files durable, appends the ledger's leaf, and goes on with `Repository.after`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from tuf.api.exceptions import RepositoryError

from keys.directory import metadata as files_of
from keys.directory import scope as scopes
from keys.directory.append_only import check_append_only
from keys.directory.directory import Directory
from keys.directory.errors import (
    DirectoryAppendOnlyError,
    DirectoryError,
    DirectoryFrozenError,
    DirectoryRollbackError,
    DirectorySignatureError,
)
from keys.directory.load import MAX_FILE, load_directory
from keys.directory.log_target import LogTarget
from keys.directory.records import StateFile
from keys.directory.tuf_api import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp
from keys.directory.tuf_key import TufKey
from schemas import strict_json
from schemas.ids import Origin, Role

LONGEST_LIFE: Final = 366 * 24 * 3600
"""Seconds ahead that an uploaded role may expire."""

SNAPSHOT_RENEWAL: Final = files_of.SNAPSHOT_LIFE // 2

Check = Callable[[bytes], None]
LawCheck = Callable[[Role, bytes], None]


@dataclass(frozen=True, slots=True)
class NewVersion:
    """One new version: its new files by name, and what the directory says now.

    `timestamp.json` is the last of the files: whoever reads it must find the others. `snapshot_digest` is SHA-256 of
    the snapshot, for the ledger's `directory` event.
    """

    files: Mapping[str, bytes]
    directory: Directory
    snapshot_version: int
    snapshot_digest: bytes


def _strict(data: bytes) -> None:
    strict_json.parse_object(data, limit=MAX_FILE)


def _strict_law(_: Role, data: bytes) -> None:
    _strict(data)


@dataclass(frozen=True, slots=True)
class Repository:
    """All files of the static directory by name, and the operator's keys.

    `check_law` (of a State) and `check_network` read a `law.json` and a `network/network.json` and raise where it is wrong;
    without them any strict JSON object will do.
    """

    files: Mapping[str, bytes]
    snapshot_key: TufKey
    timestamp_key: TufKey
    check_law: LawCheck = _strict_law
    check_network: Check = _strict

    def begin(self, targets: bytes, network: Mapping[str, bytes], *, now: int) -> NewVersion:
        """Make version 1 of what the ceremony signed; `files` holds the signed `1.root.json` and nothing else.

        `network` are the files that the targets name, by path. Raises `DirectoryError` for anything that a client would
        refuse.
        """
        signed = _read_strictly(targets).signed
        scopes.check_targets(signed)
        return self._publish({Targets.type: targets}, self._with_targets(signed, network), now)

    def after(self, version: NewVersion) -> "Repository":
        """Return the repository that has the new version's files too."""
        return replace(self, files={**self.files, **version.files})

    @property
    def origin(self) -> Origin:
        """Return the origin of the log whose keys the directory names."""
        return self._log().keys.origin

    @property
    def root(self) -> bytes:
        """Return the first root, where trust begins."""
        return self.files["1.root.json"]

    def load(self, now: int) -> Directory:
        """Return the directory that the files make at `now` (Unix seconds); raise `DirectoryError`."""
        return load_directory(self.files, self.root, origin=self.origin, now=now)

    def version_of(self, name: str) -> int:
        """Return the version of a role, or of `targets`; 0 where it was never published."""
        meta = self._snapshot().meta.get(f"{name}.json")
        return 0 if meta is None else meta.version

    def accept_role(
        self,
        role: str,
        metadata: bytes,
        targets: Mapping[str, bytes],
        *,
        if_match: int | None,
        tree_size: int,
        now: int,
    ) -> NewVersion:
        """Accept a delegated role's next version and return the directory's next version.

        `targets` are the named files that changed, by path; `if_match` the version that the uploader edited (0: none);
        `tree_size` the ledger's size now; `now` Unix seconds. Raises `DirectoryError` (its problem says which rule), and
        `MalformedError` or `FormError` for a file's form. Nothing changes before the result is used.
        """
        top = self._targets()
        if role not in scopes.delegated(top):
            raise DirectoryError("No such role is delegated.", problem="not-found")
        self._match(role, if_match)
        signed = _read_strictly(metadata)
        scope = scopes.scope_of(role)
        _check_signers(top, role, signed, "law-signer" if scope.law else None)
        _verify(top, role, signed, "law-signatures" if scope.law else None)
        self._check_version(role, signed.signed, now)
        scopes.check_role(role, signed.signed)
        changed = self._with_targets(signed.signed, targets)
        data = changed[scope.target]
        if scope.law:
            self.check_law(scope.role, data)
        else:
            new = StateFile.parse(data, scope.role)
            check_append_only(self._state(scope), new, tree_size=tree_size, now_s=now, at_upload=True)
        return self._publish({role: metadata}, changed, now)

    def accept_targets(
        self, metadata: bytes, targets: Mapping[str, bytes], *, if_match: int | None, now: int
    ) -> NewVersion:
        """Accept the next version of the top-level targets: network rules, and States that enter.

        Whoever was delegated stays so. Where a role's keys change, its present metadata must verify under the new ones.
        Raises as `accept_role` does.
        """
        self._match(Targets.type, if_match)
        signed = _read_strictly(metadata)
        _check_signers(self._root(), Targets.type, signed)
        _verify(self._root(), Targets.type, signed)
        self._check_version(Targets.type, signed.signed, now)
        scopes.check_targets(signed.signed)
        if not scopes.delegated(self._targets()).keys() <= scopes.delegated(signed.signed).keys():
            raise DirectoryAppendOnlyError("A role was removed; it may only be suspended.")
        return self._publish({Targets.type: metadata}, self._with_targets(signed.signed, targets), now)

    def accept_root(
        self,
        metadata: bytes,
        *,
        snapshot_key: TufKey,
        timestamp_key: TufKey,
        now: int,
        targets: bytes | None = None,
    ) -> NewVersion:
        """Accept the next version of root, with the operator's keys that it names.

        `targets` is the targets' next version, needed where the present one lacks the new holders' threshold. The new
        snapshot marks the change in the ledger. Go on with a `Repository` that has these keys. Raises `DirectoryError`.
        """
        strict_json.parse(metadata, limit=MAX_FILE)
        signed = files_of.read(metadata, Root)
        current = self._root()
        if signed.signed.version != current.version + 1:
            raise DirectoryRollbackError("Root must have the next version.")
        for signer in (current, signed.signed):
            _verify(signer, Root.type, signed)
        scopes.check_root(signed.signed)
        _check_life(signed.signed, now)
        files = {f"{signed.signed.version}.root.json": metadata}
        rooted = replace(self, files={**self.files, **files}, snapshot_key=snapshot_key, timestamp_key=timestamp_key)
        if targets is None:
            version = rooted.renew_snapshot(now)
        else:
            present = self.version_of(Targets.type)
            version = rooted.accept_targets(targets, {}, if_match=present, now=now)
        return replace(version, files={**files, **version.files})

    def renew_snapshot(self, now: int) -> NewVersion:
        """Return a new version with nothing new but the snapshot's expiry; raise `DirectoryError`."""
        return self._publish({}, {}, now)

    def snapshot_due(self, now: int) -> bool:
        """Say whether the snapshot has lived half of its life."""
        return files_of.expiry(now, SNAPSHOT_RENEWAL) >= self._snapshot().expires

    def renew_timestamp(self, now: int) -> dict[str, bytes]:
        """Return `timestamp.json` with a new expiry: every hour, and at every start. The directory stays the same."""
        meta = self._timestamp().snapshot_meta
        return {files_of.TIMESTAMP: self._sign_timestamp(meta, now)}

    # What is current

    def _root(self) -> Root:
        return files_of.read(self.files[f"{files_of.newest_root(self.files)}.root.json"], Root).signed

    def _timestamp(self) -> Timestamp:
        return files_of.read(self.files[files_of.TIMESTAMP], Timestamp).signed

    def _snapshot(self) -> Snapshot:
        version = self._timestamp().snapshot_meta.version
        return files_of.read(self.files[f"{version}.snapshot.json"], Snapshot).signed

    def _targets(self, name: str = Targets.type) -> Targets:
        return files_of.read(self.files[f"{self.version_of(name)}.{name}.json"], Targets).signed

    def _log(self) -> LogTarget:
        return LogTarget.parse(self._target(self._targets(), files_of.LOG_TARGET))

    def _target(self, signed: Targets, path: str) -> bytes:
        return self.files[files_of.named_by_digest(path, signed.targets[path].hashes["sha256"])]

    def _state(self, scope: scopes.Scope) -> StateFile | None:
        if self.version_of(scope.name) == 0:
            return None
        return StateFile.parse(self._target(self._targets(scope.name), scope.target), scope.role)

    # What every acceptance does

    def _match(self, name: str, if_match: int | None) -> None:
        if if_match is None:
            raise DirectoryError("If-Match must say which version was edited.", problem="precondition-required")
        if if_match != self.version_of(name):
            raise DirectoryError("The role has another version by now.", problem="precondition-failed")

    def _check_version(self, name: str, signed: Targets, now: int) -> None:
        if signed.version != self.version_of(name) + 1:
            raise DirectoryRollbackError("The metadata must have the next version.")
        _check_life(signed, now)

    def _with_targets(self, signed: Targets, given: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return every target that metadata names, by path: as given, or as it is stored already."""
        if not given.keys() <= signed.targets.keys():
            raise DirectoryError("A file was given that the metadata does not name.")
        found = {}
        for path, info in signed.targets.items():
            digest = info.hashes.get("sha256", "")
            data = given.get(path, self.files.get(files_of.named_by_digest(path, digest)))
            if data is None or (len(data), sha256(data).hexdigest()) != (info.length, digest):
                raise DirectoryError("A file that the metadata names is missing, or has another length or digest.")
            found[path] = data
        return found

    def _publish(self, metadata: Mapping[str, bytes], targets: Mapping[str, bytes], now: int) -> NewVersion:
        """Sign snapshot and timestamp over some new metadata and targets, and load the result as a client would."""
        if files_of.NETWORK_TARGET in targets:
            self.check_network(targets[files_of.NETWORK_TARGET])
        first = files_of.TIMESTAMP not in self.files
        meta = {} if first else self._snapshot().meta
        version = 1 if first else self._timestamp().snapshot_meta.version + 1
        new = {files_of.stored_name(path, data): data for path, data in targets.items()}
        for name, data in metadata.items():
            number = files_of.read(data, Targets).signed.version
            new[f"{number}.{name}.json"] = data
            meta[f"{name}.json"] = files_of.meta_file(number, data)
        expires = files_of.expiry(now, files_of.SNAPSHOT_LIFE)
        snapshot = files_of.signed(Snapshot(version=version, expires=expires, meta=meta), self.snapshot_key)
        new[f"{version}.snapshot.json"] = snapshot
        timestamp = self._sign_timestamp(files_of.meta_file(version, snapshot), now)
        # Kept under a name of its own too: it lets an auditor load this version when it is no longer the newest.
        new[f"{version}.{files_of.TIMESTAMP}"] = new[files_of.TIMESTAMP] = timestamp
        new = {name: data for name, data in new.items() if self.files.get(name) != data}
        directory = replace(self, files={**self.files, **new}).load(now)
        self._check_unreadable(directory)
        return NewVersion(new, directory, version, directory.snapshot)

    def _check_unreadable(self, directory: Directory) -> None:
        """Refuse a key id of a role that has expired: it would bar the role's return."""
        for scope in map(scopes.scope_of, directory.unreadable):
            state = None if scope.law else self._state(scope)
            keys = () if state is None else (kid for one in state.participants for key in one.keys for kid in key.kids)
            if any(directory.owner(kid) is not None for kid in keys):
                raise DirectoryError("A key id occurs twice in the directory.")

    def _sign_timestamp(self, meta: MetaFile, now: int) -> bytes:
        version = self._timestamp().version + 1 if files_of.TIMESTAMP in self.files else 1
        expires = files_of.expiry(now, files_of.TIMESTAMP_LIFE)
        return files_of.signed(Timestamp(version=version, expires=expires, snapshot_meta=meta), self.timestamp_key)


def _read_strictly(data: bytes) -> Metadata[Targets]:
    strict_json.parse(data, limit=MAX_FILE)
    metadata = files_of.read(data, Targets)
    if metadata.unrecognized_fields:
        raise DirectoryError("The metadata has members beside `signed` and `signatures`.")
    return metadata


def _check_signers(signer: Root | Targets, name: str, metadata: Metadata[Targets], problem: str | None = None) -> None:
    if not metadata.signatures.keys() <= set(signer.get_delegated_role(name).keyids):
        raise DirectorySignatureError("The metadata has a signature of a key that is not the role's.", problem=problem)


def _verify(signer: Root | Targets, name: str, metadata: Metadata[files_of.T], problem: str | None = None) -> None:
    try:
        signer.verify_delegate(name, metadata.signed_bytes, metadata.signatures)
    except RepositoryError:
        raise DirectorySignatureError(
            "The metadata is not signed by as many of the role's keys as it must be.", problem=problem
        ) from None


def _check_life(signed: Root | Targets, now: int) -> None:
    if signed.is_expired(files_of.moment(now)):
        raise DirectoryFrozenError("The metadata has expired.")
    if signed.expires > files_of.expiry(now, LONGEST_LIFE):
        raise DirectoryError("The metadata lives longer than a year.")
