"""What a receipt or refusal proves to the one who published: checked against the log's receipt key and one's own bytes.

A `VerifiedReceipt` says: this very statement, with this very proof, is in the log at this index. Whether the log keeps
that word is for the checkpoints to show.
"""

from dataclasses import dataclass

from adapters.client.errors import AnswerError
from keys import digests
from keys.directory.log_target import LogTarget
from keys.sign import verify_receipt, verify_refusal
from schemas.encoding import b64encode, from_seconds
from schemas.errors import Error
from schemas.leaf import LeafType
from schemas.limits import LIMITS
from schemas.receipt import Receipt, Refusal


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt that the log's receipt key signed, for one's own statement and proof. `check_receipt` alone makes it."""

    receipt: Receipt
    token: str


@dataclass(frozen=True, slots=True)
class VerifiedRefusal:
    """A refusal that the log's receipt key signed, of one's own statement. `check_refusal` alone makes it."""

    refusal: Refusal
    token: str


def check_receipt(token: str, log: LogTarget, statement: bytes, proof: bytes, *, sealed: bool) -> VerifiedReceipt:
    """Check a receipt against what was published; raise `AnswerError` when it is not the receipt of exactly that."""
    try:
        receipt = verify_receipt(token, log.receipt_kid, log.receipt_public)
    except Error as error:
        raise AnswerError(f"The receipt does not hold: {error.detail}") from None
    leaf = receipt.leaf
    holds = (
        receipt.origin == log.keys.origin
        and receipt.statement == b64encode(digests.sha256(statement))
        and receipt.proof == b64encode(digests.sha256(proof))
        and leaf.digest == digests.statement_leaf(statement, proof)
        and leaf.type == (LeafType.SEALED if sealed else LeafType.OPEN)
        and receipt.due == from_seconds(leaf.received_at // 1000 + LIMITS.receipt_due)
    )
    if not holds:
        raise AnswerError("The receipt is for something else than what was published.")
    return VerifiedReceipt(receipt, token)


def check_refusal(token: str, log: LogTarget, statement: bytes) -> VerifiedRefusal:
    """Check a refusal against the statement that was sent; raise `AnswerError` when it does not refuse exactly that."""
    try:
        refusal = verify_refusal(token, log.receipt_kid, log.receipt_public)
    except Error as error:
        raise AnswerError(f"The refusal does not hold: {error.detail}") from None
    if refusal.origin != log.keys.origin or refusal.statement != b64encode(digests.sha256(statement)):
        raise AnswerError("The refusal is for something else than what was sent.")
    return VerifiedRefusal(refusal, token)
