"""Query parameters and header fields: exact forms, each once, no others. A refusal's pointer is `/query/<name>`."""

import re
from typing import Annotated, Final

from fastapi import Depends, Header, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.convertors import Convertor, register_url_convertor

from adapters.gateway.status import DutyState, State
from schemas.errors import Error, FormError
from schemas.ids import FORMS
from schemas.limits import LIMITS

PAGE: Final = 50
PAGE_MOST: Final = 200
WAIT_MOST: Final = 30

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_WAIT: Final = re.compile(r"wait\s*=\s*\"?([0-9]{1,4})\"?", re.ASCII | re.IGNORECASE)
_FLAGS: Final = {"true": True, "false": False}


def _decimal(value: object) -> object:
    if isinstance(value, int):
        return value  # the default
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError("Must be a decimal number")
    return int(value)


def _flag(value: object) -> object:
    if isinstance(value, str) and value not in _FLAGS:
        raise ValueError("Must be true or false")
    return _FLAGS[value] if isinstance(value, str) else value


Cursor = Annotated[int, BeforeValidator(_decimal), Field(ge=0, le=LIMITS.integer)]
Limit = Annotated[int, BeforeValidator(_decimal), Field(ge=1, le=PAGE_MOST)]
Flag = Annotated[bool, BeforeValidator(_flag)]
TopicPattern = Annotated[str, Field(pattern=f"^(?:{FORMS['pattern']})$", max_length=129)]


class _Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NoticesQuery(_Query):
    """A page of one's own notices, of one status or all, perhaps with what they say."""

    after: Cursor = 0
    limit: Limit = PAGE
    status: State | None = None
    texts: Flag = False


class PreviewQuery(_Query):
    """Whether each State's focal point is asked about too, though it would not get the notice, and under which other topics."""

    states: Flag = False
    pattern: TopicPattern | None = None


class InboxQuery(_Query):
    """A page of the inbox, perhaps only what nobody acknowledged."""

    after: Cursor = 0
    limit: Limit = PAGE
    unacknowledged: Flag = False


class DutiesQuery(_Query):
    """Duties of one state or all."""

    state: DutyState | None = None


class InboxStreamQuery(_Query):
    """Where a stream of the inbox begins, and perhaps only what nobody acknowledged."""

    after: Cursor = 0
    unacknowledged: Flag = False


class ImportQuery(_Query):
    """How to import: nothing is sent by a dry run; `name` is the file's and must agree with the body's type."""

    dry_run: Flag = False
    routes: Flag = False
    name: Annotated[
        str | None,
        Field(max_length=200, description="The file's name: ends with .csv, or with .csv.gz for application/gzip."),
    ] = None


def each_once(request: Request) -> None:
    """Refuse a parameter that is given twice: readers do not agree on which one counts."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names):
        raise FormError("A parameter is given twice.", pointer="/query")


EachOnce: Final = Depends(each_once)
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="A name for the request, 1 to 255 visible characters: repeating it makes nothing new.",
    ),
]
Prefer = Annotated[
    str | None, Header(description="`wait=N` waits up to N seconds (30 at most) for the outcome (RFC 7240).")
]


class _NoticeIdConvertor(Convertor[str]):
    """Lets a path's segment be a notice's id only if it has the form of one: no other text can be an address."""

    regex = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"

    def convert(self, value: str) -> str:
        """Return the text as it stands."""
        return value

    def to_string(self, value: str) -> str:
        """Return the text as it stands."""
        return value


register_url_convertor("notice", _NoticeIdConvertor())


def seconds_of(prefer: str | None) -> int:
    """Return how long the caller prefers to wait; what is not understood is ignored, as RFC 7240 wants it."""
    for preference in (prefer or "").split(","):
        if match := _WAIT.fullmatch(preference.partition(";")[0].strip()):
            return min(int(match[1]), WAIT_MOST)
    return 0


def missing() -> Error:
    """Return the error for a notice that is not there, or is another participant's."""
    return Error("There is no notice of this id for you.", problem="not-found")
