"""What the outbox holds, as values: an entry and its bytes, to whom it was sealed, what was said of it."""

import hashlib
from dataclasses import dataclass, field

import orjson
from pydantic import BaseModel

from adapters.gateway.draft import Draft
from adapters.gateway.status import Addressee, Denial, LeftOut, State, Via
from schemas.errors import Error
from schemas.ids import LedgerIndex, NoticeId, ParticipantId


class IdempotencyError(Error):
    """The idempotency key was used for another request."""

    problem = "idempotency-conflict"


@dataclass(frozen=True, slots=True)
class Key:
    """A caller's idempotency key, and the SHA-256 of the request that it stands for."""

    text: str
    request: bytes

    @property
    def digest(self) -> bytes:
        """Return what is kept of the text."""
        return hashlib.sha256(self.text.encode()).digest()


def key_of(text: str | None, request: BaseModel, what: str) -> Key | None:
    """Return the key of a request to do `what`; None where the caller gave none."""
    if text is None:
        return None
    return Key(text, hashlib.sha256(f"{what}\n{request.model_dump_json()}".encode()).digest())


@dataclass(frozen=True, slots=True)
class Addressed:
    """Who an entry was sealed to, who was left out, and who gets a sanitised copy, as it is kept beside the entry."""

    sealed: tuple[Addressee, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    copies: tuple[Addressee, ...] = ()

    def encode(self) -> bytes:
        """Return the bytes for the store."""
        return orjson.dumps(
            {
                "sealed": [[item.participant, item.via] for item in self.sealed],
                "left_out": [
                    [item.participant, item.via, item.detail, None if item.denied is None else item.denied.to_json()]
                    for item in self.left_out
                ],
                "copies": [[item.participant, item.via] for item in self.copies],
            }
        )

    @classmethod
    def parse(cls, data: bytes | None) -> "Addressed":
        """Read what `encode` wrote; nothing is nobody."""
        if data is None:
            return cls()
        value = orjson.loads(data)
        return cls(
            tuple(Addressee(who, Via(via)) for who, via in value["sealed"]),
            tuple(
                LeftOut(who, Via(via), detail, None if denied is None else Denial.from_json(denied))
                for who, via, detail, denied in value["left_out"]
            ),
            # An older version knew none.
            tuple(Addressee(who, Via(via)) for who, via in value.get("copies", ())),
        )


@dataclass(frozen=True, slots=True)
class Parts:
    """The bytes of an envelope that was sealed and signed: they are sent as they are until they are answered."""

    notice_id: NoticeId
    statement: bytes
    proof: bytes
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that waits. `parts` are there once it is sealed; `addressed` then says to whom.

    `sealed_before` says that its own id was used up by a seal that was refused.
    """

    seq: int
    id: NoticeId
    participant: ParticipantId
    state: State
    series: str | None
    draft: Draft
    addressed: Addressed
    attempts: int
    sealed_before: bool
    parts: Parts | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sealing:
    """An entry's new seal: its bytes, and to whom; `draft` where something else than what was kept is sealed."""

    seq: int
    parts: Parts
    addressed: Addressed
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """What the broker's receipt said of an entry."""

    seq: int
    receipt: str
    index: LedgerIndex
    at: int


@dataclass(frozen=True, slots=True)
class Own:
    """An own notice that was published, as far as a correction, recall or grant of it must know."""

    seq: int
    id: NoticeId
    notice_id: NoticeId
    index: LedgerIndex
    state: State
    draft: Draft
    thread: NoticeId
    addressed: Addressed
