"""What an instance has read of the cluster's topics, in a SQLite file: whoever asks is answered from here, never from Kafka.

It can be deleted and is read again from the cluster. `synchronous=NORMAL`: a loss of power may cost its last transactions,
and reading on from `next` repeats them; but until all that was there at the start is in a new file (`built`), it waits for no
disk, and is made anew after a loss of power. A record's position is its offset in the ledger's topic. Written by two threads, each under `lock`: the
one that reads the topics, and the ledger thread for what it has just appended itself.
"""

import os
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from broker.ledger.carrying import Carrying
from broker.ledger.database import (
    META,
    begin_unsynced,
    connect,
    end_unsynced,
    explained,
    transaction,
    unharmed,
    written_in,
)
from broker.ledger.files import lock
from broker.ledger.sqlite import COLUMNS, Reads, row_of
from schemas.errors import Error
from schemas.ids import Kid, Origin
from schemas.record import Record

VERSION: Final = 3
APPLICATION_ID: Final = 0x56414C4D  # "VALM"

_SCHEMA: Final = (
    META,
    """CREATE TABLE records (position INTEGER PRIMARY KEY, leaf BLOB NOT NULL, directory INTEGER NOT NULL,
        boundary TEXT, body_digest BLOB, document BLOB NOT NULL, proof BLOB)""",
    # `recorded` says that a record names it, `gone` that it was erased, whatever the topic still brings, `buried` that the
    # topic has a tombstone for it.
    """CREATE TABLE bodies (digest BLOB PRIMARY KEY, since INTEGER NOT NULL, kids TEXT NOT NULL,
        recorded INTEGER NOT NULL, gone INTEGER NOT NULL, buried INTEGER NOT NULL DEFAULT 0,
        topic TEXT, key BLOB, body BLOB)""",
    "CREATE INDEX bodies_alone ON bodies (since) WHERE NOT recorded",
    "CREATE INDEX bodies_unburied ON bodies (digest) WHERE gone AND NOT buried AND topic NOTNULL",
    "CREATE INDEX bodies_missing ON bodies (since) WHERE recorded AND NOT gone AND body IS NULL",
    "CREATE TABLE tombstones (key BLOB PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE objects (name TEXT PRIMARY KEY, mark INTEGER NOT NULL, data BLOB NOT NULL)",
    "CREATE TABLE decisions (seq INTEGER PRIMARY KEY, day TEXT NOT NULL, data BLOB NOT NULL)",
    "CREATE INDEX decisions_by_day ON decisions (day, seq)",
    "CREATE TABLE progress (topic TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id={APPLICATION_ID}",
    f"PRAGMA user_version={VERSION}",
)
_PRAGMAS: Final = (
    "page_size=8192",
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "secure_delete=ON",
    "wal_autocheckpoint=2000",
    "cache_size=-16384",
)


class ReadRecord(NamedTuple):
    """A record at its offset, and the key ids of its body's stanzas."""

    offset: int
    record: Record
    kids: tuple[Kid, ...]


class ReadBody(NamedTuple):
    """A body as its topic has it: `key` is the statement's digest, `at` the cluster's Unix milliseconds."""

    topic: str
    key: bytes
    digest: bytes
    kids: tuple[Kid, ...]
    body: bytes
    at: int


class ReadObject(NamedTuple):
    """An object at its offset, which says which of two is the newer."""

    offset: int
    name: str
    data: bytes


class ReadDecision(NamedTuple):
    """A decision at its offset."""

    offset: int
    day: str
    data: bytes


