"""A granted notice on every way out of the broker: who is granted it has it, nobody else, as long as the rules let it."""

from dataclasses import replace

import orjson
import pytest

from broker import serving
from broker.answers import NotPublished, Published
from broker.ledger.fsck import fsck
from keys.log import proof as tlog_proof
from keys.sign import verify_receipt
from schemas.encoding import from_seconds
from schemas.envelope import Envelope
from schemas.errors import Error
from schemas.ids import Pattern
from schemas.statement import DelegationBody, RevocationBody
from tests import broker_world, sse
from tests.broker_world import HandClock, running, until, upload_law
from tests.carrying import Carrier
from tests.granting import granted
from tests.world import NOTICE, denying, make_world

pytestmark = pytest.mark.anyio
ALL = Pattern("*.*")
MEMBERS = ("kz/customs", "kz/focal-point", "kz/police", "kz/auditor", "uz/focal-point", "tj/focal-point", "tj/police")
SENDER, HOLDER, READER, STRANGER = "kz/customs", "uz/focal-point", "tj/focal-point", "tj/police"
DENY = denying("not-here")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def founded():
    return make_world(MEMBERS)


@pytest.fixture
def world(founded):
    return replace(founded)


@pytest.fixture
async def broker(world, tmp_path):
    async with running(world, tmp_path, HandClock(world.now * 1000)) as one:
        yield one


async def publish(broker, signed):
    answer = await broker_world.publish(broker, signed)
    if isinstance(answer, Published):
        await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    return answer


async def case(world, broker, to=(READER,)):
    signed = world.envelope(SENDER, [HOLDER])
    assert isinstance(await publish(broker, signed), Published)
    before = broker.view.size
    grant = granted(world, signed, to)
    answer = await publish(broker, grant)
    assert isinstance(answer, Published), answer.error
    return signed, grant, before, answer


def about(statement, **changes):
    return {"ref": statement.notice_id, "thread": statement.thread, "topic": statement.topic, **changes}


async def test_a_granted_notice_comes_in_the_feed_and_by_its_own_id(world, broker):
    assert (await broker.serving.feed(READER, 0, 100, ALL)).deliveries == []
    signed, grant, before, _ = await case(world, broker)
    assert fsck(broker.ledger, now_ms=broker.clock.ms).findings == ()
    page = await broker.serving.feed(READER, before, 100, ALL)
    (data,) = page.deliveries
    assert page.next == broker.view.size
    opened = Carrier(world).open(data, READER)
    assert (opened.notice, opened.statement) == (NOTICE, signed.statement)
    for notice_id in (signed.statement.notice_id, grant.statement.notice_id):
        assert await broker.serving.delivery(READER, notice_id) == data
    # The holder has its own; nobody gets it twice.
    (own,) = (await broker.serving.feed(HOLDER, 0, 100, ALL)).deliveries
    assert orjson.loads(own)["grant"] is None
    for who in (SENDER, STRANGER, "kz/police"):
        assert (await broker.serving.feed(who, 0, 100, ALL)).deliveries == []
        assert await broker.serving.delivery(who, grant.statement.notice_id) is None
    assert await broker.serving.delivery(STRANGER, signed.statement.notice_id) is None


async def test_a_granted_notice_comes_in_a_stream_that_is_open(world, broker):
    stream = broker.serving.stream(READER, broker.view.size, ALL, lambda: None)
    first = await stream.next()
    assert b"event: delivery" not in b"".join(first)
    signed, *_ = await case(world, broker)
    data = b""
    while b"event: delivery" not in data:
        data += b"".join(await stream.next() or ())
    stream.close()
    events = sse.events(data)
    checkpoint = next(orjson.loads(one.data)["checkpoint"] for one in events if one.name == "checkpoint")
    delivery = next(one.data for one in events if one.name == "delivery")
    whole = delivery.encode()[:-2] + b',"checkpoint":"' + checkpoint.encode() + b'"}}'
    assert Carrier(world).open(whole, READER).statement == signed.statement


async def test_proof_and_objects_are_for_those_whom_the_grant_concerns(world, broker):
    signed, grant, _, answer = await case(world, broker)
    log = world.directory.log
    receipt = verify_receipt(answer.receipt, log.receipt_kid, log.receipt_public)
    for who in MEMBERS:
        proof = await broker.serving.proof_text(who, grant.statement.notice_id)
        found = await broker.serving.log_object(receipt.leaf.digest, who)
        if who in (SENDER, READER, "kz/auditor"):
            tlog_proof.verify_proof(tlog_proof.parse(proof), receipt.leaf.encode(), log.keys)
            assert found.document == grant.statement_bytes
        else:
            assert (proof, found) == (None, None)
    # Who holds it through a grant sees the notice's own statement, too.
    assert await broker.serving.proof_text(READER, signed.statement.notice_id) is not None
    assert await broker.serving.proof_text(STRANGER, signed.statement.notice_id) is None
    page = await broker.serving.audit_page("kz/auditor", 0, 100)
    assert grant.statement_bytes in [item.statement for item in page.statements]


