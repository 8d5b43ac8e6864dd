"""UNODC seizures: what a row says, its notice says; what cannot be read is named; nothing is invented."""

import csv
import gzip
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.formats.csv_table import Refused, TableError
from adapters.formats.unodc import COLUMNS, Row, read_table
from schemas.codes import code_list, lookup
from schemas.errors import TooLargeError
from schemas.limits import LIMITS
from schemas.notice import is_nominal, parse_notice, summary, to_json

ROOT = Path(__file__).parents[4]
REAL = ROOT.parent / "shared" / "data" / "unodc-ids" / "seizures-2011-2014.csv.gz"
SAMPLE = ROOT / "adapters" / "demo" / "sample.csv"

GOOD = {
    "REGION": "Asia",
    "SUBREGION": "Central Asia and Transcaucasian countries",
    "COUNTRY": "Armenia",
    "PLACE": "Yerevan",
    "SEIZURE_DATE": "2011-07-01",
    "DRUG_NAME": "Heroin",
    "AMOUNT": "89.47",
    "DRUG_UNIT": "Kilogram",
    "HIDING_PLACE": "Baggage",
    "INSTALLATION": "Airport",
    "TRANSPORT": "Commercial air",
    "PRODUCING_COUNTRY": "Unknown",
    "DEPARTURE_COUNTRY": "Iran, Islamic Republic of",
    "DESTINATION_COUNTRY": "United States",
}


def table(*rows: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> bytes:
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, delimiter=";")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def read(*rows: dict[str, str], routes: bool = False) -> list[Row | Refused]:
    return list(read_table(table(*rows), "x.csv").rows(routes=routes))


def one(**cells: str) -> dict[str, Any]:
    (row,) = read(GOOD | cells)
    assert isinstance(row, Row)
    ((kind, _, notice),) = row.notices
    assert kind == "seizure"
    assert parse_notice(kind, to_json(notice)) == notice
    assert not is_nominal(notice)
    return to_json(notice)


def refused(**cells: str) -> Refused:
    (row,) = read(GOOD | cells)
    assert isinstance(row, Refused)
    return row


def says(coded: dict[str, Any] | None, name: str, word: str) -> bool:
    """Say whether a word can be read back from code and text."""
    if not word or coded is None:
        return not word and coded is None
    return coded.get("text", coded.get("code") and code_list(name).entries[coded["code"]].name()) == word


def place_says(place: dict[str, Any] | None, word: str) -> bool:
    if not word or place is None:
        return not word and place is None
    return (
        place.get("country_text", place.get("country") and code_list("countries").entries[place["country"]].name())
        == word
    )


def tells_all(notice: dict[str, Any], cells: dict[str, str]) -> bool:
    """Say whether a notice tells all that its row told, and nothing besides."""
    (drug,), where, way = notice["substances"], notice["where"], notice.get("route", {})
    reported = {item["label"]: item["text"] for item in notice.get("reported", [])}
    unit = drug.get("unit_text", drug.get("unit", ""))
    return (
        notice["when"] == cells["SEIZURE_DATE"]
        and place_says({k: v for k, v in where.items() if k.startswith("country")}, cells["COUNTRY"])
        and where.get("division", "") == cells["ADMINISTRATIVE_DIVISION"]
        and where.get("name", "") == cells["PLACE"]
        and drug["name"] == cells["DRUG_NAME"]
        and (Decimal(drug["quantity"]) == Decimal(cells["AMOUNT"]) if "quantity" in drug else not cells["AMOUNT"])
        and unit in (cells["DRUG_UNIT"], lookup("units", cells["DRUG_UNIT"]))
        and says(next(iter(notice.get("concealment", [])), None), "concealment", cells["HIDING_PLACE"])
        and says(notice.get("installation"), "installation", cells["INSTALLATION"])
        and says(next((item["mode"] for item in notice.get("conveyances", [])), None), "conveyance", cells["TRANSPORT"])
        and place_says(way.get("origin"), cells["PRODUCING_COUNTRY"])
        and place_says(way.get("departure"), cells["DEPARTURE_COUNTRY"])
        and place_says(way.get("destination"), cells["DESTINATION_COUNTRY"])
        and says(way.get("routing"), "routing", cells["ROUTING"])
        and reported == {name: cells[name] for name in ("REGION", "SUBREGION") if cells[name]}
    )


