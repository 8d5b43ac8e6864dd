"""UNODC individual drug seizures (CSV): each row becomes one `seizure` notice of whoever imports it.

Date, country and drug suffice. Exponents become exact decimals; an empty cell is an absent member; words without a code
stay text, and a word that has a code keeps its spelling beside it. What has no member of its own (UNODC's own regions,
columns that the format does not have) stands under `reported`, so that a notice says all that its row said. With
`routes` a row that knows departure and destination also becomes a `route` notice. The region of a topic is the home
region of the country where the seizure was made, or `osce` where that is no participating State.

This module reads and publishes nothing: files come as bytes, and notices go to whoever asked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from adapters.formats.csv_table import CsvTable, Record, Refused, quote_cell, read_csv
from schemas.codes import code_list, lookup
from schemas.encoding import is_time
from schemas.ids import Code, Topic, topic
from schemas.notice import Notice
from schemas.notice.conveyance import Conveyance
from schemas.notice.place import Itinerary, Period, Place
from schemas.notice.route import Route
from schemas.notice.seizure import Seizure
from schemas.notice.substance import Substance
from schemas.notice.text import Coded, Reported

COLUMNS: Final = (
    "REGION",
    "SUBREGION",
    "COUNTRY",
    "ADMINISTRATIVE_DIVISION",
    "PLACE",
    "SEIZURE_DATE",
    "DRUG_NAME",
    "AMOUNT",
    "DRUG_UNIT",
    "HIDING_PLACE",
    "INSTALLATION",
    "TRANSPORT",
    "PRODUCING_COUNTRY",
    "DEPARTURE_COUNTRY",
    "DESTINATION_COUNTRY",
    "ROUTING",
)
"""The columns of the format; a file may have them in any order, and others besides."""

_NUMBER: Final = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_LONGEST_NUMBER: Final = 64
_UNKNOWN: Final = "ZZ"
_WITHOUT_MEMBER: Final = ("REGION", "SUBREGION")


@dataclass(frozen=True, slots=True)
class Row:
    """One row as notices: (kind, topic, notice), the seizure first."""

    number: int
    notices: tuple[tuple[str, Topic, Notice], ...]
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A checked file of seizures. `digest` and a row's number are that row's identity."""

    digest: str
    lines: int
    _csv: CsvTable

    def __iter__(self) -> Iterator[Row | Refused]:
        """Yield each row once, in order, as its seizure or as the reason why not."""
        return self.rows()

    def rows(self, *, routes: bool = False) -> Iterator[Row | Refused]:
        """Yield each row once, in order; with `routes` also the routes that rows tell of."""
        header = self._csv.header
        others = tuple(column for column in header if column not in COLUMNS)
        for record in self._csv:
            if isinstance(record, Refused):
                yield record
            else:
                yield _read(record, dict(zip(header, map(str.strip, record.cells), strict=True)), others, routes)


def read_table(data: bytes, name: str) -> Table:
    """Check a file of seizures (`.csv` or `.csv.gz`, semicolons, UTF-8); raise `TableError` or `TooLargeError`."""
    table = read_csv(data, name, COLUMNS)
    return Table(table.digest, table.lines, table)


def _read(record: Record, cells: dict[str, str], others: tuple[str, ...], routes: bool) -> Row | Refused:
    def refuse(column: str, reason: str) -> Refused:
        return Refused(record.number, column, reason, quote_cell(cells[column]), record.line)

    when = cells["SEIZURE_DATE"]
    if not is_time(f"{when}T00:00:00Z"):
        return refuse("SEIZURE_DATE", "not a date YYYY-MM-DD" if when else "no date")
    if not cells["COUNTRY"]:
        return refuse("COUNTRY", "no country")
    if not cells["DRUG_NAME"]:
        return refuse("DRUG_NAME", "no drug")
    quantity = _quantity(cells["AMOUNT"])
    if quantity is None and cells["AMOUNT"]:
        return refuse("AMOUNT", "not a decimal number with a point")
    region = _region(cells["COUNTRY"])
    seizure = _seizure(cells, others, quantity)
    notices: list[tuple[str, Topic, Notice]] = [("seizure", topic(f"{region}.seizures"), seizure)]
    if routes and (route := _route(seizure)):
        notices.append(("route", topic(f"{region}.routes"), route))
    return Row(record.number, tuple(notices), record.line)


