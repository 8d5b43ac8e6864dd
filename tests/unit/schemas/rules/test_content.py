"""What a law reads of notices: each kind's facts, what is not stated is not known, and nothing makes it fail."""

from fractions import Fraction
from typing import Any, Literal

import pytest

from schemas.encoding import Time
from schemas.ids import ParticipantId, Role
from schemas.notice import Notice, examples, parse_notice
from schemas.notice.reading import KINDS
from schemas.rules.aspects import ASPECTS
from schemas.rules.content import Content, content_of
from schemas.rules.facts import Facts, Party

SENDER = Party(ParticipantId("kz/customs"), Role("kz"), "customs", (), None, suspended=False)


def read(kind: str, **changes: Any) -> Content:
    members = {**examples(kind), **changes}
    members = {name: value for name, value in members.items() if value is not None}
    return content_of(parse_notice(kind, members))


def test_a_controlled_delivery_in_full() -> None:
    found = read("controlled-delivery")
    assert found == Content(
        "controlled-delivery",
        states=frozenset(("at", "co", "it")),
        substances=frozenset(("cocaine",)),
        grams=Fraction(42500),
        births=(None,),
        special_categories=frozenset(),
        operators=False,
        offences=frozenset(("drug-trafficking", "organised-crime")),
        authorities=frozenset(("prosecutor",)),
        decided_in=frozenset(("exit", "destination")),
        assistance="before",
        oral=False,
        oral_until=None,
        last_resort=True,
        constant_surveillance=True,
        final_interception=True,
        foreign_officers=False,
        dangerous_goods=frozenset(),
        substitution="none",
        handover=True,
        languages=frozenset(("de", "en", "it")),
        begins="2026-05-02T18:00:00Z",  # type: ignore[arg-type]
        ends="2026-05-04T06:00:00Z",  # type: ignore[arg-type]
        missing=(("youngest", "/nominal/persons/0/born"),),
    )


def test_a_controlled_delivery_that_states_no_terms() -> None:
    approval = {"authority": {"name": "The ministry"}, "order": "1", "date": "2026-04-28"}
    window = {"since": "2026-05-02", "until": "2026-05-02"}
    found = read("controlled-delivery", terms=None, approval=approval, window=window, nominal=None)
    unknown = (found.offences, found.authorities, found.decided_in, found.assistance, found.last_resort)
    assert unknown == (None,) * 5
    assert (found.constant_surveillance, found.final_interception, found.foreign_officers) == (None, None, None)
    assert (found.dangerous_goods, found.handover, found.oral, found.births) == (None, False, None, ())
    assert found.languages == {"en"}
    # A day counts whole.
    assert (found.begins, found.ends) == ("2026-05-02T00:00:00Z", "2026-05-02T23:59:59Z")
    assert read("controlled-delivery", window={"since": "2026-05-02"}).ends is None


@pytest.mark.parametrize(
    ("methods", "means"),
    [
        (["visual"], "none"),
        (["partial-substitution"], "partial"),
        (["substitution"], "complete"),
        (["partial-substitution", "substitution"], "complete"),
    ],
)
def test_substitution(methods: list[str], means: str) -> None:
    surveillance = [{"code": code} for code in methods]
    assert read("controlled-delivery", surveillance=surveillance).substitution == means


def test_oral_requests_and_a_court() -> None:
    terms = {"oral_until": "2026-05-03"}
    approval = {
        "authority": {"name": "Court", "agency": "judicial", "country": "IT"},
        "order": "1",
        "date": "2026-04-28",
    }
    found = read("controlled-delivery", terms=terms, approval=approval)
    assert (found.oral, found.oral_until) == (True, "2026-05-03T23:59:59Z")
    assert (found.authorities, found.decided_in) == ({"court"}, {"entry", "departure"})


def test_texts_in_several_languages_have_only_what_is_common_to_them() -> None:
    found = read("controlled-delivery", terms=None, facts={"language": "de-AT", "text": "Ein Lastwagen."})
    assert found.languages == set()


def test_a_route() -> None:
    found = read("route")
    assert found.states == {"af", "kg", "kz", "ru", "tj"}
    assert (found.births, found.operators, found.grams) == ((), False, None)
    course = {"origin": None, "departure": None, "transit": None, "destination": None}
    assert read("route", **course).states is None
    assert read("route", origin=[{"name": "A plateau"}]).states is None
    harbour = [{"unlocode": "AMEVN"}]
    assert read("route", **{**course, "origin": harbour}).states == {"am"}
    assert read("route", **{**course, "origin": [{"unlocode": "XZABC"}]}).states is None


def test_a_seizure_and_a_precursor() -> None:
    seizure = read("seizure")
    assert (seizure.states, seizure.grams) == ({"af", "kg", "kz", "ru", "tj"}, Fraction(12480))
    assert (seizure.births, seizure.operators) == (("1984-02-29",), False)
    assert read("seizure", route=None).states == {"kz"}
    assert read("precursor").operators is True
    assert read("precursor", operators=None).operators is False
    persons = {"persons": examples("seizure")["nominal"]["persons"], "special_categories": ["health"]}  # type: ignore[index, call-overload]
    assert read("seizure", nominal=persons).special_categories == {"health"}


