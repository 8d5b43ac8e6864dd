import asyncio
from dataclasses import replace

import orjson
import pytest

from broker.answers import NotPublished, Published
from broker.deliver import page_bytes
from broker.ledger.fsck import fsck
from keys.digests import statement_leaf
from keys.envelope import open_notice, verify_delivery
from keys.log import proof as tlog_proof
from keys.log.note import verify_checkpoint
from keys.sign import verify_receipt, verify_refusal
from schemas import encoding
from schemas.delivery import Delivery
from schemas.encoding import b64encode, from_seconds
from schemas.errors import Error
from schemas.ids import Kid, Pattern
from schemas.leaf import LeafType
from schemas.statement import RevocationBody, SubscriptionBody
from tests.broker_world import HandClock, publish, running, upload_law
from tests.world import LABEL, NOTICE, denying, make_world

pytestmark = pytest.mark.anyio
ALL = Pattern("*.*")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def world():
    return make_world(["kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point", "audit/court"])


async def page(broker, who, after=0, limit=50, topic=ALL):
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    found = await broker.serving.feed(who, after, limit, topic)
    value = encoding.parse(page_bytes(found.next, found.size, found.deliveries), limit=1 << 25)
    return found.next, [Delivery.from_json(item) for item in value["deliveries"]]


def opened(world, delivery, who):
    directory = world.directory
    checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, directory.log.keys)
    key = world.people[who].sealing
    verified = verify_delivery(delivery, directory, checkpoint, revoked={}, own={key.kid: key})
    return open_notice(verified, key)


async def test_a_notice_travels(world, tmp_path):
    async with running(world, tmp_path) as broker:
        signed = world.envelope("kz/customs", ["uz/focal-point", "tj/focal-point"])
        answer = await publish(broker, signed)
        assert isinstance(answer, Published)
        assert answer.created
        log = world.directory.log
        receipt = verify_receipt(answer.receipt, log.receipt_kid, log.receipt_public)
        assert receipt.leaf.digest == statement_leaf(signed.statement_bytes, signed.proof_bytes)
        cursor, deliveries = await page(broker, "uz/focal-point")
        assert [item.statement for item in deliveries] == [signed.statement]
        assert opened(world, deliveries[0], "uz/focal-point").notice == NOTICE
        assert (await page(broker, "uz/focal-point", cursor))[1] == []
        assert (await page(broker, "kz/customs"))[1] == []
        assert (await page(broker, "kz/focal-point"))[1] == []
        again = await publish(broker, signed)
        assert (again.receipt, again.created) == (answer.receipt, False)
        text = await broker.serving.proof_text("uz/focal-point", signed.statement.notice_id)
        tlog_proof.verify_proof(tlog_proof.parse(text), receipt.leaf.encode(), log.keys)
        assert await broker.serving.proof_text("kz/focal-point", signed.statement.notice_id) is None
        own = Delivery.parse(await broker.serving.delivery("kz/customs", signed.statement.notice_id))
        assert opened(world, own, "kz/customs").notice == NOTICE


