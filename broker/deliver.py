"""Delivering, as a function: a notice that is in the ledger, decided on again, in the form that one recipient gets.

No I/O of its own: body, record and inclusion come in. What a decision withholds is an outcome too (`Withheld`), so that
the caller can record it as held and offer it again when the rules change. What all recipients of a notice share is made
once (`SharedNotice`); a delivery is its parts put together, for a page with the checkpoint in it, for a stream beside it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from broker.decisions import EVALUATOR
from broker.trust import Trust
from keys.log import merkle
from schemas import encoding
from schemas.delivery import Inclusion
from schemas.encoding import b64decode, b64encode
from schemas.ids import Kid, ParticipantId, role_of
from schemas.record import Record
from schemas.rules.builtin import UNEVALUABLE, refusal
from schemas.rules.verdict import Determination
from schemas.statement import Statement

Parts = tuple[bytes, ...]
"""Bytes that stand one after the other; recipients share most of them."""

_GRANT: Final = b',"grant":null,"inclusion":'


@dataclass(frozen=True, slots=True)
class Withheld:
    """What the rules in force keep from a recipient, and which condition says so."""

    why: Determination


class SharedNotice:
    """A notice that counts, cut for its recipients: what they share is encoded once, and each one's own when asked for.

    `record` and `body` are the ledger's own and were verified when they were accepted. A notice to 400 recipients takes
    some 4 ms, most of it for the tree over the stanzas, and 10 µs a recipient.
    """

    __slots__ = ("_levels", "_middle", "_opening", "_stanzas", "numbers", "received_at", "size", "statement")

    def __init__(self, record: Record, body: bytes) -> None:
        """Take a sealed statement's record and its body."""
        assert record.proof is not None  # statements have one
        sealed = orjson.loads(body)
        self.size = len(body)
        self.received_at = record.leaf.received_at
        self.statement = Statement.parse(record.document)
        self._stanzas: list[dict[str, Any]] = sealed["recipients"]
        self.numbers: Mapping[Kid, int] = {stanza["header"]["kid"]: n for n, stanza in enumerate(self._stanzas)}
        self._opening = b'{"statement":"%b","proof":%b,"sealed":{"protected":"%b",' % (
            b64encode(record.document).encode(),
            record.proof,
            sealed["protected"].encode(),
        )
        text = encoding.encode({name: sealed[name] for name in ("iv", "ciphertext", "tag")})
        self._middle = b',%b,"recipient":' % text[1:]
        self._levels: list[list[str]] | None = None

    def parts(self, number: int) -> Parts:
        """Return the delivery of the recipient whose stanza has this number, up to its inclusion."""
        stanza = encoding.encode(self._stanzas[number])[1:-1]
        return (self._opening, stanza, self._middle, self._path(number))

    def _path(self, number: int) -> bytes:
        if self._levels is None:
            hashes = [merkle.leaf_hash(_entry(stanza)) for stanza in self._stanzas]
            self._levels = [[b64encode(node) for node in level] for level in merkle.tree(hashes)]
        path = ",".join([f'"{node}"' for node in merkle.path_in(self._levels, number)])
        return f'{{"index":{number},"size":{len(self._stanzas)},"path":[{path}]}}'.encode()


def _entry(stanza: dict[str, Any]) -> bytes:
    header = stanza["header"]
    kid: str = header["kid"]
    # As `Stanza.entry` has it; its own checks were made when the notice was accepted.
    return kid.encode() + b64decode(header["ek"]) + b64decode(stanza["encrypted_key"])


def inclusion_part(inclusion: Inclusion) -> bytes:
    """Return the end of a delivery up to the checkpoint, which follows in a page (`whole`) and goes ahead in a stream."""
    text = encoding.encode({name: value for name, value in inclusion.to_json().items() if name != "checkpoint"})
    return _GRANT + text[:-1]


def whole(parts: Parts, inclusion: bytes, checkpoint: bytes) -> bytes:
    """Return a delivery in the one encoding; `checkpoint` is the note in base64url."""
    return b"".join((*parts, inclusion, b',"checkpoint":"', checkpoint, b'"}}'))


def deliver(
    record: Record, body: bytes, inclusion: Inclusion, recipient: ParticipantId, kids: Collection[Kid], trust: Trust
) -> bytes | Withheld | None:
    """Return the delivery of one notice for one recipient, `Withheld`, or None where no stanza is for its keys."""
    made = deliver_parts(SharedNotice(record, body), recipient, kids, trust)
    if made is None or isinstance(made, Withheld):
        return made
    return whole(made, inclusion_part(inclusion), b64encode(inclusion.checkpoint).encode())


def deliver_parts(
    notice: SharedNotice, recipient: ParticipantId, kids: Collection[Kid], trust: Trust
) -> Parts | Withheld | None:
    """Return a delivery up to its inclusion, `Withheld`, or None where no stanza is for the recipient's keys.

    Who has no stanza is not told what the rules say: that would show that there is such a notice, and by the condition
    what it is about.
    """
    own = next((notice.numbers[kid] for kid in kids if kid in notice.numbers), None)
    if own is None:
        return None
    denial = may_receive(notice.statement, recipient, trust)
    return notice.parts(own) if denial is None else Withheld(denial)


def may_receive(statement: Statement, recipient: ParticipantId, trust: Trust) -> Determination | None:
    """Decide again whether a recipient may have a notice; return the first denial, or None."""
    return receivers(statement, trust)(recipient)


def receivers(statement: Statement, trust: Trust) -> Callable[[ParticipantId], Determination | None]:
    """Return what decides again whether a recipient may have a notice: it returns the first denial, or None.

    Either may have left the directory meanwhile, where its State's role has expired: what cannot be evaluated is denied.
    """

    def lacking(who: ParticipantId, name: str) -> Determination:
        return refusal(UNEVALUABLE, "network", EVALUATOR, role_of(who), lacking=name)

    sender = trust.parties.get(statement.sender)
    if sender is None:
        return lambda _: lacking(statement.sender, "sender")
    ask = trust.decisions.about(statement, sender).recipient

    def decide(recipient: ParticipantId) -> Determination | None:
        return ask(recipient) if recipient in trust.parties else lacking(recipient, "recipient")

    return decide


def page_bytes(cursor: int, size: int, deliveries: Sequence[bytes]) -> bytes:
    """Return a page of the feed in the one encoding, each delivery in its exact bytes."""
    return b'{"next":%d,"size":%d,"deliveries":[%b]}' % (cursor, size, b",".join(deliveries))
