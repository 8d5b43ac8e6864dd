"""Facts of a controlled delivery that a law could miss: what is not stated in codes is not known, and nothing passes.

Held against a second reading, of the notice's raw JSON, written from schemas/rules/README.md ("Content aspects").
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.notice import examples, parse_notice
from schemas.rules.content import Content, content_of

COUNTRIES = ("AT", "IT", "SI", "HR")
METHODS = ("visual", "tracking-device", "partial-substitution", "substitution")


def read(members: dict[str, Any]) -> Content:
    return content_of(parse_notice("controlled-delivery", members))


places = st.one_of(
    st.sampled_from(COUNTRIES).map(lambda code: {"country": code}),
    st.sampled_from(COUNTRIES).map(lambda code: {"unlocode": f"{code}AAA"}),
    st.sampled_from(COUNTRIES).map(lambda code: {"country": code, "unlocode": f"{code}AAA", "name": "A place"}),
    st.just({"name": "A plateau"}),
)
methods = st.one_of(
    st.sampled_from(METHODS).map(lambda code: {"code": code}),
    st.just({"text": "The goods are replaced by sugar.", "language": "en"}),
)


@st.composite
def deliveries(draw: st.DrawFn) -> dict[str, Any]:
    members: dict[str, Any] = dict(examples("controlled-delivery"))
    members |= {"entry": draw(places), "exit": draw(places)}
    route: dict[str, Any] = {"transit": draw(st.lists(places, max_size=2))}
    for name in ("origin", "departure", "destination"):
        if draw(st.booleans()):
            route[name] = draw(places)
    members["route"] = route
    authority: dict[str, Any] = {"name": "An authority"}
    if draw(st.booleans()):
        authority["country"] = draw(st.sampled_from(COUNTRIES))
    members["approval"] = {"authority": authority, "order": "1", "date": "2026-04-28"}
    members["surveillance"] = draw(st.lists(methods, min_size=1, max_size=3))
    del members["terms"]
    if draw(st.booleans()):
        members["terms"] = terms = {"handover": draw(st.lists(places, max_size=2))}
        if draw(st.booleans()):
            terms["oral_until"] = "2026-05-03"
    return members


def home(place: dict[str, Any]) -> str | None:
    return place.get("country") or (place["unlocode"][:2] if "unlocode" in place else None)


def way(members: dict[str, Any]) -> set[str] | None:
    route, terms = members["route"], members.get("terms", {})
    points = [route[name] for name in ("origin", "departure", "destination") if name in route]
    homes = [
        home(place)
        for place in (members["entry"], members["exit"], *points, *route["transit"], *terms.get("handover", []))
    ]
    return None if None in homes else {str(code).lower() for code in homes}


@given(deliveries())
def test_facts_are_those_of_the_second_reading(members: dict[str, Any]) -> None:
    found = read(members)
    assert found.states == way(members)
    assert found.oral == ("oral_until" in members["terms"] if "terms" in members else None)
    codes = [item.get("code") for item in members["surveillance"]]
    expected = "complete" if "substitution" in codes else "partial" if "partial-substitution" in codes else "none"
    assert found.substitution == (None if None in codes and expected != "complete" else expected)
    country = members["approval"]["authority"].get("country")
    points = {"entry": members["entry"], "exit": members["exit"], **members["route"]}
    at_home = {name for name in ("entry", "exit", "departure", "destination") if home(points.get(name, {})) == country}
    assert found.decided_in == (None if country is None else at_home)


def test_a_place_of_handover_is_on_the_way() -> None:
    members: dict[str, Any] = dict(examples("controlled-delivery"))
    members["terms"] = {**members["terms"], "handover": [{"country": "SI", "name": "Sežana"}]}
    assert read(members).states == {"at", "co", "it", "si"}
    members["terms"] = {**members["terms"], "handover": [{"name": "The lay-by"}]}
    assert read(members).states is None


@pytest.mark.parametrize("beside", [[], [{"code": "visual"}], [{"code": "partial-substitution"}]])
def test_a_method_in_words_may_say_that_the_goods_are_replaced(beside: list[dict[str, str]]) -> None:
    members = dict(examples("controlled-delivery"))
    words = {"text": "The goods are replaced by sugar.", "language": "en"}
    members["surveillance"] = [*beside, words]  # type: ignore[list-item]
    assert read(members).substitution is None


def test_a_method_of_a_newer_list_is_not_known() -> None:
    members = dict(examples("controlled-delivery"))
    members["surveillance"] = [{"code": "replaced-by-a-replica"}]
    assert content_of(parse_notice("controlled-delivery", members, known_codes=False)).substitution is None


def test_an_authority_is_at_home_where_only_the_locode_says_so() -> None:
    members: dict[str, Any] = dict(examples("controlled-delivery"))
    members["entry"] = {"unlocode": "ATVIE"}
    assert read(members).decided_in == {"entry", "exit", "destination"}


def test_without_terms_it_may_have_been_asked_for_by_word_of_mouth() -> None:
    members = dict(examples("controlled-delivery"))
    del members["terms"]
    assert read(members).oral is None
    members["terms"] = {}
    assert read(members).oral is False
