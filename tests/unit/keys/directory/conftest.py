"""A small network in memory: a ceremony, two States with laws, an organisation and the auditors, all of it really signed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from keys.directory import edit
from keys.directory.ceremony import Ceremony, RoleKeys, TufKey, first_targets
from keys.directory.directory import Directory
from keys.directory.log_target import LogTarget
from keys.directory.records import (
    KeyRecord,
    Life,
    Names,
    Participant,
    RequestRecord,
    SealingRecord,
    SigningRecord,
    StateFile,
)
from keys.directory.repository import NewVersion, Repository
from keys.directory.update import DirectoryClient
from keys.log.note import LogSigner
from keys.seal import SealingKey
from keys.sign import Ed25519Signer, SigningKeys
from schemas.encoding import from_seconds
from schemas.ids import Code, Origin, ParticipantId, Role, role_of

NOW = 1_800_000_000
ORIGIN = Origin("test.invalid/directory")
LAW = b'{"profile":"law/0"}'


@dataclass(frozen=True)
class Agency:
    """A participant's private keys, as its one gateway has them."""

    id: ParticipantId
    signing: SigningKeys = field(default_factory=SigningKeys.generate)
    sealing: SealingKey = field(default_factory=SealingKey.generate)
    request: Ed25519Signer = field(default_factory=Ed25519Signer.generate)

    def records(self, begins: int = NOW) -> tuple[KeyRecord, ...]:
        life = Life(from_seconds(begins))
        gateway = Code("gate-1")
        return (
            SigningRecord(self.id, gateway, life, self.signing.kids, self.signing.public),
            self.sealing_record(begins),
            RequestRecord(self.id, gateway, life, self.request.kid, self.request.public),
        )

    def sealing_record(self, begins: int = NOW) -> SealingRecord:
        sealing = self.sealing
        return SealingRecord(self.id, Life(from_seconds(begins)), sealing.kid, sealing.public_key(), sealing.jwk["pub"])


@dataclass(frozen=True)
class World:
    """Everybody's keys, and the broker's repository as it stands."""

    holders: tuple[TufKey, ...]
    snapshot_key: TufKey
    timestamp_key: TufKey
    role_keys: Mapping[str, TufKey]
    law_keys: Mapping[str, tuple[TufKey, TufKey]]
    network: Mapping[str, bytes]
    root: bytes
    agencies: Mapping[str, Agency]
    repository: Repository

    now = NOW
    origin = ORIGIN

    def ceremony(self) -> Ceremony:
        return Ceremony(tuple(key.public for key in self.holders), self.snapshot_key.public, self.timestamp_key.public)

    def directory(self, now: int = NOW) -> Directory:
        return self.repository.load(now)

    def state(self, role: str) -> StateFile:
        return self.directory().roles[Role(role)]

    def file(self, name: str) -> bytes:
        return self.repository.files[name]

    def role_file(self, name: str) -> bytes:
        return self.repository.files[f"{self.repository.version_of(name)}.{name}.json"]

    def signers(self, role: str) -> tuple[TufKey, ...]:
        if role == "targets":
            return self.holders[:3]
        return self.law_keys[role[:2]] if role.endswith("-law") else (self.role_keys[role],)

    def next_role(
        self, role: str, targets: Mapping[str, bytes], *, now: int = NOW, keys: tuple[TufKey, ...] | None = None
    ) -> bytes:
        """Return a role's next metadata, signed."""
        if self.repository.version_of(role):
            metadata = edit.renew(self.role_file(role), now=now)
            for path, data in targets.items():
                metadata = edit.set_target(metadata, path, data)
        else:
            metadata = edit.new_role(targets, now=now)
        for key in self.signers(role) if keys is None else keys:
            metadata = edit.sign_role(metadata, key)
        return metadata

    def upload(
        self, role: str, metadata: bytes, targets: Mapping[str, bytes], *, now: int = NOW, tree_size: int = 0
    ) -> NewVersion:
        return self.repository.accept_role(
            role, metadata, targets, if_match=self.repository.version_of(role), tree_size=tree_size, now=now
        )

    def publish(self, role: str, state: StateFile | bytes, *, now: int = NOW, tree_size: int = 0) -> "World":
        """Publish a role's next file, or a law, and return the world after it."""
        folder = role.replace("int-", "int/").removesuffix("-law")
        path = f"{folder}/{'law' if role.endswith('-law') else 'directory'}.json"
        targets = {path: state if isinstance(state, bytes) else state.encode()}
        return self.after(
            self.upload(role, self.next_role(role, targets, now=now), targets, now=now, tree_size=tree_size)
        )

    def after(self, version: NewVersion) -> "World":
        return replace(self, repository=self.repository.after(version))

    def with_files(self, files: Mapping[str, bytes]) -> "World":
        """Return the world with files that the operator swapped, unchecked."""
        return replace(self, repository=replace(self.repository, files={**self.repository.files, **files}))


