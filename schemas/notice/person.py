"""Persons: the nominal part of a notice, kept apart from the rest.

A notice with a nominal part has the label `nominal: true`; rules limit who may receive it. Officials who answer for a
notice are contacts, not persons in this sense.
"""

from typing import Annotated, Literal

from pydantic import Field

from schemas.notice.forms import AnyCode, Country, Date, In, Line, Part
from schemas.notice.place import Place
from schemas.notice.text import PersonRole, Text

SpecialCategory = Annotated[AnyCode, In("special-categories")]


class IdentityDocument(Part):
    """A passport, identity card or licence."""

    type: Line
    number: Line
    issued_by: Country | None = None
    valid_until: Date | None = None


class Person(Part):
    """A natural person: the part played in the case and what identifies the person."""

    role: PersonRole
    family_name: Line | None = None
    given_names: Line | None = None
    other_names: Annotated[tuple[Line, ...], Field(strict=False)] = ()
    sex: Literal["female", "male", "other", "unknown"] | None = None
    born: Date | None = None
    born_at: Place | None = None
    nationalities: Annotated[tuple[Country, ...], Field(strict=False)] = ()
    documents: Annotated[tuple[IdentityDocument, ...], Field(strict=False)] = ()
    address: Place | None = None
    remarks: Text | None = None


class Nominal(Part):
    """The nominal part: at least one person. `special_categories` says which kinds of specially protected data it holds."""

    persons: Annotated[tuple[Person, ...], Field(strict=False, min_length=1)]
    special_categories: Annotated[tuple[SpecialCategory, ...], Field(strict=False)] = ()
