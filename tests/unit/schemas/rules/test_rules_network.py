"""`network.json`: the founding rules, the one canonical form, and what is refused."""

import random
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codes import LANGUAGES, code_list
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.limits import LIMITS
from schemas.rules.founding import COE, EU, OSCE, PARTNERS
from schemas.rules.network import default_network, parse_network
from schemas.rules.reading import write
from tests.unit.schemas.rules import worlds


def test_the_founding_network_is_canonical_and_complete() -> None:
    data = default_network()
    network = parse_network(data)
    assert write(network) == data
    assert (len(OSCE), len(PARTNERS), len(EU), len(COE)) == (57, 11, 27, 46)
    states = code_list("states").entries
    assert {str(code) for code in states} == {*OSCE, *PARTNERS}
    assert {str(code) for code, entry in states.items() if entry.extra["status"] == "participating"} == set(OSCE)
    assert set(EU) <= set(COE) <= set(OSCE)
    assert {item.role for item in network.participants} == {
        *OSCE,
        *PARTNERS,
        "audit",
        "int-incb",
        "int-interpol",
        "int-osce",
        "int-unodc",
    }
    assert not any(item.suspended for item in network.participants)
    assert all(tuple(grant.explanation.by_language()) == LANGUAGES for grant in network.grants)


def test_themes_of_the_founding_grants_are_in_the_list() -> None:
    themes = {str(code) for code in code_list("themes").entries}
    kinds = {str(code) for code in code_list("agencies").entries} | {"focal-point", "organisation", "auditor"}
    for grant in parse_network(default_network()).grants:
        assert set(grant.themes or ()) <= themes
        assert set(grant.agency_kinds or ()) <= kinds


@given(st.integers(0, 2**32))
def test_a_network_is_read_and_written_the_same(seed: int) -> None:
    data = orjson.dumps(worlds.network(random.Random(seed)))
    assert write(parse_network(data)) == data


def changed(change: Callable[[Any], Any]) -> bytes:
    network = orjson.loads(default_network())
    change(network)
    return orjson.dumps(network)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        (lambda n: n.update(v=2), "/v"),
        (lambda n: n.pop("grants"), "/grants"),
        (lambda n: n.update(grants=[]), "/grants"),
        (lambda n: n.update(participants=[]), "/participants"),
        (lambda n: n.update(more=1), ""),
        (lambda n: n["participants"].reverse(), "/participants"),
        (lambda n: n["participants"].append(n["participants"][-1]), "/participants"),
        (lambda n: n["participants"][0].update(role="FR"), "/participants/0/role"),
        (lambda n: n["participants"][0].update(suspended="no"), "/participants/0/suspended"),
        (lambda n: n["groups"].reverse(), "/groups"),
        (lambda n: n["groups"][0].update(id="at"), "/groups/0/id"),
        (lambda n: n["groups"][0].update(members=[]), "/groups/0/members"),
        (lambda n: n["groups"][0].update(members=["zz"]), "/groups/0/members"),
        (lambda n: n["groups"][0].update(as_of="2022-02-30"), "/groups/0/as_of"),
        (lambda n: n["grants"].reverse(), "/grants"),
        (lambda n: n["grants"][0].update(to=["nobody"]), "/grants/0/to"),
        (lambda n: n["grants"][0].update(to=[]), "/grants/0/to"),
        (lambda n: n["grants"][0].update(actions=["fly"]), "/grants/0/actions/0"),
        (lambda n: n["grants"][0].update(acts=[]), "/grants/0/acts"),
        (lambda n: n["grants"][0].update(acts=["Issue"]), "/grants/0/acts/0"),
        (lambda n: n["grants"][0].update(themes=["b", "a"]), "/grants/0/themes"),
        (lambda n: n["grants"][0].update(within="self"), "/grants/0/within"),
        (lambda n: n["grants"][0].update(valid_from="2026-01-01"), "/grants/0/valid_from"),
        (
            lambda n: n["grants"][0].update(valid_from="2026-01-01T00:00:00Z", valid_to="2026-01-01T00:00:00Z"),
            "/grants/0/valid_to",
        ),
        (lambda n: n["grants"][0]["explanation"].update(en=None), "/grants/0/explanation/en"),
        (lambda n: n["grants"][0]["explanation"].update(en=" x"), "/grants/0/explanation/en"),
        (lambda n: n["grants"][0]["explanation"].update(en="a\u202eb"), "/grants/0/explanation/en"),
        (lambda n: n["grants"][0]["explanation"].update(nl="Dag."), "/grants/0/explanation"),
        (lambda n: n["grants"][0].update(article="two\nlines"), "/grants/0/article"),
    ],
)
def test_what_the_form_does_not_allow_is_refused_with_its_place(change: Callable[[Any], Any], pointer: str) -> None:
    with pytest.raises(FormError) as refused:
        parse_network(changed(change))
    assert refused.value.pointer == pointer


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf" + default_network(),
        default_network() + b"\n",
        default_network().replace(b'"v":1', b'"v": 1'),
        default_network().replace(b'"v":1', b'"v":1.0'),
        default_network().replace(b'"v":1', b'"v":true'),
        default_network().replace(b'"v":1', b'"v":1,"v":1'),
        default_network().replace(b'"role":"ad","suspended":false', b'"suspended":false,"role":"ad"'),
        default_network().replace(b"Treaty", b"Tr\\u0065aty"),
        b'{"v":1,"participants":' + b"[" * 100_000,
    ],
)
def test_anything_but_the_one_canonical_form_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_network(data)


def test_something_too_large_is_refused_unread() -> None:
    with pytest.raises(TooLargeError):
        parse_network(b" " * (LIMITS.body + 1))


def test_an_error_does_not_repeat_the_input() -> None:
    secret = "kept-to-ourselves"
    for change in (
        lambda n: n["groups"][0].update(as_of=secret),
        lambda n: n["grants"][0].update(within=secret),
        lambda n: n["grants"][0].update({secret: 1}),
        lambda n: n["groups"][0].update(members=[secret.upper()]),
    ):
        with pytest.raises(FormError) as refused:
            parse_network(changed(change))
        assert secret not in f"{refused.value.detail} {refused.value.pointer}".lower()
