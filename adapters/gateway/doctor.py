"""Look at a gateway step by step and name the one that is missing (design: access, Enrolment and Expiry).

Steps come in the order in which they are taken; what cannot be looked at because an earlier one is missing is left out.
Each check is `ok`, `warning` or `missing`. Nothing is changed.
"""

import asyncio
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from adapters.gateway import outbox
from adapters.gateway.folder import Enrolled, Folder
from adapters.gateway.identity import Identity
from adapters.gateway.network import Network
from adapters.gateway.state import STOPPING
from adapters.gateway.status import Check, NoticeStatus
from adapters.gateway.store import Store, Transaction
from keys.directory.directory import Moment
from keys.directory.expiry import expiry_warnings
from keys.directory.records import KeyRecord, Participant, RequestRecord, SealingRecord, SigningRecord
from keys.directory.store import DirectoryStore
from schemas import ids
from schemas.encoding import to_seconds
from schemas.ids import ParticipantId

DAY: Final = 24 * 3600
SEALING_DAYS: Final = 90
SEALING_WARN_DAYS: Final = 30
LEAST_FREE: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Patient:
    """A gateway as far as it is looked at; `on` are its alarms by kind."""

    folder: Folder
    enrolled: Enrolled
    identities: Mapping[ParticipantId, Identity]
    network: Network | None
    on: Mapping[str, str]
    store: Store
    now_ms: int


async def check(patient: Patient) -> tuple[Check, ...]:
    """Check a gateway, whether it runs or was only opened."""
    found = [*_installed(patient), *_reached(patient)]
    network = patient.network
    if network is not None:
        for who, one in patient.identities.items():
            found += _enrolled(network, who, one, patient.now_ms)
            found.append(await _practice(patient.store, network, who))
        found += await asyncio.to_thread(lambda: list(_expiring(patient)))
    found += [
        Check(f"alarm {kind}", "missing" if kind in STOPPING else "warning", detail)
        for kind, detail in patient.on.items()
        if kind not in _REACHED
    ]
    return tuple(found)


_REACHED: Final = ("broker-away", "clock-skew", "checkpoint-stale", "not-enrolled", "reads-refused")


def _installed(patient: Patient) -> Iterator[Check]:
    served = ", ".join(sorted(patient.identities))
    yield Check("keys", "ok", f"The keys of {served} are open.")
    if patient.enrolled.backup:
        yield Check("backup", "ok", "A backup of the keys was made.")
    else:
        yield Check(
            "backup",
            "warning",
            "No backup of the keys was made: what only they open is lost with them.",
            "Make one with `valise gateway backup`.",
        )
    yield Check("kit", "ok", f"Enrolled for {patient.enrolled.origin}, gateway {patient.enrolled.gateway}.")
    free = shutil.disk_usage(patient.folder.path).free
    if free < LEAST_FREE:
        yield Check("disk", "warning", f"Only {free >> 20} MiB are free.", "Make room: a full disk accepts nothing.")


def _reached(patient: Patient) -> Iterator[Check]:
    on, network = patient.on, patient.network
    away = on.get("broker-away")
    if away is not None:
        yield Check("broker", "missing", away, "Check the address, the network and the certificate.")
    else:
        yield Check("broker", "ok", "The broker answers.")
    for kind in ("clock-skew", "checkpoint-stale"):
        if kind in on:
            yield Check("clock" if kind == "clock-skew" else "checkpoint", "missing", on[kind])
    if "not-enrolled" in on or (network is None and away is None):
        yield Check(
            "directory-entry",
            "missing",
            on.get("not-enrolled", "The directory was not read yet."),
            "Your focal point approves the request, signs and uploads: `valise directory approve`, `sign`, `upload`.",
        )
    elif "reads-refused" in on:
        yield Check("request-key", "missing", on["reads-refused"], "Check the clock, and the key in the directory.")
    elif network is not None:
        yield Check("log", "ok", f"Followed up to leaf {network.size}; every root compared.")