async def test_a_recall_takes_the_grants_along_and_asks_for_their_readers(world, broker):
    signed, grant, *_ = await case(world, broker)
    short = world.envelope(SENDER, [HOLDER], "recall", **about(signed.statement))
    answer = await publish(broker, short)
    assert isinstance(answer, NotPublished)
    assert answer.error.code == "act-refused"
    assert isinstance(
        await publish(broker, world.envelope(SENDER, [HOLDER, READER], "recall", **about(signed.statement))), Published
    )
    for row in (signed, grant):
        found = broker.view.by_notice(row.statement.notice_id)
        assert found.erased
        assert broker.view.body(found) is None
        assert broker.ledger.body(found.body_digest) is None
        assert await broker.serving.delivery(READER, row.statement.notice_id) is None
    page = await broker.serving.feed(READER, 0, 100, ALL)
    assert [orjson.loads(item)["grant"] for item in page.deliveries] == [None]
    assert fsck(broker.ledger, now_ms=broker.clock.ms).findings == ()


async def test_a_notice_that_went_with_its_time_takes_the_grants_along(world, broker):
    soon = from_seconds(world.now + 60)
    signed = world.envelope(SENDER, [HOLDER], expires_at=soon)
    await publish(broker, signed)
    grant = granted(world, signed, [READER])
    await publish(broker, grant)
    assert await broker.serving.delivery(READER, signed.statement.notice_id) is not None
    broker.clock.ms += 61_000
    await until(lambda: broker.view.by_notice(grant.statement.notice_id).erased)
    assert await broker.serving.delivery(READER, signed.statement.notice_id) is None
    assert (await broker.serving.feed(READER, 0, 100, ALL)).deliveries == []


async def test_a_grant_is_decided_on_again_on_its_way_out_and_held(world, broker):
    signed, grant, before, _ = await case(world, broker)
    await upload_law(world, broker, "tj", DENY)
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    page = await broker.serving.feed(READER, before, 100, ALL)
    assert page.deliveries == []
    (held,) = await broker.serving.held(READER)
    assert held.notice_id == grant.statement.notice_id
    for notice_id in (signed.statement.notice_id, grant.statement.notice_id):
        with pytest.raises(Error, match="not-here") as caught:
            await broker.serving.delivery(READER, notice_id)
        assert caught.value.code == "forbidden"
    # What has no stanza for somebody is not there for it, whatever the law says.
    assert await broker.serving.delivery(STRANGER, signed.statement.notice_id) is None
    await upload_law(world, broker, "tj", "")
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    (data,) = (await broker.serving.feed(READER, page.next, 100, ALL)).deliveries
    assert Carrier(world).open(data, READER).statement == signed.statement
    assert await broker.serving.held(READER) == []


async def test_a_grant_to_somebody_whom_the_law_denies_is_refused(world, broker):
    await upload_law(world, broker, "tj", DENY)
    signed = world.envelope(SENDER, [HOLDER])
    await publish(broker, signed)
    answer = await publish(broker, granted(world, signed, [READER]))
    assert isinstance(answer, NotPublished)
    assert [item.participant for item in answer.denied] == [READER]


async def test_two_grants_to_the_same_reader_in_one_batch_are_decided_one_after_the_other(world, broker):
    signed = world.envelope(SENDER, [HOLDER])
    await publish(broker, signed)
    lines = [granted(world, signed, [READER]).envelope for _ in range(2)]
    lines.append(world.envelope(SENDER, [HOLDER], "recall", **about(signed.statement)).envelope)
    first, second, recall = await broker.serving.publish_many(lines)
    assert isinstance(first, Published)
    assert (second.error.code, recall.error.code) == ("act-refused", "act-refused")


async def test_the_view_is_rebuilt_with_grants_and_delegations(world, tmp_path):
    clock = HandClock(world.now * 1000)
    async with running(world, tmp_path, clock) as broker:
        signed, *_ = await case(world, broker)
        body = DelegationBody("kz/police", from_seconds(world.now - 1), from_seconds(world.now + 60))
        assert isinstance(await publish(broker, world.open_envelope("kz/focal-point", "delegate", body)), Published)
        holders, delegations = broker.view.holders(signed.statement.notice_id), broker.view.delegations()
        assert [(one.by, one.body) for one in delegations] == [("kz/focal-point", body)]
    (tmp_path / "view.sqlite").unlink()
    async with running(world, tmp_path, clock) as again:
        assert again.view.holders(signed.statement.notice_id) == holders
        assert again.view.delegations() == delegations
        assert again.serving.trust.delegations == delegations


