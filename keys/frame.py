"""Frames: who wrote what stands in a store that others can reach (spec: design of the ledger, section on Kafka).

A frame is `key id (8 bytes) ‖ HMAC-SHA-256 (32 bytes, RFC 2104) ‖ payload`. The HMAC is over
`"valise/frame/1" 00 ‖ topic's length (2 bytes) ‖ topic ‖ (00, or 01 ‖ key's length (4 bytes) ‖ key) ‖ payload`, so that a
frame holds only in the topic and under the record's key that it was made for. A key's id is the first 8 bytes of
HMAC-SHA-256 of `"valise/frame-key/1" 00` under it: a damaged line of the file cannot pass for a key.

Only broker instances hold frame keys. What this does not do: a frame can be repeated in its place, and its order and age
are not in it; numbers and ids within the payload say that (`broker.ledger.fold`). Nothing is encrypted.
"""

import secrets
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from keys.custody.errors import CustodyError
from keys.errors import VerificationError
from schemas.encoding import b64decode, b64encode
from schemas.errors import MalformedError

ID_LENGTH: Final = 8
OVERHEAD: Final = ID_LENGTH + 32
"""How many bytes a frame is longer than its payload."""

_KEY_LENGTH: Final = 32
_LABEL: Final = b"valise/frame/1\x00"
_ID_LABEL: Final = b"valise/frame-key/1\x00"


class BadFrameError(VerificationError):
    """A record of the store is no frame of ours in its place; its `code` says how.

    `malformed`: too short or empty. `unknown-key`: no key of this id is held here; a stranger's, or a key that was
    handed to other instances only. `unverified`: the HMAC does not hold.
    """


class FrameKeys:
    """The keys of frames: the first signs, all verify. Immutable; may be used by several threads."""

    __slots__ = ("_contexts", "_signer")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """Take keys of 32 bytes, at least one; raise `CustodyError`."""
        if not keys or any(len(key) != _KEY_LENGTH for key in keys) or len(set(keys)) != len(keys):
            raise CustodyError("Frame keys must be different keys of 32 bytes, at least one.")
        # Contexts are copied for each frame and never updated themselves: a copy costs less than making one.
        self._contexts: Final = {_key_id(key): _context(key, _LABEL) for key in keys}
        self._signer: Final = _key_id(keys[0])

    @classmethod
    def parse(cls, data: bytes) -> "FrameKeys":
        """Read a key file: lines of a key's id (16 hexadecimal digits), a space and the key (base64url).

        Raises `CustodyError`, whose `offset` is the number of the line, from 1.
        """
        keys = []
        for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
            try:
                name, _, text = line.decode("ascii").partition(" ")
                key = b64decode(text)
            except (UnicodeDecodeError, MalformedError):
                raise CustodyError("Must be a key's id and the key in base64url.", offset=number) from None
            if len(key) != _KEY_LENGTH or name != _key_id(key).hex():
                raise CustodyError("The frame key is not the one that its id names.", offset=number)
            keys.append(key)
        return cls(tuple(keys))

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of the keys in their order, as the file has them: public, to compare instances with."""
        return tuple(name.hex() for name in self._contexts)

    def sign(self, topic: str, key: bytes | None, payload: bytes) -> bytes:
        """Return the frame of a payload that is to stand in a topic under a record's key (None: without one)."""
        return self._signer + _mac(self._contexts[self._signer], topic, key, payload).finalize() + payload

    def open(self, topic: str, key: bytes | None, frame: bytes | None) -> bytes:
        """Return the payload of a frame that was found in a topic under a record's key; raise `BadFrameError`.

        None is what a tombstone holds: it is no frame. Where tombstones mean something, they are looked for before.
        """
        if frame is None or len(frame) < OVERHEAD:
            raise BadFrameError("The record is too short for a frame.", problem="malformed")
        context = self._contexts.get(frame[:ID_LENGTH])
        if context is None:
            raise BadFrameError("The frame's key is not held here.", problem="unknown-key")
        payload = frame[OVERHEAD:]
        try:
            _mac(context, topic, key, payload).verify(frame[ID_LENGTH:OVERHEAD])
        except InvalidSignature:
            raise BadFrameError("The frame does not hold in its place.") from None
        return payload


def new_frame_key() -> bytes:
    """Make a key and return its line: the content of a new file, or one more line of an old one.

    To change keys, let every instance have the new line below the old ones first; then let it be the first line.
    """
    key = secrets.token_bytes(_KEY_LENGTH)
    return f"{_key_id(key).hex()} {b64encode(key)}\n".encode("ascii")


def _context(key: bytes, label: bytes) -> HMAC:
    context = HMAC(key, SHA256())
    context.update(label)
    return context


def _key_id(key: bytes) -> bytes:
    return _context(key, _ID_LABEL).finalize()[:ID_LENGTH]


def _mac(context: HMAC, topic: str, key: bytes | None, payload: bytes) -> HMAC:
    name = topic.encode("utf-8")
    under = b"\x00" if key is None else b"\x01" + len(key).to_bytes(4, "big") + key
    mac = context.copy()
    mac.update(len(name).to_bytes(2, "big") + name + under)
    mac.update(payload)
    return mac