def _enrolled(network: Network, who: ParticipantId, one: Identity, now_ms: int) -> Iterator[Check]:
    participant = network.directory.participant(who)
    if participant is None:
        yield Check(
            f"directory-entry {who}",
            "missing",
            "The directory does not have it.",
            "Ask your focal point to approve it.",
        )
        return
    moment = network.moment(now_ms)
    own = _own(participant, one, network, moment)
    lacking = [name for name, record in own.items() if record is None]
    if lacking:
        yield Check(
            f"keys {who}",
            "missing",
            f"No {' and no '.join(lacking)} key of this gateway is in force.",
            "Enrol new keys with your focal point.",
        )
    else:
        yield Check(f"directory-entry {who}", "ok", "The directory has its keys, and they are in force.")
    yield from _sealing_age(who, own["sealing"], now_ms)
    role = ids.role_of(who)
    if ids.is_state(role) and role not in network.directory.laws:
        yield Check(
            f"law {who}",
            "missing",
            "Its State has no signed law profile and takes no part.",
            "The legal officer signs one: `valise law sign`.",
        )
    if network.focal_point(role) is None:
        yield Check(f"focal-point {who}", "warning", "Its State or organisation names no focal point.")


def _own(participant: Participant, one: Identity, network: Network, moment: Moment) -> dict[str, KeyRecord | None]:
    """Return, for each use, the newest record in force whose key is here."""
    found: dict[str, KeyRecord | None] = {"signing": None, "sealing": None, "request": None}
    names = {SigningRecord: "signing", SealingRecord: "sealing", RequestRecord: "request"}
    for record in participant.keys:
        if one.kids.issuperset(record.kids) and network.directory.in_force(record, moment, network.revoked):
            name = names[type(record)]
            newest = found[name]
            if newest is None or newest.life.from_ <= record.life.from_:
                found[name] = record
    return found


def _sealing_age(who: ParticipantId, record: KeyRecord | None, now_ms: int) -> Iterator[Check]:
    if record is None:
        return
    left = SEALING_DAYS - (now_ms // 1000 - to_seconds(record.life.from_)) // DAY
    if left <= SEALING_WARN_DAYS:
        yield Check(
            f"sealing-key {who}",
            "warning",
            f"Its sealing key should be replaced {f'within {left} days' if left > 0 else 'now'}.",
            "Make the next one with `valise gateway next-key`; it must be in the directory 24 h before it is used.",
        )


async def _practice(store: Store, network: Network, who: ParticipantId) -> Check:
    name = f"practice {who}"
    point = network.focal_point(ids.role_of(who))
    if point is None or point == who:
        return Check(name, "ok", "None is needed: there is no other focal point to send one to.")

    def look(tx: Transaction) -> NoticeStatus | None:
        notice_id = outbox.practice(tx, who)
        return None if notice_id is None else outbox.status(tx, who, notice_id)

    status = await store.read(look)
    if status is None:
        return Check(name, "missing", f"No practice notice was sent to {point}.", "Start the gateway: it sends one.")
    if status.index is not None:  # whatever became of it since: it has shown that everything works
        return Check(name, "ok", f"The practice notice to {point} is in the log at {status.index}.")
    why = "" if status.problem is None else f": {status.problem.detail}"
    return Check(name, "missing", f"The practice notice to {point} is {status.state}{why}")


def _expiring(patient: Patient) -> Iterator[Check]:
    """Warn about metadata that expires within 60, 30 and 7 days, from the files of the last good directory."""
    stored = DirectoryStore(patient.folder.directory).read()
    if stored is None:
        return
    for item in expiry_warnings(stored.files, patient.now_ms // 1000):
        if item.within == 0:
            yield Check(f"role {item.name}", "missing", "Its metadata has expired.", "Its holders renew and upload it.")
        else:
            detail = f"Its metadata expires in {item.days} days."
            yield Check(f"role {item.name}", "warning", detail, "Its holders renew and upload it.")