@pytest.mark.parametrize(
    ("substance", "grams"),
    [
        ({"quantity": "1.5", "unit": "t"}, Fraction(1_500_000)),
        ({"quantity": "0.1", "unit": "mg"}, Fraction(1, 10_000)),
        ({"quantity": "3", "unit": "{tablet}"}, None),
        ({"quantity": "3"}, None),
        ({}, None),
    ],
)
def test_masses_add_up_exactly_or_are_not_known(substance: dict[str, Any], grams: Fraction | None) -> None:
    substances = [{"name": "Heroin", **substance}, {"name": "Heroin", **substance}]
    found = read("seizure", substances=substances)
    assert found.grams == (None if grams is None else 2 * grams)
    assert found.substances is None


def test_a_practice_is_about_no_case() -> None:
    found = read("practice")
    assert (found.states, found.substances, found.grams, found.births) == (frozenset(), frozenset(), 0, ())
    assert (found.special_categories, found.operators, found.oral, found.handover) == (frozenset(), False, False, False)
    assert (found.languages, found.begins, found.missing) == ({"en"}, None, ())
    # Of what offence its reader will think, it cannot say.
    assert (found.offences, found.authorities, found.constant_surveillance) == (None, None, None)


def test_dates_of_what_is_reported() -> None:
    seizure = read("seizure", when="2026-03-14")
    assert (seizure.begins, seizure.ends) == ("2026-03-14T00:00:00Z", "2026-03-14T23:59:59Z")
    route = read("route", period={"since": "2026-01-01"})
    assert (route.begins, route.ends) == ("2026-01-01T00:00:00Z", None)
    assert route.lacks("duration") == "/period/until"
    assert read("route", period=None).lacks("duration") == "/period"
    assert read("route", period={"until": "2026-01-01"}).lacks("duration") == "/period/since"


def test_texts_of_reports() -> None:
    assert read("seizure").languages == {"ru"}
    assert read("seizure", remarks=None).languages is None
    reason, remarks = ({"language": language, "text": "x"} for language in ("en-GB", "fr"))
    assert read("precursor", reason=reason, remarks=remarks).languages == set()
    assert read("precursor", reason=reason, remarks=None).languages == {"en"}


@pytest.mark.parametrize(
    ("kind", "changes", "aspect", "field"),
    [
        (
            "seizure",
            {"route": {"transit": [{"country": "KG"}, {"name": "A ford"}]}},
            "states",
            "/route/transit/1/country",
        ),
        ("seizure", {"where": {"name": "A ford"}}, "states-without-consent", "/where/country"),
        ("route", {"transit": [{"name": "A ford"}]}, "states", "/transit/0/country"),
        (
            "route",
            {"origin": None, "departure": None, "transit": None, "destination": None},
            "states",
            "/origin",
        ),
        ("seizure", {"substances": [{"name": "Heroin"}]}, "grams", "/substances/0/quantity"),
        (
            "precursor",
            {"substances": [{"name": "A", "quantity": "1", "unit": "kg"}, {"name": "B", "quantity": "1", "unit": "L"}]},
            "grams",
            "/substances/1/unit",
        ),
        ("controlled-delivery", {}, "youngest", "/nominal/persons/0/born"),
        ("controlled-delivery", {"terms": None}, "offences", "/terms/offences"),
        ("controlled-delivery", {"terms": None}, "constant-surveillance", "/terms/constant_surveillance"),
        ("controlled-delivery", {"window": {"since": "2026-05-02"}}, "duration", "/window/until"),
        ("controlled-delivery", {"exit": {"name": "A ford"}}, "states", "/exit/country"),
        ("seizure", {}, "offences", None),
        ("controlled-delivery", {}, "offences", None),
    ],
)
def test_what_is_not_known_names_the_member_that_would_tell_it(
    kind: str, changes: dict[str, Any], aspect: str, field: str | None
) -> None:
    assert read(kind, **changes).lacks(aspect) == field


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_each_kind_is_read_and_lacks_what_it_does_not_know(kind: str) -> None:
    """Of no kind is it left open whether persons are in it: that is what its schema says for certain."""
    found = content_of(parse_notice(kind, examples(kind)))
    assert found.kind == kind
    assert None not in (found.births, found.special_categories, found.operators, found.oral, found.handover)
    shown = Facts("publish", "issue", None, None, SENDER, None, Time("2026-06-01T00:00:00Z"), None, found)
    for aspect, _ in found.missing:
        assert ASPECTS[aspect].inputs == "content"
        assert ASPECTS[aspect].read(shown, None) is None


def test_of_a_kind_that_is_not_read_nothing_is_known() -> None:
    class Other(Notice):
        kind: Literal["other"] = "other"

        def headline(self) -> str:
            return "Other"

    assert content_of(Other()) == Content("other")


def test_a_delivery_s_duration_counts_from_its_beginning() -> None:
    begin = ASPECTS["duration"].begin
    assert begin is not None
    facts = Facts("publish", "issue", None, None, SENDER, None)
    assert begin(facts) is None
    shown = Facts("publish", "issue", None, None, SENDER, None, None, None, read("controlled-delivery"))
    assert begin(shown) == "2026-05-02T18:00:00Z"