async def test_a_second_start_goes_on(world, tmp_path):
    signed = world.envelope("kz/customs", ["uz/focal-point"])
    async with running(world, tmp_path) as broker:
        first = await publish(broker, signed)
        note = broker.serving.note
    async with running(world, tmp_path) as broker:
        assert (await publish(broker, signed)).receipt == first.receipt
        assert broker.serving.note_size >= 2
        assert note is not None
        assert fsck(broker.ledger, now_ms=broker.clock.ms).findings == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"origin": "test.invalid/other"}, "wrong-origin"),
        ({"act": "handover", "ref": "00000000-0000-7000-8000-000000000000"}, "act-not-served"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expired"),
        ({"issued_at": "2020-01-01T00:00:00Z"}, "clock-skew"),
        ({"topic": "nowhere.seizures"}, "denied"),
        ({"label": replace(LABEL, purpose="curiosity")}, "denied"),
        ({"label": replace(LABEL, urgency="8h")}, "recipients"),
        ({"ref": "00000000-0000-7000-8000-000000000000"}, "act-refused"),
        ({"act": "recall", "ref": "00000000-0000-7000-8000-000000000000"}, "act-refused"),
    ],
)
async def test_refuses(world, tmp_path, change, code):
    async with running(world, tmp_path) as broker:
        to = ["uz/focal-point"]
        if code == "recipients":
            to = ["kz/customs"]
            change = {}
        signed = world.envelope("kz/customs", to, **change)
        answer = await publish(broker, signed)
        assert isinstance(answer, NotPublished)
        assert answer.error.code == code
        if code == "wrong-origin":
            assert answer.refusal is None
        else:
            log = world.directory.log
            refusal = verify_refusal(answer.refusal, log.receipt_kid, log.receipt_public)
            assert refusal.reason == code


async def test_the_clock(world, tmp_path):
    async with running(world, tmp_path) as broker:
        for ahead, code in ((300, None), (301, "clock-skew")):
            signed = world.envelope("kz/customs", ["uz/focal-point"], issued_at=from_seconds(world.now + ahead))
            answer = await publish(broker, signed)
            assert (answer.error.code if isinstance(answer, NotPublished) else None) == code


async def test_a_taken_id_conflicts_also_within_a_chunk(world, tmp_path):
    async with running(world, tmp_path) as broker:
        one = world.envelope("kz/customs", ["uz/focal-point"])
        two = world.envelope(
            "kz/customs", ["uz/focal-point"], notice_id=one.statement.notice_id, thread=one.statement.notice_id
        )
        answers = await asyncio.gather(publish(broker, one), publish(broker, two), publish(broker, one))
        assert [isinstance(answer, Published) for answer in answers] == [True, False, True]
        assert answers[1].error.code == "conflict"
        assert answers[0].receipt == answers[2].receipt


async def test_gossip_of_another_tree_is_a_fork(world, tmp_path):
    async with running(world, tmp_path) as broker:
        statement = world.statement("kz/customs")
        for size, root in ((1, b"x" * 32), (99, b"y" * 32), (0, b"z" * 32)):
            seen = replace(statement.checkpoint, size=size, root=b64encode(root))
            answer = await publish(broker, world.envelope("kz/customs", ["uz/focal-point"], checkpoint=seen))
            assert answer.error.code == "fork"
        seen = replace(statement.checkpoint, size=1, root=b64encode(broker.view.root(1)))
        assert isinstance(
            await publish(broker, world.envelope("kz/customs", ["uz/focal-point"], checkpoint=seen)), Published
        )


async def test_a_revoked_key_ends_at_its_leaf(world, tmp_path):
    async with running(world, tmp_path) as broker:
        before = world.envelope("kz/customs", ["uz/focal-point"])
        assert isinstance(await publish(broker, before), Published)
        kids = tuple(sorted(world.people["kz/customs"].signing.kids))
        body = RevocationBody("kz/customs", kids, "theft")
        for who, expected in (("uz/focal-point", "act-refused"), ("kz/focal-point", None)):
            answer = await publish(broker, world.open_envelope(who, "revoke_key", body))
            assert (answer.error.code if isinstance(answer, NotPublished) else None) == expected
        after = await publish(broker, world.envelope("kz/customs", ["uz/focal-point"]))
        assert after.error.code == "revoked-key"
        assert after.refusal is None
        # A retry of what was accepted before: the receipt again, whatever became of the key.
        assert isinstance(await publish(broker, before), Published)
        _, deliveries = await page(broker, "uz/focal-point")
        revoked = {Kid(kid): 99 for kid in kids}
        checkpoint = verify_checkpoint(deliveries[0].inclusion.checkpoint, world.directory.log.keys)
        own = {world.people["uz/focal-point"].sealing.kid: None}
        verify_delivery(deliveries[0], world.directory, checkpoint, revoked=revoked, own=own)


