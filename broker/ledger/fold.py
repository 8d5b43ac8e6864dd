"""The fold: which records count, and the tree that they make; a pure function of the records in order (design: ledger).

No I/O and no clock: whoever folds the same records gets the same tree. What the past says about one id or day comes
through `Seen`; the rest of the past is the `FoldState`. Signatures are not looked at: what is not authentic was not
appended, and the digests say that it is what the leaf stands for.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from keys import digests
from keys.log.merkle import Frontier, append_nodes, leaf_hash
from schemas.encoding import Time
from schemas.errors import Error
from schemas.event import Boundary, Day, DirectoryVersion, Erasure, Event, LogKey
from schemas.ids import LedgerIndex, NoticeId, Origin
from schemas.leaf import EVENTS, LeafType
from schemas.limits import LIMITS
from schemas.record import Record
from schemas.statement import Statement


class Reason(StrEnum):
    """Why a record does not count; codes for metrics and reports."""

    FORM = "form"
    """Its statement or event cannot be read, or the leaf is of another type."""
    DIGEST = "digest"
    """The leaf's digest is not that of its statement and proof, or of its event."""
    ORIGIN = "origin"
    """It is another deployment's."""
    LATE = "late"
    """It was received more than 60 s before one that counted earlier."""
    KNOWN = "known"
    """Its notice id has counted already."""
    RULES = "rules"
    """It was decided under a directory version or boundary that is not in force here."""
    VERSION = "version"
    """Its directory version is not the next one."""
    BOUNDARY = "boundary"
    """Its boundary is not later than the last one."""
    NUMBER = "number"
    """Its number is not that of the next log key event."""
    ERASED = "erased"
    """The notice's erasure has counted already."""
    DAY = "day"
    """The day has counted already."""


@dataclass(frozen=True, slots=True)
class FoldState:
    """All that the next record is held against, beside `Seen`.

    `directory` is the version in force (0 before the first), `boundary` the last one that passed, `key_number` that of
    the last log key event, `newest` the greatest `received_at` that counted (Unix ms).
    """

    origin: Origin
    frontier: Frontier = Frontier()  # noqa: RUF009 - frozen
    directory: int = 0
    boundary: Time | None = None
    key_number: int = 0
    newest: int = 0

    @property
    def size(self) -> int:
        """Return the tree's size: how many records have counted."""
        return self.frontier.size


class Seen(Protocol):
    """What has counted so far, by id and day."""

    def notice(self, notice_id: NoticeId) -> bool:
        """Say whether a statement with this notice id has counted."""
        ...

    def erased(self, notice_id: NoticeId) -> bool:
        """Say whether an erasure of this notice has counted."""
        ...

    def day(self, day: str) -> bool:
        """Say whether this day (`YYYY-MM-DD`) has counted."""
        ...


class Past:
    """What has counted so far, in memory: for whoever folds a ledger from its beginning."""

    __slots__ = ("_days", "_erased", "_notices")

    def __init__(self) -> None:
        self._notices: set[NoticeId] = set()
        self._erased: set[NoticeId] = set()
        self._days: set[str] = set()

    def notice(self, notice_id: NoticeId) -> bool:
        """Say whether a statement with this notice id has counted."""
        return notice_id in self._notices

    def erased(self, notice_id: NoticeId) -> bool:
        """Say whether an erasure of this notice has counted."""
        return notice_id in self._erased

    def day(self, day: str) -> bool:
        """Say whether this day has counted."""
        return day in self._days

    def add(self, what: Statement | Event) -> None:
        """Take in what has just counted."""
        if isinstance(what, Statement):
            self._notices.add(what.notice_id)
        elif isinstance(what.what, Erasure):
            self._erased.add(what.what.notice_id)
        elif isinstance(what.what, Day):
            self._days.add(what.what.day)


@dataclass(frozen=True, slots=True)
class Counted:
    """A record that is leaf `index`: the state behind it, the nodes that became complete (level, n, hash), what it says."""

    state: FoldState
    index: LedgerIndex
    nodes: list[tuple[int, int, bytes]]
    what: Statement | Event


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that does not count; the tree and the state are as before."""

    reason: Reason


def fold(state: FoldState, record: Record, seen: Seen, parsed: Statement | None = None) -> Counted | Skipped:
    """Say whether the next record counts under the table of the design, and what it makes of the tree.

    Whoever has just parsed the record's statement may hand it over as `parsed`; it is half of the work.
    """
    if record.leaf.received_at < state.newest - LIMITS.received_at_back:
        return Skipped(Reason.LATE)
    if record.leaf.type in EVENTS:
        return _fold_event(state, record, seen)
    return _fold_statement(state, record, seen, parsed)


def _fold_statement(state: FoldState, record: Record, seen: Seen, parsed: Statement | None) -> Counted | Skipped:
    if record.proof is None:
        return Skipped(Reason.FORM)
    if digests.statement_leaf(record.document, record.proof) != record.leaf.digest:
        return Skipped(Reason.DIGEST)
    try:
        statement = parsed or Statement.parse(record.document)
    except Error:
        return Skipped(Reason.FORM)
    if statement.form.open is not (record.leaf.type is LeafType.OPEN):
        return Skipped(Reason.FORM)
    if statement.origin != state.origin:
        return Skipped(Reason.ORIGIN)
    if seen.notice(statement.notice_id):
        return Skipped(Reason.KNOWN)
    if record.directory != state.directory or record.boundary != state.boundary:
        return Skipped(Reason.RULES)
    return _count(state, record, statement)


def _fold_event(state: FoldState, record: Record, seen: Seen) -> Counted | Skipped:
    if record.proof is not None:
        return Skipped(Reason.FORM)
    if digests.event_leaf(record.document) != record.leaf.digest:
        return Skipped(Reason.DIGEST)
    try:
        event = Event.parse(record.document)
    except Error:
        return Skipped(Reason.FORM)
    if event.leaf_type is not record.leaf.type:
        return Skipped(Reason.FORM)
    if event.origin != state.origin:
        return Skipped(Reason.ORIGIN)
    after = _after(state, event, seen)
    return Skipped(after) if isinstance(after, Reason) else _count(after, record, event)


def _after(state: FoldState, event: Event, seen: Seen) -> FoldState | Reason:
    what = event.what
    match what:
        case DirectoryVersion(version):
            return replace(state, directory=version) if version == state.directory + 1 else Reason.VERSION
        case Boundary(at):
            # Times compare as strings; before the first boundary every one is later.
            return replace(state, boundary=at) if at > (state.boundary or "") else Reason.BOUNDARY
        case LogKey(number):
            return replace(state, key_number=number) if number == state.key_number + 1 else Reason.NUMBER
        case Erasure(notice_id):
            return Reason.ERASED if seen.erased(notice_id) else state
        case _:
            return Reason.DAY if seen.day(what.day) else state


def _count(state: FoldState, record: Record, what: Statement | Event) -> Counted:
    frontier, nodes = append_nodes(state.frontier, leaf_hash(record.leaf.encode()))
    after = FoldState(
        state.origin,
        frontier,
        state.directory,
        state.boundary,
        state.key_number,
        max(state.newest, record.leaf.received_at),
    )
    return Counted(after, LedgerIndex(state.size), nodes, what)
