"""Where `valise law` takes rules and participants from: the verified directory, or a folder of profiles at the desk.

The directory says who takes part and whose law is in force; a folder lets an author try profiles before anybody signs. A
draft takes the place of its State's law in either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from adapters.cli import desk
from adapters.cli.broker_access import with_broker
from adapters.cli.deployment import Deployment, cache_folder
from adapters.client.broker import BrokerClient
from schemas import ids
from schemas.encoding import Time, from_seconds
from schemas.errors import Error, FormError
from schemas.ids import ParticipantId, Role
from schemas.rules.authoring import compile_profile
from schemas.rules.compile import Rules, compile_rules
from schemas.rules.condition import parse_profile
from schemas.rules.facts import Party
from schemas.rules.network import default_network

DeploymentOption = Annotated[
    Path | None,
    typer.Option(
        "--deployment", envvar="VALISE_DEPLOYMENT", metavar="FILE", help="Laws and participants of this deployment."
    ),
]
LawsFolder = Annotated[
    Path | None,
    typer.Option("--laws", metavar="DIR", help="Profiles (.toml, .json) instead of a deployment's.", exists=True),
]
AtTime = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Decide as of YYYY-MM-DDTHH:MM:SSZ instead of now.")
]


@dataclass(frozen=True, slots=True)
class World:
    """Rules at one time, the laws that they were compiled from, and who there is; `points` stand for their States.

    `trial`: of a folder, which names no participants. There is then whoever is named: its kind is what its name says.
    """

    rules: Rules
    version: int
    network: bytes
    laws: Mapping[Role, bytes]
    parties: Mapping[ParticipantId, Party]
    points: Mapping[Role, Party]
    trial: bool = False

    def find(self, who: ParticipantId) -> Party | None:
        """Return a participant, None where there is none."""
        found = self.parties.get(who)
        if found is not None or not self.trial:
            return found
        try:
            role = ids.role_of(ids.participant(who))
        except FormError:
            return None
        kind = who.rpartition("/")[2]
        known = self.rules.known.agency_kinds
        return Party(who, role, kind if kind in known else "police", (), None, suspended=False)

    def with_law(self, data: bytes) -> "World":
        """Return the world in which a draft is its State's law."""
        laws = {**self.laws, parse_profile(data).state: data}
        rules = _rules(self.version, self.network, laws, self.rules.boundary)
        return replace(self, rules=rules, laws=laws)

    def party(self, name: str) -> Party:
        """Return a participant, or the one that stands for a State; raise `Error` for a name that is not there."""
        found = self.points.get(Role(name)) if "/" not in name else self.find(ParticipantId(name))
        if found is None:
            raise Error(
                "There is no participant or State of that name here.",
                problem="not-found",
                hint="Name a participant such as al/police, or a State such as al.",
            )
        return found


def world(deployment: Path | None, laws: Path | None, at: str | None, ca_file: Path | None) -> World:
    """Return the rules of a deployment, or of a folder of profiles, as of a time; raise `Error`."""
    when = _time(at)
    if laws is not None:
        return _of_folder(laws, when)
    if deployment is None:
        raise Error(
            "Neither a deployment nor a folder of profiles is named.",
            hint="Give --deployment FILE, or --laws DIR to try profiles out.",
            problem="configuration",
        )
    return _of_directory(Deployment.parse(deployment.read_bytes()), when, ca_file)


def read_law(file: Path, state: Role | None = None) -> bytes:
    """Return the canonical bytes of a profile in TOML or JSON; raise `Error`."""
    data = file.read_bytes()
    if file.suffix != ".toml":
        parse_profile(data)
        return data
    return compile_profile(data, today=today(), state=state)


def today() -> date:
    """Return the day, in UTC."""
    return datetime.now(UTC).date()


def _of_directory(place: Deployment, when: Time, ca_file: Path | None) -> World:
    async def work(broker: BrokerClient) -> desk.Known:
        return await desk.newest(broker, place, cache_folder(place))

    directory = with_broker(place.broker, ca_file, work).directory
    parties = {
        who: Party(who, ids.role_of(who), one.kind, one.roles, one.clearance, one.suspended)
        for who, one in directory.participants.items()
    }
    points = {role: directory.focal_point(role) for role in directory.roles if ids.is_state(role)}
    return World(
        _rules(directory.version, directory.network, directory.laws, when),
        directory.version,
        directory.network,
        directory.laws,
        parties,
        {role: parties[one.id] for role, one in sorted(points.items()) if one is not None},
    )


def _of_folder(folder: Path, when: Time) -> World:
    """Read a folder of profiles; each State of the founding network has a focal point, with or without a law."""
    laws: dict[Role, bytes] = {}
    for file in sorted((*folder.glob("*.toml"), *folder.glob("*.json"))):
        try:
            data = read_law(file)
        except FormError as error:
            if error.pointer == "/state":
                continue  # a baseline pack, which names none
            raise FormError(f"{file.name}: {error.detail}", pointer=error.pointer, offset=error.offset) from None
        laws[parse_profile(data).state] = data
    network = default_network()
    rules = _rules(0, network, laws, when)
    points = {
        role: Party(ParticipantId(f"{role}/focal-point"), role, "focal-point", (), None, suspended=False)
        for role in sorted(rules.roles)
        if ids.is_state(role)
    }
    return World(rules, 0, network, laws, {one.id: one for one in points.values()}, points, trial=True)


def _rules(version: int, network: bytes, laws: Mapping[Role, bytes], boundary: Time | None) -> Rules:
    return compile_rules(version=version, boundary=boundary, network=network, laws=laws)


def _time(at: str | None) -> Time:
    if at is None:
        return from_seconds(int(datetime.now(UTC).timestamp()))
    try:
        # Another offset would have to be read as what it says, and a time without one as somebody's own.
        when = datetime.fromisoformat(at) if at.endswith("Z") else None
    except ValueError:
        when = None
    if when is None:
        raise FormError("Must be a time in UTC: YYYY-MM-DDTHH:MM:SSZ.", pointer="/at")
    return from_seconds(int(when.timestamp()))
