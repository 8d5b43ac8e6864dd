"""Signed checkpoints of a log (C2SP signed-note, tlog-checkpoint, tlog-cosignature): made by its signer, checked by all.

Two lines, both under the log's origin as key name, are required: Ed25519 over the text, and an ML-DSA-44 cosignature of
the log itself with the time at which this was its largest tree. Lines of other keys are ignored. No clock is read:
whether that time is fresh, and which witnesses must have signed, is the caller's to judge.
"""

import re
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from keys.errors import CheckpointError, VerificationError
from keys.log.merkle import EMPTY_ROOT
from keys.log.vkey import ED25519, MLDSA44, Vkey, b64decode, b64encode
from schemas import checkpoint as checkpoints
from schemas import ids
from schemas.checkpoint import Checkpoint
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Origin

__all__ = [
    "LogKeys",
    "LogSigner",
    "NoteSignature",
    "SignedNote",
    "VerifiedCheckpoint",
    "Vkey",
    "cosigned_message",
    "parse_note",
    "sign_checkpoint",
    "verify_checkpoint",
]

NOTE_SIZE: Final = 128 << 10
"""The most bytes a note may have: a body, and more than 16 post-quantum signatures."""

NOTE_SIGNATURES: Final = 64
"""The most signature lines a note may have."""

_SEED: Final = 32
_KEY_ID: Final = 4
_TIME: Final = 8
_MAX_TIME: Final = (1 << 63) - 1
_CONTROL: Final = re.compile(rb"[\x00-\x09\x0b-\x1f]")
_LINE: Final = re.compile("\N{EM DASH} ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")


# Notes


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name and id (4 bytes), and the signature as its type defines it."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> bytes:
        """Return the line, final newline included."""
        return f"\N{EM DASH} {self.name} {b64encode(self.key_id + self.value)}\n".encode()


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note taken apart, not verified: the signed text, final newline included, and its signature lines in order."""

    text: bytes
    signatures: tuple[NoteSignature, ...]


def parse_note(data: bytes) -> SignedNote:
    """Take a note apart without checking a signature.

    Raises `TooLargeError`, and `MalformedError` for anything but the exact form, loose bits of base64 included.
    """
    if len(data) > NOTE_SIZE:
        raise TooLargeError(f"A note has more than {NOTE_SIZE} bytes.")
    if control := _CONTROL.search(data):
        raise MalformedError("A note holds a control character.", offset=control.start())
    try:
        text, blank, signatures = data.decode("utf-8").rpartition("\n\n")
    except UnicodeDecodeError as error:
        raise MalformedError("A note is not UTF-8.", offset=error.start) from None
    *lines, rest = signatures.split("\n")
    if not blank or rest or not lines:
        raise MalformedError("A note is a text, an empty line, and signature lines.")
    if len(lines) > NOTE_SIGNATURES:
        raise TooLargeError(f"A note has more than {NOTE_SIGNATURES} signatures.")
    return SignedNote(f"{text}\n".encode(), tuple(map(_signature, lines)))


def _signature(line: str) -> NoteSignature:
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise MalformedError("A signature line is an em dash, a key name and base64.")
    data = b64decode(parts[2])
    if len(data) <= _KEY_ID:
        raise MalformedError("A signature line holds no signature.")
    return NoteSignature(parts[1], data[:_KEY_ID], data[_KEY_ID:])


# Keys of a log


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The public keys that a log's checkpoints must be signed with, both named as its origin.

    Raises `FormError` when one is of another type or name.
    """

    origin: Origin
    ed25519: Vkey
    mldsa44: Vkey

    def __post_init__(self) -> None:
        ids.origin(self.origin)
        if (self.ed25519.type, self.mldsa44.type) != (ED25519, MLDSA44):
            raise FormError("A log has an Ed25519 and an ML-DSA-44 key.")
        if not self.ed25519.name == self.mldsa44.name == self.origin:
            raise FormError("A log's keys must be named as its origin.")


