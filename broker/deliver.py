"""Delivering, as a function: a notice that is in the ledger, decided on again, in the form that one recipient gets.

No I/O of its own: body, record and inclusion come in. What a decision withholds is an outcome too (`Withheld`), so that
the caller can record it as held and offer it again when the rules change.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import orjson

from broker.decisions import EVALUATOR
from broker.trust import Trust
from keys.log import merkle
from schemas.delivery import Inclusion, RecipientPath, SealedShare, delivery_bytes
from schemas.envelope import SealedNotice
from schemas.ids import Kid, ParticipantId, role_of
from schemas.record import Record
from schemas.rules.builtin import UNEVALUABLE, refusal
from schemas.rules.verdict import Determination
from schemas.statement import Statement


@dataclass(frozen=True, slots=True)
class Withheld:
    """What the rules in force keep from a recipient, and which condition says so."""

    why: Determination


def deliver(
    record: Record, body: bytes, inclusion: Inclusion, recipient: ParticipantId, kids: Collection[Kid], trust: Trust
) -> bytes | Withheld | None:
    """Return the delivery of one notice for one recipient, `Withheld`, or None where no stanza is for its keys.

    `record` and `body` are the ledger's own and were verified when they were accepted. Who has no stanza is not told what
    the rules say: that would show that there is such a notice, and by the condition what it is about.
    """
    sealed = SealedNotice.from_json(orjson.loads(body))
    own = next((number for number, stanza in enumerate(sealed.recipients) if stanza.kid in kids), None)
    if own is None:
        return None
    denial = may_receive(Statement.parse(record.document), recipient, trust)
    if denial is not None:
        return Withheld(denial)
    share = SealedShare(sealed.header, sealed.recipients[own], sealed.iv, sealed.ciphertext, sealed.tag)
    hashes = [merkle.leaf_hash(stanza.entry()) for stanza in sealed.recipients]
    path = RecipientPath(own, len(hashes), tuple(merkle.inclusion_path(hashes, own)))
    assert record.proof is not None  # statements have one
    return delivery_bytes(record.document, record.proof, share, path, inclusion)


def may_receive(statement: Statement, recipient: ParticipantId, trust: Trust) -> Determination | None:
    """Decide again whether a recipient may have a notice; return the first denial, or None.

    Either may have left the directory meanwhile, where its State's role has expired: what cannot be evaluated is denied.
    """
    for name, who in (("sender", statement.sender), ("recipient", recipient)):
        if who not in trust.parties:
            return refusal(UNEVALUABLE, "network", EVALUATOR, role_of(who), lacking=name)
    return trust.decisions.about(statement, trust.parties[statement.sender]).recipient(recipient)


def page_bytes(cursor: int, size: int, deliveries: Sequence[bytes]) -> bytes:
    """Return a page of the feed in the one encoding, each delivery in its exact bytes."""
    return b'{"next":%d,"size":%d,"deliveries":[%b]}' % (cursor, size, b",".join(deliveries))
