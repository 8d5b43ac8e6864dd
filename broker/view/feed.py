# ruff: noqa: S608 - queries are put together from constants only
"""What each participant is offered: the notices that it has a stanza of, each under an *offer number* (the cursor).

A notice's number is its leaf's index + 1. One that was held and is released again has the number that its release
names, so that a cursor that has passed the notice comes to it. Whether the rules allow a delivery is not decided here.
"""

import heapq
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from broker.view.held import Held, read_why
from broker.view.query import Query
from broker.view.schema import BODY
from broker.view.statements import ROW, StatementRow, statement_row
from schemas.ids import Kid, LedgerIndex, ParticipantId, Pattern

_OWN: Final = f"""SELECT idx + 1, idx FROM stanzas CROSS JOIN statements USING (idx)
    WHERE kid = (SELECT id FROM kids WHERE kid = ?) AND idx >= ? AND idx < ?
    AND state = {BODY} AND sender <> ? AND (? IS NULL OR topic GLOB ?)
    AND NOT EXISTS (SELECT 1 FROM held WHERE participant = ? AND held.idx = stanzas.idx)
    ORDER BY idx LIMIT ?"""
_RELEASED: Final = f"""SELECT released, idx FROM held CROSS JOIN statements USING (idx)
    WHERE participant = ? AND released > ? AND released <= ? AND state = {BODY} AND (? IS NULL OR topic GLOB ?)
    ORDER BY released, idx LIMIT ?"""


@dataclass(frozen=True, slots=True, order=True)
class Offer:
    """A notice on offer: its number, and its leaf's index. Offers sort by number, then by index."""

    number: int
    index: LedgerIndex


@dataclass(frozen=True, slots=True)
class HeldNotice:
    """A notice that is held, and what holds it."""

    notice: StatementRow
    held: Held


class Feed(Query):
    """Queries on one connection, for the thread that has it. All raise `LedgerUnavailableError`."""

    def offers(
        self,
        kids: Collection[Kid],
        participant: ParticipantId,
        after: int,
        limit: int,
        topic: Pattern | None,
        below_size: int,
    ) -> list[Offer]:
        """Return about `limit` offers with `after` < number ≤ `below_size`, ascending.

        `kids` are the participant's sealing keys, old ones too; `below_size` is the size of the newest signed checkpoint.
        Left out are: its own notices, erased ones, held ones, those of other topics. Offers of one number are not split
        between pages: a page is longer where more than `limit` were released at once. When fewer than `limit` come back,
        everything up to `below_size` has been seen, and the cursor may move there.
        """
        lists = [self._all(_OWN, kid, after, below_size, participant, topic, topic, participant, limit) for kid in kids]
        lists.append(self._released(participant, after, limit, topic, below_size))
        merged = sorted({Offer(*row) for row in heapq.merge(*lists)})
        end = limit
        while limit and end < len(merged) and merged[end].number == merged[limit - 1].number:
            end += 1
        return merged[:end]

    def _released(
        self, participant: ParticipantId, after: int, limit: int, topic: Pattern | None, below_size: int
    ) -> list[tuple[int, int]]:
        rows = self._all(_RELEASED, participant, after, below_size, topic, topic, limit)
        if rows and len(rows) == limit:  # the last number may have more
            last = rows[-1][0]
            rows = [row for row in rows if row[0] < last]
            rows += self._all(_RELEASED, participant, last - 1, last, topic, topic, -1)
        return [(number, index) for number, index in rows]

    def held(self, participant: ParticipantId | None = None) -> list[HeldNotice]:
        """Return what is held and not erased, for one participant or for all, by participant and index."""
        rows = self._all(
            f"""SELECT participant, since, why, {ROW} FROM held CROSS JOIN statements USING (idx)
            WHERE released IS NULL AND state = {BODY} AND (? IS NULL OR participant = ?) ORDER BY participant, idx""",
            participant,
            participant,
        )
        return [HeldNotice(statement_row(row[3:]), Held(row[0], row[3], row[1], read_why(row[2]))) for row in rows]
