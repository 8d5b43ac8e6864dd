"""What the gateway answers, as documents: one model an answer, made from the values of `adapters.gateway.status`.

Members are never left out: what is not known is null. The OpenAPI document takes its schemas from here.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from adapters.gateway.status import DutyState, InboxState, State, Text, Via
from schemas.label import Label
from schemas.rules.answer import in_words
from schemas.rules.changes import Change
from schemas.rules.verdict import Effect

_FORM = ConfigDict(frozen=True, extra="forbid", from_attributes=True, use_enum_values=True)

LabelDocument = Annotated[Label, Field(description="The label as it stands in the signed statement.")]
Reasons = Annotated[Mapping[str, str], Field(description="A sentence by language: en, fr, de, it, ru, es.")]
Plain = Annotated[dict[str, Any], WithJsonSchema({"type": "object"})]


class Document(BaseModel):
    """The base of all answers."""

    model_config = _FORM


class ProblemDocument(BaseModel):
    """A problem (RFC 9457): why not, and what to do. Some types have further members."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = Field(pattern="^urn:valise:problem:[a-z-]+$")
    title: str
    status: int
    detail: str
    hint: str
    pointer: str = Field(default="", description="RFC 6901 pointer to the member in question; absent where none is.")
    offset: int = Field(default=0, description="Place in the body; absent where none is known.")


class DenialDocument(Document):
    """Who is denied, by which condition of whose rules."""

    participant: str
    condition: str
    layer: str
    state: str | None
    instrument: str
    article: str
    reason: Reasons
    evaluated_by: str


class TroubleDocument(Document):
    """Why an entry is where it is."""

    code: str
    title: str
    detail: str
    hint: str
    pointer: str | None
    denied: tuple[DenialDocument, ...]


class AddresseeDocument(Document):
    """A recipient, why it is one, and when it acknowledged."""

    participant: str
    via: Via
    acknowledged_at: str | None


class LeftOutDocument(Document):
    """Somebody who would have been a recipient, and why not."""

    participant: str
    via: Via
    detail: str
    denied: DenialDocument | None


class AcceptedDocument(Document):
    """The gateway has the request durably; what becomes of it is at `href`."""

    id: str
    status: State
    href: str


class PublishedDocument(AcceptedDocument):
    """The notice stands in the ledger at `index`, says the broker's `receipt` (compact JWS)."""

    receipt: str
    index: int


class EventDocument(Document):
    """Something that was said about a notice; `said` has its codes and times, `text` is a stranger's unless `own`."""

    id: str = Field(validation_alias="notice_id")
    act: str
    participant: str
    at: str
    ref: str | None
    status: str = Field(validation_alias="state")
    own: bool
    to: tuple[str, ...]
    said: Plain
    text: str | None


class DutyDocument(Document):
    """An obligation of a received notice, or the answer that it waits for. All times are UTC.

    Past `due` an answer is overdue and, from `escalates` on, the focal point's to give; from `deputy_at` on its deputy's.
    """

    notice_id: str
    code: str
    state: DutyState
    due: str | None
    escalates: str | None
    deputy_at: str | None
    met_at: str | None
    met_by: str | None
    permitted_until: str | None
    why: Plain


class DutiesDocument(Document):
    """What a participant owes, the nearest time first, 1,000 at most."""

    duties: tuple[DutyDocument, ...]


class DelegationDocument(Document):
    """Who stands in for whom, from when until when, by the ledger's leaf at `index`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)

    by: str
    to: str
    from_: str = Field(alias="from")
    until: str
    index: int


class DelegationsDocument(Document):
    """Who stands in for a State's focal point now or later."""

    delegations: tuple[DelegationDocument, ...]


class SanitisedCopyDocument(Document):
    """The copy of a notice without its nominal part: a notice of its own, found under its `id`, with those who get it."""

    id: str | None = Field(description="Null until the whole notice is published; so is `status`.")
    status: State | None = Field(validation_alias="state")
    recipients: tuple[AddresseeDocument, ...]
    left_out: tuple[LeftOutDocument, ...]
    problem: TroubleDocument | None


