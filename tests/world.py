"""A whole deployment in memory: a real ceremony, States with real keys, a verified directory, compiled rules.

Everything in it is made by the functions that production uses; tests change one thing and look what breaks.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from broker.trust import Trust
from keys.batch import Signed, Unsigned, sign_batch
from keys.directory import edit
from keys.directory.ceremony import Ceremony, RoleKeys, first_targets
from keys.directory.directory import Directory, Moment
from keys.directory.log_target import LogTarget
from keys.directory.records import (
    Life,
    Names,
    Participant,
    RequestRecord,
    SealingRecord,
    SigningRecord,
)
from keys.directory.repository import Repository
from keys.directory.tuf_key import TufKey
from keys.envelope import open_act, seal_notice
from keys.log.note import LogSigner
from keys.seal import SealingKey
from keys.sign import Ed25519Signer, SigningKeys
from schemas.acts import ACTS
from schemas.encoding import Time, b64encode, from_seconds
from schemas.ids import Code, NoticeId, Origin, ParticipantId, Role, Topic, new_notice_id, role_of
from schemas.label import Label
from schemas.rules.authoring import compile_profile
from schemas.rules.compile import compile_rules
from schemas.rules.network import default_network
from schemas.statement import OpenBody, SeenCheckpoint, Statement

ORIGIN = Origin("test.invalid/world")
EMPTY = SeenCheckpoint(0, b64encode(bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")))
LABEL = Label(
    kind=Code("seizure"),
    handling=(Code("h0"),),
    tlp=Code("amber"),
    pap=Code("amber"),
    classification=None,
    urgency=None,
    purpose=Code("investigation"),
    legal_basis=Code("un-convention-1988"),
    nominal=False,
    exercise=True,
    reply_due=None,
    conditions=(),
)
NOTICE: dict[str, object] = {"kind": "seizure", "text": "Ten kilogrammes behind the panel."}


@dataclass(frozen=True)
class Person:
    """One participant's private keys."""

    id: ParticipantId
    signing: SigningKeys
    sealing: SealingKey
    request: Ed25519Signer


@dataclass
class World:
    """The deployment: private keys of everybody, and the repository that the broker serves."""

    now: int
    people: dict[ParticipantId, Person]
    state_keys: dict[Role, TufKey]
    law_keys: dict[Role, tuple[TufKey, TufKey]]
    root_keys: list[TufKey]
    log: LogSigner
    receipts: Ed25519Signer
    repository: Repository
    revoked: dict[str, int] = field(default_factory=dict)
    _loaded: tuple[Repository, int, Directory] | None = field(default=None, init=False, repr=False)

    @property
    def directory(self) -> Directory:
        """Return the directory of the repository as it is now, loaded once."""
        if self._loaded is None or self._loaded[0] is not self.repository or self._loaded[1] != self.now:
            self._loaded = (self.repository, self.now, self.repository.load(self.now))
        return self._loaded[2]

    def trust(self, boundary: Time | None = None) -> Trust:
        directory = self.directory
        rules = compile_rules(
            version=directory.version, boundary=boundary, network=directory.network, laws=directory.laws
        )
        return Trust(directory, rules, boundary, self.revoked)

    def moment(self, index: int = 0) -> Moment:
        return Moment(index, self.now * 1000)

    def statement(self, sender: str, act: str = "issue", **changes: object) -> Statement:
        """Return a statement of an act, complete but for what is sealed."""
        form = ACTS[act]
        notice_id = new_notice_id(self.now * 1000)
        statement = Statement(
            origin=ORIGIN,
            notice_id=notice_id,
            sender=ParticipantId(sender),
            act=act,
            ref=None,
            thread=notice_id if form.about_notice else None,
            topic=Topic("central-asia.seizures") if form.about_notice else None,
            label=LABEL if form.about_notice else None,
            expires_at=None if form.open else from_seconds(self.now + 30 * 86400),
            issued_at=from_seconds(self.now),
            nonce=b64encode(os.urandom(16)),
            body=None,
            sealed=None,
            attachments=(),
            checkpoint=EMPTY,
        )
        return replace(statement, **changes)  # type: ignore[arg-type]

    def sealed(self, statement: Statement, to: Iterable[str], notice: Mapping[str, object] = NOTICE) -> Unsigned:
        """Seal a notice to participants and the sender itself."""
        directory = self.directory
        records = [directory.sealing(self.people[ParticipantId(who)].sealing.kid) for who in {*to, statement.sender}]
        return seal_notice(statement, notice, records)  # type: ignore[arg-type]

    def sign(self, unsigned: Sequence[Unsigned], by: str | None = None) -> list[Signed]:
        """Sign a batch as the sender of its first statement, or as somebody else."""
        sender = ParticipantId(by or unsigned[0].statement.sender)
        keys = self.people[sender].signing
        return sign_batch(unsigned, keys, origin=unsigned[0].statement.origin, signer=sender, at=from_seconds(self.now))

    def envelope(self, sender: str, to: Iterable[str], act: str = "issue", **changes: object) -> Signed:
        """Return a signed envelope of a sealed act."""
        return self.sign([self.sealed(self.statement(sender, act, **changes), to)])[0]

    def open_envelope(self, sender: str, act: str, body: OpenBody, **changes: object) -> Signed:
        """Return a signed envelope of an open act."""
        return self.sign([open_act(self.statement(sender, act, body=body, **changes))])[0]

    def law(self, role: str, conditions: str) -> bytes:
        """Return a `law.json` with conditions written as TOML."""
        return compile_profile(profile_toml(role, conditions), today=_day(self.now))


