"""The signed statement of an envelope (spec/statement.md): names, digests and times, one encoding, no content.

Form only: that a digest is right, a key in force or an act allowed is for `keys.envelope` and the broker to say.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

from schemas import encoding, ids
from schemas.acts import ACTS, Act, Body, Ref
from schemas.encoding import B64, Members, Time, is_time
from schemas.errors import FormError, MalformedError
from schemas.ids import Code, Kid, NoticeId, Origin, ParticipantId, Pattern, Topic
from schemas.label import Label
from schemas.limits import LIMITS
from schemas.strict_json import Json

BOUND: Final = (
    "v",
    "origin",
    "notice_id",
    "sender",
    "act",
    "ref",
    "thread",
    "topic",
    "label",
    "expires_at",
)
"""The members that the seal binds: they cannot change without breaking it."""

MEMBERS: Final = (*BOUND, "issued_at", "nonce", "body", "sealed", "attachments", "checkpoint")


@dataclass(frozen=True, slots=True)
class SubscriptionBody:
    """Of `subscribe` and `unsubscribe`: whose subscription, to which patterns."""

    participant: ParticipantId
    patterns: tuple[Pattern, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the body with its members in order."""
        return {"participant": self.participant, "patterns": list(self.patterns)}


@dataclass(frozen=True, slots=True)
class RevocationBody:
    """Of `revoke_key`: whose keys end at this statement's leaf, and why."""

    participant: ParticipantId
    kids: tuple[Kid, ...]
    reason: Code

    def to_json(self) -> dict[str, Json]:
        """Return the body with its members in order."""
        return {"participant": self.participant, "kids": list(self.kids), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class DelegationBody:
    """Of `delegate`: who stands in for a focal point, and when."""

    to: ParticipantId
    from_: Time
    until: Time

    def covers(self, time: Time) -> bool:
        """Say whether it is in force at a time: `from` <= time < `until`."""
        return self.from_ <= time < self.until

    def to_json(self) -> dict[str, Json]:
        """Return the body with its members in order."""
        return {"to": self.to, "from": self.from_, "until": self.until}


OpenBody = SubscriptionBody | RevocationBody | DelegationBody


@dataclass(frozen=True, slots=True)
class SealedDigests:
    """What the statement says of the sealed notice: digests of 32 bytes, the ciphertext's length, how many stanzas."""

    content_digest: B64
    length: int
    recipients_root: B64
    recipient_count: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """SHA-256 and length of an attachment's encrypted bytes."""

    digest: B64
    length: int


@dataclass(frozen=True, slots=True)
class SeenCheckpoint:
    """The newest checkpoint that the sender had verified: gossip against forks."""

    size: int
    root: B64


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement whose form is checked; whether it is true is another type's to say."""

    origin: Origin
    notice_id: NoticeId
    sender: ParticipantId
    act: str
    ref: NoticeId | None
    thread: NoticeId | None
    topic: Topic | None
    label: Label | None
    expires_at: Time | None
    issued_at: Time
    nonce: B64
    body: OpenBody | None
    sealed: SealedDigests | None
    attachments: tuple[Attachment, ...]
    checkpoint: SeenCheckpoint

    @property
    def form(self) -> Act:
        """Return the form of this statement's act."""
        return ACTS[self.act]

    @classmethod
    def parse(cls, data: bytes) -> "Statement":
        """Read a statement in the one encoding; raise `MalformedError` or `FormError`."""
        return _plain(data) or cls.from_json(encoding.parse(data))

    @classmethod
    def from_json(cls, value: Json) -> "Statement":
        """Read a statement from its parsed object; raise `FormError`."""
        m = Members(value, MEMBERS)
        m.fixed("v", 1)
        act = ACTS.get(m.string("act"))
        if act is None:
            raise FormError("Must be an act of spec/acts.md.", pointer="/act")
        notice_id = m.matching("notice_id", ids.notice_id)
        statement = cls(
            origin=m.matching("origin", ids.origin),
            notice_id=notice_id,
            sender=m.matching("sender", ids.participant),
            act=act.name,
            ref=None if m.absent("ref") else m.matching("ref", ids.notice_id),
            thread=None if m.absent("thread") else m.matching("thread", ids.notice_id),
            topic=None if m.absent("topic") else m.matching("topic", ids.topic),
            label=None if m.absent("label") else Label.from_json(m.value["label"]),
            expires_at=None if m.absent("expires_at") else m.time("expires_at"),
            issued_at=m.time("issued_at"),
            nonce=m.binary("nonce", 16),
            body=_body(m.value["body"], act.body),
            sealed=None if m.absent("sealed") else _sealed(m.value["sealed"]),
            attachments=tuple(_attachment(item, f"/attachments/{n}") for n, item in enumerate(m.items("attachments"))),
            checkpoint=_checkpoint(m.value["checkpoint"]),
        )
        _check_form(statement, act)
        return statement

    def bound(self) -> bytes:
        """Return the encoding of the bound members as an object of their own; its SHA-256 is the seal's binding."""
        return encoding.encode(self._bound_json())

    def encode(self) -> bytes:
        """Return the statement's bytes in the one encoding."""
        sealed = self.sealed
        return encoding.encode(
            {
                **self._bound_json(),
                "issued_at": self.issued_at,
                "nonce": self.nonce,
                "body": None if self.body is None else self.body.to_json(),
                "sealed": None
                if sealed is None
                else {
                    "content_digest": sealed.content_digest,
                    "length": sealed.length,
                    "recipients_root": sealed.recipients_root,
                    "recipient_count": sealed.recipient_count,
                },
                "attachments": [{"digest": item.digest, "length": item.length} for item in self.attachments],
                "checkpoint": {"size": self.checkpoint.size, "root": self.checkpoint.root},
            }
        )

    def _bound_json(self) -> dict[str, Json]:
        return {
            "v": 1,
            "origin": self.origin,
            "notice_id": self.notice_id,
            "sender": self.sender,
            "act": self.act,
            "ref": self.ref,
            "thread": self.thread,
            "topic": self.topic,
            "label": None if self.label is None else self.label.to_json(),
            "expires_at": self.expires_at,
        }


# Nearly all statements have no body and no attachments. These are read by one expression, at a third of the cost of taking
# their JSON apart: in the one encoding there is only one way to write each. What it does not match, or what is wrong
# otherwise, is read member by member, which says what is wrong.

_TIME: Final = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_DIGEST: Final = "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]"
_NUMBER: Final = "0|[1-9][0-9]{0,15}"
_PLAIN: Final = re.compile(
    rf"""\{{"v":1,"origin":"({ids.FORMS["origin"]})","notice_id":"({ids.FORMS["notice"]})",\
"sender":"({ids.FORMS["participant"]})","act":"([a-z_]+)","ref":(?:null|"({ids.FORMS["notice"]})"),\
"thread":(?:null|"({ids.FORMS["notice"]})"),"topic":(?:null|"({ids.FORMS["topic"]})"),\
"label":(?:null|(\{{[^{{}}]*(?:\{{[^{{}}]*\}}[^{{}}]*)*\}})),"expires_at":(?:null|"({_TIME})"),"issued_at":"({_TIME})",\
"nonce":"([A-Za-z0-9_-]{{21}}[AQgw])","body":null,"sealed":(?:null|\{{"content_digest":"({_DIGEST})",\
"length":({_NUMBER}),"recipients_root":"({_DIGEST})","recipient_count":({_NUMBER})\}}),"attachments":\[\],\
"checkpoint":\{{"size":({_NUMBER}),"root":"({_DIGEST})"\}}\}}""".replace("\\\n", ""),
    re.ASCII,
)
_PLAIN_LONGEST: Final = 4096


def _plain(data: bytes) -> Statement | None:
    """Read a statement of the usual form; None for another one, and for one that is not right."""
    try:
        found = _PLAIN.fullmatch(data.decode("ascii")) if len(data) <= _PLAIN_LONGEST else None
        if found is None or (act := ACTS.get(found[4])) is None:
            return None
        groups: tuple[Any, ...] = found.groups()
        (origin, notice_id, sender, _, ref, thread, topic, label, expires_at, issued_at, nonce,
         content_digest, length, recipients_root, count, size, root) = groups  # fmt: skip
        numbers = [int(number) for number in (length, count, size) if number is not None]
        if max(numbers) > LIMITS.integer or not all(
            is_time(time) for time in (issued_at, expires_at) if time is not None
        ):
            return None
        sealed = None
        if content_digest is not None:
            sealed = SealedDigests(content_digest, numbers[0], recipients_root, numbers[1])
        statement = Statement(
            origin, notice_id, sender, act.name, ref, thread, topic, None if label is None else Label.parse(label),
            expires_at, issued_at, nonce, None, sealed, (), SeenCheckpoint(numbers[-1], root),
        )  # fmt: skip
        _check_form(statement, act)
        _body(None, act.body)
    except (UnicodeDecodeError, MalformedError, FormError):
        return None
    return statement


def _body(value: Json, kind: Body) -> OpenBody | None:
    at = "/body"
    if kind is Body.SUBSCRIPTION:
        m = Members(value, ("participant", "patterns"), at)
        patterns = m.sorted_strings("patterns", ids.pattern, at_least=1)
        return SubscriptionBody(m.matching("participant", ids.participant), patterns)
    if kind is Body.REVOCATION:
        m = Members(value, ("participant", "kids", "reason"), at)
        kids = m.sorted_strings("kids", ids.kid, at_least=1)
        return RevocationBody(m.matching("participant", ids.participant), kids, m.matching("reason", ids.code))
    if kind is Body.DELEGATION:
        m = Members(value, ("to", "from", "until"), at)
        body = DelegationBody(m.matching("to", ids.participant), m.time("from"), m.time("until"))
        if body.from_ >= body.until:
            raise FormError("Must be earlier than `until`.", pointer=f"{at}/from")
        return body
    if value is not None:
        raise FormError("Must be null for this act.", pointer=at)
    return None


def _sealed(value: Json) -> SealedDigests:
    m = Members(value, ("content_digest", "length", "recipients_root", "recipient_count"), "/sealed")
    return SealedDigests(
        m.binary("content_digest", 32),
        m.integer("length"),
        m.binary("recipients_root", 32),
        m.integer("recipient_count"),
    )


def _attachment(value: Json, at: str) -> Attachment:
    m = Members(value, ("digest", "length"), at)
    return Attachment(m.binary("digest", 32), m.integer("length"))


def _checkpoint(value: Json) -> SeenCheckpoint:
    m = Members(value, ("size", "root"), "/checkpoint")
    return SeenCheckpoint(m.integer("size"), m.binary("root", 32))


def _check_form(statement: Statement, act: Act) -> None:
    """Demand what the act's row says of ref, thread, topic, label, expiry, seal and attachments."""

    def present(name: str, value: object, *, wanted: bool) -> None:
        if (value is not None) is not wanted:
            raise FormError(f"Must {'not ' if wanted else ''}be null for this act.", pointer=f"/{name}")

    if act.ref is not Ref.OPTIONAL:
        present("ref", statement.ref, wanted=act.ref is Ref.REQUIRED)
    present("thread", statement.thread, wanted=act.about_notice)
    present("topic", statement.topic, wanted=act.about_notice)
    present("label", statement.label, wanted=act.about_notice)
    present("expires_at", statement.expires_at, wanted=not act.open)
    present("sealed", statement.sealed, wanted=not act.open)
    if act.name == "issue" and statement.ref is None and statement.thread != statement.notice_id:
        raise FormError("Must be the notice's own id where `ref` is null.", pointer="/thread")
    if (act.open or act.name in ("grant", "acknowledge")) and statement.attachments:
        raise FormError("Must be an empty list for this act.", pointer="/attachments")
    if statement.sealed is not None and not 1 <= statement.sealed.recipient_count <= LIMITS.body:
        raise FormError(f"Must be from 1 to {LIMITS.body}.", pointer="/sealed/recipient_count")