def participant(who: ParticipantId, records: tuple[KeyRecord, ...] = (), kind: str = "customs") -> Participant:
    return Participant(who, Code(kind), Names.same("An agency"), (), None, suspended=False, keys=records)


def found(*, published: tuple[str, ...] = ("fr", "de")) -> World:
    holders = tuple(TufKey.generate() for _ in range(5))
    snapshot_key, timestamp_key = TufKey.generate(), TufKey.generate()
    role_keys = {role: TufKey.generate() for role in ("fr", "de", "it", "int-unodc", "audit")}
    law_keys = {role: (TufKey.generate(), TufKey.generate()) for role in ("fr", "de", "it")}
    receipt = Ed25519Signer.generate()
    network = {
        "network/network.json": b'{"v":1}',
        "network/log.json": LogTarget(LogSigner.generate(ORIGIN).keys, receipt.kid, receipt.public).encode(),
    }
    root = Ceremony(tuple(key.public for key in holders), snapshot_key.public, timestamp_key.public).root(now=NOW)
    delegations = [
        RoleKeys(Role(role), (role_keys[role].public,), None if laws is None else (laws[0].public, laws[1].public))
        for role in ("fr", "de", "int-unodc", "audit")
        for laws in (law_keys.get(role),)
    ]
    targets = first_targets(network, delegations, now=NOW)
    for key in holders[:3]:
        root, targets = edit.sign_role(root, key), edit.sign_role(targets, key)
    empty = Repository({"1.root.json": root}, snapshot_key, timestamp_key)
    agencies = {who: Agency(ParticipantId(who)) for who in ("fr/customs", "fr/focal-point", "de/police")}
    repository = empty.after(empty.begin(targets, network, now=NOW))
    world = World(holders, snapshot_key, timestamp_key, role_keys, law_keys, network, root, agencies, repository)
    for role in published:
        state = edit.new_state(Names.same("A State"), ("en", "fr"))
        for agency in agencies.values():
            if role_of(agency.id) == role:
                state = edit.set_participant(state, participant(agency.id, agency.records()), Role(role))
        if role == "fr":
            state = edit.set_focal_point(state, ParticipantId("fr/focal-point"))
        world = world.publish(role, state).publish(f"{role}-law", LAW)
    return world


@pytest.fixture(scope="session")
def world() -> World:
    """Return a world that no test changes: every change makes another one."""
    return found()


@pytest.fixture(scope="session")
def new_participant() -> Callable[..., Participant]:
    return participant


@pytest.fixture(scope="session")
def new_agency() -> Callable[[str], Agency]:
    return lambda who: Agency(ParticipantId(who))


class Broker:
    """The static directory of a world, counting what is asked for; `away` cuts the line."""

    def __init__(self, world: World) -> None:
        self.files = dict(world.repository.files)
        self.asked: list[str] = []
        self.away = False

    def fetch(self, name: str) -> bytes | None:
        self.asked.append(name)
        if self.away:
            raise OSError("no route")
        return self.files.get(name)

    def serve(self, world: World) -> None:
        self.files = dict(world.repository.files)


@pytest.fixture
def follow(tmp_path: Path) -> Callable[..., tuple[DirectoryClient, Broker]]:
    """Return a maker of clients, each with the broker that it follows; they share one store a test."""

    def make(world: World, *, now: Callable[[], int] = lambda: NOW, store: str = "store"):
        broker = Broker(world)
        return DirectoryClient(broker.fetch, tmp_path / store, world.root, ORIGIN, clock=now), broker

    return make