def test_the_whole_real_file_is_told_completely() -> None:
    if not REAL.exists():
        pytest.skip(f"{REAL} is not there")
    data = REAL.read_bytes()
    found = list(read_table(data, REAL.name).rows(routes=True))
    cells = list(csv.DictReader(io.StringIO(gzip.decompress(data).decode(), newline=""), delimiter=";"))
    taken = [row for row in found if isinstance(row, Row)]
    assert len(found) == len(cells) == 39_079
    assert [row.number for row in found] == list(range(1, len(cells) + 1))
    assert len(taken) >= 0.99 * len(found)
    for row in taken:
        told = {name: cell.strip() for name, cell in cells[row.number - 1].items()}
        assert tells_all(to_json(row.notices[0][2]), told), row.number
    regions = {topic.split(".")[0] for row in taken for _, topic, _ in row.notices}
    assert regions <= set(code_list("regions").entries)
    assert sum(len(row.notices) == 2 for row in taken) > 14_000


def test_the_sample_is_good_and_varied() -> None:
    found = list(read_table(SAMPLE.read_bytes(), SAMPLE.name).rows(routes=True))
    cells = list(csv.DictReader(SAMPLE.read_text(encoding="utf-8").splitlines(), delimiter=";"))
    assert len(found) == len(cells) == 300
    regions = set()
    for row, told in zip(found, cells, strict=True):
        assert isinstance(row, Row)
        assert tells_all(to_json(row.notices[0][2]), told)
        regions.add(row.notices[0][1])
    assert {"central-asia.seizures", "south-caucasus.seizures", "western-europe.seizures"} <= regions
    assert any(len(row.notices) == 2 for row in found if isinstance(row, Row))


def test_a_row_becomes_a_notice() -> None:
    (row,) = read(GOOD)
    assert isinstance(row, Row)
    ((kind, topic, notice),) = row.notices
    assert (kind, topic) == ("seizure", "south-caucasus.seizures")
    assert summary(notice) == "Heroin 89.47 kg — Yerevan, AM — 2011-07-01"
    assert to_json(notice) == {
        "kind": "seizure",
        "when": "2011-07-01",
        "where": {"country": "AM", "name": "Yerevan"},
        "substances": [
            {"name": "Heroin", "code": "heroin", "cas": "561-27-3", "quantity": "89.47", "unit": "kg"},
        ],
        "conveyances": [{"mode": {"code": "air-commercial", "text": "Commercial air"}}],
        "route": {
            "origin": {"country": "ZZ"},
            "departure": {"country": "IR"},
            "destination": {"country": "US"},
        },
        "installation": {"code": "airport"},
        "concealment": [{"code": "baggage"}],
        "reported": [
            {"label": "REGION", "text": "Asia"},
            {"label": "SUBREGION", "text": "Central Asia and Transcaucasian countries"},
        ],
    }


def test_date_country_and_drug_suffice() -> None:
    (row,) = read({"COUNTRY": "Spain", "SEIZURE_DATE": "2024-02-29", "DRUG_NAME": "Something new"})
    assert isinstance(row, Row)
    assert to_json(row.notices[0][2]) == {
        "kind": "seizure",
        "when": "2024-02-29",
        "where": {"country": "ES"},
        "substances": [{"name": "Something new"}],
    }


@pytest.mark.parametrize(
    ("amount", "exact"),
    [
        ("1e-07", "0.0000001"),
        ("1.0E-4", "0.00010"),
        ("1.4000000000000001e-05", "0.000014000000000000001"),
        ("2.5e3", "2500"),
        ("0.10300000000000001", "0.10300000000000001"),
        ("1.0", "1.0"),
        ("007", "7"),
        (".5", "0.5"),
        ("5.", "5"),
        ("0", "0"),
        ("0e9", "0"),
    ],
)
def test_amounts_become_exact_decimals(amount: str, exact: str) -> None:
    quantity = one(AMOUNT=amount)["substances"][0]["quantity"]
    assert Decimal(quantity) == Decimal(exact)
    assert "e" not in quantity.lower()


@given(st.from_regex(r"\A[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?\Z"))
def test_every_number_is_exact_or_refused(amount: str) -> None:
    (row,) = read(GOOD | {"AMOUNT": amount})
    if isinstance(row, Row):
        notice = to_json(row.notices[0][2])
        assert parse_notice("seizure", notice) == row.notices[0][2]
        assert Decimal(notice["substances"][0]["quantity"]) == Decimal(amount)  # type: ignore[index, call-overload]
    else:
        assert row.column == "AMOUNT"


