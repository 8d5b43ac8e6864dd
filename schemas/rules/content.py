"""What an opened notice shows to a law: the facts that its conditions over contents read, and nothing else.

The sender's gateway takes them from a draft, the recipient's from an opened notice; broker and auditors have none and
say so. What a kind's schema has no place for, such as persons in a route, is known to be none where nothing else can say it;
a fact that the notice could state and does not, or that its kind cannot tell, is None, unknown, and a condition that asks
about it denies. `missing` says which member would tell it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from schemas.codes import code_list
from schemas.encoding import Time
from schemas.notice import Notice
from schemas.notice.controlled_delivery import ControlledDelivery
from schemas.notice.person import Nominal
from schemas.notice.place import Itinerary, Period, Place
from schemas.notice.practice import Practice
from schemas.notice.precursor import Precursor
from schemas.notice.route import Route
from schemas.notice.seizure import Seizure
from schemas.notice.substance import Substance
from schemas.notice.terms import Terms
from schemas.notice.text import Text

Codes = frozenset[str]
"""Codes of one code list, or States as roles (`it`)."""

GRAMS: Final = {"t": Fraction(1_000_000), "kg": Fraction(1000), "g": Fraction(1), "mg": Fraction(1, 1000)}
"""UCUM units of mass that amounts add up in; an amount in any other unit is not known."""
_AUTHORITIES: Final = {"prosecutor": "prosecutor", "judicial": "court"}
_SUBSTITUTION: Final = {"substitution": "complete", "partial-substitution": "partial"}
_METHODS: Final[frozenset[str | None]] = frozenset(code_list("surveillance-methods").entries)


@dataclass(frozen=True, slots=True)
class Content:
    """Facts of one notice; None is unknown.

    `states` are the States on the way as roles, `grams` the mass of all substances, `substitution` one of `none`,
    `partial` and `complete`, `decided_in` at which points of the way (`entry`, `exit`, `departure`, `destination`) the
    approving authority is at home, `births` the days on which the persons named were born (empty: nobody is named).
    `begins` and `ends` bound the delivery, or what is reported; `oral_until` is when an oral request is confirmed (`oral`:
    whether it was one). `missing` are pairs of an aspect and the pointer, into the notice, of the first member that it lacks.
    """

    kind: str
    states: Codes | None = None
    substances: Codes | None = None
    grams: Fraction | None = None
    births: tuple[str | None, ...] | None = None
    special_categories: Codes | None = None
    operators: bool | None = None
    offences: Codes | None = None
    authorities: Codes | None = None
    decided_in: Codes | None = None
    assistance: str | None = None
    oral: bool | None = None
    oral_until: Time | None = None
    last_resort: bool | None = None
    constant_surveillance: bool | None = None
    final_interception: bool | None = None
    foreign_officers: bool | None = None
    dangerous_goods: Codes | None = None
    substitution: str | None = None
    handover: bool | None = None
    languages: Codes | None = None
    begins: Time | None = None
    ends: Time | None = None
    missing: tuple[tuple[str, str], ...] = ()

    def lacks(self, aspect: str) -> str | None:
        """Return the pointer of the member that an unknown aspect lacks, None where the kind has no such member."""
        return dict(self.missing).get(aspect)


def content_of(notice: Notice) -> Content:
    """Return the facts of a notice; of a kind that is not read here, nothing is known but the kind."""
    match notice:
        case ControlledDelivery():
            return _controlled_delivery(notice)
        case Route():
            return _route(notice)
        case Seizure() | Precursor():
            return _case(notice)
        case Practice():
            return _practice(notice)
        case _:
            return Content(notice.kind)


def _route(notice: Route) -> Content:
    ways = {"origin": notice.origin, "departure": notice.departure}
    ways |= {"transit": notice.transit, "destination": notice.destination}
    places = [(f"/{name}/{number}", place) for name, found in ways.items() for number, place in enumerate(found)]
    period = notice.period
    return Content(
        notice.kind,
        # A course on the map alone does not say in which States it lies.
        states=_states(places) if places else None,
        substances=_substances(notice.substances),
        grams=_grams(notice.substances),
        births=(),
        special_categories=frozenset(),
        operators=False,
        oral=False,
        handover=False,
        languages=_languages((notice.remarks,)),
        begins=None if period is None else _begin(period.since),
        ends=None if period is None else _end(period.until),
        missing=(
            *(_placeless(places) if places else _both_states("/origin")),
            *_unweighed(notice.substances),
            *_undated(period, "/period"),
        ),
    )


def _case(notice: Seizure | Precursor) -> Content:
    places = [("/where", notice.where), *_way(notice.route)]
    # Who trades in precursors is named in their notices alone.
    operators, texts = (
        (notice.operators, (notice.remarks, notice.reason))
        if isinstance(notice, Precursor)
        else ((), (notice.remarks,))
    )
    return Content(
        notice.kind,
        states=_states(places),
        substances=_substances(notice.substances),
        grams=_grams(notice.substances),
        births=_births(notice.nominal),
        special_categories=_special(notice.nominal),
        operators=bool(operators),
        oral=False,
        handover=False,
        languages=_languages(texts),
        begins=_begin(notice.when),
        ends=_end(notice.when),
        missing=(*_placeless(places), *_unweighed(notice.substances), *_ageless(notice.nominal)),
    )


def _practice(notice: Practice) -> Content:
    """Return the facts of what is about no case: there is no way, no substance, no person and no operator in it."""
    texts = (notice.title, notice.problem, notice.practice, notice.legal_prerequisites, notice.result)
    return Content(
        notice.kind,
        states=frozenset(),
        substances=frozenset(),
        grams=Fraction(0),
        births=(),
        special_categories=frozenset(),
        operators=False,
        oral=False,
        handover=False,
        languages=_languages(texts),
    )


def _controlled_delivery(notice: ControlledDelivery) -> Content:
    terms, route = notice.terms or Terms(), notice.route
    authority = notice.approval.authority
    named = _AUTHORITIES.get(authority.agency or "")
    authorities = {*terms.authorised_by, *((named,) if named else ())}
    points = {
        "entry": notice.entry,
        "exit": notice.exit,
        "departure": route.departure,
        "destination": route.destination,
    }
    at_home = {name for name, place in points.items() if place is not None and _country(place) == authority.country}
    handover = [(f"/terms/handover/{number}", place) for number, place in enumerate(terms.handover or ())]
    way = [("/entry", notice.entry), ("/exit", notice.exit), *_way(route), *handover]
    spoken = {language.partition("-")[0] for language in terms.languages}
    content = Content(
        notice.kind,
        states=_states(way),
        substances=_substances(notice.substances),
        grams=_grams(notice.substances),
        births=_births(notice.nominal),
        special_categories=_special(notice.nominal),
        operators=False,
        offences=frozenset(terms.offences) or None,
        authorities=frozenset(authorities) or None,
        decided_in=frozenset(at_home) if authority.country is not None else None,
        assistance=terms.assistance,
        oral=None if notice.terms is None else terms.oral_until is not None,
        oral_until=_end(terms.oral_until),
        last_resort=terms.last_resort,
        constant_surveillance=terms.constant_surveillance,
        final_interception=terms.final_interception,
        foreign_officers=terms.foreign_officers,
        dangerous_goods=None if terms.dangerous_goods is None else frozenset(terms.dangerous_goods),
        substitution=_substitution(notice),
        handover=bool(terms.handover),
        languages=frozenset(spoken) or _languages((notice.offence, notice.reasons, notice.facts, notice.investigation)),
        begins=_begin(notice.window.since),
        ends=_end(notice.window.until),
    )
    unsaid = [(name.replace("_", "-"), pointer) for name, pointer in _TERMS.items() if getattr(content, name) is None]
    return replace(
        content,
        missing=(
            *_placeless(way),
            *_unweighed(notice.substances),
            *_ageless(notice.nominal),
            *unsaid,
            *_undated(notice.window, "/window"),
        ),
    )


_TERMS: Final = {
    "offences": "/terms/offences",
    "authorities": "/terms/authorised_by",
    "decided_in": "/approval/authority/country",
    "assistance": "/terms/assistance",
    "oral": "/terms",
    "last_resort": "/terms/last_resort",
    "constant_surveillance": "/terms/constant_surveillance",
    "final_interception": "/terms/final_interception",
    "foreign_officers": "/terms/foreign_officers",
    "dangerous_goods": "/terms/dangerous_goods",
    "substitution": "/surveillance",
}
"""By a fact of a controlled delivery: the member that would tell it."""

_Way = Sequence[tuple[str, Place]]
"""Places, each with the pointer at which it stands."""

Missing = tuple[tuple[str, str], ...]


def _both_states(pointer: str) -> Missing:
    return ("states", pointer), ("states-without-consent", pointer)


def _placeless(places: _Way) -> Missing:
    found = next((pointer for pointer, place in places if _country(place) is None), None)
    return () if found is None else _both_states(f"{found}/country")


def _unweighed(substances: tuple[Substance, ...]) -> Missing:
    for number, item in enumerate(substances):
        if item.quantity is None or item.unit not in GRAMS:
            return (("grams", f"/substances/{number}/{'quantity' if item.quantity is None else 'unit'}"),)
    return ()


def _ageless(nominal: Nominal | None) -> Missing:
    for number, born in enumerate(_births(nominal)):
        if born is None:
            return (("youngest", f"/nominal/persons/{number}/born"),)
    return ()


def _undated(period: Period | None, pointer: str) -> Missing:
    if period is None:
        return (("duration", pointer),)
    lacking = "since" if period.since is None else "until" if period.until is None else None
    return () if lacking is None else (("duration", f"{pointer}/{lacking}"),)


def _substitution(notice: ControlledDelivery) -> str | None:
    """Return what is replaced; None where a method has no code that is known: its words may say that something is."""
    methods = {item.code for item in notice.surveillance}
    replaced = {name for code, name in _SUBSTITUTION.items() if code in methods}
    if "complete" in replaced:
        return "complete"
    if not methods <= _METHODS:
        return None
    return "partial" if replaced else "none"


def _way(route: Itinerary | None) -> list[tuple[str, Place]]:
    if route is None:
        return []
    places = [("/route/origin", route.origin), ("/route/departure", route.departure)]
    places += [(f"/route/transit/{number}", place) for number, place in enumerate(route.transit)]
    places.append(("/route/destination", route.destination))
    return [(pointer, place) for pointer, place in places if place is not None]


def _states(places: _Way) -> Codes | None:
    """Return the States of places; None where one of them has none that is known."""
    countries = [_country(place) for _, place in places]
    known = frozenset(country.lower() for country in countries if country is not None)
    return known if len(countries) == sum(country is not None for country in countries) else None


def _country(place: Place) -> str | None:
    if place.country is not None:
        return place.country
    # XZ stands for installations in international waters: that is in no State, but known.
    return place.unlocode[:2] if place.unlocode is not None and not place.unlocode.startswith("XZ") else None


def _substances(substances: tuple[Substance, ...]) -> Codes | None:
    codes = [item.code for item in substances]
    return None if None in codes else frozenset(code for code in codes if code is not None)


def _grams(substances: tuple[Substance, ...]) -> Fraction | None:
    total = Fraction(0)
    for item in substances:
        if item.quantity is None or item.unit not in GRAMS:
            return None
        total += Fraction(item.quantity) * GRAMS[item.unit]
    return total


def _births(nominal: Nominal | None) -> tuple[str | None, ...]:
    return () if nominal is None else tuple(person.born for person in nominal.persons)


def _special(nominal: Nominal | None) -> Codes:
    return frozenset() if nominal is None else frozenset(nominal.special_categories)


def _languages(texts: Sequence[Text | None]) -> Codes | None:
    """Return the languages that all texts are in, None where there is no text."""
    spoken = [{text.language.partition("-")[0]} for text in texts if text is not None]
    return frozenset(set.intersection(*spoken)) if spoken else None


def _begin(when: str | None) -> Time | None:
    return None if when is None else Time(when if len(when) > len("YYYY-MM-DD") else f"{when}T00:00:00Z")


def _end(when: str | None) -> Time | None:
    # A day belongs to its period whole.
    return None if when is None else Time(when if len(when) > len("YYYY-MM-DD") else f"{when}T23:59:59Z")