class NoticeDocument(Document):
    """What became of a notice, correction, recall or subscription that was accepted."""

    id: str
    status: State = Field(validation_alias="state")
    notice_id: str = Field(description="Id in the ledger; differs from `id` once it had to be sealed anew.")
    aliases: tuple[str, ...]
    act: str
    kind: str | None
    topic: str | None
    label: LabelDocument | None
    ref: str | None
    thread: str | None
    expires_at: str | None
    accepted_at: str
    sealed_at: str | None
    published_at: str | None
    attempts: int
    index: int | None
    receipt: str | None
    recipients: tuple[AddresseeDocument, ...]
    left_out: tuple[LeftOutDocument, ...]
    problem: TroubleDocument | None
    refusal: str | None
    corrected_by: str | None
    recalled_by: str | None
    reply_due: str | None = Field(
        description="When answers are due, in UTC; null where none is, or it is not published."
    )
    answered_by: tuple[str, ...]
    certified_by: tuple[str, ...] = Field(description="Who has certified that the text is gone there.")
    history: tuple[EventDocument, ...]
    notice: Plain | None = Field(
        description="What an issue or correction says; null once it was recalled or has expired, and in lists without `texts`."
    )
    text: Text = Field(
        description="Which text its `recipients` got: the full one, or the one without its nominal part."
    )
    sanitised: SanitisedCopyDocument | None = Field(description="Its sanitised copy, and who got that; null for none.")
    sanitised_of: str | None = Field(description="The notice whose sanitised copy it is, null where it is none.")


class NoticesDocument(Document):
    """A page of one's own notices in the order of acceptance; `next` is the cursor of the following page."""

    next: int
    notices: tuple[NoticeDocument, ...]


class DeterminationDocument(Document):
    """One condition that applied."""

    condition: str
    layer: str
    state: str | None
    effect: Effect
    instrument: str
    article: str
    reason: Reasons
    evaluated_by: str
    obligation: str | None
    parameters: Mapping[str, str | tuple[str, ...]]


class VerdictDocument(Document):
    """The answer of the rules to one question, and the versions that it rests on."""

    permitted: bool
    determining: tuple[DeterminationDocument, ...]
    obligations: tuple[DeterminationDocument, ...]
    directory: int
    boundary: str | None
    unseen: tuple[DeterminationDocument, ...] = Field(
        description="Conditions over contents that who decided does not see; they are left to the gateways."
    )


class ChangeDocument(Document):
    """One thing to change about a notice: `way` names what, `value` to what; in words by language."""

    way: str
    value: str
    says: Reasons

    @model_validator(mode="before")
    @classmethod
    def _of(cls, value: object) -> object:
        return {**value._asdict(), "says": in_words(value)} if isinstance(value, Change) else value


Changes = Annotated[
    tuple[tuple[ChangeDocument, ...], ...],
    Field(description="The smallest sets of changes under which the law would permit it; any one of them does."),
]


Complete = Annotated[
    bool, Field(description="Whether these are all such sets; else the search ended before, and there may be more.")
]


class ConsideredDocument(Document):
    """One candidate: whether it would get the notice, why, and what would make it lawful."""

    participant: str
    via: Via
    permitted: bool
    answer: Literal["yes", "yes-if", "no", "unknown"]
    detail: str
    verdict: VerdictDocument | None
    changes: Changes
    complete: Complete
    text: Text | None = Field(description="Which text it would get; null for none.")


class SanitisedPreviewDocument(Document):
    """The copy without nominal part that some may have: what it says, and which members of the request it leaves out.

    It is sent where the request says `sanitise`. Free text stays as it is written: read it before you send it.
    """

    asked: bool = Field(description="Whether the request says `sanitise`.")
    alone: bool = Field(description="Nobody may have the whole notice: it is sent in its place.")
    recipients: tuple[str, ...]
    label: LabelDocument
    notice: Plain
    left_out: tuple[str, ...] = Field(description="RFC 6901 pointers into the request.")


