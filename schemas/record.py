"""Records: what a ledger stores, in its order, and what the tree is a pure function of (spec/ledger.md)."""

import struct
from dataclasses import dataclass
from typing import Final

from schemas.encoding import Time, is_time
from schemas.errors import FormError
from schemas.leaf import EVENTS, Leaf
from schemas.leaf import LENGTH as LEAF_LENGTH
from schemas.limits import LIMITS

_HEAD: Final = struct.Struct(f">{LEAF_LENGTH}sQBII")
_BOUNDARY: Final = 1
_BODY: Final = 2
_PROOF: Final = 4
_TIME_LENGTH: Final = 20
_DIGEST_LENGTH: Final = 32


@dataclass(frozen=True, slots=True)
class Record:
    """A leaf and what stands behind it.

    `document` holds the statement's or event's bytes, `proof` the proof's (None for events), `body_digest` the SHA-256
    of the sealed body (None where there is none); `directory` and `boundary` are what it was decided under.
    """

    leaf: Leaf
    document: bytes
    proof: bytes | None
    body_digest: bytes | None
    directory: int
    boundary: Time | None

    def encode(self) -> bytes:
        """Return the record's bytes, as they travel between the instances of one broker."""
        boundary, body, proof = self.boundary, self.body_digest, self.proof
        said = (_BOUNDARY if boundary else 0) | (_BODY if body else 0) | (_PROOF if proof else 0)
        head = _HEAD.pack(self.leaf.encode(), self.directory, said, len(self.document), len(proof or b""))
        return b"".join((head, (boundary or "").encode("ascii"), body or b"", self.document, proof or b""))

    @classmethod
    def parse(cls, data: bytes) -> "Record":
        """Read a record; raise `FormError`. Digests are not compared here."""
        if len(data) < _HEAD.size:
            raise FormError("The record is too short for what stands before its document.")
        leaf_bytes, directory, said, document_length, proof_length = _HEAD.unpack_from(data)
        document_at = _HEAD.size + (_TIME_LENGTH if said & _BOUNDARY else 0) + (_DIGEST_LENGTH if said & _BODY else 0)
        proof_at = document_at + document_length
        if said > (_BOUNDARY | _BODY | _PROOF) or len(data) != proof_at + proof_length or not document_length:
            raise FormError("The record is not as long as it says, or says what is not known.")
        leaf = Leaf.parse(leaf_bytes)
        if bool(proof_length) is not bool(said & _PROOF) or (leaf.type in EVENTS) is bool(proof_length):
            raise FormError("Must be there for statements and absent for events.", pointer="/proof")
        if directory > LIMITS.integer:
            raise FormError("Must be an integer from 0 to 2^53-1.", pointer="/directory")
        boundary = None
        if said & _BOUNDARY:
            text = data[_HEAD.size : _HEAD.size + _TIME_LENGTH].decode("ascii", "replace")
            if not is_time(text):
                raise FormError("Must be a calendar time YYYY-MM-DDTHH:MM:SSZ.", pointer="/boundary")
            boundary = Time(text)
        return cls(
            leaf,
            data[document_at:proof_at],
            data[proof_at:] if proof_length else None,
            data[document_at - _DIGEST_LENGTH : document_at] if said & _BODY else None,
            directory,
            boundary,
        )