async def test_subscriptions_are_open_acts(world, tmp_path):
    async with running(world, tmp_path) as broker:
        for act, patterns in (("subscribe", ("*.precursors", "central-asia.*")), ("unsubscribe", ("*.precursors",))):
            body = SubscriptionBody("uz/focal-point", patterns)
            answer = await publish(broker, world.open_envelope("uz/focal-point", act, body))
            assert isinstance(answer, Published), answer
        found = await broker.serving.subscriptions()
        assert [(item.participant, item.pattern) for item in found] == [("uz/focal-point", "central-asia.*")]
        body = SubscriptionBody("uz/focal-point", ("*.*",))
        answer = await publish(broker, world.open_envelope("tj/focal-point", "subscribe", body))
        assert answer.error.code == "act-refused"


async def test_recall_erases_and_is_never_blocked(tmp_path):
    world = make_world(["kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"])
    async with running(world, tmp_path) as broker:
        signed = world.envelope("kz/customs", ["uz/focal-point", "tj/focal-point"])
        await publish(broker, signed)
        body = broker.view.by_notice(signed.statement.notice_id).body_digest
        common = {"ref": signed.statement.notice_id, "thread": signed.statement.thread}
        short = await publish(broker, world.envelope("kz/customs", ["uz/focal-point"], "recall", **common))
        assert short.error.code == "act-refused"
        stranger = await publish(broker, world.envelope("uz/focal-point", ["tj/focal-point"], "recall", **common))
        assert stranger.error.code == "act-refused"
        everybody = ["uz/focal-point", "tj/focal-point"]
        recall = world.envelope("kz/customs", everybody, "recall", **common)
        assert isinstance(await publish(broker, recall), Published)
        assert broker.ledger.body(body) is None
        assert broker.view.erasure(signed.statement.notice_id)[1] == "recall"
        _, deliveries = await page(broker, "uz/focal-point")
        assert [item.statement.act for item in deliveries] == ["recall"]
        again = await publish(broker, world.envelope("kz/customs", everybody, "correct", **common))
        assert again.error.code == "act-refused"
        assert fsck(broker.ledger, now_ms=broker.clock.ms).findings == ()


DENY = denying("uz-seizures-1", article="12(2)")


async def test_a_change_of_law_holds_and_releases(tmp_path):
    world = make_world(["kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"])
    async with running(world, tmp_path) as broker:
        before = world.envelope("kz/customs", ["uz/focal-point", "tj/focal-point"])
        assert isinstance(await publish(broker, before), Published)
        await upload_law(world, broker, "uz", DENY)
        answer = await publish(broker, world.envelope("kz/customs", ["uz/focal-point", "tj/focal-point"]))
        assert [(item.participant, item.why.condition) for item in answer.denied] == [
            ("uz/focal-point", "uz-seizures-1")
        ]
        assert answer.error.code == "denied"
        cursor, deliveries = await page(broker, "uz/focal-point")
        assert deliveries == []
        held = await broker.serving.held("uz/focal-point")
        assert [(item.notice_id, orjson.loads(item.why)["article"]) for item in held] == [
            (before.statement.notice_id, "12(2)")
        ]
        with pytest.raises(Error) as caught:
            await broker.serving.delivery("uz/focal-point", before.statement.notice_id)
        assert caught.value.code == "forbidden"
        assert len((await page(broker, "tj/focal-point"))[1]) == 1
        # A recall goes through although a holder is denied: it is held there, not refused.
        await upload_law(world, broker, "uz", "")
        cursor, deliveries = await page(broker, "uz/focal-point", cursor)
        assert [item.statement.notice_id for item in deliveries] == [before.statement.notice_id]
        assert await broker.serving.held("uz/focal-point") == []
        assert (await page(broker, "uz/focal-point", cursor))[1] == []


