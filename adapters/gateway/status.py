"""What the gateway tells about notices: what became of one that was sent, what is in the inbox, what a preview says.

Values only; `outbox`, `inbox` and `recipients` make them, and whoever serves them gives them a form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.encoding import Time
from schemas.errors import Error
from schemas.ids import Code, LedgerIndex, NoticeId, ParticipantId, Pattern, Role, Topic
from schemas.label import Label
from schemas.problems import PROBLEMS
from schemas.rules.answer import Changes
from schemas.rules.verdict import Determination, Verdict
from schemas.strict_json import Json


class State(StrEnum):
    """Where an entry of the outbox stands."""

    KEPT = "kept"  # durable, waits for its turn
    SEALED = "sealed"  # its bytes are fixed and durable; sent until answered
    PUBLISHED = "published"
    REFUSED = "refused"  # definitely, by the broker
    RETURNED = "returned"  # to its drafter, who must change it
    RECALLED = "recalled"
    CORRECTED = "corrected"
    EXPIRED = "expired"


WAITING = (State.KEPT, State.SEALED)
ANSWERS = frozenset({"issue", "consent", "permit", "refuse", "withdraw"})
"""Acts by which a notice is answered."""


class Via(StrEnum):
    """Why somebody is a recipient."""

    SENDER = "sender"
    NAMED = "named"
    SUBSCRIPTION = "subscription"
    FOCAL_POINT = "focal-point"  # of a recipient's State, for a notice with a clock
    DEPUTY = "deputy"  # of a focal point, likewise
    HOLDER = "holder"  # has the notice that is corrected or recalled
    ASKED = "asked"  # only asked about: would not get it
    GRANT = "grant"  # was granted the notice after it was published


class Text(StrEnum):
    """Which text of a notice somebody gets."""

    FULL = "full"
    SANITISED = "sanitised"  # without its nominal part


@dataclass(frozen=True, slots=True)
class Kept:
    """An accepted request: the id where its outcome is found, and whether this call made it."""

    notice_id: NoticeId
    created: bool


@dataclass(frozen=True, slots=True)
class Denial:
    """Who is denied what, by which condition of whose rules, in words that a person can look up."""

    participant: ParticipantId
    condition: Code
    layer: str
    state: Role | None
    instrument: str
    article: str
    reason: Mapping[str, str] = field(hash=False)
    evaluated_by: str

    @classmethod
    def of(cls, participant: ParticipantId, why: Determination) -> "Denial":
        """Return the denial that a decision's condition is for a participant."""
        return cls(
            participant=participant,
            condition=why.condition,
            layer=why.layer,
            state=why.state,
            instrument=why.instrument,
            article=why.article,
            reason=why.reasons,
            evaluated_by=why.evaluated_by,
        )

    @classmethod
    def from_json(cls, value: Json) -> "Denial":
        """Read a denial as `to_json` and the broker write it; what is no text reads as empty."""
        m = value if isinstance(value, dict) else {}
        text = {k: v for k, v in m.items() if isinstance(v, str)}
        reason = m.get("reason")
        return cls(
            participant=ParticipantId(text.get("participant", "")),
            condition=Code(text.get("condition", "")),
            layer=text.get("layer", ""),
            state=Role(text["state"]) if "state" in text else None,
            instrument=text.get("instrument", ""),
            article=text.get("article", ""),
            reason={k: v for k, v in reason.items() if isinstance(v, str)} if isinstance(reason, dict) else {},
            evaluated_by=text.get("evaluated_by", ""),
        )

    def to_json(self) -> dict[str, Json]:
        """Return the denial with its members in order."""
        return {
            "participant": self.participant,
            "condition": self.condition,
            "layer": self.layer,
            "state": self.state,
            "instrument": self.instrument,
            "article": self.article,
            "reason": dict(self.reason),
            "evaluated_by": self.evaluated_by,
        }


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an entry is where it is: a problem of `schemas.problems`, explained, and who was denied."""

    code: str
    detail: str
    hint: str
    pointer: str | None = None
    denied: tuple[Denial, ...] = ()

    @property
    def title(self) -> str:
        """Return the problem's title."""
        return PROBLEMS[self.code].title if self.code in PROBLEMS else self.code

    @classmethod
    def of(cls, error: Error, denied: tuple[Denial, ...] = ()) -> "Trouble":
        """Return what an error says."""
        return cls(error.code, error.detail, error.hint, error.pointer, denied)

    @classmethod
    def from_json(cls, value: dict[str, Json]) -> "Trouble":
        """Read what `to_json` wrote."""
        pointer, denied = value["pointer"], value["denied"]
        assert isinstance(denied, list)
        return cls(
            code=str(value["code"]),
            detail=str(value["detail"]),
            hint=str(value["hint"]),
            pointer=None if pointer is None else str(pointer),
            denied=tuple(Denial.from_json(item) for item in denied),
        )

    def to_json(self) -> dict[str, Json]:
        """Return the trouble with its members in order."""
        return {
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "hint": self.hint,
            "pointer": self.pointer,
            "denied": [item.to_json() for item in self.denied],
        }


