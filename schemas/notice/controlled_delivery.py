"""Kind `controlled-delivery`: the request, with the ten items that treaties list.

The items are those of, for instance, article 13(3) of the police treaty between Austria and Italy: requesting
authority; offence, reasons, facts and state of the investigation; substances and concealment; entry and exit; means
and route; suspects; approving authority and its order; officer responsible; surveillance; other. Consent, handover
and the rest of the room are acts, not members of this notice.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.notice.attachment import Attachment
from schemas.notice.contact import Authority, Officer
from schemas.notice.conveyance import Conveyances
from schemas.notice.forms import Count, Date, Line, Part
from schemas.notice.notice import Notice
from schemas.notice.person import Nominal
from schemas.notice.place import Itinerary, Period, Place
from schemas.notice.substance import Substances, in_words
from schemas.notice.terms import Terms
from schemas.notice.text import Concealment, Reported, Surveillance, Text
from schemas.strict_json import Json


class Approval(Part):
    """Who approved the delivery, and the order: its number, its date, and a copy where one is attached."""

    authority: Authority
    order: Line
    date: Date
    copy_of_order: Attachment | None = None


class ControlledDelivery(Notice):
    """A request for a controlled delivery. Item 6, the suspects, is the nominal part and may be unknown.

    `window` is when the delivery may run; `heartbeat_minutes` proposes how often each State reports while it does.
    `terms` says in codes what the laws concerned ask about.
    """

    kind: Literal["controlled-delivery"] = "controlled-delivery"
    authority: Authority  # 1
    offence: Text  # 2
    reasons: Text
    facts: Text
    investigation: Text
    substances: Substances  # 3
    concealment: Annotated[tuple[Concealment, ...], Field(strict=False)] = ()
    entry: Place  # 4
    exit: Place
    conveyances: Annotated[Conveyances, Field(min_length=1)]  # 5
    route: Itinerary
    approval: Approval  # 7
    officer: Officer  # 8
    surveillance: Annotated[tuple[Surveillance, ...], Field(strict=False, min_length=1)]  # 9
    window: Period
    heartbeat_minutes: Count | None = None
    other: Text | None = None  # 10
    terms: Terms | None = None
    reported: Annotated[tuple[Reported, ...], Field(strict=False)] = ()
    nominal: Nominal | None = None  # 6

    def headline(self) -> str:
        """Return, for instance, `Controlled delivery: Cocaine 20 kg — Antwerp, BE → Aachen, DE — since 2026-05-02`."""
        return f"Controlled delivery: {in_words(self.substances)} — {self.entry} → {self.exit} — {self.window}"


EXAMPLE: Final[dict[str, Json]] = {
    "kind": "controlled-delivery",
    "reference": "AT-CD-2026-03",
    "authority": {"name": "Public Prosecutor's Office, Vienna", "agency": "prosecutor", "country": "AT"},
    "offence": {"language": "en", "text": "Import of narcotic drugs in a large quantity by an organised group."},
    "reasons": {"language": "en", "text": "An interception at the border would not reach the organisers."},
    "facts": {"language": "en", "text": "A lorry with a false floor leaves Trieste on the night of 2 May."},
    "investigation": {"language": "en", "text": "Open since January 2026; two receivers are identified."},
    "substances": [
        {"name": "Cocaine", "code": "cocaine", "cas": "50-36-2", "quantity": "42.5", "unit": "kg", "packages": 40}
    ],
    "concealment": [{"code": "car-parts", "text": "false floor of the trailer", "language": "en"}],
    "entry": {"country": "IT", "name": "Tarvisio", "border_point": "Coccau"},
    "exit": {"country": "AT", "name": "Vienna"},
    "conveyances": [{"mode": {"code": "road-commercial"}, "identifier": "TS 000 AA", "registered_in": "IT"}],
    "route": {
        "origin": {"country": "CO"},
        "departure": {"country": "IT", "unlocode": "ITTRS"},
        "transit": [{"country": "IT", "name": "Udine"}],
        "destination": {"country": "AT", "name": "Vienna"},
    },
    "approval": {
        "authority": {"name": "Public Prosecutor's Office, Vienna", "agency": "prosecutor", "country": "AT"},
        "order": "706 St 12/26x",
        "date": "2026-04-28",
    },
    "officer": {
        "name": "Duty officer, narcotics unit",
        "authority": "Criminal Intelligence Service",
        "telephone": "+43 1 0000000",
        "email": "duty@example.org",
        "languages": ["de", "it", "en"],
        "how_to_reach": {"language": "en", "text": "Day and night by telephone."},
    },
    "surveillance": [{"code": "visual"}, {"code": "tracking-device"}],
    "window": {"since": "2026-05-02T18:00:00Z", "until": "2026-05-04T06:00:00Z"},
    "heartbeat_minutes": 30,
    "other": {"language": "en", "text": "The load stays unopened until Vienna."},
    "terms": {
        "offences": ["drug-trafficking", "organised-crime"],
        "authorised_by": ["prosecutor"],
        "assistance": "before",
        "last_resort": True,
        "constant_surveillance": True,
        "final_interception": True,
        "foreign_officers": False,
        "dangerous_goods": [],
        "handover": [{"country": "IT", "name": "Tarvisio"}],
        "languages": ["de", "en", "it"],
    },
    "nominal": {
        "persons": [
            {"role": {"code": "driver"}, "family_name": "Example", "given_names": "Person", "nationalities": ["IT"]}
        ]
    },
}
