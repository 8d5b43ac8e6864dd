"""The demonstration's ceremony and enrolments: the functions behind `valise directory`, `law` and `gateway init`.

Five root keys, three sign. Each State has a focal point and, where it has signed one, a law of two keys. A gateway's request is
approved by its eight words. Only the telephone is missing: both ends of it are this process.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from adapters.cli import desk, founding
from adapters.cli.deployment import Deployment
from adapters.cli.desk import Known, NewParticipant
from adapters.cli.role_update import RoleUpdate
from adapters.client.broker import BrokerClient
from adapters.demo.processes import DemoError
from adapters.gateway.enrol import init_gateway
from keys.custody import durable
from keys.custody.file import FileCustody
from keys.directory.ceremony import RoleKeys, TufKey
from keys.directory.enrolment import Kit, eight_words, make_request, verify_request
from keys.directory.records import Names
from keys.seal import SealingKey
from keys.sign import Ed25519Signer, SigningKeys
from schemas.codes import code_list
from schemas.encoding import from_seconds
from schemas.ids import Code, Origin, ParticipantId, Role, role_of
from schemas.rules.authoring import compile_profile
from schemas.rules.network import default_network

ROOT_HOLDERS: Final = 5
THRESHOLD: Final = 3
AUDITOR: Final = ParticipantId("audit/court")
PACKS: Final = Path(__file__).parents[2] / "deploy" / "packs"
OFFICER: Final = "legal-officer"
FOCAL_POINT: Final = "focal-point"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: per State whom its gateway here serves, the laws in force, and States whose gateways are elsewhere.

    Of `away` there are keys in the directory, whose private halves nobody has kept. The keys of the laws of `drafting` are
    kept in the demonstration's folder, so that these laws can be changed.
    """

    gateways: Mapping[str, tuple[str, ...]]
    laws: Mapping[str, bytes]
    away: tuple[str, ...] = ()
    drafting: tuple[str, ...] = ()

    @property
    def states(self) -> tuple[str, ...]:
        """Return all States."""
        return (*self.gateways, *self.away)


def three_states() -> Cast:
    """Return the cast of `valise demo`, with its invented laws; raise `DemoError` where there is no checkout."""
    gateways = {"kz": ("kz/focal-point", "kz/customs"), "uz": ("uz/focal-point",), "tj": ("tj/focal-point",)}
    return Cast(gateways, {state: pack(state) for state in gateways})


def pack(name: str, state: str | None = None) -> bytes:
    """Return the canonical law of a pack, of a baseline as a State's; raise `DemoError` where there is no checkout."""
    file = PACKS / f"{name}.toml"
    if not file.is_file():
        raise DemoError("The illustration packs are missing.", hint="Run the demonstration from a checkout.")
    return law_of(file.read_bytes(), state)


def law_of(text: bytes, state: str | None = None) -> bytes:
    """Return the canonical law of a text."""
    return compile_profile(text, today=datetime.now(UTC).date(), state=None if state is None else Role(state))


def name_of(member: str) -> str:
    """Return what a participant is called."""
    state, _, kind = member.partition("/")
    if member == AUDITOR:
        return "Court of auditors"
    country = code_list("states").entries[Code(state)].name()
    return f"National focal point of {country}" if kind == FOCAL_POINT else f"{kind.capitalize()} of {country}"


@dataclass(frozen=True, slots=True)
class RoleHolders:
    """The private keys of one role: the focal point's, and the two of the law where there is one."""

    own: TufKey
    law: tuple[TufKey, TufKey] | None

    def public(self, role: Role) -> RoleKeys:
        """Return the public halves for the root holders."""
        law = None if self.law is None else (self.law[0].public, self.law[1].public)
        return RoleKeys(role, (self.own.public,), law)


@dataclass
class Stage:
    """Where the demonstration happens and who is on it: folder, passphrase file, deployment, the role holders' keys."""

    folder: Path
    origin: Origin
    passphrase: bytes
    passphrase_file: Path
    cast: Cast
    holders: dict[Role, RoleHolders] = field(default_factory=dict)
    deployment: Deployment | None = None
    words: dict[str, str] = field(default_factory=dict)

    @property
    def place(self) -> Deployment:
        """Return the deployment, once the ceremony was held."""
        assert self.deployment is not None  # the ceremony comes first
        return self.deployment

    @property
    def logs(self) -> Path:
        """Return the folder of what the processes say."""
        return self.folder / "logs"

    def gateway(self, state: str) -> Path:
        """Return a gateway's folder."""
        return self.folder / f"gateway-{state}"

    def law_keys(self, state: str, who: str) -> Path:
        """Return the folder of one of the two keys of a law that is kept here; `who` is `OFFICER` or `FOCAL_POINT`."""
        return self.folder / f"law-keys-{state}-{who}"


LAW_KEY: Final = "law"


def new_stage(folder: Path, cast: Cast) -> Stage:
    """Make the folder with a passphrase file, and choose an origin that counts nowhere else."""
    durable.make_folder(folder)
    passphrase = secrets.token_urlsafe(24).encode()
    file = folder / "passphrase"
    durable.write(file, passphrase)
    stage = Stage(folder, Origin(f"demo.invalid/{secrets.token_hex(4)}"), passphrase, file, cast)
    durable.make_folder(stage.logs)
    return stage


