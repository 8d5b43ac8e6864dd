"""Delivering, as a function: a notice that is in the ledger, decided on again, in the form that one recipient gets.

No I/O of its own: body, record and inclusion come in. What a decision withholds is an outcome too (`Withheld`), so that
the caller can record it as held and offer it again when the rules change. What all recipients of a notice share is made
once (`SharedNotice`); a delivery is its parts put together, for a page with the checkpoint in it, for a stream beside it.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ConfigDict, TypeAdapter

from broker.decisions import EVALUATOR
from broker.ledger.stanzas import stanza_kids
from broker.trust import Trust
from keys.log import merkle
from schemas import encoding
from schemas.acts import ACTS
from schemas.delivery import Inclusion
from schemas.encoding import b64encode
from schemas.ids import Kid, ParticipantId, role_of
from schemas.record import Record
from schemas.rules.builtin import SUSPENDED, UNEVALUABLE, refusal
from schemas.rules.verdict import Determination
from schemas.statement import Statement

Parts = tuple[bytes, ...]
"""Bytes that stand one after the other; recipients share most of them."""

TAKING_BACK: Final = frozenset({"recall", "stop", "withdraw"})
"""Acts that end what was said before: they bring a reason at most, and who has read that must hear that it counts no more.

Who has read it is not known here, and a law may have changed since: only a suspended participant gets none (spec/acts.md).
"""

UNBLOCKABLE: Final = frozenset(name for name, act in ACTS.items() if act.unblockable)

_LIST: Final = b'"recipients":['
_EK: Final = b'"ek":"'
_STANZA_END: Final = b'"},'  # with the comma, or the list's end, behind it
_EK_CHARACTERS: Final = 1494
_KEY_CHARACTERS: Final = 64
_DECODED: Final = TypeAdapter(list[bytes], config=ConfigDict(val_json_bytes="base64"))
"""Decodes base64url six times as fast as the standard library, which is what cutting a notice costs most."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """What the rules in force keep from a recipient, and which condition says so."""

    why: Determination


class SharedNotice:
    """A notice that counts, cut for its recipients: what they share is cut out once, and each one's own when asked for.

    `record` and `body` are the ledger's own and were verified when they were accepted. The body is in the one encoding,
    where stanzas have one length: it is taken apart where it stands, for parsing 400 stanzas costs more than all else.
    `statement` is what is decided on: a grant's own, for what it lets others have.
    Raises `FormError` for a body of another form.
    """

    __slots__ = (
        "_at",
        "_body",
        "_ek",
        "_middle",
        "_opening",
        "_paths",
        "_width",
        "numbers",
        "received_at",
        "statement",
    )

    def __init__(self, record: Record, body: bytes, granted: tuple[Record, bytes] | None = None) -> None:
        """Take a sealed statement's record and its body; of a grant also those of the notice that it grants."""
        kids = stanza_kids(body)
        self.statement = Statement.parse(record.document)
        self.numbers: Mapping[Kid, int] = {kid: number for number, kid in enumerate(kids)}
        self._body = body
        self._at = at = body.index(_LIST) + len(_LIST)
        end = body.index(b"]", at)
        self._width = (end + 1 - at) // len(kids)
        self._ek = body.index(_EK, at) + len(_EK) - at
        # What a grant's recipients get beside their stanza is the notice's: statement, proof and ciphertext.
        notice, sealed = granted or (record, body)
        assert notice.proof is not None  # statements have one
        self.received_at = notice.leaf.received_at
        first = sealed.index(_LIST)
        last = sealed.index(b"]", first)
        self._opening = b'{"statement":"%b","proof":%b,"sealed":%b' % (
            b64encode(notice.document).encode(),
            notice.proof,
            sealed[:first],
        )
        self._middle = b'%b},"recipient":' % sealed[last + 1 : -1]
        self._paths: list[str] | None = None

    @property
    def size(self) -> int:
        """Return how many bytes the body has."""
        return len(self._body)

    def parts(self, number: int) -> Parts:
        """Return the delivery of the recipient whose stanza has this number, up to its inclusion."""
        if self._paths is None:
            self._paths = _paths([merkle.leaf_hash(entry) for entry in self._entries()])
        at = self._at + number * self._width
        path = f'{{"index":{number},"size":{len(self._paths)},"path":[{self._paths[number]}]}}'
        # Without the braces around it and the comma behind it.
        return (self._opening, self._body[at + 1 : at + self._width - 2], self._middle, path.encode())

    def _entries(self) -> Iterator[bytes]:
        """Yield the entries of the tree over the stanzas, as `Stanza.entry` has them."""
        body, ek = self._body, self._ek
        texts: list[bytes] = []
        for number in range(len(self.numbers)):
            first = self._at + number * self._width
            key = first + self._width - len(_STANZA_END) - _KEY_CHARACTERS
            texts += (body[first + ek : first + ek + _EK_CHARACTERS], body[key : key + _KEY_CHARACTERS])
        decoded = iter(_DECODED.validate_json(b'["%b"]' % b'","'.join(texts)))
        for kid in self.numbers:
            yield kid.encode() + next(decoded) + next(decoded)