@dataclass(slots=True)
class Batch:
    """What was read and is written in one transaction; `next` is the offset after it, by topic.

    `tombstones` are the keys of bodies that their topics have a tombstone for.
    """

    records: list[ReadRecord] = field(default_factory=list)
    bodies: list[ReadBody] = field(default_factory=list)
    tombstones: list[bytes] = field(default_factory=list)
    objects: list[ReadObject] = field(default_factory=list)
    decisions: list[ReadDecision] = field(default_factory=list)
    next: dict[str, int] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Say whether there is nothing in it but how far was read."""
        return not (self.records or self.bodies or self.tombstones or self.objects or self.decisions)


class _MirrorReads(Reads):
    """What the file can be asked beyond what every store can."""

    def holds(self, digest: bytes) -> bool:
        """Say whether a body is here, or may still come: not once it was erased."""
        with explained():
            row = self._db.execute("SELECT gone FROM bodies WHERE digest = ?", (digest,)).fetchone()
        return row is not None and not row[0]


class Mirror(_MirrorReads):
    """The file, open for reading and writing under `lock`; other threads have a `reader` each.

    `lock` is notified whenever something was written. `new` says that the file was made anew, and that nobody has been told
    of all of it since (`filled`).
    """

    def __init__(self, path: Path, origin: Origin) -> None:
        """Open the file, making it anew where it is missing or of another version or origin."""
        self._path: Final = path
        self._file: Final = lock(path.with_name(path.name + ".lock"))
        self.lock: Final = threading.Condition()
        self._carrying: Carrying | None = None
        try:
            made = not _serves(path, origin)
            if made:
                for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                    path.with_name(name).unlink(missing_ok=True)
            super().__init__(connect(path), origin)
            with explained():
                for pragma in _PRAGMAS:
                    self._db.execute(f"PRAGMA {pragma}")
            if made:
                self._make()
            with explained():
                self._unsynced = made or written_in(self._db) is not None
            if self._unsynced:
                begin_unsynced(self._db)
            with explained():
                query = "SELECT 1 FROM meta WHERE name = 'filling'"
                self.new = self._db.execute(query).fetchone() is not None
                self._next: dict[str, int] = dict(self._db.execute("SELECT topic, next FROM progress"))
            self._length = super().length()
        except BaseException:
            os.close(self._file)
            raise

    def _make(self) -> None:
        with transaction(self._db):
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute("INSERT INTO meta VALUES ('origin', ?)", (self.origin,))
            self._db.execute("INSERT INTO meta VALUES ('filling', '')")

    def filled(self) -> None:
        """Take note that a view has been told of all that the new file was filled with; call it under `lock`."""
        if self.new:
            with transaction(self._db):
                self._db.execute("DELETE FROM meta WHERE name = 'filling'")
            self.new = False

    def built(self) -> None:
        """Note that all is there that was when the file was opened; from here on writers do not wait for the disk."""
        if self._carrying is None:
            with self.lock:
                self._end_unsynced()
                with explained():
                    self._db.execute("PRAGMA wal_autocheckpoint=0")
            self._carrying = Carrying(self._path, self.lock)

    def _end_unsynced(self) -> None:
        if self._unsynced:
            end_unsynced(self._db)
            self._unsynced = False

    @property
    def untouched(self) -> bool:
        """Say whether nothing was ever read."""
        return not self._next

    def next(self, topic: str) -> int:
        """Return the offset after the last one that was read of a topic."""
        return self._next.get(topic, 0)

    def length(self) -> int:
        """Return the position after the last record's."""
        return self._length

    def take(self, batch: Batch) -> None:
        """Write what was read, in one transaction; call it under `lock`. What was written before is passed over."""
        with transaction(self._db):
            self._write_records(batch.records)
            for body in batch.bodies:
                self._write_body(body)
            self._db.executemany("INSERT OR IGNORE INTO tombstones VALUES (?)", [(key,) for key in batch.tombstones])
            self._db.executemany(
                """INSERT INTO objects (name, mark, data) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
                SET mark = excluded.mark, data = excluded.data WHERE excluded.mark > mark""",
                [(item.name, item.offset, item.data) for item in batch.objects],
            )
            self._db.executemany("INSERT OR IGNORE INTO decisions (seq, day, data) VALUES (?, ?, ?)", batch.decisions)
            self._db.executemany(
                "INSERT INTO progress VALUES (?, ?) ON CONFLICT DO UPDATE SET next = MAX(next, excluded.next)",
                batch.next.items(),
            )
        for topic, following in batch.next.items():
            self._next[topic] = max(following, self.next(topic))
        if batch.records:
            self._length = max(self._length, batch.records[-1].offset + 1)
        self.lock.notify_all()

    def _write_records(self, records: Iterable[ReadRecord]) -> None:
        found = list(records)
        self._db.executemany(
            f"INSERT OR IGNORE INTO records ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constants
            [row_of(item.offset, item.record) for item in found],
        )
        self._db.executemany(
            """INSERT INTO bodies (digest, since, kids, recorded, gone) VALUES (?, ?, ?, 1, 0)
            ON CONFLICT DO UPDATE SET recorded = 1, since = excluded.since WHERE NOT recorded""",
            [
                (item.record.body_digest, item.record.leaf.received_at, "".join(item.kids))
                for item in found
                if item.record.body_digest is not None
            ],
        )

    def _write_body(self, item: ReadBody) -> None:
        self._db.execute(
            """INSERT INTO bodies (digest, since, kids, recorded, gone, topic, key, body) VALUES (?, ?, ?, 0, 0, ?, ?, ?)
            ON CONFLICT DO UPDATE SET topic = excluded.topic, key = excluded.key,
            since = CASE WHEN recorded THEN since ELSE MAX(since, excluded.since) END,
            body = CASE WHEN gone THEN NULL ELSE excluded.body END WHERE body IS NULL OR NOT recorded""",
            (item.digest, item.at, "".join(item.kids), item.topic, item.key, item.body),
        )

    # Bodies; under `lock`

    def has(self, digest: bytes) -> bool:
        """Say whether a body has been read, be it erased by now."""
        with explained():
            query = "SELECT 1 FROM bodies WHERE digest = ? AND (gone OR body IS NOT NULL)"
            return self._db.execute(query, (digest,)).fetchone() is not None

    def missing(self) -> int:
        """Return how many bodies that records name are not here, and were not erased."""
        query = "SELECT COUNT(*) FROM bodies WHERE recorded AND NOT gone AND body IS NULL"
        with explained():
            return int(self._db.execute(query).fetchone()[0])

    def places(self, digests: Iterable[bytes]) -> list[tuple[str, bytes]]:
        """Return topic and key of those of some bodies that their topics have brought."""
        query = "SELECT topic, key FROM bodies WHERE digest = ? AND topic IS NOT NULL"
        with explained():
            found = [self._db.execute(query, (one,)).fetchone() for one in digests]
        return [(row[0], row[1]) for row in found if row is not None]

    def erase(self, digests: Iterable[bytes]) -> None:
        """Erase bodies for good."""
        self._erase("UPDATE bodies SET body = NULL, gone = 1 WHERE digest = ?", digests)

    def drop(self, digests: Iterable[bytes]) -> None:
        """Erase those of some bodies that no record names, and take them again where they are sent again."""
        self._erase("DELETE FROM bodies WHERE digest = ? AND NOT recorded", digests)

    def _erase(self, how: str, digests: Iterable[bytes]) -> None:
        with transaction(self._db):
            self._db.executemany(how, [(digest,) for digest in digests])
        with explained():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()

    def forget(self, bodies: Iterable[tuple[bytes, int, tuple[Kid, ...]]]) -> None:
        """Note bodies that were erased where their records come from: digest, since when, key ids."""
        with transaction(self._db):
            self._db.executemany(
                """INSERT INTO bodies (digest, since, kids, recorded, gone) VALUES (?, ?, ?, 0, 1)
                ON CONFLICT DO UPDATE SET gone = 1, body = NULL""",
                [(digest, since, "".join(kids)) for digest, since, kids in bodies],
            )

    def alone(self, before_ms: int) -> list[tuple[bytes, str, bytes]]:
        """Return digest, topic and key of bodies that no record names, and that came before a time."""
        query = (
            "SELECT digest, topic, key FROM bodies WHERE NOT recorded AND NOT gone AND since < ? AND topic IS NOT NULL"
        )
        with explained():
            return self._db.execute(query, (before_ms,)).fetchall()

    def unburied(self, most: int) -> list[tuple[str, bytes]]:
        """Return topic and key of at most so many bodies that were erased here and have no tombstone in their topics yet."""
        with transaction(self._db):
            self._db.execute(
                """UPDATE bodies SET buried = 1 WHERE gone AND NOT buried AND topic NOTNULL
                AND key IN (SELECT key FROM tombstones)"""
            )
        query = "SELECT topic, key FROM bodies WHERE gone AND NOT buried AND topic NOTNULL LIMIT ?"
        with explained():
            return self._db.execute(query, (most,)).fetchall()

    def erased_topics(self) -> list[str]:
        """Return the topics in which something was erased."""
        with explained():
            return [
                row[0] for row in self._db.execute("SELECT DISTINCT topic FROM bodies WHERE gone AND topic NOTNULL")
            ]

    def reader(self) -> "MirrorReader":
        """Return a reader for another thread."""
        return MirrorReader(self._path, self.origin)

    def close(self) -> None:
        """Close the file and let another process have it."""
        if self._carrying is not None:
            self._carrying.stop()
        try:
            with suppress(Error):  # then it is read again from the cluster
                self._end_unsynced()
            super().close()
        finally:
            os.close(self._file)


class MirrorReader(_MirrorReads):
    """Reads the file in a thread of its own."""

    def __init__(self, path: Path, origin: Origin) -> None:
        """Open the file for reading only."""
        super().__init__(connect(path, readonly=True), origin)


def _serves(path: Path, origin: Origin) -> bool:
    """Say whether there is a mirror of this version and origin; another one is made anew, as is a damaged one."""
    if not path.exists():
        return False
    db = connect(path, readonly=True)
    try:
        application = db.execute("PRAGMA application_id").fetchone()[0]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if (application, version) != (APPLICATION_ID, VERSION):
            return False
        return db.execute("SELECT value FROM meta WHERE name = 'origin'").fetchone() == (origin,) and unharmed(db)
    except db.DatabaseError:
        return False
    finally:
        db.close()
