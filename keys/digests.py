"""Every digest that Valise takes, with its domain, in one place (spec/envelope.md, spec/ledger.md)."""

import hashlib
from typing import Final

from schemas.statement import Statement

_COMMITMENT: Final = b"valise/key-commitment/1\x00"


def sha256(data: bytes) -> bytes:
    """Return SHA-256 of `data`, 32 bytes."""
    return hashlib.sha256(data).digest()


def statement_digest(statement: bytes) -> bytes:
    """Return the digest of a statement's bytes."""
    return sha256(statement)


def statement_leaf(statement: bytes, proof: bytes) -> bytes:
    """Return the digest in the leaf of a statement: SHA-256(00 ‖ SHA-256(statement) ‖ SHA-256(proof))."""
    return joined_leaf(sha256(statement), sha256(proof))


def joined_leaf(statement_digest: bytes, proof_digest: bytes) -> bytes:
    """Return the same from the two digests, where they are known already."""
    return sha256(b"\x00" + statement_digest + proof_digest)


def event_leaf(event: bytes) -> bytes:
    """Return the digest in the leaf of an event: SHA-256(01 ‖ SHA-256(event))."""
    return sha256(b"\x01" + sha256(event))


def binding(statement: Statement) -> bytes:
    """Return the digest that ties a seal to its statement's bound members."""
    return sha256(statement.bound())


def content(protected: str, iv: bytes, ciphertext: bytes, tag: bytes) -> bytes:
    """Return the content digest: SHA-256(protected ‖ "." ‖ iv ‖ ciphertext ‖ tag)."""
    digest = hashlib.sha256(protected.encode("ascii") + b"." + iv)
    digest.update(ciphertext)
    digest.update(tag)
    return digest.digest()


def key_commitment(content_key: bytes) -> bytes:
    """Return the commitment to a content key, which GCM does not give by itself."""
    return sha256(_COMMITMENT + content_key)
