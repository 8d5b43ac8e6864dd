"""Query parameters: exact decimal numbers, each name once, no others. The pointer of a refusal is `/query/<name>`."""

import re
from typing import Annotated, Final

from fastapi import Depends, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas import ids
from schemas.errors import FormError
from schemas.limits import LIMITS

WAIT_SECONDS: Final = 30
PAGE: Final = 100
PAGE_MOST: Final = 200

_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


def _decimal(value: object) -> object:
    """Read a decimal number in its one form: neither sign nor leading zero, space or underscore, 16 digits at most."""
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError("Must be a decimal number")
    return int(value)


def _pattern(value: object) -> object:
    try:
        return ids.pattern(str(value))
    except FormError as error:
        raise ValueError(error.detail) from None


Cursor = Annotated[int, BeforeValidator(_decimal), Field(ge=0, le=LIMITS.integer)]
Limit = Annotated[int, BeforeValidator(_decimal), Field(ge=1, le=PAGE_MOST)]
Wait = Annotated[int, BeforeValidator(_decimal), Field(ge=0, le=WAIT_SECONDS)]
TopicPattern = Annotated[
    str,
    BeforeValidator(_pattern),
    Field(pattern=r"^(\*|[a-z0-9][a-z0-9-]*)\.(\*|[a-z0-9][a-z0-9-]*)$", max_length=256),
]


class PageQuery(BaseModel):
    """Where to go on, and how much at most."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: Cursor = 0
    limit: Limit = PAGE


class FeedQuery(PageQuery):
    """A page of the feed: also how many seconds to wait for something new, and of which topics."""

    wait: Wait = 0
    topic: TopicPattern = "*.*"


def each_once(request: Request) -> None:
    """Refuse a parameter that is given twice: readers do not agree on which one counts."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in FeedQuery.model_fields:
        if names.count(name) > 1:
            raise FormError("This parameter is given twice.", pointer=f"/query/{name}")


EachOnce: Final = Depends(each_once)
