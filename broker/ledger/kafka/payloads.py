"""What is in the frames of each topic: bytes to values and back, without I/O (design: ledger).

| topic | record's key | payload |
|---|---|---|
| `valise.ledger` | none | version (1 byte, 1) ‖ number of key ids (2 bytes, big-endian) ‖ the key ids (32 bytes each) ‖ the record (spec/ledger.md) |
| `valise.notices.…` | statement's SHA-256 | the sealed body |
| `valise.objects` | name | its bytes |
| `valise.decisions` | day | its JSON |
| `valise.checkpoints` | `checkpoint` | length of the instance's name (1 byte) ‖ the name ‖ the note |
| | `instance/` and a name | {`at` Unix ms, `signer`, `size`} in the one encoding |

The key ids are in the ledger because who may know of a notice outlives its body. A payload that cannot be read was framed
by a newer version: it raises `FormError` or `MalformedError`. Of the ledger nothing may be missed, so that whoever reads it
goes no further there; in the other topics it is skipped like a stranger's.
"""

from dataclasses import dataclass
from typing import Final

from schemas import encoding
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError
from schemas.ids import Kid
from schemas.record import Record

CHECKPOINT: Final = b"checkpoint"
INSTANCE: Final = b"instance/"

_VERSION: Final = 1
_HEAD: Final = 3
_KID: Final = 32


def encode_record(record: Record, kids: tuple[Kid, ...]) -> bytes:
    """Return a ledger record's payload."""
    return b"".join(
        (bytes((_VERSION,)), len(kids).to_bytes(2, "big"), *(b64decode(kid) for kid in kids), record.encode())
    )


def parse_record(payload: bytes) -> tuple[Record, tuple[Kid, ...]]:
    """Read a ledger record's payload; raise `FormError` or `MalformedError`."""
    if payload[:1] != bytes((_VERSION,)):
        raise FormError("The record is of a version that is not known here.")
    end = _HEAD + int.from_bytes(payload[1:_HEAD], "big") * _KID
    if len(payload) < end:
        raise FormError("The record is too short for its key ids.")
    kids = tuple(Kid(b64encode(payload[at : at + _KID])) for at in range(_HEAD, end, _KID))
    return Record.parse(payload[end:]), kids


def encode_checkpoint(name: str, note: bytes) -> bytes:
    """Return a published checkpoint's payload."""
    said = name.encode()
    return bytes((len(said),)) + said + note


def parse_checkpoint(payload: bytes) -> tuple[str, bytes]:
    """Read a published checkpoint's payload: who published it, and the note; raise `FormError`."""
    length = payload[0] if payload else 0
    said = payload[1 : 1 + length]
    if not length or len(said) < length or not said.isascii():
        raise FormError("Must begin with the instance's name.")
    return said.decode("ascii"), payload[1 + length :]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """That an instance is alive: by its own clock (Unix ms), whether it signs, and how many leaves it has."""

    at: int
    signer: bool
    size: int

    def encode(self) -> bytes:
        """Return the payload."""
        return encoding.encode({"at": self.at, "signer": int(self.signer), "size": self.size})

    @classmethod
    def parse(cls, payload: bytes) -> "Heartbeat":
        """Read a payload; raise `FormError` or `MalformedError`."""
        m = Members(encoding.parse(payload), ("at", "signer", "size"))
        return cls(m.integer("at"), bool(m.integer("signer")), m.integer("size"))
