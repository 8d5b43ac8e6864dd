# ruff: noqa: S608 - queries are put together from constants only
"""What the view says about statements and events: look-ups for publishing, housekeeping, trust and auditors."""

import heapq
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from broker.ledger.port import LedgerReader
from broker.trust import Delegation
from broker.view.query import Query
from broker.view.schema import BODY, ERASED, pack_id, unpack_id
from keys.digests import statement_digest
from schemas.encoding import Time
from schemas.event import Event
from schemas.ids import Kid, LedgerIndex, NoticeId, ParticipantId, Pattern, Role, Topic
from schemas.leaf import LeafType
from schemas.record import Record
from schemas.statement import DelegationBody, Statement

ROW: Final = "idx, notice_id, sender, act, ref, thread, topic, expires_at, body_digest, state"


@dataclass(frozen=True, slots=True)
class StatementRow:
    """A statement that counts: its leaf's index and what of it is asked for most. `body_digest` is None for open acts."""

    index: LedgerIndex
    notice_id: NoticeId
    sender: ParticipantId
    act: str
    ref: NoticeId | None
    thread: NoticeId | None
    topic: Topic | None
    expires_at: Time | None
    body_digest: bytes | None
    erased: bool


@dataclass(frozen=True, slots=True)
class Subscription:
    """A pattern that a participant is subscribed to, and the leaf of the statement that says so (the newest)."""

    participant: ParticipantId
    pattern: Pattern
    index: LedgerIndex


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A statement as auditors see it."""

    index: LedgerIndex
    record: Record
    erased: bool


class Statements(Query):
    """Queries on one connection, for the thread that has it. All raise `LedgerUnavailableError`.

    Ownership: `_revoked`, `_delegations` and `_delegated` are memos of that thread's.
    """

    def __init__(self, db: sqlite3.Connection, ledger: LedgerReader | None) -> None:
        super().__init__(db, ledger)
        self._revoked: Mapping[Kid, LedgerIndex] = MappingProxyType({})
        self._delegations: tuple[Delegation, ...] = ()
        self._delegated = -1

    def known(self, digest: bytes) -> tuple[LedgerIndex, Record] | None:
        """Return the leaf's index and the record of a statement, by the SHA-256 of its bytes."""
        for (index,) in self._all("SELECT idx FROM statements WHERE substr(digest, 1, 8) = ?", digest[:8]):
            record = self.record(index)
            if statement_digest(record.document) == digest:
                return index, record
        return None

    def by_notice(self, notice_id: NoticeId) -> StatementRow | None:
        """Return the statement with a notice id."""
        rows = self._all(f"SELECT {ROW} FROM statements WHERE notice_id = ?", pack_id(notice_id))
        return statement_row(rows[0]) if rows else None

    def by_index(self, index: int) -> StatementRow | None:
        """Return the statement at an index; None where there is none, or an event."""
        rows = self._all(f"SELECT {ROW} FROM statements WHERE idx = ?", index)
        return statement_row(rows[0]) if rows else None

    def record(self, index: int) -> Record:
        """Return the record of a leaf; raise `IndexError` when there is no such leaf."""
        rows = self._all("SELECT position FROM leaves WHERE idx = ?", index)
        if not rows:
            raise IndexError("The tree has no such leaf.")
        return self._record(rows[0][0])

    def body(self, row: StatementRow) -> bytes | None:
        """Return a statement's sealed body; None for an open act and once it is erased."""
        if row.erased or row.body_digest is None:
            return None
        return self._reader.body(row.body_digest)

    def holders(self, notice_id: NoticeId) -> frozenset[Kid]:
        """Return the key ids of the stanzas of a notice and of its grants, also once it is erased."""
        packed = pack_id(notice_id)
        rows = self._all(
            """SELECT body_digest FROM statements WHERE notice_id = ?
            UNION ALL SELECT body_digest FROM statements WHERE ref = ? AND act = 'grant'""",
            packed,
            packed,
        )
        return frozenset(kid for (digest,) in rows if digest is not None for kid in self._reader.holders(digest) or ())

    def children(self, notice_id: NoticeId) -> list[StatementRow]:
        """Return the statements that refer to a notice, in the ledger's order."""
        return [
            statement_row(row)
            for row in self._all(f"SELECT {ROW} FROM statements WHERE ref = ? ORDER BY idx", pack_id(notice_id))
        ]

    def grants(self, notice_id: NoticeId) -> list[StatementRow]:
        """Return the grants of a notice, in the ledger's order."""
        query = f"SELECT {ROW} FROM statements WHERE ref = ? AND act = 'grant' ORDER BY idx"
        return [statement_row(row) for row in self._all(query, pack_id(notice_id))]

    def expiring(self, now: Time, limit: int) -> list[NoticeId]:
        """Return at most `limit` notices whose body is there and whose `expires_at` lies before a time, oldest first."""
        query = f"SELECT notice_id FROM statements WHERE state = {BODY} AND expires_at < ? ORDER BY expires_at LIMIT ?"
        return [NoticeId(unpack_id(row[0])) for row in self._all(query, now, limit)]

    def recalled_unerased(self) -> list[NoticeId]:
        """Return the notices that a recall counts for and an erasure does not yet, oldest first."""
        rows = self._all("SELECT notice_id FROM recalled ORDER BY notice_id")
        return [NoticeId(unpack_id(row[0])) for row in rows]

    def body_digest(self, notice_id: NoticeId) -> bytes | None:
        """Return the digest of a notice's sealed body, also of an erased one; None where there never was one."""
        rows = self._all("SELECT body_digest FROM statements WHERE notice_id = ?", pack_id(notice_id))
        return rows[0][0] if rows else None

    def has_day(self, day: str) -> bool:
        """Say whether a day's digest has counted."""
        return bool(self._all("SELECT 1 FROM days WHERE day = ?", day))

    def subscriptions(self) -> list[Subscription]:
        """Return all subscriptions in force, sorted by participant and pattern."""
        rows = self._all("SELECT participant, pattern, idx FROM subscriptions ORDER BY participant, pattern")
        return [Subscription(*row) for row in rows]

    def statement(self, notice_id: NoticeId) -> Statement | None:
        """Return the whole statement with a notice id."""
        row = self.by_notice(notice_id)
        return None if row is None else Statement.parse(self.record(row.index).document)

    def delegations(self) -> tuple[Delegation, ...]:
        """Return who stands in for whom and when, past ones too, by sender, delegate and beginning."""
        # Delegations only come and are replaced, so the newest leaf tells whether they are the same ones.
        (newest,) = self._all("SELECT coalesce(max(idx), -1) FROM delegations")[0]
        if newest != self._delegated:
            rows = self._all("SELECT sender, delegate, since, until FROM delegations ORDER BY sender, delegate, since")
            self._delegations = tuple(Delegation(sender, DelegationBody(*body)) for sender, *body in rows)
            self._delegated = newest
        return self._delegations

    def revoked(self) -> Mapping[Kid, LedgerIndex]:
        """Return the revoked key ids, each with the index of the first statement that revoked it."""
        # Revocations are never taken back, so an equal number of them is the same ones.
        if self._all("SELECT COUNT(*) FROM revoked")[0][0] != len(self._revoked):
            rows = self._all("SELECT kid, idx FROM revoked")
            self._revoked = MappingProxyType({Kid(kid): LedgerIndex(index) for kid, index in rows})
        return self._revoked

    def latest_event(self, kind: LeafType) -> tuple[LedgerIndex, Event] | None:
        """Return the newest event of a type that counts."""
        rows = self._all("SELECT idx FROM events WHERE type = ? ORDER BY idx DESC LIMIT 1", int(kind))
        return (rows[0][0], Event.parse(self.record(rows[0][0]).document)) if rows else None

    def events(self, kind: LeafType) -> list[LedgerIndex]:
        """Return the leaves of all events of a type that count, in order."""
        return [row[0] for row in self._all("SELECT idx FROM events WHERE type = ? ORDER BY idx", int(kind))]

    def erasure(self, notice_id: NoticeId) -> tuple[LedgerIndex, str] | None:
        """Return the leaf that erased a notice's body, and the reason's code."""
        rows = self._all("SELECT idx, reason FROM erasures WHERE notice_id = ?", pack_id(notice_id))
        return (rows[0][0], rows[0][1]) if rows else None

    def page_for_audit(
        self, after: int, limit: int, roles: Collection[Role] | None, kids: Collection[Kid], below_size: int
    ) -> list[AuditRow]:
        """Return at most `limit` statements with `after` ≤ index < `below_size`, in order.

        With `roles` None all of them; else those that a participant of these roles sent, or that have a stanza for one
        of `kids`.
        """
        window = (after, below_size, limit)
        bounds = "idx >= ? AND idx < ? ORDER BY idx LIMIT ?"
        if roles is None:
            found: Iterable[int] = (row[0] for row in self._all(f"SELECT idx FROM statements WHERE {bounds}", *window))
        else:
            sent = f"SELECT idx FROM statements WHERE role = ? AND {bounds}"
            received = f"SELECT idx FROM stanzas WHERE kid = (SELECT id FROM kids WHERE kid = ?) AND {bounds}"
            lists = [[row[0] for row in self._all(sent, role, *window)] for role in roles]
            lists += [[row[0] for row in self._all(received, kid, *window)] for kid in kids]
            found = islice(_unique(heapq.merge(*lists)), limit)
        return [self._audited(index) for index in found]

    def _audited(self, index: int) -> AuditRow:
        row = self.by_index(index)
        assert row is not None  # the caller has it from the table
        return AuditRow(row.index, self.record(index), row.erased)


def _unique(ascending: Iterable[int]) -> Iterable[int]:
    last = -1
    for item in ascending:
        if item != last:
            yield item
        last = item


def statement_row(row: tuple[Any, ...]) -> StatementRow:
    """Return the statement in a row of the columns `ROW`."""
    index, notice_id, sender, act, ref, thread, topic, expires_at, body_digest, state = row
    return StatementRow(
        index,
        NoticeId(unpack_id(notice_id)),
        sender,
        act,
        None if ref is None else NoticeId(unpack_id(ref)),
        None if thread is None else NoticeId(unpack_id(thread)),
        topic,
        expires_at,
        body_digest,
        state == ERASED,
    )
