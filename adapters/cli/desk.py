"""A focal point's desk: the newest directory, and updates of a role made from it (design: access, Enrolment).

Nothing here decides whether keys are whose they claim to be: that is the telephone call and the eight words.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from adapters.cli.deployment import Deployment
from adapters.cli.role_update import RoleUpdate
from adapters.client.answers import Uploaded
from keys.directory import edit
from keys.directory.directory import Directory
from keys.directory.enrolment import VerifiedRequest
from keys.directory.records import Names, Participant, StateFile
from keys.directory.scope import scope_of
from keys.directory.store import DirectoryStore
from keys.directory.update import DirectoryClient
from schemas import ids
from schemas.codes import code_list
from schemas.encoding import Time
from schemas.errors import Error
from schemas.ids import Code, Role


class Broker(Protocol):
    """The broker, as far as a desk needs it."""

    async def directory_file(self, name: str) -> bytes | None:
        """Return a file of the static directory, or None."""
        ...

    async def upload_role(self, role: str, metadata: bytes, targets: Mapping[str, bytes], *, edited: int) -> Uploaded:
        """Upload a role's signed metadata and targets."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """The newest verified directory, and the files that it consists of."""

    directory: Directory
    files: Mapping[str, bytes]

    def version(self, role: str) -> int:
        """Return a role's version, 0 where it was never published."""
        return self.directory.role_versions.get(role, 0)


@dataclass(frozen=True, slots=True)
class NewParticipant:
    """What a focal point says of a participant that the directory does not have yet."""

    kind: Code
    names: Names
    roles: tuple[Code, ...] = ()
    clearance: Code | None = None


async def newest(
    broker: Broker, deployment: Deployment, folder: Path, *, clock: Callable[[], int] | None = None
) -> Known:
    """Fetch and verify the newest directory, keeping the last good one in `folder`; raise `DirectoryError`."""
    loop = asyncio.get_running_loop()

    def fetch(name: str) -> bytes | None:
        return asyncio.run_coroutine_threadsafe(broker.directory_file(name), loop).result()

    client = DirectoryClient(fetch, folder, deployment.root, deployment.origin, clock=clock)
    directory = await asyncio.to_thread(client.refresh)
    stored = DirectoryStore(folder).read()
    assert stored is not None  # the refresh has written it
    return Known(directory, stored.files)


def state_names(role: Role) -> Names:
    """Return the names of a State from the code list; an organisation's or the auditors' is their own name in capitals."""
    entry = code_list("states").entries.get(Code(role)) if ids.is_state(role) else None
    if entry is None:
        return Names.same(role.removeprefix("int-").upper())
    return Names(*(entry.name(language) for language in ("en", "fr", "de", "it", "ru", "es")))


def enter(
    known: Known,
    request: VerifiedRequest,
    *,
    new: NewParticipant | None,
    from_: Time,
    now: int,
    focal_point: bool = False,
    onto: RoleUpdate | None = None,
) -> RoleUpdate:
    """Return the unsigned update of the role that enters a request's keys from a time on.

    `new` describes a participant that is not there yet; `onto` is an update that is not uploaded yet and is gone on
    with. Raises `Error` where the participant is unknown, or `onto` was made from another version.
    """
    who = request.participant
    role = ids.role_of(who)
    path = scope_of(role).target
    state = _state(known, role, onto, path)
    if state.participant(who) is None:
        if new is None:
            raise Error(
                f"{who} is not in the directory yet.",
                problem="enrolment",
                hint="Say what it is: --kind and --name.",
            )
        one = Participant(who, new.kind, new.names, new.roles, new.clearance, suspended=False, keys=())
        state = edit.set_participant(state, one, role)
    state = edit.enter_keys(state, who, request.records(from_))
    if focal_point:
        state = edit.set_focal_point(state, who)
    return update(known, role, {path: state.encode()}, now=now)


def update(known: Known, name: str, targets: Mapping[str, bytes], *, now: int) -> RoleUpdate:
    """Return the unsigned next version of a role's metadata with these targets in place."""
    version = known.version(name)
    if version == 0:
        return RoleUpdate(name, 0, edit.new_role(targets, now=now), targets)
    metadata = edit.renew(known.files[f"{version}.{name}.json"], now=now)
    for path, data in targets.items():
        metadata = edit.set_target(metadata, path, data)
    return RoleUpdate(name, version, metadata, targets)


def _state(known: Known, role: Role, onto: RoleUpdate | None, path: str) -> StateFile:
    if onto is not None:
        if onto.role != role or onto.edited != known.version(role) or path not in onto.targets:
            raise Error(
                "The update that waits was made from another version of the directory.",
                problem="precondition-failed",
                hint="It was uploaded already, or is out of date: move the file away and approve again.",
            )
        return StateFile.parse(onto.targets[path], role)
    published = known.directory.last_good.get(role)
    if published is None and known.version(role):
        raise Error("The role has expired, and what it last said is not at hand.", problem="directory-frozen")
    return edit.new_state(state_names(role), ("en",)) if published is None else published
