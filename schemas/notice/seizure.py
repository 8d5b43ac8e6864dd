"""Kind `seizure`: drugs or other goods that were seized (after WCO CEN and the UNODC individual drug seizures)."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.notice.attachment import Attachments
from schemas.notice.contact import Authority
from schemas.notice.conveyance import Conveyances
from schemas.notice.evaluation import Evaluation
from schemas.notice.forms import Line, When
from schemas.notice.notice import Notice
from schemas.notice.person import Nominal
from schemas.notice.place import Itinerary, Place
from schemas.notice.substance import Substances, in_words
from schemas.notice.text import Concealment, Detection, Installation, Reported, Text
from schemas.strict_json import Json


class Seizure(Notice):
    """A seizure: when, where, by whom, what and how much, how it was found, moved and hidden."""

    kind: Literal["seizure"] = "seizure"
    when: When
    where: Place
    agency: Authority | None = None
    substances: Substances
    detection: Annotated[tuple[Detection, ...], Field(strict=False)] = ()
    conveyances: Conveyances = ()
    route: Itinerary | None = None
    installation: Installation | None = None
    concealment: Annotated[tuple[Concealment, ...], Field(strict=False)] = ()
    laboratory_reference: Line | None = None
    photos: Attachments = ()
    evaluation: Evaluation | None = None
    remarks: Text | None = None
    reported: Annotated[tuple[Reported, ...], Field(strict=False)] = ()
    nominal: Nominal | None = None

    def headline(self) -> str:
        """Return, for instance, `Heroin 89.47 kg — Yerevan, AM — 2011-07-01`."""
        return f"{in_words(self.substances)} — {self.where} — {self.when}"


EXAMPLE: Final[dict[str, Json]] = {
    "kind": "seizure",
    "reference": "KZ-2026-00417",
    "when": "2026-03-14T05:20:00Z",
    "where": {
        "country": "KZ",
        "division": "Zhambyl Region",
        "name": "Merke",
        "border_point": "BCP Sypatay Batyr",
        "geometry": {"type": "Point", "coordinates": ["73.1883", "42.8731"]},
    },
    "agency": {"name": "Department of State Revenue, Zhambyl", "agency": "customs", "country": "KZ"},
    "substances": [
        {
            "name": "Heroin",
            "code": "heroin",
            "cas": "561-27-3",
            "control": "single-convention-1961",
            "quantity": "12.480",
            "unit": "kg",
            "purity": "61.5",
            "form": {"code": "powder"},
            "packaging": {"code": "brick"},
            "packages": 24,
            "logo": {"language": "en", "text": "Red scorpion with the number 777"},
        }
    ],
    "detection": [{"code": "risk-analysis"}, {"code": "x-ray"}],
    "conveyances": [
        {
            "mode": {"code": "road-commercial"},
            "identifier": "01 KG 417 ABC",
            "registered_in": "KG",
            "carrier": "A haulier of Bishkek",
        }
    ],
    "route": {
        "origin": {"country": "AF"},
        "departure": {"country": "TJ", "name": "Khujand"},
        "transit": [{"country": "KG"}],
        "destination": {"country": "RU", "name": "Samara"},
        "routing": {"code": "inbound"},
    },
    "installation": {"code": "checkpoint"},
    "concealment": [{"code": "car-parts", "text": "fuel tank with a double wall", "language": "en"}],
    "laboratory_reference": "LAB/26/0931",
    "evaluation": {"scheme": "europol-4x4", "code": "A1"},
    "remarks": {"language": "ru", "text": "Двойное дно сварено недавно."},
    "nominal": {
        "persons": [
            {
                "role": {"code": "driver"},
                "family_name": "Example",
                "given_names": "Person",
                "born": "1984-02-29",
                "nationalities": ["KG"],
                "documents": [{"type": "passport", "number": "AC0000000", "issued_by": "KG"}],
            }
        ]
    },
}
