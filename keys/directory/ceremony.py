"""The ceremony: root keys, the top-level targets, and the delegations to States and organisations (design: access).

Root and targets are signed by a threshold of the same root holders, offline (`edit.sign_role`); the operator's two
online keys sign snapshot and timestamp alone. A State enters by a new version of the targets: `renew`, `delegate`, and
the holders' signatures. Bytes in and out; nothing here reads a clock or a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keys.directory import edit
from keys.directory import metadata as files_of
from keys.directory.errors import DirectoryError
from keys.directory.scope import LAW_KEYS, Scope, delegated, scope_of
from keys.directory.tuf_api import DelegatedRole, Delegations, Key, Root, Snapshot, Targets, Timestamp
from keys.directory.tuf_api import Role as TufRole
from keys.directory.tuf_key import TufKey, TufPublic
from schemas.ids import Role, is_state

__all__ = ["Ceremony", "RoleKeys", "TufKey", "TufPublic", "delegate", "first_targets"]


@dataclass(frozen=True, slots=True)
class Ceremony:
    """Who holds the root, how many of them must sign, and the operator's online keys.

    Raises `DirectoryError` where a key occurs twice or the threshold cannot be, or need not be, reached.
    """

    holders: tuple[TufPublic, ...]
    snapshot: TufPublic
    timestamp: TufPublic
    threshold: int = 3

    def __post_init__(self) -> None:
        keyids = {key.keyid for key in (*self.holders, self.snapshot, self.timestamp)}
        if len(keyids) != len(self.holders) + 2:
            raise DirectoryError("Each root holder, snapshot and timestamp must have a key of their own.")
        if not 1 <= self.threshold <= len(self.holders):
            raise DirectoryError("The threshold must lie between 1 and the number of root holders.")

    def root(self, *, now: int, version: int = 1) -> bytes:
        """Return unsigned root metadata, good for a year from `now` (Unix seconds).

        A later version must be signed by the thresholds of the version before and of its own.
        """
        keys: dict[str, Key] = {key.keyid: key.key for key in (*self.holders, self.snapshot, self.timestamp)}
        held = [key.keyid for key in self.holders]
        roles = {
            Root.type: TufRole(held, self.threshold),
            Targets.type: TufRole(list(held), self.threshold),
            Snapshot.type: TufRole([self.snapshot.keyid], 1),
            Timestamp.type: TufRole([self.timestamp.keyid], 1),
        }
        expires = files_of.expiry(now, files_of.YEAR)
        return files_of.signed(Root(version=version, expires=expires, keys=keys, roles=roles))


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """The keys of a State (`fr`), an organisation (`int-unodc`) or the auditors (`audit`).

    `law` are the two keys of a State's law, the legal officer's and the focal point's, both apart from `keys`; None for
    all others. Raises `DirectoryError` otherwise.
    """

    role: Role
    keys: tuple[TufPublic, ...]
    law: tuple[TufPublic, TufPublic] | None = None
    threshold: int = 1

    def __post_init__(self) -> None:
        scope_of(self.role)
        if is_state(self.role) is not (self.law is not None):
            raise DirectoryError("A State, and nobody else, has two keys for its law.")
        if not 1 <= self.threshold <= len(self.keys):
            raise DirectoryError("The threshold must lie between 1 and the number of the role's keys.")
        own = (*self.keys, *(self.law or ()))
        if len({key.keyid for key in own}) != len(own):
            raise DirectoryError("A role's keys must differ, and a law's be apart from them.")

    def delegations(self) -> tuple[tuple[DelegatedRole, tuple[TufPublic, ...]], ...]:
        """Return the delegated roles and their keys, a State's law first."""
        own = (_delegation(scope_of(self.role), self.keys, self.threshold), self.keys)
        if self.law is None:
            return (own,)
        return ((_delegation(scope_of(f"{self.role}-law"), self.law, LAW_KEYS), self.law), own)


def first_targets(network: Mapping[str, bytes], roles: Sequence[RoleKeys], *, now: int) -> bytes:
    """Return the unsigned first version of the top-level targets: `network/*.json` by path, and delegations."""
    metadata = edit.new_role(network, now=now)
    for keys in roles:
        metadata = delegate(metadata, keys)
    return metadata


def delegate(targets: bytes, keys: RoleKeys) -> bytes:
    """Return the top-level targets, unsigned, with a role delegated to these keys, or to others than before.

    The version stays: `edit.renew` comes first where the targets were published. Raises `DirectoryError`.
    """
    signed = files_of.read(targets, Targets).signed
    roles = dict(delegated(signed))
    public: dict[str, Key] = {} if signed.delegations is None else dict(signed.delegations.keys)
    for role, own in keys.delegations():
        roles[role.name] = role
        public |= {key.keyid: key.key for key in own}
    used = {keyid for role in roles.values() for keyid in role.keyids}
    signed.delegations = Delegations({keyid: key for keyid, key in public.items() if keyid in used}, roles)
    return files_of.signed(signed)


def _delegation(scope: Scope, keys: Sequence[TufPublic], threshold: int) -> DelegatedRole:
    return DelegatedRole(scope.name, [key.keyid for key in keys], threshold, scope.law, list(scope.paths))
