"""Names on the wire: participants, roles, topics, notices, codes, key ids.

Participants are `xx/name`, `int/body/name` or `audit/name`; names and codes match `[a-z0-9][a-z0-9-]*`; topics are
`region.theme`; notice ids are UUIDv7 (RFC 9562 section 5.7) in lower case; key ids are RFC 7638 thumbprints.
"""

import re
import secrets
from typing import Final, NewType
from uuid import UUID

from schemas.errors import FormError

ParticipantId = NewType("ParticipantId", str)
NoticeId = NewType("NoticeId", str)
Topic = NewType("Topic", str)
Pattern = NewType("Pattern", str)
Code = NewType("Code", str)
Kid = NewType("Kid", str)
Origin = NewType("Origin", str)
Role = NewType("Role", str)
LedgerIndex = NewType("LedgerIndex", int)

_NAME: Final = "[a-z0-9][a-z0-9-]*"
_PARTICIPANT: Final = re.compile(rf"[a-z]{{2}}/{_NAME}|int/{_NAME}/{_NAME}|audit/{_NAME}")
_CODE: Final = re.compile(_NAME)
_TOPIC: Final = re.compile(rf"{_NAME}\.{_NAME}")
_PATTERN: Final = re.compile(rf"(?:\*|{_NAME})\.(?:\*|{_NAME})")
_UUID7: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_KID: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_ORIGIN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9./_-]{0,199}")

FORMS: Final = {
    "origin": _ORIGIN.pattern,
    "notice": _UUID7.pattern,
    "participant": _PARTICIPANT.pattern,
    "topic": _TOPIC.pattern,
    "pattern": _PATTERN.pattern,
}
"""Regular expressions of whole names, for whoever looks for them within a text."""


def participant(text: str) -> ParticipantId:
    """Read a participant id; raise `FormError`."""
    if not _PARTICIPANT.fullmatch(text):
        raise FormError("Must be a participant: xx/name, int/body/name or audit/name.")
    return ParticipantId(text)


def role_of(who: ParticipantId) -> Role:
    """Return the directory role that speaks for a participant: `fr`, `int-unodc` or `audit`."""
    first, _, rest = who.partition("/")
    return Role(f"int-{rest.partition('/')[0]}" if first == "int" else first)


def is_state(role: Role) -> bool:
    """Say whether a role is a State's (two letters)."""
    return len(role) == 2


def code(text: str) -> Code:
    """Read a code; raise `FormError`."""
    if not _CODE.fullmatch(text):
        raise FormError("Must be a code: lower-case letters, digits and hyphens.")
    return Code(text)


def topic(text: str) -> Topic:
    """Read a topic `region.theme`; raise `FormError`."""
    if not _TOPIC.fullmatch(text):
        raise FormError("Must be a topic: region.theme.")
    return Topic(text)


def pattern(text: str) -> Pattern:
    """Read a topic pattern, where `*` may stand for one half or both; raise `FormError`."""
    if not _PATTERN.fullmatch(text):
        raise FormError("Must be a topic pattern: region.theme, where * may stand for a half.")
    return Pattern(text)


def matches(wanted: Pattern, where: str) -> bool:
    """Say whether a topic falls under a pattern."""
    want_region, _, want_theme = wanted.partition(".")
    region, _, theme = where.partition(".")
    return want_region in ("*", region) and want_theme in ("*", theme)


def notice_id(text: str) -> NoticeId:
    """Read a notice id (UUIDv7, lower case); raise `FormError`."""
    if not _UUID7.fullmatch(text):
        raise FormError("Must be a UUIDv7 in lower case.")
    return NoticeId(text)


def new_notice_id(now_ms: int) -> NoticeId:
    """Make a notice id for a time in Unix milliseconds (RFC 9562 section 5.7)."""
    value = (now_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return NoticeId(str(UUID(int=value)))


def kid(text: str) -> Kid:
    """Read a key id, 43 characters of base64url with zero trailing bits; raise `FormError`."""
    if not _KID.fullmatch(text):
        raise FormError("Must be a key id: the 43 characters of an RFC 7638 thumbprint.")
    return Kid(text)


def origin(text: str) -> Origin:
    """Read a log's origin line; raise `FormError`. Spaces and plus signs cannot stand in a note's key name."""
    if not _ORIGIN.fullmatch(text):
        raise FormError("Must be an origin: a host name and path without spaces or plus signs.")
    return Origin(text)
