"""Events of the ledger: what the leaves of types 3 to 7 stand for (spec/ledger.md)."""

import re
from dataclasses import dataclass
from typing import Final

from schemas import encoding, ids
from schemas.encoding import B64, Members, Time
from schemas.errors import FormError
from schemas.ids import Code, NoticeId, Origin
from schemas.leaf import LeafType
from schemas.strict_json import Json

_HEAD: Final = ("v", "typ", "origin", "nonce")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]*")


@dataclass(frozen=True, slots=True)
class DirectoryVersion:
    """A directory version came into force: SHA-256 of its snapshot."""

    version: int
    snapshot: B64

    def to_json(self) -> dict[str, Json]:
        """Return the event's own members in order."""
        return {"version": self.version, "snapshot": self.snapshot}


@dataclass(frozen=True, slots=True)
class Boundary:
    """A `valid from` or `valid to` of the rules in force has passed."""

    at: Time

    def to_json(self) -> dict[str, Json]:
        """Return the event's own members in order."""
        return {"at": self.at}


@dataclass(frozen=True, slots=True)
class LogKey:
    """A log key or witness was added or closed; `key` holds the bytes of its C2SP vkey."""

    number: int
    name: str
    key: B64
    state: str

    def to_json(self) -> dict[str, Json]:
        """Return the event's own members in order."""
        return {"number": self.number, "name": self.name, "key": self.key, "state": self.state}


@dataclass(frozen=True, slots=True)
class Erasure:
    """A notice's body was erased, and why."""

    notice_id: NoticeId
    reason: Code

    def to_json(self) -> dict[str, Json]:
        """Return the event's own members in order."""
        return {"notice_id": self.notice_id, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Day:
    """How many decisions and audit accesses a day (UTC) had, and their RFC 6962 root."""

    day: str
    count: int
    root: B64

    def to_json(self) -> dict[str, Json]:
        """Return the event's own members in order."""
        return {"day": self.day, "count": self.count, "root": self.root}


Happening = DirectoryVersion | Boundary | LogKey | Erasure | Day

_TYPES: Final[dict[str, tuple[LeafType, tuple[str, ...]]]] = {
    "directory": (LeafType.DIRECTORY, ("version", "snapshot")),
    "boundary": (LeafType.BOUNDARY, ("at",)),
    "key": (LeafType.KEY, ("number", "name", "key", "state")),
    "erasure": (LeafType.ERASURE, ("notice_id", "reason")),
    "day": (LeafType.DAY, ("day", "count", "root")),
}
_NAMES: Final = {DirectoryVersion: "directory", Boundary: "boundary", LogKey: "key", Erasure: "erasure", Day: "day"}


@dataclass(frozen=True, slots=True)
class Event:
    """One event: where it counts, a nonce of 16 bytes, and what happened."""

    origin: Origin
    nonce: B64
    what: Happening

    @property
    def leaf_type(self) -> LeafType:
        """Return the type of the leaf that stands for this event."""
        return _TYPES[_NAMES[type(self.what)]][0]

    def encode(self) -> bytes:
        """Return the event's bytes in the one encoding."""
        head: dict[str, Json] = {"v": 1, "typ": _NAMES[type(self.what)], "origin": self.origin, "nonce": self.nonce}
        return encoding.encode({**head, **self.what.to_json()})

    @classmethod
    def parse(cls, data: bytes) -> "Event":
        """Read an event in the one encoding; raise `MalformedError` or `FormError`."""
        value = encoding.parse(data)
        typ = value.get("typ")
        if not isinstance(typ, str) or typ not in _TYPES:
            raise FormError("Must be a type of event.", pointer="/typ")
        m = Members(value, (*_HEAD, *_TYPES[typ][1]))
        m.fixed("v", 1)
        return cls(m.matching("origin", ids.origin), m.binary("nonce", 16), _what(typ, m))


def _what(typ: str, m: Members) -> Happening:
    if typ == "directory":
        return DirectoryVersion(m.integer("version"), m.binary("snapshot", 32))
    if typ == "boundary":
        return Boundary(m.time("at"))
    if typ == "key":
        state = m.string("state")
        if state not in ("added", "closed"):
            raise FormError("Must be added or closed.", pointer="/state")
        return LogKey(m.integer("number"), m.matching("name", _key_name), m.binary("key"), state)
    if typ == "erasure":
        return Erasure(m.matching("notice_id", ids.notice_id), m.matching("reason", ids.code))
    return Day(m.matching("day", _day), m.integer("count"), m.binary("root", 32))


def _key_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise FormError("Must be a key name without spaces or plus signs.")
    return text


def _day(text: str) -> str:
    if not encoding.is_day(text):
        raise FormError("Must be a calendar day YYYY-MM-DD.")
    return text