def _day(now: int) -> date:
    return datetime.fromtimestamp(now, UTC).date()


HARMLESS = """
[[condition]]
id = "copy"
instrument = "Illustration"
article = "1"
effect = "oblige"
obligation = "copy-to-focal-point"
applies_to = { direction = "receive", kinds = ["controlled-delivery"] }
[condition.explanation]
en = "A copy goes to the focal point."
"""


def denying(
    name: str = "no-seizures",
    *,
    kind: str = "seizure",
    instrument: str = "Act on Secrets",
    article: str = "12(3)",
    validity: str = "",
) -> str:
    """Return a condition that keeps notices of a kind from a State's recipients; `validity` are whole lines."""
    return f"""
[[condition]]
id = "{name}"
instrument = "{instrument}"
article = "{article}"
effect = "deny"
{validity}applies_to = {{ direction = "receive", kinds = ["{kind}"] }}
[condition.explanation]
en = "Not here."
"""


def profile_toml(state: str, conditions: str = "") -> bytes:
    """Return a law profile as its author writes it: of law/1 where conditions have types, else of law/0."""
    form = "law/1" if "\ntype = " in conditions else "law/0"
    return f"""
form = "{form}"
state = "{state}"
version = "1"
adopted = 2024-01-01
illustration = true
{conditions or HARMLESS}
""".encode()


def records_of(person: Person, since: int) -> tuple[SigningRecord, SealingRecord, RequestRecord]:
    """Return the public records of a participant's keys."""
    life = Life(from_seconds(since))
    return (
        SigningRecord(person.id, Code("gate"), life, person.signing.kids, person.signing.public),
        SealingRecord(person.id, life, person.sealing.kid, person.sealing.public_key(), person.sealing.jwk["pub"]),
        RequestRecord(person.id, Code("gate"), life, person.request.kid, person.request.public),
    )


def new_person(who: str) -> Person:
    return Person(ParticipantId(who), SigningKeys.generate(), SealingKey.generate(), Ed25519Signer.generate())


