"""The broker's answers as types, read strictly. What they claim is not trusted yet: signatures are checked elsewhere."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from adapters.client.errors import AnswerError
from schemas import encoding, ids, strict_json
from schemas.encoding import B64, Members, Time, b64decode
from schemas.envelope import Envelope
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Code, LedgerIndex, NoticeId, ParticipantId, Pattern, Topic
from schemas.leaf import Leaf
from schemas.limits import LIMITS
from schemas.strict_json import Json


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the feed: the next cursor, the size of the checkpoint that all its inclusions are for, deliveries."""

    next: int
    size: int
    deliveries: tuple[dict[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What the broker says of those who were asked about, by a label alone, under which versions."""

    sender: ParticipantId
    directory: int
    boundary: Time | None
    evaluator: str
    answers: tuple[dict[str, Json], ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A notice that a decision withholds from the caller, and the condition that does."""

    notice_id: NoticeId
    index: LedgerIndex
    sender: ParticipantId
    topic: Topic | None
    since: Time
    condition: Code
    layer: str
    state: str | None
    instrument: str
    article: str
    reason: dict[str, str]


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as the broker counts it, with the statement that made it."""

    participant: ParticipantId
    pattern: Pattern
    index: LedgerIndex
    statement: bytes
    proof: bytes


@dataclass(frozen=True, slots=True)
class LogObject:
    """What stands behind a leaf: an event's bytes, or a statement's with its proof's."""

    document: bytes
    proof: bytes | None


@dataclass(frozen=True, slots=True)
class Audited:
    """One statement of the log as an auditor gets it."""

    index: LedgerIndex
    leaf: Leaf
    statement: bytes
    proof: bytes
    body_digest: B64 | None
    erased: bool


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A page of statements, and the cursor behind it."""

    next: int
    statements: tuple[Audited, ...]


@dataclass(frozen=True, slots=True)
class Published:
    """One sealed statement of one's own as it was published: its leaf's index and time (Unix ms), the whole envelope."""

    index: LedgerIndex
    received_at: int
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class OwnPage:
    """A page of one's own statements, and the cursor behind it."""

    next: int
    statements: tuple[Published, ...]


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A role's upload that took effect: the directory version, and the index of its leaf."""

    version: int
    index: LedgerIndex


def page(data: bytes) -> Page:
    """Read a page of the feed, in the one encoding; raise `AnswerError`."""
    with _answer("a page of the feed"):
        m = Members(encoding.parse(data, limit=LIMITS.batch), ("next", "size", "deliveries"))
        deliveries = tuple(item for item in m.items("deliveries") if isinstance(item, dict))
        if len(deliveries) != len(m.items("deliveries")):
            raise FormError("Must be objects.", pointer="/deliveries")
        return Page(m.integer("next"), m.integer("size"), deliveries)


def receipt(data: bytes) -> str:
    """Return the compact JWS of a publish's answer; raise `AnswerError`."""
    with _answer("a receipt"):
        return Members(strict_json.parse(data), ("receipt",)).string("receipt")


@dataclass(frozen=True, slots=True)
class LineResult:
    """What a batch's answer says of one line: its status, and the receipt or the problem document; neither is verified."""

    status: int
    receipt: str | None
    problem: dict[str, Json]


def results(data: bytes, count: int) -> tuple[LineResult | AnswerError, ...]:
    """Read the answer to a batch of `count` lines: a result for each, or an `AnswerError` in its place.

    Raises `AnswerError` where they cannot be told apart.
    """
    lines = data.split(b"\n", count + 1)
    if len(lines) != count + 1 or lines.pop():
        raise AnswerError("What the broker answered is not a result for each line.")
    return tuple(_result(line) for line in lines)


_PUBLISHED = re.compile(rb'\{"status":(200|201),"receipt":"([A-Za-z0-9_.-]+)"\}')
"""The result that nearly every line has, as our broker writes it; in any other form it is read below."""


def _result(line: bytes) -> LineResult | AnswerError:
    published = _PUBLISHED.fullmatch(line)
    if published is not None:
        return LineResult(int(published[1]), published[2].decode("ascii"), {})
    try:
        with _answer("a line's result"):
            value = strict_json.parse_object(line)
            if "receipt" in value:
                m = Members(value, ("status", "receipt"))
                status = m.integer("status")
                if status not in (200, 201):
                    raise FormError("Must be 200 or 201.", pointer="/status")
                return LineResult(status, m.string("receipt"), {})
            told = value.get("status")
            if not isinstance(told, int) or not 400 <= told < 600:
                raise FormError("Must be a problem's status.", pointer="/status")
            return LineResult(told, None, value)
    except AnswerError as error:
        return error


def held(data: bytes) -> tuple[Held, ...]:
    """Read the list of what is withheld; raise `AnswerError`."""
    with _answer("the list of what is held"):
        m = Members(strict_json.parse(data, limit=LIMITS.batch), ("held",))
        return tuple(_held(item, f"/held/{n}") for n, item in enumerate(m.items("held")))


_HELD = (
    "notice_id",
    "index",
    "sender",
    "topic",
    "since",
    "condition",
    "layer",
    "state",
    "instrument",
    "article",
    "reason",
)


def _held(value: Json, at: str) -> Held:
    m = Members(value, _HELD, at)
    reason = m.value["reason"]
    return Held(
        notice_id=m.matching("notice_id", ids.notice_id),
        index=LedgerIndex(m.integer("index")),
        sender=m.matching("sender", ids.participant),
        topic=None if m.absent("topic") else m.matching("topic", ids.topic),
        since=m.time("since"),
        condition=m.matching("condition", ids.code),
        layer=m.string("layer"),
        state=None if m.absent("state") else m.string("state"),
        instrument=m.string("instrument"),
        article=m.string("article"),
        reason={k: v for k, v in reason.items() if isinstance(v, str)} if isinstance(reason, dict) else {},
    )


def subscriptions(data: bytes) -> tuple[Subscription, ...]:
    """Read the list of subscriptions; raise `AnswerError`."""
    with _answer("the list of subscriptions"):
        m = Members(strict_json.parse(data, limit=LIMITS.batch), ("subscriptions",))
        return tuple(_subscription(item, f"/subscriptions/{n}") for n, item in enumerate(m.items("subscriptions")))


def _subscription(value: Json, at: str) -> Subscription:
    m = Members(value, ("participant", "pattern", "index", "statement", "proof"), at)
    return Subscription(
        m.matching("participant", ids.participant),
        m.matching("pattern", ids.pattern),
        LedgerIndex(m.integer("index")),
        b64decode(m.binary("statement")),
        _proof(m),
    )


def log_object(data: bytes) -> LogObject:
    """Read what stands behind a leaf; raise `AnswerError`."""
    with _answer("an object of the log"):
        value = strict_json.parse_object(data, limit=2 * LIMITS.body)
        if "event" in value:
            return LogObject(b64decode(Members(value, ("event",)).binary("event")), None)
        m = Members(value, ("statement", "proof"))
        return LogObject(b64decode(m.binary("statement")), _proof(m))


def audit_page(data: bytes) -> AuditPage:
    """Read a page of statements; raise `AnswerError`."""
    with _answer("a page of statements"):
        m = Members(strict_json.parse(data, limit=LIMITS.batch), ("next", "statements"))
        rows = tuple(_audited(item, f"/statements/{n}") for n, item in enumerate(m.items("statements")))
        return AuditPage(m.integer("next"), rows)


def _audited(value: Json, at: str) -> Audited:
    m = Members(value, ("index", "leaf", "statement", "proof", "body_digest", "erased"), at)
    return Audited(
        index=LedgerIndex(m.integer("index")),
        leaf=Leaf.parse(b64decode(m.binary("leaf", 41))),
        statement=b64decode(m.binary("statement")),
        proof=_proof(m),
        body_digest=None if m.absent("body_digest") else m.binary("body_digest", 32),
        erased=m.boolean("erased"),
    )


def own_page(data: bytes) -> OwnPage:
    """Read a page of one's own statements; raise `AnswerError`."""
    with _answer("a page of one's own statements"):
        m = Members(strict_json.parse(data, limit=LIMITS.batch), ("next", "statements"))
        rows = tuple(_own(item, f"/statements/{n}") for n, item in enumerate(m.items("statements")))
        return OwnPage(m.integer("next"), rows)


def _own(value: Json, at: str) -> Published:
    m = Members(value, ("index", "received_at", "envelope"), at)
    envelope = m.value["envelope"]
    if not isinstance(envelope, dict):
        raise FormError("Must be an object.", pointer=f"{at}/envelope")
    parsed = Envelope.parse(encoding.encode(envelope))
    return Published(LedgerIndex(m.integer("index")), m.integer("received_at"), parsed)


_RESOLVED = ("participant", "topic", "action", "answer", "verdict", "changes", "complete")


def resolved(data: bytes) -> Resolved:
    """Read the answers to a question about recipients; raise `AnswerError`."""
    with _answer("answers about recipients"):
        m = Members(
            strict_json.parse(data, limit=LIMITS.batch), ("sender", "directory", "boundary", "evaluator", "answers")
        )
        return Resolved(
            sender=m.matching("sender", ids.participant),
            directory=m.integer("directory"),
            boundary=None if m.absent("boundary") else m.time("boundary"),
            evaluator=m.string("evaluator"),
            answers=tuple(_resolved(item, f"/answers/{n}") for n, item in enumerate(m.items("answers"))),
        )


def _resolved(value: Json, at: str) -> dict[str, Json]:
    m = Members(value, _RESOLVED, at)
    m.matching("participant", ids.participant)
    verdict = m.value["verdict"]
    if not isinstance(verdict, dict) or not {"permitted", "determining", "obligations", "unseen"} <= verdict.keys():
        raise FormError("Must be a verdict.", pointer=f"{at}/verdict")
    return dict(m.value)


def uploaded(data: bytes) -> Uploaded:
    """Read the answer to a role's upload; raise `AnswerError`."""
    with _answer("the answer to an upload"):
        m = Members(strict_json.parse(data), ("version", "index"))
        return Uploaded(m.integer("version"), LedgerIndex(m.integer("index")))


def _proof(m: Members) -> bytes:
    proof = m.value["proof"]
    if not isinstance(proof, dict):
        raise FormError("Must be an object.", pointer=f"{m.at}/proof")
    return encoding.encode(proof)


@contextmanager
def _answer(what: str) -> Iterator[None]:
    try:
        yield
    except (FormError, MalformedError, TooLargeError) as error:
        raise AnswerError(f"What the broker answered is not {what}: {error.detail}", pointer=error.pointer) from None