async def test_a_delegation_is_obeyed_from_its_leaf_on_and_ends_by_itself(world, broker):
    kids = tuple(sorted(world.people[SENDER].signing.kids))

    def revoking(code):
        return world.open_envelope("kz/police", "revoke_key", RevocationBody(SENDER, kids, code))

    answer = await publish(broker, revoking("theft"))
    assert answer.error.code == "act-refused"
    body = DelegationBody("kz/police", from_seconds(world.now - 1), from_seconds(world.now + 60))
    await publish(broker, world.open_envelope("kz/focal-point", "delegate", body))
    broker.clock.ms += 60_000
    answer = await publish(broker, revoking("theft"))
    assert answer.error.code == "act-refused"
    broker.clock.ms -= 1_000
    assert isinstance(await publish(broker, revoking("theft")), Published)
    # Its end can be moved: the newest word on the same beginning counts.
    short = replace(body, until=from_seconds(world.now + 60))
    longer = replace(body, until=from_seconds(world.now + 600))
    for one in (longer, short):
        answer = await publish(broker, world.open_envelope("kz/focal-point", "delegate", one))
        assert isinstance(answer, Published), answer.error
    assert [one.body.until for one in broker.serving.trust.delegations] == [short.until]


async def test_a_sender_gets_what_it_has_published_whole_and_nobody_else_s(world, broker):
    signed, grant, *_ = await case(world, broker)
    other = world.envelope(READER, [SENDER])
    await publish(broker, other)
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    page = await broker.serving.own_page(SENDER, 0, 100)
    found = {Envelope.parse(item.envelope).statement.notice_id: item for item in page.statements}
    assert {signed.statement.notice_id, grant.statement.notice_id} <= set(found)
    assert all(Envelope.parse(item.envelope).statement.sender == SENDER for item in page.statements)
    for one in (signed, grant):
        assert found[one.statement.notice_id].envelope == one.envelope
    assert page.next == broker.serving.note_size
    assert [item.envelope for item in (await broker.serving.own_page(READER, 0, 100)).statements] == [other.envelope]
    # In pages, also where what is between is others'; and nothing of what is erased.
    seen, after = [], 0
    while (part := await broker.serving.own_page(SENDER, after, 1)).next > after:
        seen += [item.index for item in part.statements]
        after = part.next
    assert seen == [item.index for item in page.statements]
    await publish(broker, world.envelope(SENDER, [HOLDER, READER], "recall", **about(signed.statement)))
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    left = [
        Envelope.parse(item.envelope).statement.act
        for item in (await broker.serving.own_page(SENDER, 0, 100)).statements
    ]
    assert "grant" not in left
    assert left[-1] == "recall"


async def test_where_a_page_of_one_s_own_ends_says_nothing_of_others(world, broker, monkeypatch):
    """The State's other agencies publish beside it; neither what is there nor where a page ends depends on that."""
    await publish(broker, world.envelope(SENDER, [HOLDER]))
    monkeypatch.setattr(serving, "STRETCH", 4)

    async def pages():
        after, ends = 0, []
        while (page := await broker.serving.own_page(SENDER, after, 1)).next > after:
            ends.append((page.next, [item.index for item in page.statements]))
            after = page.next
        return ends

    before = await pages()
    for _ in range(5):
        await publish(broker, world.envelope("kz/police", [HOLDER]))
    after = await pages()
    assert after[: len(before) - 1] == before[:-1]
    assert [own for _, own in after if own] == [own for _, own in before if own]
    assert {end % 4 for end, _ in after[:-1]} == {0}
    assert after[-1][0] == broker.serving.note_size


async def test_a_page_of_one_s_own_ends_where_it_is_full(world, broker, monkeypatch):
    for _ in range(3):
        await publish(broker, world.envelope(SENDER, [HOLDER]))
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    whole = await broker.serving.own_page(SENDER, 0, 100)
    monkeypatch.setattr(serving, "PAGE_BYTES", len(whole.statements[0].envelope))
    first = await broker.serving.own_page(SENDER, 0, 100)
    assert len(first.statements) == 2
    rest = await broker.serving.own_page(SENDER, first.next, 100)
    assert [*first.statements, *rest.statements] == list(whole.statements)