def hold_ceremony(stage: Stage, broker_public: bytes) -> Path:
    """Make every role's keys, found the directory, and return the folder that the broker installs."""
    for state in stage.cast.states:
        stage.holders[Role(state)] = RoleHolders(TufKey.generate(), (TufKey.generate(), TufKey.generate()))
    stage.holders[role_of(AUDITOR)] = RoleHolders(TufKey.generate(), None)
    for state in stage.cast.drafting:
        pair = stage.holders[Role(state)].law
        assert pair is not None  # States have one
        for who, key in zip((OFFICER, FOCAL_POINT), pair, strict=True):
            FileCustody(stage.law_keys(state, who), stage.passphrase).keep(LAW_KEY, key.to_bytes())
    founded = founding.found(
        founding.Operator.parse(broker_public),
        [TufKey.generate() for _ in range(ROOT_HOLDERS)],
        [holders.public(role) for role, holders in stage.holders.items()],
        default_network(),
        threshold=THRESHOLD,
        now=_now(),
    )
    out = stage.folder / "founding"
    for name, data in founded.files().items():
        durable.make_folder((out / name).parent)
        durable.write(out / name, data)
    stage.deployment = Deployment(stage.origin, "", founded.root)
    return out


async def enrol(stage: Stage, client: BrokerClient, address: str) -> None:
    """Enrol every State, with its participants and its law where it has one; and the auditor."""
    stage.deployment = Deployment(stage.origin, address, stage.place.root)
    known = await desk.newest(client, stage.place, stage.folder / "desk")
    here = {**{Role(state): who for state, who in stage.cast.gateways.items()}, role_of(AUDITOR): (AUDITOR,)}

    def asked() -> dict[Role, list[bytes]]:
        # One after the other: OpenSSL's Argon2 with several lanes never ends where two threads are in it.
        return {role: _requests(stage, role, who) for role, who in here.items()}

    making = asyncio.create_task(asyncio.to_thread(asked))
    for state in map(Role, stage.cast.away):
        await _publish(stage, client, known, state, [_without_gateway(stage, f"{state}/{FOCAL_POINT}")])
    for role, requests in (await making).items():
        await _publish(stage, client, known, role, requests)


async def _publish(stage: Stage, client: BrokerClient, known: Known, role: Role, requests: list[bytes]) -> None:
    """Publish a role's first version with the participants that asked for it, then its State's law, if there is one."""
    holders, law = stage.holders[role], stage.cast.laws.get(role)
    await _upload(client, _entered(known, role, requests).signed(holders.own))
    if law is not None:
        assert holders.law is not None  # States have one
        update = desk.update(known, f"{role}-law", {f"{role}/law.json": law}, now=_now())
        await _upload(client, update.signed(holders.law[0]).signed(holders.law[1]))


def _requests(stage: Stage, role: Role, members: tuple[str, ...]) -> list[bytes]:
    """Make the keys of a gateway's participants, and return their requests once the words agree."""
    folder = stage.folder / "auditor" if role == role_of(AUDITOR) else stage.gateway(role)
    requests = []
    for member in members:
        kit = Kit(stage.origin, stage.place.broker, ParticipantId(member), stage.place.root).encode()
        made = init_gateway(
            kit, folder, stage.passphrase, gateway=Code("gate"), now_ms=time.time_ns() // 1_000_000, no_backup=True
        )
        # The telephone call: the agency reads its words, the focal point compares them with the file that it got.
        if made.words != eight_words(made.request):
            raise DemoError("The eight words differ.")
        stage.words[member] = made.words
        requests.append(made.request)
    return requests


def _without_gateway(stage: Stage, member: str) -> bytes:
    """Return the request of a participant that has no gateway here: its private keys are forgotten at once."""
    return make_request(
        origin=stage.origin,
        participant=ParticipantId(member),
        gateway=Code("gate"),
        made_at=from_seconds(_now()),
        signing=SigningKeys.generate(),
        sealing=SealingKey.generate(),
        request=Ed25519Signer.generate(),
    )


def _entered(known: Known, role: Role, requests: list[bytes]) -> RoleUpdate:
    """Return a role's first version, with the participants that asked for it."""
    update: RoleUpdate | None = None
    for request in map(verify_request, requests):
        kind = "auditor" if role == role_of(AUDITOR) else request.participant.partition("/")[2]
        update = desk.enter(
            known,
            request,
            new=NewParticipant(Code(kind), Names.same(name_of(request.participant))),
            from_=from_seconds(_now()),
            now=_now(),
            focal_point=kind == FOCAL_POINT,
            onto=update,
        )
    assert update is not None  # every role has a member
    return update


async def _upload(client: BrokerClient, update: RoleUpdate) -> None:
    await client.upload_role(update.role, update.metadata, update.targets, edited=update.edited)


def _now() -> int:
    return int(time.time())