async def test_a_recall_reaches_a_denied_recipient_and_a_certificate_is_held(tmp_path):
    world = make_world(
        ["kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"],
        laws={"uz": DENY.replace('"seizure"', '"practice"')},
    )
    async with running(world, tmp_path) as broker:
        signed = world.envelope("kz/customs", ["uz/focal-point"])
        await publish(broker, signed)
        label = replace(LABEL, kind="practice")
        common = {"ref": signed.statement.notice_id, "thread": signed.statement.thread, "label": label}
        for act in ("certify", "recall"):
            envelope = world.envelope("kz/customs", ["uz/focal-point"], act, **common)
            assert isinstance(await publish(broker, envelope), Published)
        (delivered,) = (await page(broker, "uz/focal-point"))[1]
        assert delivered.statement.act == "recall"
        (held,) = await broker.serving.held("uz/focal-point")
        assert held.notice_id != delivered.statement.notice_id


async def test_expired_bodies_go_and_days_close(tmp_path):
    world = make_world(["kz/customs", "kz/focal-point", "uz/focal-point"])
    clock = HandClock(world.now * 1000)
    async with running(world, tmp_path, clock) as broker:
        signed = world.envelope("kz/customs", ["uz/focal-point"], expires_at=from_seconds(world.now + 3600))
        await publish(broker, signed)
        clock.ms += 2 * 86400 * 1000
        await broker.sequencer.call(lambda: broker.housekeeping.run(clock.ms))
        assert broker.view.erasure(signed.statement.notice_id)[1] == "expired"
        event = broker.view.latest_event(LeafType.DAY)
        assert event[1].what.count == 1
        assert fsck(broker.ledger, now_ms=broker.clock.ms).findings == ()


async def test_auditors_see_statements_and_their_access_is_recorded(world, tmp_path):
    async with running(world, tmp_path) as broker:
        signed = world.envelope("kz/customs", ["uz/focal-point"])
        await publish(broker, signed)
        await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
        with pytest.raises(Error) as caught:
            await broker.serving.audit_page("uz/focal-point", 0, 10)
        assert caught.value.code == "forbidden"
        found = await broker.serving.audit_page("audit/court", 0, 10)
        assert [item.statement for item in found.statements] == [signed.statement_bytes]
        day = broker.ledger.decision_days()[0]
        kinds = [orjson.loads(item)["typ"] for item in broker.ledger.decisions(day)]
        assert kinds == ["decision", "access"]


async def test_many_publishes_at_once(world, tmp_path):
    async with running(world, tmp_path) as broker:
        signed = world.sign([world.sealed(world.statement("kz/customs"), ["uz/focal-point"]) for _ in range(200)])
        answers = await asyncio.gather(*(publish(broker, item) for item in signed for _ in range(2)))
        assert sum(answer.created for answer in answers) == 200
        assert len((await page(broker, "uz/focal-point", limit=200))[1]) == 200
        assert broker.view.size == world.directory.version + 200


async def test_a_holder_without_a_key_does_not_keep_a_notice_from_being_recalled(tmp_path):
    world = make_world(["kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"])
    async with running(world, tmp_path) as broker:
        signed = world.envelope("kz/customs", ["uz/focal-point", "tj/focal-point"])
        assert isinstance(await publish(broker, signed), Published)
        gone = RevocationBody("tj/focal-point", (world.people["tj/focal-point"].sealing.kid,), "loss")
        assert isinstance(await publish(broker, world.open_envelope("tj/focal-point", "revoke_key", gone)), Published)
        common = {"ref": signed.statement.notice_id, "thread": signed.statement.thread}
        short = await publish(broker, world.envelope("kz/customs", ["kz/focal-point"], "recall", **common))
        assert short.error.code == "act-refused"
        recall = world.envelope("kz/customs", ["uz/focal-point"], "recall", **common)
        assert isinstance(await publish(broker, recall), Published)
