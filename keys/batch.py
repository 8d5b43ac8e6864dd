"""One pair of signatures over many statements: a Merkle batch of up to 1,024 (spec/envelope.md, RFC 6962 hashing)."""

from collections.abc import Sequence
from dataclasses import dataclass

from keys.log import merkle
from keys.sign import SigningKeys
from schemas import encoding
from schemas.encoding import Time
from schemas.envelope import batch_payload, envelope_bytes, proof_to_json
from schemas.ids import Origin, ParticipantId
from schemas.limits import LIMITS
from schemas.statement import Statement


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A statement that waits for its signatures, and the sealed part's bytes (None for an open act)."""

    statement: Statement
    statement_bytes: bytes
    sealed_bytes: bytes | None


@dataclass(frozen=True, slots=True)
class Signed:
    """An envelope as it goes out, and what its sender keeps to compare receipts with."""

    statement: Statement
    statement_bytes: bytes
    proof_bytes: bytes
    envelope: bytes


def sign_batch(
    unsigned: Sequence[Unsigned], keys: SigningKeys, *, origin: Origin, signer: ParticipantId, at: Time
) -> list[Signed]:
    """Sign 1 to 1,024 statements of one sender under one head; each stands alone afterwards.

    Raises `ValueError` for an empty or larger batch: that is the caller's mistake, not the input's.
    """
    if not 1 <= len(unsigned) <= LIMITS.batch_statements:
        raise ValueError(f"a batch holds 1 to {LIMITS.batch_statements} statements")
    hashes = [merkle.leaf_hash(item.statement_bytes) for item in unsigned]
    root, paths = merkle.all_inclusion_paths(hashes)
    head = keys.sign_head(batch_payload(origin, signer, len(hashes), root, at))
    signed = []
    for index, (item, path) in enumerate(zip(unsigned, paths, strict=True)):
        proof = encoding.encode(proof_to_json(index, len(hashes), tuple(path), head))
        envelope = envelope_bytes(item.statement_bytes, proof, item.sealed_bytes)
        signed.append(Signed(item.statement, item.statement_bytes, proof, envelope))
    return signed
