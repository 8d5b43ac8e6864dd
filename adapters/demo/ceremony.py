"""The demonstration's ceremony and enrolments: the functions behind `valise directory`, `law` and `gateway init`.

Five root keys, three sign. Each State has a focal point, a law that two keys sign, and a gateway whose request is approved by
its eight words. Only the telephone is missing: both ends of it are this process.
"""

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
from keys.directory.ceremony import RoleKeys, TufKey
from keys.directory.enrolment import Kit, eight_words, verify_request
from keys.directory.records import Names
from schemas.encoding import from_seconds
from schemas.ids import Code, Origin, ParticipantId, Role, role_of
from schemas.rules.authoring import compile_profile
from schemas.rules.network import default_network

ROOT_HOLDERS: Final = 5
THRESHOLD: Final = 3
GATEWAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "kz": ("kz/focal-point", "kz/customs"),
    "uz": ("uz/focal-point",),
    "tj": ("tj/focal-point",),
}
AUDITOR: Final = ParticipantId("audit/court")
NAMES: Final[Mapping[str, str]] = {
    "kz/focal-point": "National focal point of Kazakhstan",
    "kz/customs": "Customs of Kazakhstan",
    "uz/focal-point": "National focal point of Uzbekistan",
    "tj/focal-point": "National focal point of Tajikistan",
    "audit/court": "Court of auditors",
}
_PACKS: Final = Path(__file__).parents[2] / "deploy" / "packs"


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
    """Where the demonstration happens: its folder, its passphrase file, its deployment, the role holders' keys."""

    folder: Path
    origin: Origin
    passphrase: bytes
    passphrase_file: Path
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


def new_stage(folder: Path) -> Stage:
    """Make the folder with a passphrase file, and choose an origin that counts nowhere else."""
    durable.make_folder(folder)
    passphrase = secrets.token_urlsafe(24).encode()
    file = folder / "passphrase"
    durable.write(file, passphrase)
    stage = Stage(folder, Origin(f"demo.invalid/{secrets.token_hex(4)}"), passphrase, file)
    durable.make_folder(stage.logs)
    return stage


def hold_ceremony(stage: Stage, broker_public: bytes) -> Path:
    """Make every role's keys, found the directory, and return the folder that the broker installs."""
    roles = [Role(state) for state in GATEWAYS]
    for role in (*roles, role_of(AUDITOR)):
        law = (TufKey.generate(), TufKey.generate()) if role in roles else None
        stage.holders[role] = RoleHolders(TufKey.generate(), law)
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
    """Enrol every State: its gateway's participants, then its law; and the auditor."""
    stage.deployment = Deployment(stage.origin, address, stage.place.root)
    for state, members in GATEWAYS.items():
        await _enrol_members(stage, client, Role(state), stage.gateway(state), members)
        await _publish_law(stage, client, Role(state))
    await _enrol_members(stage, client, role_of(AUDITOR), stage.folder / "auditor", (AUDITOR,))


async def _enrol_members(
    stage: Stage, client: BrokerClient, role: Role, folder: Path, members: tuple[str, ...]
) -> None:
    update: RoleUpdate | None = None
    known = await _newest(stage, client)
    for member in members:
        who = ParticipantId(member)
        kit = Kit(stage.origin, stage.place.broker, who, stage.place.root).encode()
        made = init_gateway(
            kit, folder, stage.passphrase, gateway=Code("gate"), now_ms=time.time_ns() // 1_000_000, no_backup=True
        )
        # The telephone call: the agency reads its words, the focal point compares them with the file that it got.
        if made.words != eight_words(made.request):
            raise DemoError("The eight words differ.")
        stage.words[member] = made.words
        kind = "auditor" if role == role_of(AUDITOR) else member.partition("/")[2]
        update = desk.enter(
            known,
            verify_request(made.request),
            new=NewParticipant(Code(kind), Names.same(NAMES[member])),
            from_=from_seconds(_now()),
            now=_now(),
            focal_point=kind == "focal-point",
            onto=update,
        )
    assert update is not None  # every role has a member
    await _upload(client, update.signed(stage.holders[role].own))


async def _publish_law(stage: Stage, client: BrokerClient, state: Role) -> None:
    pack = _PACKS / f"{state}.toml"
    if not pack.is_file():
        raise DemoError("The illustration packs are missing.", hint="Run the demonstration from a checkout.")
    law = compile_profile(pack.read_bytes(), today=datetime.now(UTC).date())
    known = await _newest(stage, client)
    update = desk.update(known, f"{state}-law", {f"{state}/law.json": law}, now=_now())
    pair = stage.holders[state].law
    assert pair is not None  # States have one
    for key in pair:
        update = update.signed(key)
    await _upload(client, update)


async def _newest(stage: Stage, client: BrokerClient) -> Known:
    return await desk.newest(client, stage.place, stage.folder / "desk")


async def _upload(client: BrokerClient, update: RoleUpdate) -> None:
    await client.upload_role(update.role, update.metadata, update.targets, edited=update.edited)


def _now() -> int:
    return int(time.time())
