"""One batch of records on its way into the view: folded first, then written in one transaction.

What counted earlier in the same batch is not in the tables yet, so `Batch` answers the fold from both.
"""

import sqlite3
from collections.abc import Callable, Sequence

from broker.ledger.fold import Counted
from broker.ledger.sqlite import MANY
from broker.view.schema import BODY, ERASED, NO_BODY, node_id, pack_id, unpack_id
from keys.digests import statement_digest
from schemas.event import Day, Erasure, Event
from schemas.ids import Kid, NoticeId, role_of
from schemas.record import Record
from schemas.statement import DelegationBody, RevocationBody, Statement, SubscriptionBody

Sql = str | int | bytes | None


class Batch:
    """The rows that records become, and what is known of the past while they are folded."""

    __slots__ = ("_days", "_db", "_effects", "_erased", "_leaves", "_nodes", "_notices", "_stanzas", "_statements")

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._notices: set[NoticeId] = set()
        self._erased: set[NoticeId] = set()
        self._days: set[str] = set()
        self._leaves: list[tuple[int, int, bytes]] = []
        self._nodes: list[tuple[int, bytes]] = []
        self._statements: list[tuple[Sql, ...]] = []
        self._stanzas: list[tuple[int, tuple[Kid, ...]]] = []
        self._effects: list[tuple[str, tuple[Sql, ...]]] = []

    # What the fold asks

    def look_up(self, notice_ids: Sequence[NoticeId]) -> None:
        """Look up the notice ids that the fold will ask about, all in one go."""
        for at in range(0, len(notice_ids), MANY):
            some = [pack_id(notice_id) for notice_id in notice_ids[at : at + MANY]]
            marks = ",".join("?" * len(some))
            rows = self._db.execute(f"SELECT notice_id FROM statements WHERE notice_id IN ({marks})", some)  # noqa: S608 - marks
            self._notices.update(NoticeId(unpack_id(row[0])) for row in rows)

    def notice(self, notice_id: NoticeId) -> bool:
        """Say whether a statement with this notice id has counted; it was looked up, or is of this batch."""
        return notice_id in self._notices

    def erased(self, notice_id: NoticeId) -> bool:
        """Say whether an erasure of this notice has counted."""
        return notice_id in self._erased or self._has("SELECT 1 FROM erasures WHERE notice_id = ?", pack_id(notice_id))

    def day(self, day: str) -> bool:
        """Say whether this day has counted."""
        return day in self._days or self._has("SELECT 1 FROM days WHERE day = ?", day)

    def _has(self, query: str, value: str | bytes) -> bool:
        return self._db.execute(query, (value,)).fetchone() is not None

    # What counted

    def add(self, position: int, record: Record, counted: Counted, kids: tuple[Kid, ...]) -> None:
        """Take in a record that counted, and the key ids of its body's stanzas."""
        index = counted.index
        self._leaves.append((index, position, record.leaf.encode()))
        self._nodes += [(node_id(level, n), node) for level, n, node in counted.nodes]
        if isinstance(counted.what, Statement):
            self._add_statement(index, record, counted.what, kids)
        else:
            self._add_event(index, record, counted.what)

    def _add_statement(self, index: int, record: Record, statement: Statement, kids: tuple[Kid, ...]) -> None:
        self._notices.add(statement.notice_id)
        self._statements.append(
            (
                index,
                statement_digest(record.document),
                pack_id(statement.notice_id),
                statement.sender,
                role_of(statement.sender),
                statement.act,
                None if statement.ref is None else pack_id(statement.ref),
                None if statement.thread is None else pack_id(statement.thread),
                statement.topic,
                statement.expires_at,
                record.body_digest,
                NO_BODY if record.body_digest is None else BODY,
            )
        )
        if kids:
            self._stanzas.append((index, kids))
        if statement.act == "recall" and statement.ref is not None:
            recall = f"INSERT OR IGNORE INTO recalled SELECT notice_id FROM statements WHERE notice_id = ? AND state = {BODY}"  # noqa: S608 - constants
            self._effects.append((recall, (pack_id(statement.ref),)))
        match statement.body:
            case SubscriptionBody(participant, patterns) if statement.act == "subscribe":
                insert = "INSERT OR REPLACE INTO subscriptions (participant, pattern, idx) VALUES (?, ?, ?)"
                self._effects += [(insert, (participant, pattern, index)) for pattern in patterns]
            case SubscriptionBody(participant, patterns):
                delete = "DELETE FROM subscriptions WHERE participant = ? AND pattern = ?"
                self._effects += [(delete, (participant, pattern)) for pattern in patterns]
            case RevocationBody(_, revoked):
                insert = "INSERT OR IGNORE INTO revoked (kid, idx) VALUES (?, ?)"  # the first one counts
                self._effects += [(insert, (kid, index)) for kid in revoked]
            case DelegationBody(to, since, until):
                insert = (
                    "INSERT OR REPLACE INTO delegations (sender, delegate, since, until, idx) VALUES (?, ?, ?, ?, ?)"
                )
                self._effects.append((insert, (statement.sender, to, since, until, index)))
            case _:
                pass

    def _add_event(self, index: int, record: Record, event: Event) -> None:
        self._effects.append(("INSERT INTO events (type, idx) VALUES (?, ?)", (int(record.leaf.type), index)))
        match event.what:
            case Erasure(notice_id, reason):
                self._erased.add(notice_id)
                packed = pack_id(notice_id)
                insert = "INSERT INTO erasures (notice_id, idx, reason, done) VALUES (?, ?, ?, 0)"
                self._effects.append((insert, (packed, index, reason)))
                update = f"UPDATE statements SET state = {ERASED} WHERE notice_id = ? AND state = {BODY}"  # noqa: S608 - constants
                self._effects.append((update, (packed,)))
                self._effects.append(("DELETE FROM recalled WHERE notice_id = ?", (packed,)))
            case Day(day):
                self._days.add(day)
                self._effects.append(("INSERT INTO days (day, idx) VALUES (?, ?)", (day, index)))
            case _:
                pass

    def write(self, kid_number: Callable[[Kid], int]) -> None:
        """Write the rows, within the caller's transaction; `kid_number` says by which number a key id goes."""
        many = self._db.executemany
        many("INSERT INTO leaves (idx, position, leaf) VALUES (?, ?, ?)", self._leaves)
        many("INSERT INTO nodes (id, hash) VALUES (?, ?)", self._nodes)
        many("INSERT INTO statements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", self._statements)
        many(
            "INSERT INTO stanzas (kid, idx) VALUES (?, ?)",
            [(kid_number(kid), index) for index, kids in self._stanzas for kid in kids],
        )
        for query, values in self._effects:
            self._db.execute(query, values)