class TopicPreviewDocument(Document):
    """What the preview says of one topic, as if the notice were about that."""

    topic: str
    publish: VerdictDocument
    changes: Changes
    complete: Complete
    candidates: tuple[ConsideredDocument, ...]
    would_send: bool


class PreviewDocument(Document):
    """What would happen to a notice that is sent now. Nothing was sent."""

    label: LabelDocument
    publish: VerdictDocument
    changes: Changes
    complete: Complete
    candidates: tuple[ConsideredDocument, ...]
    would_send: bool
    problem: TroubleDocument | None
    directory: int
    boundary: str | None
    checked_at: str
    sanitised: SanitisedPreviewDocument | None = Field(description="Null where a sanitised copy would help nobody.")
    topics: tuple[TopicPreviewDocument, ...] = Field(description="The same for each topic of `pattern`; else empty.")


class InboxItemDocument(Document):
    """A notice that arrived. `notice` is in clear; treat its texts as a stranger's."""

    id: str = Field(validation_alias="notice_id")
    status: InboxState = Field(validation_alias="state")
    seq: int
    act: str
    sender: str
    topic: str | None
    thread: str | None
    ref: str | None
    label: LabelDocument | None
    notice: Plain | None
    reason: str | None = Field(
        description="Why it cannot be read, in English; `verdict` has what a law says, and where."
    )
    verdict: VerdictDocument | None = Field(
        description="What this gateway's rules said when it arrived; null where they were not asked."
    )
    obligations: tuple[Plain, ...]
    index: int
    published_at: str
    arrived_at: str
    expires_at: str | None
    statement_digest: str
    superseded_by: str | None
    recalled_by: str | None
    acknowledged_at: str | None
    granted_by: str | None = Field(description="The grant that it came through, null where it was sent here at once.")
    deleted_at: str | None
    certificate: str | None
    duties: tuple[DutyDocument, ...]
    history: tuple[EventDocument, ...]


class InboxDocument(Document):
    """A page of the inbox in the order of arrival; `next` is the cursor of the following page."""

    next: int
    items: tuple[InboxItemDocument, ...]


class AcknowledgedDocument(Document):
    """The notices that were acknowledged now, and not before."""

    acknowledged: tuple[str, ...]


class SubscriptionDocument(Document):
    """A pattern, and the index of the ledger's leaf that subscribed it; null while that is on its way."""

    pattern: str
    index: int | None


class SubscriptionsDocument(Document):
    """What the participant is subscribed to, by the ledger."""

    subscriptions: tuple[SubscriptionDocument, ...]


class RowDocument(Document):
    """A row that was refused: where, why, and the cell, escaped and cut at 80 characters."""

    row: int
    column: str | None
    reason: str
    cell: str | None


class ImportDocument(Document):
    """What an import did or would do: read rows are imported, known already, or refused."""

    rows_read: int
    rows_imported: int
    rows_refused: int
    already_known: int
    notices: tuple[str, ...]
    refused: tuple[RowDocument, ...]
    dry_run: bool


class CheckDocument(Document):
    """One step that was looked at."""

    name: str
    state: str
    detail: str
    hint: str | None


class AlarmDocument(Document):
    """Something that a person must see; `stops` says that nothing is sent while it lasts."""

    kind: str
    since: str
    seen: str
    detail: str
    stops: bool
    over: str | None


class DoctorDocument(Document):
    """How the gateway is, step by step from its keys to a receipt."""

    well: bool
    checks: tuple[CheckDocument, ...]
    alarms: tuple[AlarmDocument, ...]


class HealthDocument(Document):
    """Whether the gateway serves; `reasons` says why not, or what it lacks."""

    ready: bool
    reasons: tuple[str, ...]