def make_world(
    members: Sequence[str] = ("kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point", "tj/police"),
    *,
    now: int | None = None,
    laws: Mapping[str, str] | None = None,
    without_law: Sequence[str] = (),
) -> World:
    """Make a deployment whose States have the given participants; `laws` are TOML conditions by State."""
    now = now or int(time.time())
    root_keys = [TufKey.generate() for _ in range(5)]
    snapshot_key, timestamp_key = TufKey.generate(), TufKey.generate()
    ceremony = Ceremony(tuple(key.public for key in root_keys), snapshot_key.public, timestamp_key.public, threshold=3)
    roles = sorted({role_of(ParticipantId(who)) for who in members})
    state_keys = {role: TufKey.generate() for role in roles}
    law_keys = {role: (TufKey.generate(), TufKey.generate()) for role in roles if len(role) == 2}
    log, receipts = LogSigner.generate(ORIGIN), Ed25519Signer.generate()
    network = {
        "network/log.json": LogTarget(log.keys, receipts.kid, receipts.public).encode(),
        "network/network.json": default_network(),
    }
    role_keys = [
        RoleKeys(
            role,
            (state_keys[role].public,),
            (law_keys[role][0].public, law_keys[role][1].public) if role in law_keys else None,
        )
        for role in roles
    ]
    root = ceremony.root(now=now)
    targets = first_targets(network, role_keys, now=now)
    for key in root_keys[:3]:
        root = edit.sign_role(root, key)
        targets = edit.sign_role(targets, key)
    empty = Repository({"1.root.json": root}, snapshot_key, timestamp_key)
    repository = empty.after(empty.begin(targets, network, now=now))
    world = World(now, {}, state_keys, law_keys, root_keys, log, receipts, repository)
    for role in roles:
        _enter(world, role, [who for who in members if role_of(ParticipantId(who)) == role])
        if role in law_keys and role not in without_law:
            put_law(world, role, world.law(role, (laws or {}).get(role, "")))
    return world


def _enter(world: World, role: Role, members: Sequence[str]) -> None:
    state = edit.new_state(Names.same(role), ("en",))
    for who in members:
        person = world.people[ParticipantId(who)] = new_person(who)
        kind = "auditor" if role == "audit" else who.rsplit("/", 1)[1]
        one = Participant(
            person.id, Code(kind), Names.same(who), (), None, suspended=False, keys=records_of(person, world.now)
        )
        state = edit.set_participant(state, one, role)
    focal = next((who for who in members if who.endswith("focal-point")), None)
    if focal is not None:
        state = edit.set_focal_point(state, ParticipantId(focal))
    put_role(world, role, state.encode())


def put_role(world: World, role: Role, data: bytes) -> None:
    """Publish a State's file as its focal point does."""
    path = f"{role.replace('int-', 'int/')}/directory.json"
    metadata = _next(world, role, path, data)
    _accept(world, role, edit.sign_role(metadata, world.state_keys[role]), {path: data})


def put_law(world: World, role: Role, data: bytes) -> None:
    """Publish a State's law as its legal officer and focal point do."""
    path = f"{role}/law.json"
    metadata = _next(world, f"{role}-law", path, data)
    for key in world.law_keys[role]:
        metadata = edit.sign_role(metadata, key)
    _accept(world, f"{role}-law", metadata, {path: data})


def _next(world: World, name: str, path: str, data: bytes) -> bytes:
    version = world.repository.version_of(name)
    if version == 0:
        return edit.new_role({path: data}, now=world.now)
    return edit.set_target(edit.renew(world.repository.files[f"{version}.{name}.json"], now=world.now), path, data)


def _accept(world: World, name: str, metadata: bytes, targets: Mapping[str, bytes]) -> None:
    if_match = world.repository.version_of(name)
    version = world.repository.accept_role(name, metadata, targets, if_match=if_match, tree_size=0, now=world.now)
    world.repository = world.repository.after(version)


def notice_id_of(signed: Signed) -> NoticeId:
    return signed.statement.notice_id
