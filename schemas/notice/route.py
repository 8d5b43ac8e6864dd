"""Kind `route`: what is known of a trafficking route (after WCO CEN and INCB IONICS). It names no persons."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from schemas.notice.conveyance import Conveyances
from schemas.notice.evaluation import Evaluation
from schemas.notice.forms import refuse
from schemas.notice.notice import Notice
from schemas.notice.place import Geometry, Period, Places
from schemas.notice.substance import Substances, in_words
from schemas.notice.text import Concealment, Frequency, Reported, Text, Trend
from schemas.strict_json import Json


class Route(Notice):
    """A route: what moves along it, from where through where to where, how, how often, and what is changing.

    `origin` is where the substances are made, `departure` where consignments set out; `course` is the way as a line or
    the region as an area; `change` is the sign of change; `confidence` grades the information.
    """

    kind: Literal["route"] = "route"
    substances: Substances
    origin: Places = ()
    departure: Places = ()
    transit: Places = ()
    destination: Places = ()
    course: Geometry | None = None
    conveyances: Conveyances = ()
    period: Period | None = None
    concealment: Annotated[tuple[Concealment, ...], Field(strict=False)] = ()
    frequency: Frequency | None = None
    change: Trend | None = None
    confidence: Evaluation | None = None
    remarks: Text | None = None
    reported: Annotated[tuple[Reported, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if not (self.origin or self.departure or self.transit or self.destination or self.course):
            refuse("Must name a place or a course.")
        return self

    def headline(self) -> str:
        """Return, for instance, `Heroin — AF → Khujand, TJ → RU — since 2026-01-01`."""
        ways = [place for places in (self.origin, self.departure, self.transit, self.destination) for place in places]
        way = " → ".join(map(str, ways)) or "a course on the map"
        period = f" — {self.period}" if self.period else ""
        return f"{in_words(self.substances)} — {way}{period}"


EXAMPLE: Final[dict[str, Json]] = {
    "kind": "route",
    "reference": "TJ-R-2026-08",
    "substances": [
        {"name": "Methamphetamine", "code": "methamphetamine", "cas": "537-46-2", "form": {"code": "crystal"}},
        {"name": "Heroin", "code": "heroin", "cas": "561-27-3"},
    ],
    "origin": [{"country": "AF", "division": "Badakhshan"}],
    "departure": [{"country": "TJ", "name": "Khorog", "border_point": "Tem bridge"}],
    "transit": [{"country": "KG", "name": "Osh", "unlocode": "KGOSS"}, {"country": "KZ"}],
    "destination": [{"country": "RU", "division": "Sverdlovsk Region"}],
    "course": {
        "type": "LineString",
        "coordinates": [["71.5536", "37.4897"], ["72.7985", "40.5283"], ["76.9286", "43.2567"], ["60.6122", "56.8519"]],
    },
    "conveyances": [{"mode": {"code": "road-commercial"}}, {"mode": {"code": "rail"}}],
    "period": {"since": "2026-01-01", "until": "2026-03-31"},
    "concealment": [{"code": "food", "text": "dried fruit", "language": "en"}],
    "frequency": {"code": "weekly"},
    "change": {"code": "new", "text": "methamphetamine joins loads that were heroin alone", "language": "en"},
    "confidence": {"scheme": "admiralty-6x6", "code": "B2"},
    "remarks": {"language": "en", "text": "Three seizures in ten weeks with the same packaging."},
}
