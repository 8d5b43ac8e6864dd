"""Who a gateway is: the keys of each participant that it serves, as custody gives them (design: access, Life of a gateway).

Names in custody, with the participant's slashes as dots: `signing.fr.customs` and `request.fr.customs` are this gateway's
own; `sealing.fr.customs.1`, `.2`, … the participant's, oldest first, shared by its gateways; `store` the key of the cells.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.client.broker import Sign
from keys.custody.cells import Cells
from keys.custody.port import Custody
from keys.http_signature import sign_request
from keys.seal import SealingKey
from keys.sign import Ed25519Signer, SigningKeys
from schemas import ids
from schemas.errors import Error
from schemas.ids import Kid, Origin, ParticipantId

STORE: Final = "store"
_SIGNING: Final = re.compile(r"signing\.(.+)")


@dataclass(frozen=True, slots=True)
class Identity:
    """One participant's keys at this gateway: one signing identity, every sealing key by its id, one request key."""

    participant: ParticipantId
    signing: SigningKeys = field(repr=False)
    sealing: Mapping[Kid, SealingKey] = field(repr=False)
    request: Ed25519Signer = field(repr=False)

    @property
    def kids(self) -> frozenset[Kid]:
        """Return the ids of all keys."""
        return frozenset((*self.signing.kids, *self.sealing, self.request.kid))

    def signer(self, origin: Origin, now_ms: Callable[[], int]) -> Sign:
        """Return what signs this participant's requests to the broker, by a clock in Unix ms."""

        def sign(method: str, url: str, body: bytes | None) -> Mapping[str, str]:
            return sign_request(method, url, {}, body, signer=self.request, origin=origin, created=now_ms() // 1000)

        return sign


def create(custody: Custody, participant: ParticipantId) -> Identity:
    """Make a participant's keys and keep them; keys that are there already stay. Durable once this returns."""
    place = _place(participant)
    there = set(custody.names())
    if STORE not in there:
        custody.keep(STORE, Cells.new_key())
    if f"signing.{place}" not in there:
        # The signing key goes last: by it `participants` knows that all others are there.
        custody.keep(f"sealing.{place}.1", SealingKey.generate().to_bytes())
        custody.keep(f"request.{place}", Ed25519Signer.generate().to_bytes())
        custody.keep(f"signing.{place}", SigningKeys.generate().to_bytes())
    return load(custody, participant)


def add_sealing(custody: Custody, participant: ParticipantId) -> SealingKey:
    """Make a participant's next sealing key and keep it beside the earlier ones."""
    key = SealingKey.generate()
    numbers = [int(name.rpartition(".")[2]) for name in _sealing(custody, participant)]
    custody.keep(f"sealing.{_place(participant)}.{max(numbers, default=0) + 1}", key.to_bytes())
    return key


def load(custody: Custody, participant: ParticipantId) -> Identity:
    """Open a participant's keys; raise `CustodyError`."""
    place = _place(participant)
    sealing = [SealingKey(custody.open(name)) for name in _sealing(custody, participant)]
    return Identity(
        participant=participant,
        signing=SigningKeys.from_bytes(custody.open(f"signing.{place}")),
        sealing={key.kid: key for key in sealing},
        request=Ed25519Signer.from_bytes(custody.open(f"request.{place}")),
    )


def participants(custody: Custody) -> tuple[ParticipantId, ...]:
    """Return whose keys are in custody, sorted."""
    places = [match[1] for name in custody.names() if (match := _SIGNING.fullmatch(name))]
    return tuple(sorted(ids.participant(place.replace(".", "/")) for place in places))


def load_all(custody: Custody) -> dict[ParticipantId, Identity]:
    """Open the keys of every participant; raise `Error` where there is none."""
    found = {who: load(custody, who) for who in participants(custody)}
    if not found:
        raise Error(
            "There are no keys in this folder.", problem="enrolment", hint="Run `valise gateway init --kit FILE`."
        )
    return found


def cells(custody: Custody) -> Cells:
    """Return what seals the cells of the gateway's store; raise `CustodyError`."""
    return Cells(custody.open(STORE))


def _sealing(custody: Custody, participant: ParticipantId) -> list[str]:
    form = re.compile(rf"sealing\.{re.escape(_place(participant))}\.[1-9][0-9]*")
    return sorted(
        (name for name in custody.names() if form.fullmatch(name)), key=lambda name: int(name.rpartition(".")[2])
    )


def _place(participant: ParticipantId) -> str:
    return participant.replace("/", ".")
