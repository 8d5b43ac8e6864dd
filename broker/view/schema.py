"""The view's tables. Their version is raised with every change: a view of another version is deleted and rebuilt."""

from typing import Final

from broker.ledger.database import META

VERSION: Final = 4
APPLICATION_ID: Final = 0x56414C56  # "VALV"

NO_BODY: Final = 0
BODY: Final = 1
ERASED: Final = 2

TABLES: Final = (
    META,
    """CREATE TABLE state (origin TEXT NOT NULL, position INTEGER NOT NULL, size INTEGER NOT NULL,
        directory INTEGER NOT NULL, boundary TEXT, key_number INTEGER NOT NULL, newest INTEGER NOT NULL,
        settled INTEGER NOT NULL)""",
    # Found by the first 8 bytes of a digest: a short index, and the row says whether it is the one.
    "CREATE TABLE leaves (idx INTEGER PRIMARY KEY, position INTEGER NOT NULL, leaf BLOB NOT NULL)",
    "CREATE INDEX leaves_by_digest ON leaves (substr(leaf, 10, 8))",
    # Numbered in the order in which they become complete, so that writing only ever adds at the end.
    "CREATE TABLE nodes (id INTEGER PRIMARY KEY, hash BLOB NOT NULL)",
    """CREATE TABLE statements (idx INTEGER PRIMARY KEY, digest BLOB NOT NULL, notice_id BLOB NOT NULL UNIQUE,
        sender TEXT NOT NULL, role TEXT NOT NULL, act TEXT NOT NULL, ref BLOB, thread BLOB, topic TEXT,
        expires_at TEXT, body_digest BLOB, state INTEGER NOT NULL)""",
    "CREATE INDEX statements_by_digest ON statements (substr(digest, 1, 8))",
    "CREATE INDEX statements_by_role ON statements (role, idx)",
    "CREATE INDEX statements_by_ref ON statements (ref, idx) WHERE ref IS NOT NULL",
    f"CREATE INDEX statements_by_expiry ON statements (expires_at) WHERE state = {BODY}",
    "CREATE TABLE kids (id INTEGER PRIMARY KEY, kid TEXT NOT NULL UNIQUE)",
    "CREATE TABLE stanzas (kid INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (kid, idx)) WITHOUT ROWID",
    """CREATE TABLE subscriptions (participant TEXT NOT NULL, pattern TEXT NOT NULL, idx INTEGER NOT NULL,
        PRIMARY KEY (participant, pattern)) WITHOUT ROWID""",
    # The newest word of a focal point on a participant and a beginning counts.
    """CREATE TABLE delegations (sender TEXT NOT NULL, delegate TEXT NOT NULL, since TEXT NOT NULL, until TEXT NOT NULL,
        idx INTEGER NOT NULL, PRIMARY KEY (sender, delegate, since)) WITHOUT ROWID""",
    "CREATE TABLE revoked (kid TEXT PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE events (type INTEGER NOT NULL, idx INTEGER NOT NULL, PRIMARY KEY (type, idx)) WITHOUT ROWID",
    """CREATE TABLE erasures (notice_id BLOB PRIMARY KEY, idx INTEGER NOT NULL, reason TEXT NOT NULL,
        done INTEGER NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX erasures_to_do ON erasures (idx) WHERE NOT done",
    # Recalled, and not erased yet.
    "CREATE TABLE recalled (notice_id BLOB PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE days (day TEXT PRIMARY KEY, idx INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE held (participant TEXT NOT NULL, idx INTEGER NOT NULL, since INTEGER NOT NULL, why BLOB NOT NULL,
        released INTEGER, PRIMARY KEY (participant, idx)) WITHOUT ROWID""",
    "CREATE INDEX held_released ON held (participant, released, idx) WHERE released IS NOT NULL",
)


def node_id(level: int, n: int) -> int:
    """Return a node's number: how many nodes are complete before it, leaf after leaf."""
    last = ((n + 1) << level) - 1
    return 2 * last - last.bit_count() + level


def pack_id(notice_id: str) -> bytes:
    """Return a notice id's 16 bytes."""
    return bytes.fromhex(notice_id.replace("-", ""))


def unpack_id(data: bytes) -> str:
    """Return the notice id of 16 bytes."""
    text = data.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