def _seizure(cells: dict[str, str], others: tuple[str, ...], quantity: str | None) -> Seizure:
    transport, hiding_place, installation = cells["TRANSPORT"], cells["HIDING_PLACE"], cells["INSTALLATION"]
    ways = tuple(cells[f"{name}_COUNTRY"] for name in ("PRODUCING", "DEPARTURE", "DESTINATION"))
    return Seizure(
        when=cells["SEIZURE_DATE"],
        where=_place(cells["COUNTRY"], cells["ADMINISTRATIVE_DIVISION"], cells["PLACE"]),
        substances=(_substance(cells["DRUG_NAME"], quantity, cells["DRUG_UNIT"]),),
        conveyances=(_conveyance(transport),) if transport else (),
        route=_itinerary(*ways, cells["ROUTING"]),
        installation=_coded("installation", installation) if installation else None,
        concealment=(_coded("concealment", hiding_place),) if hiding_place else (),
        reported=tuple(_reported(column, cells[column]) for column in (*_WITHOUT_MEMBER, *others) if cells[column]),
    )


def _route(seizure: Seizure) -> Route | None:
    way = seizure.route
    if way is None:
        return None
    departure, destination = _known(way.departure), _known(way.destination)
    if not (departure and destination):
        return None
    drug, where = seizure.substances[0], seizure.where
    ends = {place.country or place.country_text for place in departure + destination}
    return Route(
        substances=(Substance(name=drug.name, code=drug.code, cas=drug.cas),),
        origin=_known(way.origin),
        departure=departure,
        transit=() if (where.country or where.country_text) in ends else (where,),
        destination=destination,
        conveyances=seizure.conveyances,
        period=Period(since=seizure.when, until=seizure.when),
        concealment=seizure.concealment,
    )


def _known(place: Place | None) -> tuple[Place, ...]:
    return () if place is None or place.country == _UNKNOWN else (place,)


def _quantity(text: str) -> str | None:
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        return None
    exact = f"{Decimal(text):f}"
    return exact if len(exact) <= _LONGEST_NUMBER else None


def _region(country: str) -> str:
    state = code_list("states").entries.get(Code((lookup("countries", country) or "").lower()))
    regions = state.extra["regions"] if state else None
    return str(regions[0]) if isinstance(regions, list) and regions else "osce"


# A file says the same few words again and again: each is looked up and checked once. The caches are bounded because
# an import may come from anybody in the agency.
@lru_cache(4096)
def _place(country: str, division: str = "", name: str = "") -> Place:
    code = lookup("countries", country)
    as_named = code and code_list("countries").entries[code].name() == country
    return Place(country=code, country_text=None if as_named else country, division=division or None, name=name or None)


@lru_cache(4096)
def _itinerary(origin: str, departure: str, destination: str, routing: str) -> Itinerary | None:
    if not (origin or departure or destination or routing):
        return None
    return Itinerary(
        origin=_place(origin) if origin else None,
        departure=_place(departure) if departure else None,
        destination=_place(destination) if destination else None,
        routing=_coded("routing", routing) if routing else None,
    )


@lru_cache(1024)
def _drug(name: str) -> tuple[Code | None, str | None]:
    code = lookup("substances", name)
    cas = code_list("substances").entries[code].extra.get("cas") if code else None
    return code, cas if isinstance(cas, str) else None


def _substance(name: str, quantity: str | None, unit: str) -> Substance:
    code, cas = _drug(name)
    ucum = lookup("units", unit)
    return Substance(
        name=name, code=code, cas=cas, quantity=quantity, unit=ucum, unit_text=None if ucum or not unit else unit
    )


@lru_cache(1024)
def _coded(name: str, word: str) -> Coded:
    code = lookup(name, word)
    as_named = code and code_list(name).entries[code].name() == word
    return Coded(code=code, text=None if as_named else word)


@lru_cache(1024)
def _conveyance(word: str) -> Conveyance:
    return Conveyance(mode=_coded("conveyance", word))


@lru_cache(1024)
def _reported(label: str, text: str) -> Reported:
    return Reported(label=label, text=text)
