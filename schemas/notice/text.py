"""Free text, which keeps its language, and words that may or may not have a code."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.limits import LIMITS
from schemas.notice.forms import AnyCode, In, Language, Line, Part, refuse


class Text(Part):
    """Free text with its language; `und` where the language is not known."""

    language: Language
    text: Annotated[str, Field(min_length=1, max_length=LIMITS.import_cell)]


class Coded(Part):
    """A word of a code list, or a word that has no code there, or both: the code and what was written."""

    code: AnyCode | None = None
    text: Line | None = None
    language: Language | None = None

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.code is None and self.text is None:
            refuse("Must have a code, a text, or both.")
        if self.language is not None and self.text is None:
            refuse("Must not have a language without a text.")
        return self


class Reported(Part):
    """A word of the report that a notice was made from and that has no member of its own."""

    label: Line
    text: Line


Concealment = Annotated[Coded, In("concealment")]
Detection = Annotated[Coded, In("detection-methods")]
Form = Annotated[Coded, In("substance-forms")]
Frequency = Annotated[Coded, In("frequencies")]
Installation = Annotated[Coded, In("installation")]
Mode = Annotated[Coded, In("conveyance")]
OperatorRole = Annotated[Coded, In("operator-roles")]
Packaging = Annotated[Coded, In("packaging")]
PersonRole = Annotated[Coded, In("person-roles")]
PrecursorAction = Annotated[Coded, In("precursor-actions")]
PrecursorEvent = Annotated[AnyCode, In("precursor-events")]
Routing = Annotated[Coded, In("routing")]
Surveillance = Annotated[Coded, In("surveillance-methods")]
Trend = Annotated[Coded, In("trends")]