@pytest.mark.parametrize(
    ("cells", "column", "reason", "cell"),
    [
        ({"SEIZURE_DATE": ""}, "SEIZURE_DATE", "no date", ""),
        ({"SEIZURE_DATE": "01.07.2011"}, "SEIZURE_DATE", "not a date YYYY-MM-DD", "01.07.2011"),
        ({"SEIZURE_DATE": "2011-02-30"}, "SEIZURE_DATE", "not a date YYYY-MM-DD", "2011-02-30"),
        ({"SEIZURE_DATE": "=TODAY()"}, "SEIZURE_DATE", "not a date YYYY-MM-DD", "'=TODAY()"),
        ({"COUNTRY": " "}, "COUNTRY", "no country", ""),
        ({"DRUG_NAME": "\n"}, "DRUG_NAME", "no drug", ""),
        ({"AMOUNT": "1,5"}, "AMOUNT", "not a decimal number with a point", "1,5"),
        ({"AMOUNT": "-5"}, "AMOUNT", "not a decimal number with a point", "'-5"),
        ({"AMOUNT": "about 20"}, "AMOUNT", "not a decimal number with a point", "about 20"),
        ({"AMOUNT": "NaN"}, "AMOUNT", "not a decimal number with a point", "NaN"),
        ({"AMOUNT": "٣"}, "AMOUNT", "not a decimal number with a point", "٣"),
        ({"AMOUNT": "1e400"}, "AMOUNT", "not a decimal number with a point", "1e400"),
        ({"AMOUNT": "1e-99999"}, "AMOUNT", "not a decimal number with a point", "1e-99999"),
        ({"AMOUNT": "1" * 65}, "AMOUNT", "not a decimal number with a point", "1" * 65),
    ],
)
def test_what_cannot_be_read_is_named(cells: dict[str, str], column: str, reason: str, cell: str) -> None:
    row = refused(**cells)
    assert (row.number, row.line, row.column, row.reason, row.cell) == (1, 2, column, reason, cell)


def test_words_without_a_code_stay_text() -> None:
    notice = one(
        COUNTRY="Ruritania",
        DRUG_UNIT="Barette",
        HIDING_PLACE="Piano",
        INSTALLATION="Opera",
        TRANSPORT="Balloon",
        ROUTING="Upwards",
        PRODUCING_COUNTRY="Other",
    )
    assert notice["where"] == {"country_text": "Ruritania", "name": "Yerevan"}
    assert notice["substances"][0]["unit_text"] == "Barette"
    assert notice["concealment"] == [{"text": "Piano"}]
    assert notice["installation"] == {"text": "Opera"}
    assert notice["conveyances"] == [{"mode": {"text": "Balloon"}}]
    assert notice["route"]["routing"] == {"text": "Upwards"}
    assert notice["route"]["origin"] == {"country": "ZZ", "country_text": "Other"}


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("Armenia", "south-caucasus"),
        ("Spain", "western-europe"),
        ("Turkey", "south-eastern-europe"),
        ("Russian Federation", "eastern-europe"),
        ("Kazakhstan", "central-asia"),
        ("Canada", "north-america"),
        ("Morocco", "osce"),
        ("Brazil", "osce"),
        ("Unknown", "osce"),
        ("Ruritania", "osce"),
    ],
)
def test_the_region_is_where_the_matter_is(country: str, region: str) -> None:
    (row,) = read(GOOD | {"COUNTRY": country}, routes=True)
    assert isinstance(row, Row)
    assert [topic for _, topic, _ in row.notices] == [f"{region}.seizures", f"{region}.routes"]


def test_a_row_that_knows_the_way_is_also_a_route() -> None:
    (row,) = read(GOOD | {"PRODUCING_COUNTRY": "Afghanistan"}, routes=True)
    assert isinstance(row, Row)
    _, (kind, topic, notice) = row.notices
    assert (kind, topic) == ("route", "south-caucasus.routes")
    assert parse_notice(kind, to_json(notice)) == notice
    assert to_json(notice) == {
        "kind": "route",
        "substances": [{"name": "Heroin", "code": "heroin", "cas": "561-27-3"}],
        "origin": [{"country": "AF"}],
        "departure": [{"country": "IR"}],
        "transit": [{"country": "AM", "name": "Yerevan"}],
        "destination": [{"country": "US"}],
        "conveyances": [{"mode": {"code": "air-commercial", "text": "Commercial air"}}],
        "period": {"since": "2011-07-01", "until": "2011-07-01"},
        "concealment": [{"code": "baggage"}],
    }


@pytest.mark.parametrize(
    ("cells", "routes"),
    [
        ({"DEPARTURE_COUNTRY": ""}, 0),
        ({"DEPARTURE_COUNTRY": "Unknown"}, 0),
        ({"DESTINATION_COUNTRY": "Other"}, 0),
        ({"PRODUCING_COUNTRY": "", "DEPARTURE_COUNTRY": "", "DESTINATION_COUNTRY": ""}, 0),
        ({"DESTINATION_COUNTRY": "Armenia"}, 1),
        ({"DESTINATION_COUNTRY": "Ruritania"}, 1),
    ],
)
def test_a_row_that_does_not_know_the_way_is_none(cells: dict[str, str], routes: int) -> None:
    (row,) = read(GOOD | cells, routes=True)
    assert isinstance(row, Row)
    assert len(row.notices) == 1 + routes
    if cells.get("DESTINATION_COUNTRY") == "Armenia":
        assert "transit" not in to_json(row.notices[1][2])


