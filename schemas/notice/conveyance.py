"""By what means: conveyances."""

from typing import Annotated

from pydantic import Field

from schemas.notice.forms import Country, Line, Part
from schemas.notice.text import Mode, Text


class Conveyance(Part):
    """A means of transport: its mode and, where known, which one."""

    mode: Mode
    identifier: Line | None = None
    registered_in: Country | None = None
    carrier: Line | None = None
    remarks: Text | None = None


Conveyances = Annotated[tuple[Conveyance, ...], Field(strict=False)]
