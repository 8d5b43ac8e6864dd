"""Kinds of notice: read, written and read again; what is wrong is named and never repeated."""

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from schemas.codes import LISTS, code_list
from schemas.errors import FormError
from schemas.limits import LIMITS
from schemas.notice import (
    KINDS,
    examples,
    is_nominal,
    json_schema,
    nominal_members,
    parse_notice,
    summary,
    to_json,
    without_nominal,
)
from schemas.strict_json import Json, parse_object

line = st.text(min_size=1, max_size=12)
day = st.dates().map(lambda date: date.isoformat())
moment = st.datetimes().map(lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"))
when = day | moment
decimal = st.decimals(0, 10**9, allow_nan=False, allow_infinity=False, places=4).map(lambda number: f"{number:f}")
percent = st.decimals(0, 100, places=3).map(lambda number: f"{number:f}")
language = st.sampled_from(["en", "fr", "sr-Latn", "und"])
text = st.fixed_dictionaries({"language": language, "text": line})
count = st.integers(1, LIMITS.integer)


def coded(name: str) -> st.SearchStrategy[Any]:
    known = st.sampled_from(sorted(code_list(name).entries))
    word = st.fixed_dictionaries({"text": line}, optional={"language": language, "code": known})
    return word | st.fixed_dictionaries({"code": known})


def code_of(name: str) -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(code_list(name).entries))


def degrees(most: int) -> st.SearchStrategy[str]:
    return st.decimals(-most, most, places=5).map(lambda number: f"{abs(number) if number == 0 else number:f}")


position = st.tuples(degrees(180), degrees(90)).map(list)
ring = st.lists(position, min_size=3, max_size=5).map(lambda positions: [*positions, positions[0]])
geometry = (
    st.fixed_dictionaries({"type": st.just("Point"), "coordinates": position})
    | st.fixed_dictionaries({"type": st.just("LineString"), "coordinates": st.lists(position, min_size=2, max_size=4)})
    | st.fixed_dictionaries({"type": st.just("Polygon"), "coordinates": st.lists(ring, min_size=1, max_size=2)})
)
country = code_of("countries")
place = st.fixed_dictionaries(
    {"name": line},
    optional={
        "country": country,
        "country_text": line,
        "division": line,
        "border_point": line,
        "geometry": geometry,
        "unlocode": st.just("XZ3PQ"),
    },
)
places = st.lists(place, max_size=2)
itinerary = st.fixed_dictionaries(
    {},
    optional={
        "origin": place,
        "departure": place,
        "transit": places,
        "destination": place,
        "routing": coded("routing"),
    },
)
substance = st.fixed_dictionaries(
    {"name": line},
    optional={
        "code": code_of("substances"),
        "cas": st.sampled_from(["561-27-3", "50-36-2", "108-24-7"]),
        "other_names": st.lists(line, max_size=2),
        "control": code_of("control"),
        "hs": st.just({"number": "2933.36", "edition": "2022"}),
        "quantity": decimal,
        "unit": code_of("units"),
        "purity": percent,
        "form": coded("substance-forms"),
        "packaging": coded("packaging"),
        "packages": count,
        "logo": text,
        "remarks": text,
    },
) | st.fixed_dictionaries({"name": line, "quantity": decimal, "unit_text": line})
substances = st.lists(substance, min_size=1, max_size=2)
conveyance = st.fixed_dictionaries(
    {"mode": coded("conveyance")},
    optional={"identifier": line, "registered_in": country, "carrier": line, "remarks": text},
)
evaluation = st.sampled_from(
    [
        {"scheme": "europol-4x4", "code": "X4"},
        {"scheme": "admiralty-6x6", "code": "F6"},
        {"scheme": "uk-3x5x2", "code": "1AP"},
    ]
)
person = st.fixed_dictionaries(
    {"role": coded("person-roles")},
    optional={
        "family_name": line,
        "given_names": line,
        "other_names": st.lists(line, max_size=2),
        "sex": st.sampled_from(["female", "male", "other", "unknown"]),
        "born": day,
        "born_at": place,
        "nationalities": st.lists(country, max_size=2),
        "documents": st.lists(
            st.fixed_dictionaries({"type": line, "number": line}, optional={"issued_by": country, "valid_until": day}),
            max_size=1,
        ),
        "address": place,
        "remarks": text,
    },
)
nominal = st.fixed_dictionaries({"persons": st.lists(person, min_size=1, max_size=2)})
authority = st.fixed_dictionaries({"name": line}, optional={"agency": code_of("agencies"), "country": country})
officer = st.fixed_dictionaries(
    {"name": line},
    optional={
        "authority": line,
        "telephone": line,
        "email": line,
        "languages": st.lists(language, max_size=2),
        "how_to_reach": text,
    },
)
photo = st.fixed_dictionaries(
    {"index": st.integers(0, 9), "key": st.just("A" * 43), "media_type": st.just("image/png")},
    optional={"caption": text},
)
period = st.fixed_dictionaries({"since": day}) | st.fixed_dictionaries({"until": moment})
reported = st.lists(st.fixed_dictionaries({"label": line, "text": line}), max_size=2)
concealment = st.lists(coded("concealment"), max_size=2)
conveyances = st.lists(conveyance, max_size=2)

