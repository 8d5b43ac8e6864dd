"""Offline proofs that an entry is in a log (C2SP tlog-proof, files `.tlog-proof`).

A proof carries index, inclusion path and a checkpoint's note; the entry itself and the log's keys come from elsewhere.
Witness policy is not judged here. Extra data is carried, not authenticated.
"""

import binascii
import re
from dataclasses import dataclass
from typing import Final

from keys.log.merkle import leaf_hash, verify_inclusion
from keys.log.note import NOTE_SIZE, LogKeys, VerifiedCheckpoint, verify_checkpoint
from keys.log.vkey import b64decode, b64encode
from schemas.errors import MalformedError, TooLargeError

PROOF_SIZE: Final = 2 * NOTE_SIZE
"""The most bytes a proof may have; extra data may take about as many as the note."""

_PROOF: Final = re.compile(
    rb"c2sp\.org/tlog-proof@v1\n"
    rb"(?:extra ([A-Za-z0-9+/]+={0,2})\n)?"
    rb"index (0|[1-9][0-9]{0,15})\n"
    rb"((?:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\n){0,63})"
    rb"\n(.+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry's index, its inclusion path (32 bytes each, nearest sibling first), a note, and unauthenticated data."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


def parse(data: bytes) -> Proof:
    """Parse a `.tlog-proof` without verifying it; `encode` of the result is `data` again.

    Raises `TooLargeError` or `MalformedError`.
    """
    if len(data) > PROOF_SIZE:
        raise TooLargeError(f"A proof has more than {PROOF_SIZE} bytes.")
    parts = _PROOF.fullmatch(data)
    if parts is None:
        raise MalformedError("Not a C2SP log proof: header, index, path, empty line, checkpoint.")
    extra, index, path, checkpoint = parts.groups()
    return Proof(
        int(index),
        tuple(binascii.a2b_base64(line) for line in path.splitlines()),
        checkpoint,
        None if extra is None else b64decode(extra.decode("ascii")),
    )


def encode(proof: Proof) -> bytes:
    """Encode a proof as the bytes of a `.tlog-proof`; empty extra data is left out."""
    lines = ["c2sp.org/tlog-proof@v1"]
    if proof.extra:
        lines.append(f"extra {b64encode(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines.extend(map(b64encode, proof.path))
    return "\n".join([*lines, "", ""]).encode() + proof.checkpoint


def verify_proof(proof: Proof, leaf_entry: bytes, keys: LogKeys) -> VerifiedCheckpoint:
    """Verify that an entry's bytes are in the log of these keys, and return the checkpoint that says so.

    Raises `CheckpointError` for the note, `VerificationError` for the path.
    """
    checkpoint = verify_checkpoint(proof.checkpoint, keys)
    verify_inclusion(leaf_hash(leaf_entry), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint
