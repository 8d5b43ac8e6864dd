"""The feed: its pages, its waiting, and its parameters."""

import time

import pytest

from broker.http.service import (
    FeedPage,
)
from tests.unit.broker.http.double import InTurn, code


def test_a_page_of_the_feed(ask, service):
    service.answers["feed"] = FeedPage(5, 7, [b'{"a":1}', b'{"b":2}'])
    answer = ask("GET", "/v1/feed?after=3&limit=2&topic=central-asia.*", by="kz/customs")
    assert answer.body == b'{"next":5,"size":7,"deliveries":[{"a":1},{"b":2}]}'
    assert answer.headers["link"] == '</v1/feed?after=5&wait=0&limit=2&topic=central-asia.*>; rel="next"'
    assert service.asked == [("feed", "kz/customs", 3, 2, "central-asia.*")]


def test_the_feed_waits_for_something(ask, service):
    def grow():
        service.note_size = 8

    service.answers |= {"feed": InTurn([FeedPage(7, 7, []), FeedPage(8, 8, [b"{}"])]), "wait_checkpoint": grow}
    answer = ask("GET", "/v1/feed?wait=30", by="kz/customs")
    assert answer.json() == {"next": 8, "size": 8, "deliveries": [{}]}
    assert [item[0] for item in service.asked] == ["feed", "wait_checkpoint", "feed"]
    assert service.asked[1][1] == 7
    assert 29 < service.asked[1][2] <= 30
    assert service.asked[2][2] == 7


def test_the_feed_goes_on_waiting_while_nothing_is_for_the_caller(ask, service):
    def grow():
        service.note_size += 1

    pages = InTurn([FeedPage(7, 7, []), FeedPage(8, 8, []), FeedPage(9, 9, [b"{}"])])
    service.answers |= {"feed": pages, "wait_checkpoint": grow}
    assert ask("GET", "/v1/feed?wait=30", by="kz/customs").json()["next"] == 9


def test_the_feed_ends_empty_when_the_time_is_over(ask, service):
    service.answers |= {"feed": FeedPage(7, 7, []), "wait_checkpoint": None}
    assert ask("GET", "/v1/feed?wait=1", by="kz/customs").json() == {"next": 7, "size": 7, "deliveries": []}
    service.asked.clear()
    began = time.monotonic()
    ask("GET", "/v1/feed?wait=0", by="kz/customs")
    assert [item[0] for item in service.asked] == ["feed"]
    assert time.monotonic() - began < 1


def test_a_key_that_is_revoked_while_it_waits_gets_nothing(ask, service, world, trust):
    def revoke():
        service.note_size = service.size = 9
        kid = world.people["kz/customs"].request.kid
        service.trust = trust.__class__(trust.directory, trust.rules, None, {kid: 8})

    service.answers |= {"feed": FeedPage(7, 7, []), "wait_checkpoint": revoke}
    assert code(ask("GET", "/v1/feed?wait=30", by="kz/customs")) == "unauthenticated"
    assert [item[0] for item in service.asked] == ["feed", "wait_checkpoint"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("after=-1", "/query/after"),
        ("after=", "/query/after"),
        ("after=1.0", "/query/after"),
        ("after=1_0", "/query/after"),
        ("after=+1", "/query/after"),
        ("after=%201", "/query/after"),
        ("after=01", "/query/after"),
        ("after=1e3", "/query/after"),
        ("after=%D9%A1", "/query/after"),
        ("after=" + "9" * 12000, "/query/after"),
        ("after=9007199254740992", "/query/after"),
        ("limit=0", "/query/limit"),
        ("limit=201", "/query/limit"),
        ("wait=31", "/query/wait"),
        ("topic=a", "/query/topic"),
        ("topic=A.b", "/query/topic"),
        ("topic=" + "a" * 300 + ".b", "/query/topic"),
        ("topic=%00.a", "/query/topic"),
        ("after=1&after=2", "/query/after"),
        ("secret=1", "/query"),
        ("%FF=%FF", "/query"),
    ],
)
def test_parameters_of_the_wrong_form_are_named(ask, service, query, pointer):
    answer = ask("GET", f"/v1/feed?{query}", by="kz/customs")
    assert (answer.status, code(answer), answer.json()["pointer"]) == (422, "invalid-form", pointer)
    assert "secret" not in answer.body.decode()
    assert not service.asked


def test_the_greatest_cursor_is_one(ask, service):
    service.answers["feed"] = FeedPage(9007199254740991, 7, [])
    assert ask("GET", "/v1/feed?after=9007199254740991&limit=200&wait=0", by="kz/customs").status == 200