@dataclass(frozen=True, slots=True)
class Addressee:
    """A recipient of a sent notice, why it is one, and when it acknowledged."""

    participant: ParticipantId
    via: Via
    acknowledged_at: Time | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Somebody who would have been a recipient, and why not: denied, or `detail` where no rule says so."""

    participant: ParticipantId
    via: Via
    detail: str
    denied: Denial | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was said about a notice: asked, granted, permitted, refused, consented, certified, corrected, recalled.

    `ref` is what it answers or is about; `said` what it says beside its text: `use`, `reason`, `until`, `deleted_at`, `for`.
    `state` is the outbox's where it is one's own, else that of the inbox.
    """

    notice_id: NoticeId
    act: str
    participant: ParticipantId
    at: Time
    ref: NoticeId | None
    state: str
    own: bool
    to: tuple[ParticipantId, ...]
    said: Mapping[str, Json] = field(hash=False)
    text: str | None


class DutyState(StrEnum):
    """How an obligation stands."""

    STANDING = "standing"  # as long as the notice is there
    PERMITTED = "permitted"  # the originator has permitted what it forbids
    OPEN = "open"  # something is to be done
    OVERDUE = "overdue"
    MET = "met"
    EFFECTIVE = "effective"  # nobody has answered in its time, and the law takes silence for consent
    WITH_SENDER = "with-sender"  # the sender's gateway does it when it seals


@dataclass(frozen=True, slots=True)
class Duty:
    """An obligation of a received notice, or the answer that it waits for; `why` is the condition that asks for it.

    `due` is when it must be done; at `escalates` the State's focal point answers for it, at `deputy_at` the deputy.
    """

    participant: ParticipantId
    notice_id: NoticeId
    code: Code
    state: DutyState
    due: Time | None
    escalates: Time | None
    deputy_at: Time | None
    met_at: Time | None
    met_by: NoticeId | None
    permitted_until: Time | None
    why: Mapping[str, Json] = field(hash=False)


@dataclass(frozen=True, slots=True)
class SanitisedCopy:
    """The sanitised copy of an own notice: a notice of its own, once the whole one is published.

    Until then `id` and `state` are None and `recipients` those whom it will be for.
    """

    id: NoticeId | None
    state: State | None
    recipients: tuple[Addressee, ...]
    left_out: tuple[LeftOut, ...]
    problem: Trouble | None


@dataclass(frozen=True, slots=True)
class NoticeStatus:
    """What became of a statement that was accepted from a caller. `aliases` are ids that it was sealed under before."""

    id: NoticeId
    notice_id: NoticeId
    aliases: tuple[NoticeId, ...]
    participant: ParticipantId
    act: str
    state: State
    topic: Topic | None
    label: Label | None
    ref: NoticeId | None
    thread: NoticeId | None
    expires_at: Time | None
    accepted_at: Time
    sealed_at: Time | None
    published_at: Time | None
    attempts: int
    receipt: str | None
    index: LedgerIndex | None
    recipients: tuple[Addressee, ...]
    left_out: tuple[LeftOut, ...]
    problem: Trouble | None
    refusal: str | None
    corrected_by: NoticeId | None
    recalled_by: NoticeId | None
    history: tuple[Event, ...] = ()
    reply_due: Time | None = None
    """When answers to it are due, by its label and the time of its leaf; None before it is published."""
    notice: Mapping[str, Json] | None = field(default=None, repr=False)
    """What an issue or correction says, as long as it was neither recalled nor has expired."""
    text: Text = Text.FULL
    """Which text those have whom it was sealed to."""
    sanitised: SanitisedCopy | None = None
    """The copy of it without nominal part, where somebody gets one."""
    sanitised_of: NoticeId | None = None
    """The own notice whose sanitised copy it is."""

    @property
    def answered_by(self) -> tuple[ParticipantId, ...]:
        """Return who has answered it, in the order of their answers."""
        said = (one.participant for one in self.history if not one.own and one.act in ANSWERS)
        return tuple(dict.fromkeys(said))

    @property
    def certified_by(self) -> tuple[ParticipantId, ...]:
        """Return who has certified that its text is gone there, in the order of their certificates."""
        said = (one.participant for one in self.history if not one.own and one.act == "certify")
        return tuple(dict.fromkeys(said))

    @property
    def kind(self) -> Code | None:
        """Return the notice's kind."""
        return None if self.label is None else self.label.kind

    @property
    def acknowledged_by(self) -> tuple[Addressee, ...]:
        """Return the recipients that have acknowledged it."""
        return tuple(item for item in self.recipients if item.acknowledged_at is not None)


@dataclass(frozen=True, slots=True)
class Considered:
    """One candidate in a preview: whether it would get the notice, under which verdict, and what is owed.

    `changes` are the smallest sets of changes under which the law would permit it, where it does not; `complete` says
    that these are all of them. `sanitised` says that it gets the text without its nominal part.
    """

    participant: ParticipantId
    via: Via
    permitted: bool
    detail: str
    verdict: Verdict | None
    changes: tuple[Changes, ...] = ()
    complete: bool = True
    sanitised: bool = False

    @property
    def text(self) -> Text | None:
        """Return which text it would get, None where none."""
        return Text.SANITISED if self.sanitised else Text.FULL if self.permitted else None

    @property
    def answer(self) -> str:
        """Return `yes`, `yes-if`, `no`, or `unknown` where the search for changes ended before it found any."""
        if self.permitted and self.verdict is not None:
            return "yes-if" if self.verdict.obligations else "yes"
        return "yes" if self.permitted else "yes-if" if self.changes else "no" if self.complete else "unknown"


@dataclass(frozen=True, slots=True)
class SanitisedPreview:
    """The copy without nominal part of a notice that is previewed: for whom, what it says, and what it leaves out.

    `asked` says whether the request asks for it, `alone` that nobody may have the whole notice, so that it goes in its place.
    `left_out` are pointers into the request.
    """

    asked: bool
    alone: bool
    recipients: tuple[ParticipantId, ...]
    label: Label
    notice: Mapping[str, Json] = field(repr=False, hash=False)
    left_out: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TopicPreview:
    """What a preview says of one topic of a pattern, as if the notice were about that."""

    topic: Topic
    publish: Verdict
    changes: tuple[Changes, ...]
    complete: bool
    candidates: tuple[Considered, ...]
    would_send: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """What would happen to a notice that is sent now; nothing was sent.

    `publish` is the verdict on the sender, `changes` what would permit it where it is denied, `complete` whether that is
    all. `directory`, `boundary` and `checked_at` (of the newest checkpoint) say on what knowledge it rests; `problem`
    what would give it back to its drafter.
    """

    label: Label
    publish: Verdict
    changes: tuple[Changes, ...]
    complete: bool
    candidates: tuple[Considered, ...]
    would_send: bool
    problem: Trouble | None
    directory: int
    boundary: Time | None
    checked_at: Time
    sanitised: SanitisedPreview | None = None
    """The sanitised copy that some may have, whether it is asked for or not; None where there is none to be had."""
    topics: tuple[TopicPreview, ...] = ()
    """The same for each topic of the pattern that was asked about."""


class InboxState(StrEnum):
    """How a delivered notice stands in the inbox."""

    OPENED = "opened"
    UNREADABLE = "unreadable"  # authentic, but not of its kind's schema, or no key here opens it
    UNVERIFIED = "unverified"  # not what its statement says: kept as evidence, nothing of it may be used
    CORRECTED = "corrected"
    RECALLED = "recalled"
    DELETED = "deleted"  # its text was deleted here, by its date or by a person


@dataclass(frozen=True, slots=True)
class InboxItem:
    """A notice that arrived: who said what when, and in clear what it says."""

    seq: int
    notice_id: NoticeId
    participant: ParticipantId
    act: str
    state: InboxState
    sender: ParticipantId
    topic: Topic | None
    thread: NoticeId | None
    ref: NoticeId | None
    label: Label | None
    notice: dict[str, Json] | None
    reason: str | None
    obligations: tuple[Mapping[str, Json], ...]
    index: LedgerIndex
    published_at: Time
    arrived_at: Time
    expires_at: Time | None
    statement_digest: str
    superseded_by: NoticeId | None
    recalled_by: NoticeId | None
    acknowledged_at: Time | None
    acknowledgement: NoticeId | None
    granted_by: NoticeId | None = None
    deleted_at: Time | None = None
    certificate: NoticeId | None = None
    verdict: Mapping[str, Json] | None = None
    """What this gateway's rules said when it arrived, in six languages; None where they were not asked."""
    duties: tuple[Duty, ...] = ()
    history: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A pattern, and the index of the leaf that subscribed it; None while that is on its way."""

    pattern: Pattern
    index: LedgerIndex | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must see; `stops` says that nothing is sent while it lasts."""

    kind: str
    since: Time
    seen: Time
    detail: str
    stops: bool
    over: Time | None


@dataclass(frozen=True, slots=True)
class Check:
    """One step that `doctor` looked at: `ok`, `warning` or `missing`, and what to do."""

    name: str
    state: str
    detail: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the gateway serves, and what is wrong where it does not, or only partly."""

    ready: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an import that was refused: its number, the column, why, and the cell, escaped and cut."""

    row: int
    column: str | None
    reason: str
    cell: str | None


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did, or would do. Read rows are imported, known already, or refused."""

    rows_read: int
    rows_imported: int
    rows_refused: int
    already_known: int
    notices: tuple[NoticeId, ...]
    refused: tuple[Row, ...]
    dry_run: bool
