"""A draft: what a participant says, complete but for its recipients, its seal and its signatures.

It is what the outbox keeps. It is sealed only when it is about to be sent, so that a key or a law that changed in the
meantime is obeyed. Its bytes are the gateway's own and never leave it.
"""

from dataclasses import dataclass

import orjson

from adapters.gateway.status import Addressee, Via
from schemas.encoding import Time
from schemas.ids import Code, Kid, NoticeId, ParticipantId, Pattern, Topic
from schemas.label import Label
from schemas.statement import DelegationBody, OpenBody, RevocationBody, SubscriptionBody
from schemas.strict_json import Json


@dataclass(frozen=True, slots=True)
class Draft:
    """One statement to come. `notice` is the plaintext beside the label (None for an open act), `to` those named.

    `ref` and `thread` are notice ids as they will stand in the statement; a `thread` of None is the notice's own id.
    `beside` get a copy where they may have one; `closed` says that it goes to nobody else than named, whoever subscribes.
    `sanitise` asks for sanitised copies for those who may have it only without its nominal part, `whole_for` says who
    alone may have that part (None: whom the rules allow). `sanitised` says that it was taken out here, and `copy_for` whom
    such a copy is for and why: it goes to them instead of to those named.
    """

    act: str
    topic: Topic | None
    label: Label | None
    notice: dict[str, Json] | None
    to: tuple[ParticipantId, ...]
    expires_at: Time | None
    ref: NoticeId | None = None
    thread: NoticeId | None = None
    body: OpenBody | None = None
    beside: tuple[ParticipantId, ...] = ()
    closed: bool = False
    sanitise: bool = False
    whole_for: tuple[ParticipantId, ...] | None = None
    sanitised: bool = False
    copy_for: tuple[Addressee, ...] = ()

    def encode(self) -> bytes:
        """Return the draft's bytes for the store."""
        return orjson.dumps(
            {
                "act": self.act,
                "topic": self.topic,
                "label": None if self.label is None else self.label.to_json(),
                "notice": self.notice,
                "to": self.to,
                "expires_at": self.expires_at,
                "ref": self.ref,
                "thread": self.thread,
                "body": None if self.body is None else self.body.to_json(),
                "beside": self.beside,
                "closed": self.closed,
                "sanitise": self.sanitise,
                "whole_for": self.whole_for,
                "sanitised": self.sanitised,
                "copy_for": [[item.participant, item.via] for item in self.copy_for],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Draft":
        """Read what `encode` wrote."""
        value = orjson.loads(data)
        return cls(
            act=value["act"],
            topic=value["topic"],
            label=None if value["label"] is None else Label.from_json(value["label"]),
            notice=value["notice"],
            to=tuple(value["to"]),
            expires_at=value["expires_at"],
            ref=value["ref"],
            thread=value["thread"],
            body=_body(value["body"]),
            # An older version kept drafts without these.
            beside=tuple(value.get("beside", ())),
            closed=bool(value.get("closed", False)),
            sanitise=bool(value.get("sanitise", False)),
            whole_for=None if (whole := value.get("whole_for")) is None else tuple(whole),
            sanitised=bool(value.get("sanitised", False)),
            copy_for=tuple(Addressee(who, Via(via)) for who, via in value.get("copy_for", ())),
        )


def _body(value: dict[str, Json] | None) -> OpenBody | None:
    if value is None:
        return None
    if "to" in value:
        return DelegationBody(ParticipantId(str(value["to"])), Time(str(value["from"])), Time(str(value["until"])))
    who = ParticipantId(str(value["participant"]))
    patterns, kids = value.get("patterns"), value.get("kids")
    if isinstance(patterns, list):
        return SubscriptionBody(who, tuple(Pattern(str(item)) for item in patterns))
    assert isinstance(kids, list)  # the store holds no other body
    return RevocationBody(who, tuple(Kid(str(item)) for item in kids), Code(str(value["reason"])))
