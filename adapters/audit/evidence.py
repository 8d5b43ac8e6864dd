"""The form of an evidence file: all that is needed to check one notice with no network, in one JSON object.

Strict JSON in the one encoding, members in the order given; binary is base64url. What it claims is nothing until
`adapters.audit.check` has followed every digest and signature in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from schemas import encoding, ids
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError
from schemas.ids import Kid, NoticeId, Origin
from schemas.strict_json import Json

TYP: Final = "valise-evidence/1"
LIMIT: Final = 64 << 20
_MEMBERS: Final = ("v", "typ", "origin", "notice_id", "statement", "proof", "leaf", "tlog_proof", "receipt")
_MORE: Final = ("directory", "boundary", "revoked", "content")
_DIRECTORY: Final = ("version", "event", "leaf", "tlog_proof", "files")
_BOUNDARY: Final = ("event", "leaf", "tlog_proof")
_CONTENT: Final = ("content_key", "protected", "iv", "ciphertext", "tag")


@dataclass(frozen=True, slots=True)
class Logged:
    """Bytes, the leaf (41 bytes) that stands for them, and the `.tlog-proof` that it is in the log."""

    event: bytes
    leaf: bytes
    tlog_proof: bytes

    def to_json(self) -> dict[str, Json]:
        """Return the members in order."""
        return {
            "event": b64encode(self.event),
            "leaf": b64encode(self.leaf),
            "tlog_proof": b64encode(self.tlog_proof),
        }


@dataclass(frozen=True, slots=True)
class DirectoryEvidence:
    """The directory version in force at the leaf: its event in the log, and its TUF files by name."""

    version: int
    logged: Logged
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Content:
    """A released content key (32 bytes) and the ciphertext that it opens: shows what the notice said."""

    content_key: bytes
    protected: str
    iv: bytes
    ciphertext: bytes
    tag: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for one statement. `revoked` are key ids and indexes that the maker knew of before the leaf."""

    origin: Origin
    notice_id: NoticeId
    statement: bytes
    proof: bytes
    leaf: bytes
    tlog_proof: bytes
    receipt: str | None
    directory: DirectoryEvidence
    boundary: Logged | None
    revoked: Mapping[Kid, int]
    content: Content | None

    def encode(self) -> bytes:
        """Return the file's bytes."""
        content = self.content
        return encoding.encode(
            {
                "v": 1,
                "typ": TYP,
                "origin": self.origin,
                "notice_id": self.notice_id,
                "statement": b64encode(self.statement),
                "proof": b64encode(self.proof),
                "leaf": b64encode(self.leaf),
                "tlog_proof": b64encode(self.tlog_proof),
                "receipt": self.receipt,
                "directory": {
                    "version": self.directory.version,
                    **self.directory.logged.to_json(),
                    "files": {name: b64encode(data) for name, data in sorted(self.directory.files.items())},
                },
                "boundary": None if self.boundary is None else self.boundary.to_json(),
                "revoked": dict(sorted(self.revoked.items())),
                "content": None
                if content is None
                else {
                    "content_key": b64encode(content.content_key),
                    "protected": content.protected,
                    "iv": b64encode(content.iv),
                    "ciphertext": b64encode(content.ciphertext),
                    "tag": b64encode(content.tag),
                },
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Evidence":
        """Read a file; raise `TooLargeError`, `MalformedError` or `FormError`."""
        m = Members(encoding.parse(data, limit=LIMIT), (*_MEMBERS, *_MORE))
        m.fixed("v", 1)
        m.fixed("typ", TYP)
        return cls(
            origin=m.matching("origin", ids.origin),
            notice_id=m.matching("notice_id", ids.notice_id),
            statement=b64decode(m.binary("statement")),
            proof=b64decode(m.binary("proof")),
            leaf=b64decode(m.binary("leaf", 41)),
            tlog_proof=b64decode(m.binary("tlog_proof")),
            receipt=None if m.absent("receipt") else m.string("receipt"),
            directory=_directory(m.value["directory"]),
            boundary=None if m.absent("boundary") else _logged(Members(m.value["boundary"], _BOUNDARY, "/boundary")),
            revoked=_revoked(m.value["revoked"]),
            content=None if m.absent("content") else _content(m.value["content"]),
        )


def _logged(m: Members) -> Logged:
    return Logged(b64decode(m.binary("event")), b64decode(m.binary("leaf", 41)), b64decode(m.binary("tlog_proof")))


def _directory(value: Json) -> DirectoryEvidence:
    m = Members(value, _DIRECTORY, "/directory")
    files = m.value["files"]
    if not isinstance(files, dict) or not all(isinstance(one, str) and one for one in files.values()):
        raise FormError("Must be an object of texts.", pointer="/directory/files")
    return DirectoryEvidence(m.integer("version"), _logged(m), {n: b64decode(str(one)) for n, one in files.items()})


def _revoked(value: Json) -> dict[Kid, int]:
    if not isinstance(value, dict) or not all(isinstance(index, int) for index in value.values()):
        raise FormError("Must be an object of indexes.", pointer="/revoked")
    return {ids.kid(name): int(str(index)) for name, index in value.items()}


def _content(value: Json) -> Content:
    m = Members(value, _CONTENT, "/content")
    return Content(
        content_key=b64decode(m.binary("content_key", 32)),
        protected=m.binary("protected"),
        iv=b64decode(m.binary("iv", 12)),
        ciphertext=b64decode(m.binary("ciphertext")),
        tag=b64decode(m.binary("tag", 16)),
    )