def test_formulas_and_line_breaks_stay_text() -> None:
    notice = one(PLACE='=HYPERLINK("x")', ADMINISTRATIVE_DIVISION="first\nsecond; third", DRUG_NAME="@SUM(A1)")
    assert notice["where"]["name"] == '=HYPERLINK("x")'
    assert notice["where"]["division"] == "first\nsecond; third"
    assert notice["substances"] == [{"name": "@SUM(A1)", "quantity": "89.47", "unit": "kg"}]


def test_columns_in_another_order_and_unknown_ones_are_kept() -> None:
    columns = (*reversed(COLUMNS), "OFFICER_NOTE")
    (row,) = read_table(table(GOOD | {"OFFICER_NOTE": "see file 7"}, columns=columns), "x.csv")
    assert isinstance(row, Row)
    reported = to_json(row.notices[0][2])["reported"]
    assert isinstance(reported, list)
    assert reported[-1] == {"label": "OFFICER_NOTE", "text": "see file 7"}


def test_a_broken_file_is_named_row_by_row() -> None:
    good = "Asia;Central Asia;Armenia;;Yerevan;2011-07-01;Heroin;1.5;Kilogram;;;;;;;"
    lines = [
        good,
        good.replace("2011-07-01", ""),
        good.replace("Heroin", ""),
        good.replace("Yerevan", "x" * (1 << 20)),
        good.replace(";", ","),
        good.replace("Yerevan", '"two\nlines"'),
        good.replace("Yerevan", '"never closed'),
        good.replace("Yerevan", "=1+1"),
        good,
    ]
    found = list(read_table("\n".join([";".join(COLUMNS), *lines]).encode(), "broken.csv"))
    assert [row.number for row in found] == list(range(1, 10))
    assert [(row.number, row.line, row.column, row.reason) for row in found if isinstance(row, Refused)] == [
        (2, 3, "SEIZURE_DATE", "no date"),
        (3, 4, "DRUG_NAME", "no drug"),
        (4, 5, "PLACE", "a cell of more than 65536 bytes"),
        (5, 6, None, "1 cells instead of 16"),
        (7, 9, "PLACE", "a quote is opened and never closed"),
    ]


def test_another_kind_of_file_is_refused() -> None:
    with pytest.raises(TableError) as caught:
        read_table(table(GOOD).replace(b";", b","), "x.csv")
    assert caught.value.detail == "The delimiter is a comma, not ';'."
    with pytest.raises(TableError) as caught:
        read_table(table(GOOD, columns=COLUMNS).replace(b"DRUG_UNIT", b"UNIT"), "x.csv")
    assert caught.value.detail == "Columns are missing: DRUG_UNIT."
    with pytest.raises(TableError) as caught:
        read_table("REGION;\n".encode("utf-16"), "x.csv")
    assert caught.value.offset == 1
    with pytest.raises(TooLargeError):
        read_table(gzip.compress(bytes(LIMITS.import_file + 1)), "x.csv.gz")


def test_identity_is_digest_and_number() -> None:
    first, again = read_table(table(GOOD, GOOD), "x.csv"), read_table(gzip.compress(table(GOOD, GOOD)), "y.csv.gz")
    assert first.digest == again.digest
    assert list(first) == list(again)
    assert first.lines >= 2


word = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
cell = word | st.sampled_from(
    ["Armenia", "Heroin", "2011-07-01", "1e-5", "Kilogram", "Unknown", "=1", "Airport", "Other"]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(COLUMNS), cell), min_size=1, max_size=4))
def test_every_row_comes_out_as_a_notice_or_a_reason(rows: list[dict[str, str]]) -> None:
    quoted = "\n".join(
        ";".join('"' + row.get(column, "").replace('"', '""') + '"' for column in COLUMNS) for row in rows
    )
    found = list(read_table(f"{';'.join(COLUMNS)}\n{quoted}\n".encode(), "x.csv").rows(routes=True))
    assert [row.number for row in found] == list(range(1, len(rows) + 1))
    for row, cells in zip(found, rows, strict=True):
        if isinstance(row, Refused):
            assert row.column in ("SEIZURE_DATE", "COUNTRY", "DRUG_NAME", "AMOUNT")
        else:
            for kind, _, notice in row.notices:
                assert parse_notice(kind, to_json(notice)) == notice
            told = {column: cells.get(column, "").strip() for column in COLUMNS}
            assert tells_all(to_json(row.notices[0][2]), told)