def _paths(hashes: Sequence[bytes]) -> list[str]:
    """Return the path of each leaf of a tree as the inside of a JSON list: nodes share what stands above them."""
    levels = merkle.tree(hashes)
    above = [""]
    for level in levels[-2::-1]:
        nodes = [f'"{b64encode(node)}"' for node in level]
        paths = []
        for index in range(len(nodes)):
            rest = above[index >> 1]
            if (sibling := index ^ 1) < len(nodes):
                rest = f"{nodes[sibling]},{rest}" if rest else nodes[sibling]
            paths.append(rest)
        above = paths
    return above


def inclusion_part(inclusion: Inclusion, grant: bytes = b"null") -> bytes:
    """Return the end of a delivery up to the checkpoint, which follows in a page (`whole`) and goes ahead in a stream.

    `grant` is what a grant's recipients get of it (`grant_part`).
    """
    text = encoding.encode({name: value for name, value in inclusion.to_json().items() if name != "checkpoint"})
    return b',"grant":%b,"inclusion":%b' % (grant, text[:-1])


def grant_part(record: Record, inclusion: Inclusion) -> bytes:
    """Return what a delivery says of the grant that it opens through: statement, proof, and that its leaf is in the log."""
    assert record.proof is not None  # statements have one
    statement, place = b64encode(record.document).encode(), encoding.encode(inclusion.to_json())
    return b'{"statement":"%b","proof":%b,"inclusion":%b}' % (statement, record.proof, place)


def whole(parts: Parts, inclusion: bytes, checkpoint: bytes) -> bytes:
    """Return a delivery in the one encoding; `checkpoint` is the note in base64url."""
    return b"".join((*parts, inclusion, b',"checkpoint":"', checkpoint, b'"}}'))


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
    about = trust.decisions.about(statement, sender)
    takes_back, unblockable = statement.act in TAKING_BACK, statement.act in UNBLOCKABLE

    def decide(recipient: ParticipantId) -> Determination | None:
        if recipient not in trust.parties:
            return lacking(recipient, "recipient")
        denial = about.recipient(recipient)
        if denial is None and not unblockable and recipient != statement.sender:
            return about.sender  # whoever may not publish it any more is heard no more
        return None if takes_back and denial is not None and denial.condition != SUSPENDED else denial

    return decide


def page_bytes(cursor: int, size: int, deliveries: Sequence[bytes]) -> bytes:
    """Return a page of the feed in the one encoding, each delivery in its exact bytes."""
    return b'{"next":%d,"size":%d,"deliveries":[%b]}' % (cursor, size, b",".join(deliveries))
