"""Import a table of seizures: every row becomes a notice of the importing participant, once, however often it is imported.

A row's identity is (digest of the unpacked file, row, kind of notice). Rows are accepted 500 in one commit together with
their identities: a crash in between leaves whole commits, and importing the file again goes on behind them. A dry run
reads, checks and counts, and keeps nothing.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

from adapters.formats.csv_table import Refused
from adapters.formats.unodc import Row as TableRow
from adapters.formats.unodc import read_table
from adapters.gateway import drafting, labels, outbox
from adapters.gateway.draft import Draft
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import LabelRequest
from adapters.gateway.status import ImportReport, Row
from adapters.gateway.store import Store, Transaction
from schemas import ids
from schemas.ids import NoticeId, ParticipantId
from schemas.notice import Notice
from schemas.rules.vocabulary import Vocabulary, vocabulary

CHUNK: Final = 500
_LABEL: Final = LabelRequest()


@dataclass(frozen=True, slots=True)
class Import:
    """One file to import for one participant."""

    participant: ParticipantId
    data: bytes = field(repr=False)
    name: str
    dry_run: bool
    routes: bool


@dataclass(slots=True)
class _Count:
    read: int = 0
    imported: int = 0
    known: int = 0
    notices: list[NoticeId] = field(default_factory=list)
    refused: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Drafted:
    """One row's drafts: the kind that each part is, its new id, its draft."""

    number: int
    parts: tuple[tuple[str, NoticeId, Draft], ...]


async def run(
    work: Import,
    store: Store,
    defaults: LabelDefaults,
    now_ms: Callable[[], int],
    accepted: Callable[[], None],
) -> ImportReport:
    """Import a file and say row by row what became of it; `accepted` is called after each commit.

    Raises `TableError` or `TooLargeError` for the file as a whole, before anything is kept.
    """
    table = await asyncio.to_thread(read_table, work.data, work.name)
    file = bytes.fromhex(table.digest)
    count = _Count()
    rows = iter(table.rows(routes=work.routes))
    while chunk := await asyncio.to_thread(_drafted, rows, defaults, now_ms, count):
        if work.dry_run:
            known = await store.read(partial(_known, participant=work.participant, file=file, rows=chunk))
            kept = [item for item in chunk if item.number not in known]
        else:
            kept = await store.write(partial(_accept, participant=work.participant, file=file, rows=chunk, at=now_ms()))
            accepted()
        count.imported += len(kept)
        count.known += len(chunk) - len(kept)
        if not work.dry_run:
            count.notices += [notice_id for item in kept for _, notice_id, _ in item.parts]
    return ImportReport(
        rows_read=count.read,
        rows_imported=count.imported,
        rows_refused=len(count.refused),
        already_known=count.known,
        notices=tuple(count.notices),
        refused=tuple(count.refused),
        dry_run=work.dry_run,
    )


def _drafted(
    rows: Iterator[TableRow | Refused], defaults: LabelDefaults, now_ms: Callable[[], int], count: _Count
) -> list[_Drafted]:
    """Read rows until a chunk is full or the table ends; those that are refused are counted on the way."""
    drafted: list[_Drafted] = []
    while len(drafted) < CHUNK:
        batch = list(islice(rows, CHUNK - len(drafted)))
        if not batch:
            break
        at, known = now_ms(), vocabulary()
        for row in batch:
            count.read += 1
            if isinstance(row, Refused):
                count.refused.append(Row(row.number, row.column, row.reason, row.cell))
            else:
                drafted.append(_Drafted(row.number, tuple(_parts(row.notices, defaults, known, at))))
    return drafted


def _parts(
    notices: Iterable[tuple[str, ids.Topic, Notice]], defaults: LabelDefaults, known: Vocabulary, at: int
) -> Iterator[tuple[str, NoticeId, Draft]]:
    for kind, topic, notice in notices:
        label = labels.complete(_LABEL, notice, defaults, known)
        yield kind, ids.new_notice_id(at), drafting.issue_read(notice, topic, label, defaults, at=at)


def _known(tx: Transaction, participant: ParticipantId, file: bytes, rows: list[_Drafted]) -> set[int]:
    """Return the rows all of whose parts were imported before."""
    there = {
        (number, part)
        for number, part in tx.connection.execute(
            "SELECT row, part FROM imported WHERE participant = ? AND file = ? AND row BETWEEN ? AND ?",
            (participant, file, rows[0].number, rows[-1].number),
        )
    }
    return {item.number for item in rows if all((item.number, part) in there for part, _, _ in item.parts)}


def _accept(tx: Transaction, participant: ParticipantId, file: bytes, rows: list[_Drafted], at: int) -> list[_Drafted]:
    """Keep what is new of some rows; return the rows that had something new, with that alone."""
    kept = []
    for item in rows:
        new = []
        for part, notice_id, draft in item.parts:
            inserted = tx.connection.execute(
                "INSERT INTO imported (participant, file, row, part, id) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (participant, file, item.number, part, notice_id),
            ).rowcount
            if inserted:
                new.append((part, notice_id, draft))
        if new:
            kept.append(_Drafted(item.number, tuple(new)))
    drafts = [(notice_id, draft) for item in kept for _, notice_id, draft in item.parts]
    outbox.accept(tx, participant, drafts, at=at, series=file.hex())
    return kept