notices = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("seizure"), "when": when, "where": place, "substances": substances},
        optional={
            "reference": line,
            "agency": authority,
            "detection": st.lists(coded("detection-methods"), max_size=2),
            "conveyances": conveyances,
            "route": itinerary,
            "installation": coded("installation"),
            "concealment": concealment,
            "laboratory_reference": line,
            "photos": st.lists(photo, max_size=2),
            "evaluation": evaluation,
            "remarks": text,
            "reported": reported,
            "nominal": nominal,
        },
    ),
    st.fixed_dictionaries(
        {"kind": st.just("route"), "substances": substances, "destination": st.lists(place, min_size=1, max_size=2)},
        optional={
            "origin": places,
            "departure": places,
            "transit": places,
            "course": geometry,
            "conveyances": conveyances,
            "period": period,
            "concealment": concealment,
            "frequency": coded("frequencies"),
            "change": coded("trends"),
            "confidence": evaluation,
            "remarks": text,
            "reported": reported,
        },
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("precursor"),
            "event": code_of("precursor-events"),
            "when": when,
            "where": place,
            "substances": substances,
        },
        optional={
            "operators": st.lists(
                st.fixed_dictionaries(
                    {"name": line, "role": coded("operator-roles")},
                    optional={"country": country, "address": place, "authorisation": line},
                ),
                max_size=2,
            ),
            "documents": st.lists(
                st.fixed_dictionaries({"type": line}, optional={"number": line, "date": day, "issued_by": line}),
                max_size=2,
            ),
            "route": itinerary,
            "pen_reference": line,
            "reason": text,
            "actions": st.lists(coded("precursor-actions"), max_size=2),
            "evaluation": evaluation,
            "nominal": nominal,
        },
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("controlled-delivery"),
            "authority": authority,
            "offence": text,
            "reasons": text,
            "facts": text,
            "investigation": text,
            "substances": substances,
            "entry": place,
            "exit": place,
            "conveyances": st.lists(conveyance, min_size=1, max_size=2),
            "route": itinerary,
            "approval": st.fixed_dictionaries(
                {"authority": authority, "order": line, "date": day}, optional={"copy_of_order": photo}
            ),
            "officer": officer,
            "surveillance": st.lists(coded("surveillance-methods"), min_size=1, max_size=2),
            "window": period,
        },
        optional={"concealment": concealment, "heartbeat_minutes": count, "other": text, "nominal": nominal},
    ),
    st.fixed_dictionaries(
        {"kind": st.just("practice"), "title": text, "practice": text},
        optional={"problem": text, "legal_prerequisites": text, "result": text, "contact": officer},
    ),
)


@settings(max_examples=150, deadline=None)
@given(notices)
def test_what_is_read_is_written_and_read_again(value: dict[str, Json]) -> None:
    kind = str(value["kind"])
    notice = parse_notice(kind, value)
    written = to_json(notice)
    # As bytes too: a plaintext is strict JSON without floats.
    again = parse_object(json.dumps(written, ensure_ascii=False).encode())
    assert parse_notice(kind, again) == notice
    assert to_json(parse_notice(kind, again)) == written
    assert next(iter(written)) == "kind"
    assert None not in written.values()
    assert is_nominal(notice) == ("nominal" in value)
    shown = summary(notice)
    assert 0 < len(shown) <= 200
    assert shown.isprintable()


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_complete_and_stay_as_they_are(kind: str) -> None:
    example = examples(kind)
    assert to_json(parse_notice(kind, example)) == example
    assert list(to_json(parse_notice(kind, example))) == list(example)
    Draft202012Validator.check_schema(json_schema(kind))
    Draft202012Validator(json_schema(kind)).validate(example)
    example["kind"] = "spoilt"
    assert examples(kind)["kind"] == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_in_the_code_list_and_its_schema_names_only_known_lists(kind: str) -> None:
    assert kind in code_list("kinds").entries

    def named(schema: object) -> set[str]:
        if isinstance(schema, dict):
            own = {schema["x-code-list"]} if "x-code-list" in schema else set()
            return own.union(*map(named, schema.values()))
        return set().union(*map(named, schema)) if isinstance(schema, list) else set()

    assert named(json_schema(kind)) <= set(LISTS)


@pytest.mark.parametrize("kind", KINDS)
def test_kind_may_be_absent_and_null_is_absent(kind: str) -> None:
    example = examples(kind)
    del example["kind"]
    assert parse_notice(kind, {**example, "reference": None}).kind == kind


