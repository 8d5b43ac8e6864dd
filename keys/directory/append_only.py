"""Key records are append-only: nobody takes back what was signed (design: access, "The directory").

A new version of a role's file may add records, close one once, and flag one as suspect; nothing else about a record, and
no participant, goes away. The broker checks this at upload, every client again. Names, roles, clearance and suspension
are the role's own to change.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from keys.directory.errors import DirectoryAppendOnlyError
from keys.directory.records import KeyRecord, StateFile
from schemas.encoding import to_seconds

FROM_BEFORE_UPLOAD: Final = 60
"""Seconds that a new record's `from` may lie before its upload."""


def check_append_only(old: StateFile | None, new: StateFile, *, tree_size: int, now_s: int, at_upload: bool) -> None:
    """Check a role's new file against its last one (None: there was none); raise `DirectoryAppendOnlyError`.

    `tree_size` is a size that the ledger certainly had at upload: the broker knows it, a client gives what it knows
    (the index of the old version's leaf + 1, or 0); no key may be closed before it. `now_s` (Unix seconds) counts
    only `at_upload`: a client cannot know when that was.
    """
    new_ids = {one.id for one in new.participants}
    if old is not None and any(one.id not in new_ids for one in old.participants):
        raise DirectoryAppendOnlyError("A participant was removed; it may only be suspended.")
    before = {} if old is None else {record.kids: record for _, record in _records(old)}
    after = {record.kids for _, record in _records(new)}
    if not before.keys() <= after:
        raise DirectoryAppendOnlyError("A key record was removed; it may only be closed.")
    for at, record in _records(new):
        _check_record(before.get(record.kids), record, at, tree_size)
        if record.kids not in before and at_upload and to_seconds(record.life.from_) < now_s - FROM_BEFORE_UPLOAD:
            raise DirectoryAppendOnlyError("A new record begins in the past.", pointer=f"{at}/from")


def _check_record(old: KeyRecord | None, new: KeyRecord, at: str, tree_size: int) -> None:
    closed_before = None if old is None else old.life.closed_at
    closed = new.life.closed_at
    if closed_before is None and closed is not None and closed < tree_size:
        raise DirectoryAppendOnlyError(
            "A key may be closed only at an index that the ledger has not reached.", pointer=f"{at}/closed_at"
        )
    if closed_before is not None and closed != closed_before:
        raise DirectoryAppendOnlyError("A key is closed once and for ever.", pointer=f"{at}/closed_at")
    if old is not None and _lasting(old) != _lasting(new):
        raise DirectoryAppendOnlyError("A key record was altered; it may only be closed.", pointer=at)


def _lasting(record: KeyRecord) -> KeyRecord:
    """Return a record without what may change. Its public keys are compared as their thumbprints."""
    return replace(record, life=replace(record.life, closed_at=None, suspect_from=None))


def _records(state: StateFile) -> Iterator[tuple[str, KeyRecord]]:
    for n, one in enumerate(state.participants):
        for m, record in enumerate(one.keys):
            yield f"/participants/{n}/keys/{m}", record
