"""What the gateway knows of the log, and its alarms, as the store keeps them.

Functions of a transaction. The rows are written by `follow`, in one commit for each stretch of the log, so that size,
root, revocations and subscriptions always belong together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from adapters.gateway.status import Alarm
from adapters.gateway.store import Transaction
from keys.log.merkle import HASH_SIZE, Frontier
from schemas.encoding import Time, from_seconds
from schemas.ids import Kid, LedgerIndex, ParticipantId, Pattern
from schemas.statement import DelegationBody

STOPPING: Final = frozenset({"fork", "rollback", "open-statement-withheld", "wrong-log", "reads-refused"})
"""Alarms during which nothing is sent: the log is not what it must be, and what is sent now might be lost in a lie.

A broker that refuses to be read might hide a revocation by it. One that finds our clock wrong might too; that shows as
an alarm and stops nothing, for publishing works with a clock that is late.
"""

STICKY: Final = frozenset({"fork", "rollback"})
"""Alarms that only a person ends: what was seen stays proved, whatever the log shows next."""

Subscriptions = Mapping[ParticipantId, Mapping[Pattern, LedgerIndex]]


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who has somebody stand in for it, whom and from when until when, and the leaf that says so."""

    by: ParticipantId
    body: DelegationBody
    index: LedgerIndex


@dataclass(frozen=True, slots=True)
class LogState:
    """The log as far as it was followed; `note` is the newest checkpoint that was verified and compared (empty: none).

    `directory`, `directory_index` and `snapshot` are the newest directory leaf's, `boundary` is the last one's.
    """

    frontier: Frontier = field(default_factory=Frontier)
    note: bytes = b""
    directory: int = 0
    directory_index: int = 0
    snapshot: bytes | None = None
    boundary: Time | None = None
    revoked: Mapping[Kid, LedgerIndex] = field(default_factory=dict)
    subscriptions: Subscriptions = field(default_factory=dict)
    delegations: tuple[Delegation, ...] = ()


def read_log(tx: Transaction) -> LogState:
    """Return what is known of the log."""
    row = tx.connection.execute(
        "SELECT size, frontier, note, directory, directory_index, snapshot, boundary FROM log"
    ).fetchone()
    if row is None:
        return LogState()
    size, frontier, note, directory, directory_index, snapshot, boundary = row
    hashes = tuple(frontier[at : at + HASH_SIZE] for at in range(0, len(frontier), HASH_SIZE))
    subscriptions: dict[ParticipantId, dict[Pattern, LedgerIndex]] = {}
    for who, pattern, index in tx.connection.execute("SELECT participant, pattern, ledger_index FROM subscription"):
        subscriptions.setdefault(ParticipantId(who), {})[Pattern(pattern)] = LedgerIndex(index)
    revoked = {Kid(kid): LedgerIndex(at) for kid, at in tx.connection.execute("SELECT kid, ledger_index FROM revoked")}
    rows = tx.connection.execute(
        "SELECT sender, delegate, since, until, ledger_index FROM delegation ORDER BY ledger_index"
    )
    delegations = tuple(
        Delegation(ParticipantId(by), DelegationBody(ParticipantId(to), Time(since), Time(until)), LedgerIndex(index))
        for by, to, since, until, index in rows
    )
    return LogState(
        Frontier(size, hashes),
        note,
        directory,
        directory_index,
        snapshot,
        boundary,
        revoked,
        subscriptions,
        delegations,
    )


def write_log(tx: Transaction, state: LogState, *, changed: bool) -> None:
    """Replace what is known of the log; `changed` says whether what open acts have said is other than before."""
    tx.connection.execute(
        "INSERT OR REPLACE INTO log (one, size, frontier, note, directory, directory_index, snapshot, boundary)"
        " VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        (
            state.frontier.size,
            b"".join(state.frontier.hashes),
            state.note,
            state.directory,
            state.directory_index,
            state.snapshot,
            state.boundary,
        ),
    )
    if changed:
        tx.connection.execute("DELETE FROM revoked")
        tx.connection.executemany("INSERT INTO revoked (kid, ledger_index) VALUES (?, ?)", state.revoked.items())
        tx.connection.execute("DELETE FROM subscription")
        tx.connection.executemany(
            "INSERT INTO subscription (participant, pattern, ledger_index) VALUES (?, ?, ?)",
            [(who, pattern, at) for who, patterns in state.subscriptions.items() for pattern, at in patterns.items()],
        )
        tx.connection.execute("DELETE FROM delegation")
        tx.connection.executemany(
            "INSERT INTO delegation (sender, delegate, since, until, ledger_index) VALUES (?, ?, ?, ?, ?)",
            [(one.by, one.body.to, one.body.from_, one.body.until, one.index) for one in state.delegations],
        )


def raise_alarm(tx: Transaction, kind: str, detail: str, *, at: int, evidence: bytes | None = None) -> bool:
    """Note an alarm, or that it goes on; keep the evidence of a new one. Say whether it is new."""
    fresh = tx.connection.execute(
        "INSERT INTO alarm (kind, since, seen, detail) VALUES (?, ?, ?, ?) ON CONFLICT (kind) DO UPDATE SET"
        " since = iif(over IS NULL, since, excluded.since), seen = excluded.seen, detail = excluded.detail, over = NULL"
        " RETURNING since = ? AND seen = since",
        (kind, at, at, detail, at),
    ).fetchone()[0]
    if fresh and evidence is not None:
        tx.connection.execute("INSERT INTO evidence (kind, at, data) VALUES (?, ?, ?)", (kind, at, evidence))
    return bool(fresh)


def end_alarm(tx: Transaction, kind: str, *, at: int) -> bool:
    """Note that an alarm is over; say whether it was on."""
    return tx.connection.execute("UPDATE alarm SET over = ? WHERE kind = ? AND over IS NULL", (at, kind)).rowcount == 1


def alarms(tx: Transaction, *, over: bool = False) -> list[Alarm]:
    """Return the alarms that are on, with `over` also those that were."""
    rows = tx.connection.execute("SELECT kind, since, seen, detail, over FROM alarm ORDER BY since, kind")
    return [
        Alarm(
            kind=kind,
            since=from_seconds(since // 1000),
            seen=from_seconds(seen // 1000),
            detail=detail,
            stops=kind in STOPPING,
            over=None if ended is None else from_seconds(ended // 1000),
        )
        for kind, since, seen, detail, ended in rows
        if over or ended is None
    ]
