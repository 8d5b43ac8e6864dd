"""A signed statement as an auditor checks it: who signed, whether the keys counted then, and that the leaf is its own.

Not the sealed body: auditors never have it. Steps 3 and 4 of spec/envelope.md, and the leaf's digest of spec/ledger.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from keys import digests
from keys.directory.directory import Directory, Moment
from keys.errors import VerificationError
from keys.log import merkle
from keys.sign import verify_pair
from schemas import encoding
from schemas.envelope import proof_of
from schemas.ids import Kid
from schemas.leaf import Leaf, LeafType
from schemas.statement import Statement


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """A statement whose signatures hold, in force at its leaf. `verify_statement` alone makes it."""

    statement: Statement
    index: int
    received_at: int
    digest: bytes


def verify_statement(
    statement: bytes,
    proof: bytes,
    leaf: Leaf,
    index: int,
    *,
    directory: Directory,
    revoked: Mapping[Kid, int],
) -> VerifiedStatement:
    """Check a statement against its leaf at `index` and the directory.

    `revoked` has the index of the statement that revoked each key. Raises `UnknownKeyError`, `RevokedKeyError`,
    `VerificationError`, `MalformedError` or `FormError`.
    """
    said = Statement.parse(statement)
    hung = proof_of(said, encoding.parse(proof))
    if digests.statement_leaf(statement, proof) != leaf.digest:
        raise VerificationError("The leaf is another statement's.")
    if leaf.type is not (LeafType.OPEN if said.form.open else LeafType.SEALED):
        raise VerificationError("The leaf is of another type than the act has.")
    if said.origin != directory.origin:
        raise VerificationError("The statement is for another deployment.")
    identity = directory.signing(hung.head.kids)
    if identity.participant != said.sender or hung.head.signer != said.sender:
        raise VerificationError("The signing identity is not the sender's.")
    directory.demand_in_force(identity, Moment(index, leaf.received_at), revoked)
    if merkle.root_from_path(merkle.leaf_hash(statement), hung.index, hung.size, hung.path) != hung.head.root:
        raise VerificationError("The statement is not under the signed head.")
    first, second = hung.head.signatures
    verify_pair(identity.public, hung.head.signing_inputs(), (first.value, second.value))
    return VerifiedStatement(said, index, leaf.received_at, digests.statement_digest(statement))
