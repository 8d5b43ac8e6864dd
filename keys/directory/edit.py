"""Make, change and sign a role's metadata, and the file that it signs: bytes in, bytes out, no key looked up.

A focal point publishes by `renew`, `set_target`, `sign_role`, then uploads metadata and target; a State's law goes to the
legal officer, who signs, and then to the focal point, who signs too. Whether the result is acceptable is for
`keys.directory.repository` to say.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from keys.directory import metadata as files_of
from keys.directory.errors import DirectoryError
from keys.directory.records import KeyRecord, Names, Participant, StateFile, check_participants
from keys.directory.tuf_api import Metadata, Root, Targets
from keys.directory.tuf_key import TufKey
from schemas.encoding import Time
from schemas.ids import Kid, ParticipantId, Role


def new_role(targets: Mapping[str, bytes], *, now: int) -> bytes:
    """Return unsigned metadata, version 1, that names some targets for a year from `now` (Unix seconds)."""
    entries = {path: files_of.target_file(path, data) for path, data in targets.items()}
    return files_of.signed(Targets(expires=files_of.expiry(now, files_of.YEAR), targets=entries))


def renew(metadata: bytes, *, now: int) -> bytes:
    """Return the next version of a role's metadata, unsigned, good for a year from `now`; raise `DirectoryError`."""
    targets = files_of.read(metadata, Targets).signed
    targets.version += 1
    targets.expires = files_of.expiry(now, files_of.YEAR)
    return files_of.signed(targets)


def set_target(metadata: bytes, path: str, data: bytes) -> bytes:
    """Return a role's metadata, unsigned, with a target's length and digest replaced; raise `DirectoryError`.

    The version stays: `renew` comes first where the metadata was published.
    """
    targets = files_of.read(metadata, Targets).signed
    targets.targets[path] = files_of.target_file(path, data)
    return files_of.signed(targets)


def sign_role(metadata: bytes, key: TufKey) -> bytes:
    """Add one key's signature to metadata of a role, of the top-level targets or of root; raise `DirectoryError`.

    Signatures that are there already stay: the second signer countersigns what the first one signed.
    """
    if files_of.kind_of(metadata) == Root.type:
        root = files_of.read(metadata, Root)
        return _signed(root, key)
    return _signed(files_of.read(metadata, Targets), key)


def _signed(metadata: Metadata[files_of.T], key: TufKey) -> bytes:
    files_of.sign(metadata, key)
    return metadata.to_bytes()


def new_state(names: Names, languages: Iterable[str]) -> StateFile:
    """Return the file of a State or organisation without participants."""
    return StateFile(names, tuple(languages), None, ())


def set_participant(state: StateFile, one: Participant, role: Role) -> StateFile:
    """Return the file with a participant added, or replaced by id; raise `FormError` where it is not the role's own."""
    others = [other for other in state.participants if other.id != one.id]
    changed = replace(state, participants=tuple(sorted((*others, one), key=lambda each: each.id)))
    check_participants(changed, role)
    return changed


def set_focal_point(state: StateFile, who: ParticipantId) -> StateFile:
    """Return the file with another focal point; raise `DirectoryError` where it is not a participant."""
    _participant(state, who)
    return replace(state, focal_point=who)


def suspend(state: StateFile, who: ParticipantId, *, suspended: bool = True) -> StateFile:
    """Return the file with a participant suspended, or not any more; raise `DirectoryError`."""
    return _changed(state, replace(_participant(state, who), suspended=suspended))


def enter_keys(state: StateFile, who: ParticipantId, records: Iterable[KeyRecord]) -> StateFile:
    """Return the file with key records added to a participant; those that it has already stay as they are.

    Raises `DirectoryError` for an unknown participant or another's record.
    """
    one = _participant(state, who)
    new = list(records)
    if any(record.participant != who for record in new):
        raise DirectoryError("The key record is for another participant.")
    known = {record.kids for record in one.keys}
    return _changed(state, replace(one, keys=(*one.keys, *(record for record in new if record.kids not in known))))


def close_key(state: StateFile, kid: Kid, index: int) -> StateFile:
    """Return the file with the record of a key closed from a ledger index on; raise `DirectoryError`."""
    return _change_record(state, kid, lambda record: replace(record, life=replace(record.life, closed_at=index)))


def mark_suspect(state: StateFile, kid: Kid, since: Time | None) -> StateFile:
    """Return the file with the record of a key flagged as suspect since a time, or not; raise `DirectoryError`."""
    return _change_record(state, kid, lambda record: replace(record, life=replace(record.life, suspect_from=since)))


def _change_record(state: StateFile, kid: Kid, change: Callable[[KeyRecord], KeyRecord]) -> StateFile:
    for one in state.participants:
        if any(kid in record.kids for record in one.keys):
            keys = tuple(change(record) if kid in record.kids else record for record in one.keys)
            return _changed(state, replace(one, keys=keys))
    raise DirectoryError("No participant of this role has the key.")


def _participant(state: StateFile, who: ParticipantId) -> Participant:
    one = state.participant(who)
    if one is None:
        raise DirectoryError("The role has no such participant.")
    return one


def _changed(state: StateFile, one: Participant) -> StateFile:
    return replace(state, participants=tuple(one if other.id == one.id else other for other in state.participants))
