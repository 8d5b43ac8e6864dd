"""What each role may speak for, checked on the metadata itself (design: access, "The directory").

python-tuf would let a top-level target override a State's own, a State delegate further, and says not which role
answered. So the top-level targets may name `network/` only and delegate exactly as here, and a role names nothing
outside its paths and delegates nothing. Signatures are checked elsewhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from keys.directory.errors import DirectoryError, DirectoryScopeError
from keys.directory.metadata import DIRECTORY_FILE, LAW_FILE, LOG_TARGET, NETWORK_TARGET
from keys.directory.tuf_api import DelegatedRole, Key, MetaFile, Root, Snapshot, Targets, Timestamp
from keys.directory.tuf_key import TufPublic
from schemas.ids import Role, is_state

LAW_KEYS: Final = 2
"""Keys of a State's law, and how many of them must sign: the legal officer and the focal point, both."""

_SEGMENT: Final = r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*"
_NETWORK: Final = re.compile(r"network/[a-z0-9][a-z0-9-]*\.json")
_TARGET: Final = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})+")
_ROLE: Final = re.compile(r"([a-z]{2})(-law)?|int-([a-z0-9][a-z0-9-]*)|audit")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a delegated role is: whose file or law it signs, and for which paths; `law` of a State's law role."""

    name: str
    role: Role
    law: bool
    paths: tuple[str, ...]

    @property
    def target(self) -> str:
        """Return the path of the role's own file: its `directory.json`, or the State's `law.json`."""
        folder = self.role.replace("-", "/", 1) if self.role.startswith("int-") else self.role
        return f"{folder}/{LAW_FILE if self.law else DIRECTORY_FILE}"


def scope_of(name: str) -> Scope:
    """Return the scope of a delegated role: `fr`, `fr-law`, `int-unodc`, `audit`; raise `DirectoryScopeError`."""
    parts = _ROLE.fullmatch(name)
    if parts is None:
        raise DirectoryScopeError(
            "A delegated role must be a State's, a State's law, an organisation's or the auditors'."
        )
    state, law, body = parts.groups()
    if law:
        return Scope(name, Role(state), law=True, paths=(f"{state}/{LAW_FILE}",))
    if state:
        return Scope(name, Role(state), law=False, paths=(f"{state}/*", f"{state}/*/*"))
    if body:
        return Scope(name, Role(name), law=False, paths=(f"int/{body}/*", f"int/{body}/*/*"))
    return Scope(name, Role(name), law=False, paths=("audit/*",))


def check_root(root: Root) -> None:
    """Demand consistent snapshots and ML-DSA-65 keys only, no key under two names; raise `DirectoryError`."""
    if root.consistent_snapshot is not True:
        raise DirectoryError("The root must demand consistent snapshots.")
    _check_keys(root.keys)


def check_timestamp(timestamp: Timestamp) -> None:
    """Demand the snapshot's digest and length; raise `DirectoryError`."""
    _check_meta(timestamp.snapshot_meta)


def check_snapshot(snapshot: Snapshot, targets: Targets) -> None:
    """Demand that the snapshot lists targets and delegated roles only, each by digest; raise `DirectoryError`.

    Without digests the snapshot's own digest, which is in the ledger, would not fix what the roles say.
    """
    known = {"targets.json", *(f"{name}.json" for name in delegated(targets))}
    if not known.issuperset(snapshot.meta):
        raise DirectoryScopeError("The snapshot lists a role that is not delegated.")
    for meta in snapshot.meta.values():
        _check_meta(meta)


def check_targets(targets: Targets) -> None:
    """Check the top-level targets: names, delegations, their order and keys; raise `DirectoryScopeError`."""
    if any(not _NETWORK.fullmatch(path) for path in targets.targets):
        raise DirectoryScopeError("The top-level targets may name files of network/ only.")
    if not {NETWORK_TARGET, LOG_TARGET} <= targets.targets.keys():
        raise DirectoryScopeError(f"The top-level targets must name {NETWORK_TARGET} and {LOG_TARGET}.")
    _check_target_files(targets)
    seen: set[str] = set()
    used: set[str] = set()
    for name, role in delegated(targets).items():
        _check_delegation(scope_of(name), role, seen)
        if not used.isdisjoint(role.keyids):
            raise DirectoryScopeError("A key may sign for one role only.")
        seen.add(name)
        used.update(role.keyids)
    if targets.delegations is not None:
        _check_keys(targets.delegations.keys)


def check_role(name: str, targets: Targets) -> None:
    """Check a delegated role's own metadata: paths, and no further delegation; raise `DirectoryScopeError`."""
    scope = scope_of(name)
    if targets.delegations is not None:
        raise DirectoryScopeError("A role may not delegate.")
    if scope.target not in targets.targets:
        raise DirectoryScopeError(f"The role must name {scope.target}.")
    delegation = DelegatedRole(name, [], 1, scope.law, list(scope.paths))
    for path in targets.targets:
        if not _TARGET.fullmatch(path) or not delegation.is_delegated_path(path):
            raise DirectoryScopeError("The role names a target outside its paths.")
        if not scope.law and path == f"{scope.role}/{LAW_FILE}":
            raise DirectoryScopeError("A State's law is signed by its law role alone.")
    _check_target_files(targets)


def delegated(targets: Targets) -> dict[str, DelegatedRole]:
    """Return the delegated roles in their order; raise `DirectoryScopeError` for hashed bins."""
    if targets.delegations is None:
        return {}
    if targets.delegations.roles is None:
        raise DirectoryScopeError("Delegations must name their roles.")
    return targets.delegations.roles


def _check_delegation(scope: Scope, role: DelegatedRole, seen: set[str]) -> None:
    if role.paths != list(scope.paths) or role.terminating is not scope.law:
        raise DirectoryScopeError("A delegation must have its role's own paths, and a law's alone be terminating.")
    if scope.law and (len(role.keyids) != LAW_KEYS or role.threshold != LAW_KEYS):
        raise DirectoryScopeError("A State's law must have exactly two keys, both of which sign.")
    # The law goes first and ends the search: else the State's role alone could answer for it.
    if is_state(scope.role) and not scope.law and f"{scope.role}-law" not in seen:
        raise DirectoryScopeError("A State's law must be delegated before its role.")


def _check_keys(keys: Mapping[str, Key]) -> None:
    # A key id is only a name: one key under two of them would reach a threshold of two alone. So it must be the key's.
    if not all(_is_ml_dsa_65(key) for key in keys.values()):
        raise DirectoryScopeError("Keys of roles must be ML-DSA-65 under their own ids.")


def _is_ml_dsa_65(key: Key) -> bool:
    try:
        public = load_pem_public_key(str(key.keyval.get("public")).encode())
    except (ValueError, UnsupportedAlgorithm):
        return False
    return isinstance(public, MLDSA65PublicKey) and TufPublic.of(public).key == key


def _check_target_files(targets: Targets) -> None:
    if any(set(item.hashes) != {"sha256"} for item in targets.targets.values()):
        raise DirectoryScopeError("A target must be given by its SHA-256.")


def _check_meta(meta: MetaFile) -> None:
    if meta.length is None or set(meta.hashes or ()) != {"sha256"}:
        raise DirectoryError("Metadata must be listed by length and SHA-256.")
