"""What an agency system asks its gateway for: plain JSON, strictly read (design: api, Gateway API).

A label may be partial: what it leaves out comes from the participant's defaults (`labels`). Nothing here knows who may
receive a notice, or whether its content follows its kind's schema.
"""

from typing import Annotated, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetPydanticSchema,
    StringConstraints,
    ValidationError,
)
from pydantic_core import CoreSchema

from schemas import ids, strict_json
from schemas.encoding import Time, is_time
from schemas.errors import FormError
from schemas.ids import Code, NoticeId, ParticipantId, Pattern, Topic
from schemas.limits import LIMITS
from schemas.strict_json import Json

_FORM: Final = ConfigDict(strict=True, frozen=True, extra="forbid")
_M = TypeVar("_M", bound=BaseModel)


def _checked(text: str, check: object) -> str:
    assert callable(check)
    try:
        check(text)
    except FormError as error:
        raise ValueError(error.detail) from None
    return text


def _code(text: Code) -> Code:
    return Code(_checked(text, ids.code))


def _participant(text: ParticipantId) -> ParticipantId:
    return ParticipantId(_checked(text, ids.participant))


def _topic(text: Topic) -> Topic:
    return Topic(_checked(text, ids.topic))


def _pattern(text: Pattern) -> Pattern:
    return Pattern(_checked(text, ids.pattern))


def _notice_id(text: NoticeId) -> NoticeId:
    return NoticeId(_checked(text, ids.notice_id))


def _time(text: Time) -> Time:
    if not is_time(text):
        raise ValueError("Must be a calendar time YYYY-MM-DDTHH:MM:SSZ.")
    return text


_SHORT: Final = StringConstraints(max_length=64)
FormCode = Annotated[Code, _SHORT, AfterValidator(_code)]
FormParticipant = Annotated[ParticipantId, StringConstraints(max_length=200), AfterValidator(_participant)]
FormTopic = Annotated[Topic, StringConstraints(max_length=130), AfterValidator(_topic)]
FormPattern = Annotated[Pattern, StringConstraints(max_length=130), AfterValidator(_pattern)]
FormNoticeId = Annotated[NoticeId, _SHORT, AfterValidator(_notice_id)]
FormTime = Annotated[Time, _SHORT, AfterValidator(_time)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=2000)]


def _any_object(_source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
    # `read` has seen to it that it is strict JSON, and pydantic cannot follow a type that names itself.
    return handler(dict[str, object])


Content = Annotated[dict[str, Json], GetPydanticSchema(_any_object)]
"""A notice as strict JSON, whose kind's schema is `drafting`'s to check."""


class ConditionRequest(BaseModel):
    """One handling condition of the originator: a code and its values."""

    model_config = _FORM

    code: FormCode
    values: Annotated[tuple[FormCode, ...], Field(max_length=256)] = ()


class LabelRequest(BaseModel):
    """The label as far as the caller gives it; what is left out is the participant's default."""

    model_config = _FORM

    tlp: FormCode | None = None
    pap: FormCode | None = None
    handling: Annotated[tuple[FormCode, ...], Field(max_length=64)] | None = None
    urgency: FormCode | None = None
    purpose: FormCode | None = None
    legal_basis: FormCode | None = None
    classification: FormCode | None = None
    reply_due: FormTime | None = None
    exercise: bool = False
    conditions: Annotated[tuple[ConditionRequest, ...], Field(max_length=64)] = ()


class CorrectionRequest(BaseModel):
    """A corrected text of one's own notice; its topic stays, and it goes to everybody who has the first one."""

    model_config = _FORM

    notice: Content
    label: LabelRequest = LabelRequest()
    expires_at: FormTime | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


class NoticeRequest(CorrectionRequest):
    """A notice to send: to whom the subscriptions and rules lead on this topic, and to those named in `to`.

    With `sanitise` those who may have it only without its nominal part get a copy without it.
    """

    topic: FormTopic
    to: Annotated[tuple[FormParticipant, ...], Field(max_length=1000)] = ()
    ref: FormNoticeId | None = None
    # Left out where it is false, so that the same request under one idempotency key reads as it did before there was this.
    sanitise: Annotated[bool, Field(exclude_if=lambda value: not value)] = False


class RecallRequest(BaseModel):
    """Why a notice is taken back: a code, and a sentence for those who have it."""

    model_config = _FORM

    reason: FormCode = Code("withdrawn")
    text: LongText | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


class ClockRequest(BaseModel):
    """What is said with a time within which an answer is due: by an urgency's clock, or at a time of its own."""

    model_config = _FORM

    text: LongText | None = None
    urgency: FormCode | None = None
    reply_due: FormTime | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


class AskAccessRequest(ClockRequest):
    """Whose notice it is that one asks for: its sender, its topic, and its thread where it did not begin one."""

    sender: FormParticipant
    topic: FormTopic
    thread: FormNoticeId | None = None


class AskUseRequest(ClockRequest):
    """For which use, a code of the list `uses`; `for` are those to whom it is to be passed on."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True)

    use: FormCode
    for_: Annotated[tuple[FormParticipant, ...], Field(alias="for", max_length=100)] = ()


class AnswerRequest(BaseModel):
    """A sentence beside an answer."""

    model_config = _FORM

    text: LongText | None = None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


class PermitRequest(AnswerRequest):
    """Until when a use is permitted; without it for as long as the notice is there."""

    until: FormTime | None = None


class ConsentRequest(PermitRequest):
    """Until when one consents."""


class RefuseRequest(AnswerRequest):
    """Why not: a code."""

    reason: FormCode = Code("not-permitted")


class DeleteRequest(AnswerRequest):
    """Why a text is deleted here: a code."""

    reason: FormCode = Code("deleted")


class GrantRequest(BaseModel):
    """Who is to be able to read a notice; in answer to a question nobody need be named."""

    model_config = _FORM

    to: Annotated[tuple[FormParticipant, ...], Field(max_length=100)] = ()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


class DelegationRequest(BaseModel):
    """Who stands in for the focal point, from when until when."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", populate_by_name=True)

    to: FormParticipant
    from_: Annotated[FormTime, Field(alias="from")]
    until: FormTime

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


class PatternsRequest(BaseModel):
    """The topic patterns that a participant subscribes to from now on: all of them, and no others."""

    model_config = _FORM

    patterns: Annotated[tuple[FormPattern, ...], Field(max_length=256)]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


class AcknowledgeRequest(BaseModel):
    """Notices of one's inbox that were read: a duty officer's whole page, or a system's batch."""

    model_config = _FORM

    notices: Annotated[tuple[FormNoticeId, ...], Field(min_length=1, max_length=1000)]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a request's body; raise `MalformedError`, `TooLargeError`, or `FormError` with a pointer."""
        return read(cls, data)


def read(model: type[_M], data: bytes) -> _M:
    """Read strict JSON as a model; raise `MalformedError`, `TooLargeError`, or `FormError` that quotes nothing."""
    strict_json.parse_object(data, limit=LIMITS.body)
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise explained(error) from None


def explained(error: ValidationError) -> FormError:
    """Turn pydantic's first error into ours, without what it quotes of the input."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    location, detail = first["loc"], first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        # The last step is a name that the caller made up; the object around it is ours.
        location, detail = location[:-1], "Has a member that this form does not know."
    return FormError(detail, pointer="".join(f"/{step}" for step in location))
