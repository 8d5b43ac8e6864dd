"""One address or several: where a call goes, and where it goes next."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.client.addresses import Addresses
from adapters.client.broker import BrokerClient
from adapters.client.errors import AnswerError, BrokerAwayError, RefusedError
from adapters.client.transport import Answer
from schemas.errors import Error

NOTICE = "01935f2e-8c00-7a3b-9c4d-5e6f70819203"
A, B, C = "http://a.test:8480", "https://b.test", "http://c.test"
DOWN = BrokerAwayError("The broker cannot be reached (test).")
RECEIPT = Answer(201, CIMultiDict(), b'{"receipt":"a.b.c"}')


def said(status, **headers):
    return Answer(status, CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()}), b"")


class Instances:
    """What each address does with a request: an answer, or an error; and what was asked."""

    def __init__(self, **does):
        self.does = {f"{name}.test": outcome for name, outcome in does.items()}
        self.asked = []

    async def send(self, request):
        host = request.url.split("/")[2].partition(":")[0]
        self.asked.append(host.partition(".")[0])
        self.last = request
        outcome = self.does[host]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def close(self):
        pass


def client(instances, *addresses):
    return BrokerClient(", ".join(addresses), transport=instances)


def publish(one):
    return asyncio.run(one.publish(NOTICE, b"{}"))


@pytest.mark.parametrize("fails", [DOWN, said(502), said(503), said(504)])
def test_a_call_goes_on_at_the_next_address_and_later_ones_begin_there(fails):
    instances = Instances(a=fails, b=RECEIPT, c=RECEIPT)
    one = client(instances, A, B, C)
    assert publish(one) == "a.b.c"
    assert instances.asked == ["a", "b"]
    assert one.address == B
    assert publish(one) == "a.b.c"
    assert instances.asked == ["a", "b", "b"]
    # Nobody goes back by themselves, and after the last address comes the first.
    instances.does = {"a.test": RECEIPT, "b.test": DOWN, "c.test": DOWN}
    assert publish(one) == "a.b.c"
    assert instances.asked[3:] == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (said(500), BrokerAwayError),
        (said(507), BrokerAwayError),
        (said(429), BrokerAwayError),
        (said(201), AnswerError),
    ],
)
def test_what_is_an_answer_is_not_asked_for_elsewhere(answer, raised):
    instances = Instances(a=answer, b=RECEIPT)
    one = client(instances, A, B)
    with pytest.raises(raised):
        publish(one)
    assert (instances.asked, one.address) == (["a"], A)


def test_a_refusal_is_not_asked_for_elsewhere():
    body = b'{"type":"urn:valise:problem:denied"}'
    instances = Instances(a=Answer(422, CIMultiDict({"Content-Type": "application/problem+json"}), body), b=RECEIPT)
    one = client(instances, A, B)
    with pytest.raises(RefusedError):
        publish(one)
    assert (instances.asked, one.address) == (["a"], A)


@pytest.mark.parametrize(
    ("outcomes", "waits"),
    [
        ((DOWN, said(503, Retry_After="7")), 7.0),
        ((said(503, Retry_After="7"), DOWN), 7.0),
        ((said(503, Retry_After="7"), said(503, Retry_After="9")), 9.0),
        ((DOWN, DOWN), None),
    ],
)
def test_where_none_answers_each_was_asked_once_and_what_one_said_of_itself_counts(outcomes, waits):
    instances = Instances(a=outcomes[0], b=outcomes[1])
    one = client(instances, A, B)
    with pytest.raises(BrokerAwayError) as raised:
        publish(one)
    assert raised.value.retry_after == waits
    assert (instances.asked, one.address) == (["a", "b"], A)


def test_one_address_is_asked_once():
    instances = Instances(a=DOWN)
    one = client(instances, A)
    with pytest.raises(BrokerAwayError):
        publish(one)
    one.turn()
    assert (instances.asked, one.address) == (["a"], A)


def test_every_address_is_signed_for():
    signed = []

    def sign(method, url, body):
        signed.append(url)
        return {"Signature": url}

    instances = Instances(a=DOWN, b=Answer(200, CIMultiDict(), b'{"next":7,"size":9,"deliveries":[]}'))
    asyncio.run(client(instances, f"{A}/", B).feed(sign, after=3))
    assert [url.partition("?")[0] for url in signed] == [f"{A}/v1/feed", f"{B}/v1/feed"]
    assert instances.last.headers["Signature"] == instances.last.url == signed[1]


def test_an_upload_is_not_done_twice():
    instances = Instances(a=DOWN, b=Answer(201, CIMultiDict(), b'{"version":9,"index":70}'))
    one = client(instances, A, B)
    with pytest.raises(BrokerAwayError):
        asyncio.run(one.upload_role("fr", b"m", {}, edited=8))
    assert instances.asked == ["a"]
    # The person who repeats it has it at the next address.
    assert asyncio.run(one.upload_role("fr", b"m", {}, edited=8)).version == 9


def test_several_calls_that_fail_at_once_leave_an_address_once():
    class Slow(Instances):
        async def send(self, request):
            await asyncio.sleep(0.01)
            return await super().send(request)

    instances = Slow(a=DOWN, b=RECEIPT, c=RECEIPT)
    one = client(instances, A, B, C)

    async def both():
        return await asyncio.gather(one.publish(NOTICE, b"{}"), one.publish(NOTICE, b"{}"))

    assert asyncio.run(both()) == ["a.b.c", "a.b.c"]
    assert one.address == B
    one.turn()
    assert one.address == C


@pytest.mark.parametrize(
    "text", ["", A + ",", ",", f"{A},{A}/", f"{A} {B}", f"{A},broker", "http://[x", f"{A},ftp://b"]
)
def test_addresses_that_are_none(text):
    with pytest.raises(Error) as raised:
        Addresses(text)
    assert raised.value.code == "configuration"


@given(st.integers(1, 6), st.lists(st.integers(0, 5)))
def test_each_address_comes_once_beginning_with_the_one_in_use(count, leaves):
    every = [f"http://{number}.test" for number in range(count)]
    addresses = Addresses(",".join(every))
    for number in leaves:
        before = addresses.current
        left = every[number % count]
        addresses.leave(left)
        assert (addresses.current != before) == (left == before and count > 1)
        found = list(addresses.each())
        assert found[0] == addresses.current
        assert sorted(found) == every