def test_notices_are_frozen() -> None:
    notice = parse_notice("practice", examples("practice"))
    with pytest.raises(ValueError, match="frozen"):
        notice.reference = "x"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("seizure", "Heroin 12.480 kg — Merke, KZ — 2026-03-14T05:20:00Z"),
        (
            "route",
            "Methamphetamine and 1 more — Badakhshan, AF → Khorog, TJ → Osh, KG → KZ → Sverdlovsk Region, RU — since 2026-01-01 until 2026-03-31",
        ),
        ("precursor", "Stopped shipment: Acetic anhydride 9600 kg — Mersin, TR — 2026-02-11"),
        (
            "controlled-delivery",
            "Controlled delivery: Cocaine 42.5 kg — Tarvisio, IT → Vienna, AT — since 2026-05-02T18:00:00Z until 2026-05-04T06:00:00Z",
        ),
        ("practice", "Practice: Weighing fuel tanks at the border"),
    ],
)
def test_a_notice_is_told_in_one_line(kind: str, expected: str) -> None:
    assert summary(parse_notice(kind, examples(kind))) == expected


def test_a_summary_cannot_move_the_cursor_or_turn_the_text() -> None:
    example = examples("seizure")
    example["substances"] = [
        {"name": "\x1b[2J evil\r\n\u202egnirts\u2028 " + "x" * 300, "quantity": "1", "unit": "{pill}"}
    ]
    shown = summary(parse_notice("seizure", example))
    assert shown.startswith("[2J evil gnirts xxx")
    assert (len(shown), shown[-1]) == (200, "…")


def test_a_course_is_told_when_no_place_is() -> None:
    route = examples("route")
    for member in ("origin", "departure", "transit", "destination", "period"):
        del route[member]
    assert summary(parse_notice("route", route)) == "Methamphetamine and 1 more — a course on the map"
    del route["course"]
    with pytest.raises(FormError) as caught:
        parse_notice("route", route)
    assert caught.value.pointer == ""


def test_an_unknown_kind_is_refused() -> None:
    for call in (lambda: parse_notice("nonsense", {}), lambda: json_schema("nonsense"), lambda: examples("nonsense")):
        with pytest.raises(FormError) as caught:
            call()
        assert caught.value.pointer == "/kind"


def test_a_reader_may_take_codes_that_its_lists_do_not_have() -> None:
    example: Any = examples("seizure")
    example["where"]["country"] = "QX"
    example["substances"][0] |= {"unit": "{sachet}", "code": "new-thing"}
    example["concealment"] = [{"code": "new-place"}]
    example["evaluation"] = {"scheme": "new-scheme", "code": "§"}
    with pytest.raises(FormError):
        parse_notice("seizure", example)
    notice = parse_notice("seizure", example, known_codes=False)
    assert to_json(notice) == example
    assert summary(notice) == "Heroin 12.480 sachet — Merke, QX — 2026-03-14T05:20:00Z"
    event = {**examples("precursor"), "event": "new-event"}
    assert summary(parse_notice("precursor", event, known_codes=False)).startswith("new-event: ")
    # Their form still counts.
    example["where"]["country"] = "qx"
    with pytest.raises(FormError):
        parse_notice("seizure", example, known_codes=False)


def test_a_period_may_end_within_the_day_that_it_begins() -> None:
    route = examples("route")
    route["period"] = {"since": "2026-01-01T12:00:00Z", "until": "2026-01-01"}
    assert summary(parse_notice("route", route)).endswith("since 2026-01-01T12:00:00Z until 2026-01-01")
    route["period"] = {"since": "2026-01-01", "until": "2026-01-01"}
    assert summary(parse_notice("route", route)).endswith(" — 2026-01-01")
    route["period"] = {"until": "2026-01-01"}
    assert summary(parse_notice("route", route)).endswith(" — until 2026-01-01")


@pytest.mark.parametrize("words", [{"geometry": {"type": "Point", "coordinates": ["0", "0"]}}, {"unlocode": "XZ3PQ"}])
def test_a_place_without_a_name_is_told_as_it_can_be(words: dict[str, Json]) -> None:
    seizure = copy.deepcopy(examples("seizure"))
    seizure["where"] = words
    expected = "XZ3PQ" if "unlocode" in words else "a place on the map"
    assert f" — {expected} — " in summary(parse_notice("seizure", seizure))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_is_whole_without_its_nominal_part(kind: str) -> None:
    notice = parse_notice(kind, examples(kind))
    clean = without_nominal(notice)
    assert not is_nominal(clean)
    assert parse_notice(kind, to_json(clean)) == clean
    left = set(to_json(notice)) - set(to_json(clean))
    assert left == set(nominal_members(notice)) == ({"nominal"} & set(to_json(notice)))
