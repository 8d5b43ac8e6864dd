"""What is on offer to participants, from the view: pages of their feeds, every notice decided on again on its way out.

What the rules withhold is durably held before a cursor passes it. Lives on the event loop, with its reader of the view; a
page is made in pieces, so that other requests get their turn. How a page or a stream looks on the wire is not said here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from broker.checkpoints import SignedTree
from broker.deliver import Parts, SharedNotice, Withheld, deliver_parts
from broker.notice_memory import NoticeMemory
from broker.sequencer import Sequencer
from broker.trust import Trust
from broker.view.held import Held
from broker.view.statements import StatementRow
from broker.view.store import View, ViewReader
from schemas.errors import Error
from schemas.ids import Kid, ParticipantId, Pattern

PIECE: Final = 8
"""Deliveries that are made before other requests get their turn."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery without its checkpoint: the offer's number, the parts up to the inclusion, and the inclusion."""

    number: int
    parts: Parts
    inclusion: bytes

    @property
    def size(self) -> int:
        """Return how many bytes it has."""
        return sum(map(len, self.parts)) + len(self.inclusion)


@dataclass(frozen=True, slots=True)
class OffersPage:
    """A page: `next` is the cursor to go on from, `full` says that more may be on offer under the same checkpoint."""

    next: int
    signed: SignedTree
    full: bool
    deliveries: Sequence[Delivered]


class Offers:
    """Feeds by cursor. For one event loop."""

    def __init__(self, sequencer: Sequencer, view: View, reader: ViewReader) -> None:
        self._sequencer = sequencer
        self._view = view
        self._reader = reader
        self.memory = NoticeMemory(reader)

    @property
    def trust(self) -> Trust:
        """Return the trust behind the last leaf."""
        return self._sequencer.trust

    @property
    def signed(self) -> SignedTree:
        """Return the newest checkpoint."""
        return self._sequencer.signed

    @staticmethod
    def kids(who: ParticipantId, trust: Trust) -> frozenset[Kid]:
        """Return the key ids of all sealing keys of a participant, old ones too."""
        participant = trust.directory.participant(who)
        return frozenset() if participant is None else frozenset(kid for key in participant.keys for kid in key.kids)

    async def page(self, caller: ParticipantId, after: int, limit: int, most: int, topic: Pattern) -> OffersPage:
        """Return a page of about `limit` deliveries, or of little more than `most` bytes."""
        signed, trust = self.signed, self.trust
        kids = self.kids(caller, trust)
        wanted = None if topic == "*.*" else topic
        offers = self._reader.offers(kids, caller, after, limit, wanted, signed.size)
        deliveries: list[Delivered] = []
        withheld: list[Held] = []
        full, size = len(offers) >= limit, 0
        for number, offer in enumerate(offers):
            # Offers of one number are not split: the cursor could not say where.
            if size > most and offer.number > offers[number - 1].number:
                full, offers = True, offers[:number]
                break
            if number % PIECE == PIECE - 1:
                await asyncio.sleep(0)
            behind = self._sequencer.behind
            row = self._reader.by_index(offer.index)
            made = None if row is None else self.deliver(row, caller, kids, trust, signed)
            if isinstance(made, Withheld):
                withheld.append(Held(caller, offer.index, signed.size, made.why))
            elif made is None:
                _demand_read(row, behind=behind)
            else:
                deliveries.append(Delivered(offer.number, *made))
                size += deliveries[-1].size
        if withheld:
            await self._sequencer.call(lambda: self._hold(withheld, trust))
        following = offers[-1].number if full else max(after, signed.size)
        return OffersPage(following, signed, full, deliveries)

    def _hold(self, withheld: list[Held], trust: Trust) -> None:
        self._sequencer.demand_unchanged(trust)
        self._view.hold(withheld)
        self._sequencer.demand_unchanged(trust)

    def deliver(
        self, row: StatementRow, caller: ParticipantId, kids: frozenset[Kid], trust: Trust, signed: SignedTree
    ) -> tuple[Parts, bytes] | Withheld | None:
        """Return a caller's delivery and its inclusion, what withholds it, or None where there is nothing for it."""
        found = self._find(row, signed)
        if found is None:
            return None
        notice, inclusion = found
        made = deliver_parts(notice, caller, kids, trust)
        return (made, inclusion) if isinstance(made, tuple) else made

    def notice(self, index: int, signed: SignedTree) -> tuple[StatementRow, SharedNotice, bytes] | None:
        """Return a notice that stands at an index with its row and its inclusion; None where nothing is to be delivered.

        Raises `Error` where its body may still be read.
        """
        behind = self._sequencer.behind
        row = self._reader.by_index(index)
        found = None if row is None else self._find(row, signed)
        if found is None:
            _demand_read(row, behind=behind)
        return None if row is None or found is None else (row, *found)

    def _find(self, row: StatementRow, signed: SignedTree) -> tuple[SharedNotice, bytes] | None:
        if signed.note is None or row.index >= signed.size:
            return None
        return self.memory.find(row, signed.size, signed.note)


def _demand_read(row: StatementRow | None, *, behind: bool) -> None:
    """Raise `Error` where a body may still be read: a cursor that passed it now would never come back to it.

    `behind` was asked before the body was looked for: it may have come between the two.
    """
    if behind and row is not None and row.body_digest is not None and not row.erased:
        raise Error("Bodies are still being read.", problem="unavailable")
