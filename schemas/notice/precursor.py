"""Kind `precursor`: an incident with a precursor chemical (after INCB PICS)."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.codes import code_list
from schemas.ids import Code
from schemas.notice.conveyance import Conveyances
from schemas.notice.evaluation import Evaluation
from schemas.notice.forms import Country, Date, Line, Part, When
from schemas.notice.notice import Notice
from schemas.notice.person import Nominal
from schemas.notice.place import Itinerary, Place
from schemas.notice.substance import Substances, in_words
from schemas.notice.text import Concealment, OperatorRole, PrecursorAction, PrecursorEvent, Reported, Text
from schemas.strict_json import Json


class Operator(Part):
    """A company in the trade and the part that it played. Natural persons stand in the nominal part."""

    name: Line
    role: OperatorRole
    country: Country | None = None
    address: Place | None = None
    authorisation: Line | None = None


class Document(Part):
    """A trade document: invoice, permit, bill of lading."""

    type: Line
    number: Line | None = None
    date: Date | None = None
    issued_by: Line | None = None


class Precursor(Notice):
    """A precursor incident: what happened, which substance and list, who traded, and what is asked of others.

    `pen_reference` is the number of the pre-export notification in PEN Online; `actions` is what is asked, a
    backtracking investigation for instance.
    """

    kind: Literal["precursor"] = "precursor"
    event: PrecursorEvent
    when: When
    where: Place
    substances: Substances
    operators: Annotated[tuple[Operator, ...], Field(strict=False)] = ()
    documents: Annotated[tuple[Document, ...], Field(strict=False)] = ()
    route: Itinerary | None = None
    conveyances: Conveyances = ()
    concealment: Annotated[tuple[Concealment, ...], Field(strict=False)] = ()
    pen_reference: Line | None = None
    reason: Text | None = None
    actions: Annotated[tuple[PrecursorAction, ...], Field(strict=False)] = ()
    evaluation: Evaluation | None = None
    remarks: Text | None = None
    reported: Annotated[tuple[Reported, ...], Field(strict=False)] = ()
    nominal: Nominal | None = None

    def headline(self) -> str:
        """Return, for instance, `Stopped shipment: Acetic anhydride 9600 kg — Mersin, TR — 2026-02-11`."""
        known = code_list("precursor-events").entries.get(Code(self.event))
        what = known.name() if known else self.event
        return f"{what}: {in_words(self.substances)} — {self.where} — {self.when}"


EXAMPLE: Final[dict[str, Json]] = {
    "kind": "precursor",
    "reference": "PICS-2026-0112",
    "event": "stopped",
    "when": "2026-02-11",
    "where": {"country": "TR", "name": "Mersin", "unlocode": "TRMER"},
    "substances": [
        {
            "name": "Acetic anhydride",
            "code": "acetic-anhydride",
            "cas": "108-24-7",
            "other_names": ["acetic oxide"],
            "control": "table-i",
            "hs": {"number": "2915.24", "edition": "2022"},
            "quantity": "9600",
            "unit": "kg",
            "form": {"code": "liquid"},
            "packaging": {"code": "drum"},
            "packages": 48,
        }
    ],
    "operators": [
        {
            "name": "Example Kimya A.S.",
            "role": {"code": "exporter"},
            "country": "TR",
            "authorisation": "TR-PRE-2025-771",
        },
        {
            "name": "Example Trading FZE",
            "role": {"code": "consignee"},
            "country": "IQ",
            "address": {"country": "IQ", "name": "Erbil"},
        },
    ],
    "documents": [{"type": "invoice", "number": "INV-55102", "date": "2026-02-03", "issued_by": "Example Kimya A.S."}],
    "route": {
        "origin": {"country": "TR"},
        "departure": {"country": "TR", "unlocode": "TRMER"},
        "destination": {"country": "IQ", "name": "Erbil"},
        "routing": {"code": "outbound"},
    },
    "conveyances": [{"mode": {"code": "road-commercial"}, "identifier": "33 ABC 001", "registered_in": "TR"}],
    "pen_reference": "PEN-TR-2026-00318",
    "reason": {"language": "en", "text": "The importer is not registered, and the address is a residence."},
    "actions": [{"code": "backtracking"}, {"code": "verify-operator"}],
    "evaluation": {"scheme": "europol-4x4", "code": "B2"},
}