class LogSigner:
    """The private keys of a log, bound to its origin. Keep `to_bytes()` in custody and nowhere else."""

    __slots__ = ("_ed25519", "_mldsa44", "keys")

    def __init__(self, origin: Origin, ed25519: Ed25519PrivateKey, mldsa44: MLDSA44PrivateKey) -> None:
        self._ed25519 = ed25519
        self._mldsa44 = mldsa44
        self.keys = LogKeys(
            origin,
            Vkey(origin, ED25519, ed25519.public_key().public_bytes_raw()),
            Vkey(origin, MLDSA44, mldsa44.public_key().public_bytes_raw()),
        )

    @classmethod
    def generate(cls, origin: Origin) -> "LogSigner":
        """Make new keys for a log; raise `FormError` for an origin that cannot stand in a note."""
        return cls(ids.origin(origin), Ed25519PrivateKey.generate(), MLDSA44PrivateKey.generate())

    @classmethod
    def from_bytes(cls, secret: bytes) -> "LogSigner":
        """Read what `to_bytes` wrote; raise `MalformedError` when it is something else."""
        ed25519, mldsa44, origin = secret[:_SEED], secret[_SEED : 2 * _SEED], secret[2 * _SEED :]
        try:
            name = ids.origin(origin.decode("ascii", "replace"))
        except FormError:
            raise MalformedError("A log's secret is two seeds of 32 bytes and its origin.") from None
        return cls(name, Ed25519PrivateKey.from_private_bytes(ed25519), MLDSA44PrivateKey.from_seed_bytes(mldsa44))

    def to_bytes(self) -> bytes:
        """Return the secret: RFC 8032's 32 bytes, FIPS 204's seed of 32 bytes, and the origin in ASCII."""
        return self._ed25519.private_bytes_raw() + self._mldsa44.private_bytes_raw() + self.origin.encode()

    @property
    def origin(self) -> Origin:
        """Return the log's origin."""
        return self.keys.origin

    def sign(self, text: bytes) -> NoteSignature:
        """Sign a note's text with Ed25519: the same text gives the same line, always."""
        return NoteSignature(self.origin, self.keys.ed25519.key_id, self._ed25519.sign(text))

    def cosign(self, checkpoint: Checkpoint, at: int) -> NoteSignature:
        """Cosign a checkpoint with ML-DSA-44 as the log's largest at a time in Unix seconds; raise `ValueError`."""
        if not 0 < at <= _MAX_TIME:
            raise ValueError("A cosignature's time must be a positive number of seconds.")
        value = self._mldsa44.sign(cosigned_message(self.origin, checkpoint, at))
        return NoteSignature(self.origin, self.keys.mldsa44.key_id, at.to_bytes(_TIME, "big") + value)


# Checkpoints


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that both keys of the log have signed; `at` is the ML-DSA-44 line's Unix seconds, `note` the bytes."""

    origin: Origin
    size: int
    root: bytes
    at: int
    note: bytes


def cosigned_message(name: str, checkpoint: Checkpoint, at: int) -> bytes:
    """Return what an ML-DSA-44 cosigner of a name signs (C2SP tlog-cosignature, `cosigned_message` from start 0)."""
    cosigner, origin = name.encode(), checkpoint.origin.encode()
    return b"".join(
        (
            b"subtree/v1\n\x00",
            len(cosigner).to_bytes(1, "big"),
            cosigner,
            at.to_bytes(_TIME, "big"),
            len(origin).to_bytes(1, "big"),
            origin,
            (0).to_bytes(8, "big"),
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        )
    )


def sign_checkpoint(signer: LogSigner, size: int, root: bytes, *, at: int) -> bytes:
    """Return the note of a checkpoint, cosigned at a time in Unix seconds.

    Sign the same size and root again to renew the time: the text and the Ed25519 line stay the same bytes. Raises
    `FormError` for a size or root that no checkpoint has, `ValueError` for a time that is not positive. That no other
    root was ever signed for the size is the caller's to ensure.
    """
    checkpoint = Checkpoint(signer.origin, size, root)
    text = checkpoints.encode(checkpoint)
    return b"".join((text, b"\n", signer.sign(text).line(), signer.cosign(checkpoint, at).line()))


def verify_checkpoint(note: bytes, keys: LogKeys) -> VerifiedCheckpoint:
    """Verify a log's checkpoint and return it.

    Raises `CheckpointError` unless the note has the exact form and origin and one line of each of the log's keys, both
    valid. A key that signs twice is refused: two times would leave open which one counts.
    """
    signed = _parse(note)
    try:
        checkpoint = checkpoints.parse(signed.text)
    except (FormError, MalformedError) as error:
        raise CheckpointError(error.detail) from None
    if checkpoint.origin != keys.origin:
        raise CheckpointError("The checkpoint is another log's.")
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise CheckpointError("The checkpoint's root is not that of an empty tree.")
    _check(keys.ed25519, signed.text, _own(signed, keys.ed25519).value)
    cosignature = _own(signed, keys.mldsa44).value
    at = int.from_bytes(cosignature[:_TIME], "big")
    if not 0 < at <= _MAX_TIME:
        raise CheckpointError("The log's cosignature has no time.")
    _check(keys.mldsa44, cosigned_message(keys.origin, checkpoint, at), cosignature[_TIME:])
    return VerifiedCheckpoint(checkpoint.origin, checkpoint.size, checkpoint.root, at, note)


def _parse(note: bytes) -> SignedNote:
    try:
        return parse_note(note)
    except (MalformedError, TooLargeError) as error:
        raise CheckpointError(error.detail, offset=error.offset) from None


def _own(signed: SignedNote, key: Vkey) -> NoteSignature:
    lines = [line for line in signed.signatures if line.name == key.name and line.key_id == key.key_id]
    if len(lines) != 1:
        raise CheckpointError("The checkpoint must have one line of each of the log's keys.")
    return lines[0]


def _check(key: Vkey, message: bytes, signature: bytes) -> None:
    try:
        key.verify(message, signature)
    except VerificationError as error:
        raise CheckpointError(error.detail) from None
