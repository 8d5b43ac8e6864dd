"""Where: country, place, border point, UN/LOCODE, GeoJSON; routes as lists of such places; periods.

Geometries are GeoJSON (RFC 7946) points, lines and areas in WGS 84, longitude first, with one difference: coordinates
are decimal **strings**, since a plaintext holds no floats. Altitudes, and the winding of rings, are not looked at.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from schemas.notice.forms import Country, Latitude, Line, Longitude, Part, UnLocode, When, refuse
from schemas.notice.text import Routing

Position = Annotated[tuple[Longitude, Latitude], Field(strict=False)]
Positions = Annotated[tuple[Position, ...], Field(strict=False)]


class Point(Part):
    """GeoJSON Point."""

    type: Literal["Point"]
    coordinates: Position


class LineString(Part):
    """GeoJSON LineString: two positions or more."""

    type: Literal["LineString"]
    coordinates: Annotated[Positions, Field(min_length=2)]


class Polygon(Part):
    """GeoJSON Polygon: closed rings of four positions or more, the outer one first."""

    type: Literal["Polygon"]
    coordinates: Annotated[tuple[Positions, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if any(len(ring) < 4 or ring[0] != ring[-1] for ring in self.coordinates):
            refuse("Must have rings of at least four positions, the last one equal to the first.")
        return self


Geometry = Annotated[Point | LineString | Polygon, Field(discriminator="type")]


class Place(Part):
    """A place, as exactly as it is known.

    `country_text` is the country as it was written, where it has no code or says more or other than the code does.
    """

    country: Country | None = None
    country_text: Line | None = None
    division: Line | None = None
    name: Line | None = None
    unlocode: UnLocode | None = None
    border_point: Line | None = None
    geometry: Geometry | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if all(value is None for value in self.__dict__.values()):
            refuse("Must say something about the place.")
        # XZ stands for installations in international waters, outside any country.
        if self.unlocode and self.country and self.unlocode[:2] not in (self.country, "XZ"):
            refuse("Must have a UN/LOCODE in the country that is named.")
        return self

    def __str__(self) -> str:
        """Return the place in a few words, smallest first: `Yerevan, AM`."""
        smallest = self.name or self.border_point or self.division or self.unlocode
        return ", ".join(filter(None, (smallest, self.country or self.country_text))) or "a place on the map"


Places = Annotated[tuple[Place, ...], Field(strict=False)]


class Itinerary(Part):
    """The way of one consignment: where it was made, left from, passed, and was going to."""

    origin: Place | None = None
    departure: Place | None = None
    transit: Places = ()
    destination: Place | None = None
    routing: Routing | None = None


class Period(Part):
    """A period; one end may be open. Both ends belong to it."""

    since: When | None = None
    until: When | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.since is None and self.until is None:
            refuse("Must have a beginning, an end, or both.")
        # A date stands for the whole day: compare as exactly as both ends are known.
        if self.since and self.until:
            exact = min(len(self.since), len(self.until))
            if self.since[:exact] > self.until[:exact]:
                refuse("Must not end before it begins.")
        return self

    def __str__(self) -> str:
        """Return the period in a few words."""
        if self.since == self.until:
            return str(self.since)
        return " ".join(filter(None, (self.since and f"since {self.since}", self.until and f"until {self.until}")))
