"""What: a substance with its quantity.

A substance is known by name and CAS number; codes of the Harmonized System change with its editions and are therefore
dated. The quantity is a decimal string; its unit is a UCUM code or, where there is none, free text.
"""

from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.codes import code_list
from schemas.ids import Code
from schemas.notice.forms import AnyCode, Cas, Count, Decimal, HsNumber, In, Line, Part, Percent, Unit, Year, refuse
from schemas.notice.text import Form, Packaging, Text


class HsCode(Part):
    """A code of the Harmonized System in the edition of a year."""

    number: HsNumber
    edition: Year


class Substance(Part):
    """One substance: `name` as it was written, and how much of it."""

    name: Line
    code: Annotated[AnyCode, In("substances")] | None = None
    cas: Cas | None = None
    other_names: Annotated[tuple[Line, ...], Field(strict=False)] = ()
    control: Annotated[AnyCode, In("control")] | None = None
    hs: HsCode | None = None
    quantity: Decimal | None = None
    unit: Unit | None = None
    unit_text: Line | None = None
    purity: Percent | None = None
    form: Form | None = None
    packaging: Packaging | None = None
    packages: Count | None = None
    logo: Text | None = None
    remarks: Text | None = None

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        if self.unit is not None and self.unit_text is not None:
            refuse("Must have a UCUM unit or a unit in free text, not both.")
        return self

    def __str__(self) -> str:
        """Return name and quantity in English where the substance has a code: `Heroin 89.47 kg`."""
        known = code_list("substances").entries.get(Code(self.code)) if self.code else None
        unit = (self.unit or self.unit_text or "").strip("{}")
        return " ".join(filter(None, (known.name() if known else self.name, self.quantity, self.quantity and unit)))


Substances = Annotated[tuple[Substance, ...], Field(strict=False, min_length=1)]


def in_words(substances: tuple[Substance, ...]) -> str:
    """Return the first substance in words and how many there are besides."""
    more = len(substances) - 1
    return f"{substances[0]} and {more} more" if more else str(substances[0])
