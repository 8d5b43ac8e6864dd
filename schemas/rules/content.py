"""What an opened notice shows to a law: the facts that its conditions over contents read, and nothing else.

The sender's gateway takes them from a draft, the recipient's from an opened notice; broker and auditors have none and
say so. A fact that the notice does not state is None, unknown, and a condition that asks about it denies.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from schemas.codes import code_list
from schemas.encoding import Time
from schemas.notice import Notice
from schemas.notice.controlled_delivery import ControlledDelivery
from schemas.notice.person import Nominal
from schemas.notice.place import Itinerary, Place
from schemas.notice.precursor import Precursor
from schemas.notice.route import Route
from schemas.notice.seizure import Seizure
from schemas.notice.substance import Substance

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
    `begins` and `ends` bound the delivery, `oral_until` when an oral request is confirmed (`oral`: whether it was one).
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


def content_of(notice: Notice) -> Content:
    """Return the facts of a notice; of a kind that is not read here, nothing is known but the kind."""
    if isinstance(notice, ControlledDelivery):
        return _controlled_delivery(notice)
    if isinstance(notice, Route):
        places = (*notice.origin, *notice.departure, *notice.transit, *notice.destination)
        return Content(
            notice.kind,
            states=_states(places) if places else None,
            substances=_substances(notice.substances),
            grams=_grams(notice.substances),
            births=(),
            special_categories=frozenset(),
            operators=False,
        )
    if isinstance(notice, Seizure | Precursor):
        nominal = notice.nominal
        return Content(
            notice.kind,
            states=_states((notice.where, *_way(notice.route))),
            substances=_substances(notice.substances),
            grams=_grams(notice.substances),
            births=_births(nominal),
            special_categories=_special(nominal),
            operators=isinstance(notice, Precursor) and bool(notice.operators),
        )
    return Content(notice.kind)


def _controlled_delivery(notice: ControlledDelivery) -> Content:
    terms, route = notice.terms, notice.route
    authority = notice.approval.authority
    named = _AUTHORITIES.get(authority.agency or "")
    authorities = {*(terms.authorised_by if terms else ()), *((named,) if named else ())}
    points = {
        "entry": notice.entry,
        "exit": notice.exit,
        "departure": route.departure,
        "destination": route.destination,
    }
    at_home = {name for name, place in points.items() if place is not None and _country(place) == authority.country}
    way = (notice.entry, notice.exit, *_way(route), *(terms.handover if terms else ()))
    return Content(
        notice.kind,
        states=_states(way),
        substances=_substances(notice.substances),
        grams=_grams(notice.substances),
        births=_births(notice.nominal),
        special_categories=_special(notice.nominal),
        operators=False,
        offences=frozenset(terms.offences) if terms and terms.offences else None,
        authorities=frozenset(authorities) if authorities else None,
        decided_in=frozenset(at_home) if authority.country is not None else None,
        assistance=terms.assistance if terms else None,
        oral=terms.oral_until is not None if terms else None,
        oral_until=_end(terms.oral_until) if terms else None,
        last_resort=terms.last_resort if terms else None,
        constant_surveillance=terms.constant_surveillance if terms else None,
        final_interception=terms.final_interception if terms else None,
        foreign_officers=terms.foreign_officers if terms else None,
        dangerous_goods=frozenset(terms.dangerous_goods) if terms and terms.dangerous_goods is not None else None,
        substitution=_substitution(notice),
        handover=terms is not None and bool(terms.handover),
        languages=frozenset(_languages(notice)),
        begins=_begin(notice.window.since),
        ends=_end(notice.window.until),
    )


def _substitution(notice: ControlledDelivery) -> str | None:
    """Return what is replaced; None where a method has no code that is known: its words may say that something is."""
    methods = {item.code for item in notice.surveillance}
    replaced = {name for code, name in _SUBSTITUTION.items() if code in methods}
    if "complete" in replaced:
        return "complete"
    if not methods <= _METHODS:
        return None
    return "partial" if replaced else "none"


def _way(route: Itinerary | None) -> tuple[Place, ...]:
    if route is None:
        return ()
    return tuple(place for place in (route.origin, route.departure, *route.transit, route.destination) if place)


def _states(places: tuple[Place, ...]) -> Codes | None:
    """Return the States of places; None where one of them has none that is known."""
    countries = [_country(place) for place in places]
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


def _languages(notice: ControlledDelivery) -> set[str]:
    """Return the languages of the request: those that its terms name, else those of its texts."""
    if notice.terms is not None and notice.terms.languages:
        return {language.partition("-")[0] for language in notice.terms.languages}
    texts = (notice.offence, notice.reasons, notice.facts, notice.investigation)
    return set.intersection(*({text.language.partition("-")[0]} for text in texts))


def _begin(when: str | None) -> Time | None:
    return None if when is None else Time(when if len(when) > len("YYYY-MM-DD") else f"{when}T00:00:00Z")


def _end(when: str | None) -> Time | None:
    # A day belongs to its period whole.
    return None if when is None else Time(when if len(when) > len("YYYY-MM-DD") else f"{when}T23:59:59Z")
