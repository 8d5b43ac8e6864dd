"""What is wrong with a notice is named by pointer and sentence, and never repeated."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import FormError
from schemas.limits import LIMITS
from schemas.notice import KINDS, Notice, examples, parse_notice, to_json
from schemas.strict_json import Json

MARKER = "zq-marker-7f31"


def spoil(value: Json, path: tuple[str | int, ...], by: Json) -> None:
    here: Any = value
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = by


def paths(value: Json, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict):
        return [path for name, member in value.items() for path in [(*at, name), *paths(member, (*at, name))]]
    if isinstance(value, list):
        return [path for place, item in enumerate(value) for path in [(*at, place), *paths(item, (*at, place))]]
    return []


junk = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.just(MARKER) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.just(MARKER) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(KINDS)), st.data())
def test_errors_name_a_member_and_never_repeat_the_input(kind: str, data: st.DataObject) -> None:
    value = examples(kind)
    path = data.draw(st.sampled_from(paths(value)))
    spoil(value, path, data.draw(junk))
    try:
        notice = parse_notice(kind, value)
    except FormError as error:
        assert MARKER not in f"{error} {error.pointer}"
        assert error.__cause__ is None
        assert error.__context__ is None
        assert error.detail.endswith(".")
        assert error.pointer is not None
        # The pointer leads to the spoilt member, to what holds it, or to something inside of it.
        pointed = error.pointer.split("/")[1:]
        spoilt = [str(step) for step in path]
        shorter = min(len(pointed), len(spoilt))
        assert pointed[:shorter] == spoilt[:shorter]
    else:
        assert isinstance(notice, Notice)
        assert parse_notice(kind, to_json(notice)) == notice


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(KINDS)), st.dictionaries(st.sampled_from(["where", "when", "substances", "x"]), junk))
def test_arbitrary_objects_are_refused(kind: str, value: dict[str, Json]) -> None:
    with pytest.raises(FormError):
        parse_notice(kind, value)


CASES: list[tuple[str, tuple[str | int, ...], Json, str, str]] = [
    ("seizure", ("kind",), "route", "/kind", "Is not one of the values allowed here."),
    ("seizure", (MARKER,), 1, "", "Member number 16 is not known here."),
    ("seizure", ("when",), "2011-02-30", "/when", "Must be a calendar date YYYY-MM-DD or time YYYY-MM-DDTHH:MM:SSZ."),
    ("seizure", ("when",), 20110203, "/when", "Must be a string."),
    ("seizure", ("reference",), "", "/reference", "Must not be empty."),
    ("seizure", ("reference",), "x" * (LIMITS.import_cell + 1), "/reference", "Is too long."),
    ("seizure", ("where",), {}, "/where", "Must say something about the place."),
    ("seizure", ("where",), "x", "/where", "Must be an object."),
    ("seizure", ("where", "unlocode"), "GBLON", "/where", "Must have a UN/LOCODE in the country that is named."),
    (
        "seizure",
        ("where", "unlocode"),
        "KZ LA",
        "/where/unlocode",
        "Must be a UN/LOCODE of five characters, such as AMEVN.",
    ),
    (
        "seizure",
        ("where", "country"),
        "uk",
        "/where/country",
        "Must be an ISO 3166 code of two capital letters.",
    ),
    ("seizure", ("substances",), [], "/substances", "Has too few items."),
    ("seizure", ("substances",), {}, "/substances", "Must be a list."),
    ("seizure", ("substances", 0, "packages"), True, "/substances/0/packages", "Must be an integer."),
    ("seizure", ("substances", 0, "packages"), 0, "/substances/0/packages", "Is too small."),
    ("seizure", ("substances", 0, "packages"), 2**53, "/substances/0/packages", "Is too large."),
    ("seizure", ("substances", 0, "packages"), 2**70, "/substances/0/packages", "Is too large."),
    (
        "seizure",
        ("substances", 0, "unit_text"),
        "kilos",
        "/substances/0",
        "Must have a UCUM unit or a unit in free text, not both.",
    ),
    (
        "seizure",
        ("substances", 0, "cas"),
        "561-27-4",
        "/substances/0/cas",
        "Must be a CAS number with the right check digit.",
    ),
    ("seizure", ("concealment", 0), {}, "/concealment/0", "Must have a code, a text, or both."),
    (
        "seizure",
        ("concealment", 0),
        {"code": "shoes", "language": "en"},
        "/concealment/0",
        "Must not have a language without a text.",
    ),
    ("seizure", ("evaluation", "code"), "Z9", "/evaluation", "Must be a code of its evaluation scheme."),
    (
        "seizure",
        ("nominal", "persons", 0, "born"),
        "1984-13-01",
        "/nominal/persons/0/born",
        "Must be a calendar date YYYY-MM-DD.",
    ),
    (
        "route",
        ("course", "coordinates", 0, 0),
        "180.1",
        "/course/coordinates/0/0",
        "Must be degrees from -180 to 180 as a decimal string.",
    ),
    (
        "route",
        ("course", "coordinates", 0, 1),
        "-91",
        "/course/coordinates/0/1",
        "Must be degrees from -90 to 90 as a decimal string.",
    ),
    (
        "route",
        ("course", "coordinates", 0, 1),
        "1e1",
        "/course/coordinates/0/1",
        "Must be degrees as a decimal string with at most twelve places.",
    ),
    *(
        (
            (
                "seizure",
                ("substances", 0, "purity"),
                wrong,
                "/substances/0/purity",
                "Must be a percentage from 0 to 100 as a decimal string.",
            )
        )
        for wrong in ("100.01", "101", "1000", "-1", "5%")
    ),
    *(
        (
            (
                "seizure",
                ("substances", 0, "quantity"),
                wrong,
                "/substances/0/quantity",
                "Must be a decimal string such as 89.47: digits, no sign, no exponent.",
            )
        )
        for wrong in ("1e5", "-1", "+1", "01", ".5", "5.", "1,5", "٣", "NaN", "1\n")
    ),
    ("seizure", ("nominal", "persons"), [], "/nominal/persons", "Has too few items."),
    (
        "seizure",
        ("photos",),
        [{"index": 0, "key": "short", "media_type": "image/png"}],
        "/photos/0/key",
        "Must be 32 bytes in unpadded base64url.",
    ),
    (
        "seizure",
        ("photos",),
        [{"index": 0, "key": "!" * 43, "media_type": "image/png"}],
        "/photos/0/key",
        "Must be 32 bytes in unpadded base64url.",
    ),
    ("route", ("course",), {}, "/course", "Must be a GeoJSON geometry with a type."),
    ("route", ("course", "type"), "Circle", "/course", "Must be a GeoJSON Point, LineString or Polygon."),
    ("route", ("course", "Point"), 1, "/course", "Member number 3 is not known here."),
    ("route", ("course", "coordinates"), [["1", "2"]], "/course/coordinates", "Has too few items."),
    ("route", ("course", "coordinates", 0), ["1"], "/course/coordinates/0/1", "Is missing."),
    ("route", ("course", "coordinates", 0), ["1", "2", "3"], "/course/coordinates/0", "Has too many items."),
    ("route", ("course", "coordinates", 0, 0), 71, "/course/coordinates/0/0", "Must be a string."),
    (
        "route",
        ("course",),
        {"type": "Polygon", "coordinates": [[["0", "0"], ["1", "0"], ["0", "1"], ["1", "1"]]]},
        "/course",
        "Must have rings of at least four positions, the last one equal to the first.",
    ),
    (
        "route",
        ("course",),
        {"type": "Polygon", "coordinates": [[["0", "0"], ["1", "0"], ["0", "0"]]]},
        "/course",
        "Must have rings of at least four positions, the last one equal to the first.",
    ),
    ("route", ("period",), {}, "/period", "Must have a beginning, an end, or both."),
    ("route", ("period", "until"), "2025-12-31T23:59:59Z", "/period", "Must not end before it begins."),
    ("practice", ("title",), None, "/title", "Must be an object."),
    (
        "practice",
        ("contact", "languages"),
        ["English"],
        "/contact/languages/0",
        "Must be a language tag such as fr, sr-Latn or und.",
    ),
]


@pytest.mark.parametrize(("kind", "path", "value", "pointer", "detail"), CASES)
def test_what_is_wrong_is_named(kind: str, path: tuple[str | int, ...], value: Json, pointer: str, detail: str) -> None:
    spoilt = examples(kind)
    spoil(spoilt, path, value)
    with pytest.raises(FormError) as caught:
        parse_notice(kind, spoilt)
    assert (caught.value.pointer, caught.value.detail) == (pointer, detail)


def test_a_missing_member_is_named() -> None:
    seizure = examples("seizure")
    del seizure["when"]
    with pytest.raises(FormError) as caught:
        parse_notice("seizure", seizure)
    assert (caught.value.pointer, caught.value.detail) == ("/when", "Is missing.")
