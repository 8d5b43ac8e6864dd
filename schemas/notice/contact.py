"""Who answers: authorities and officers."""

from typing import Annotated

from pydantic import Field

from schemas.notice.forms import AnyCode, Country, In, Language, Line, Part
from schemas.notice.text import Text


class Authority(Part):
    """An authority; `agency` is its kind."""

    name: Line
    agency: Annotated[AnyCode, In("agencies")] | None = None
    country: Country | None = None


class Officer(Part):
    """The officer responsible and how to reach them."""

    name: Line
    authority: Line | None = None
    telephone: Line | None = None
    email: Line | None = None
    languages: Annotated[tuple[Language, ...], Field(strict=False)] = ()
    how_to_reach: Text | None = None
