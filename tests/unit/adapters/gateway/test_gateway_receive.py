"""What arrives is opened once, or kept with the reason why not; nothing is lost, doubled or believed."""

import asyncio
import shutil
from dataclasses import replace

import orjson
import pytest

from adapters.client.errors import BrokerAwayError
from adapters.client.transport import Answer
from adapters.gateway import inbox
from adapters.gateway.follow import TooOldError
from adapters.gateway.request import RecallRequest
from adapters.gateway.send import Backoff
from adapters.gateway.status import InboxState, State
from keys import digests
from keys.seal import SealingKey
from schemas.encoding import b64decode, b64encode
from schemas.notice import examples
from tests import gateway_world
from tests.gateway_world import Wire, a_request, arrived, known, problem, scene, sent, until, upload
from tests.world import LABEL, denying, make_world, put_law

SENDER, POINT, READER, OTHER = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(Backoff, "after", lambda _self, asked=None: 0.02)


async def publish(made, signed) -> None:
    answer = await made.broker.serving.publish(signed.statement.notice_id, signed.envelope)
    assert hasattr(answer, "receipt"), answer


def test_a_notice_of_no_known_form_is_kept_unreadable_with_the_reason(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await publish(made, made.world.envelope(SENDER, [READER]))
            status = await sent(made, SENDER, a_request(to=(READER,)))
            bad, good = await arrived(made, READER, 2)
            assert bad.state is InboxState.UNREADABLE
            assert bad.reason
            assert bad.notice["text"]
            assert (good.state, good.notice_id) == (InboxState.OPENED, status.id)
            assert await made[READER].acknowledge(READER, (bad.notice_id,)) == [bad.notice_id]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "notice",
    [
        {"notices": []},
        {"notices": [{"notice_id": "01935f2e-8c00-7a3b-9c4d-5e6f70819203", "statement_digest": "AA"}]},
        {"kind": "seizure"},
    ],
)
def test_an_acknowledgement_that_is_none_is_kept_unreadable(tmp_path, notice):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            statement = made.world.statement(READER, "acknowledge")
            await publish(made, made.world.sign([made.world.sealed(statement, [SENDER], notice)])[0])
            (item,) = await arrived(made, SENDER)
            assert (item.state, item.act) == (InboxState.UNREADABLE, "acknowledge")

    asyncio.run(scenario())


def test_an_acknowledgement_of_what_it_never_got_changes_nothing(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            status = await sent(made, SENDER, a_request(to=(READER,)))
            for digest in (b"\x00" * 32, None):
                real = made.broker.view.record(status.index).document
                told = digests.sha256(real) if digest is None else digest
                by = READER if digest is not None else OTHER
                statement = made.world.statement(by, "acknowledge")
                notice = {"notices": [{"notice_id": status.id, "statement_digest": b64encode(told)}]}
                await publish(made, made.world.sign([made.world.sealed(statement, [SENDER], notice)])[0])
            size = made.broker.view.size
            after = await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER, 2)

            async def read():
                return made[SENDER].store.read_now(lambda tx: inbox.cursor(tx, SENDER)) >= size

            await until(read)
            assert after.state is State.PUBLISHED
            now = await made[SENDER].status(SENDER, status.id)
            assert now.acknowledged_by == ()

    asyncio.run(scenario())


def _bent(bend):
    def after(request, answer):
        if "/v1/feed?" not in request.url:
            return answer
        page = orjson.loads(answer.body)
        for delivery in page["deliveries"]:
            bend(delivery)
        return Answer(200, answer.headers, orjson.dumps(page))

    return after


def _flip(text: str) -> str:
    data = bytearray(b64decode(text))
    data[len(data) // 2] ^= 1
    return b64encode(bytes(data))


BENDS = {
    "ciphertext": lambda d: d["sealed"].__setitem__("ciphertext", _flip(d["sealed"]["ciphertext"])),
    "tag": lambda d: d["sealed"].__setitem__("tag", _flip(d["sealed"]["tag"])),
    "stanza": lambda d: d["sealed"].__setitem__("encrypted_key", _flip(d["sealed"]["encrypted_key"])),
    "received_at": lambda d: d["inclusion"].__setitem__("received_at", d["inclusion"]["received_at"] + 1),
    "signature": lambda d: d["proof"]["head"]["signatures"][1].__setitem__(
        "signature", _flip(d["proof"]["head"]["signatures"][1]["signature"])
    ),
    "recipient": lambda d: d["recipient"].__setitem__("size", d["recipient"]["size"] + 1),
}


@pytest.mark.parametrize("name", sorted(BENDS))
def test_a_delivery_that_was_bent_is_kept_as_evidence_and_never_opened(tmp_path, name):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            made.wire.after = _bent(BENDS[name])
            await sent(made, SENDER, a_request(to=(READER,)))
            (item,) = await arrived(made, READER)
            assert (item.state, item.notice) == (InboxState.UNVERIFIED, None)
            assert item.reason
            await until(lambda: "unverified-delivery" in made[READER]._alarms.on)
            assert await made[READER].acknowledge(READER, (item.notice_id,)) == []
            made.wire.after = None
            await sent(made, SENDER, a_request(to=(READER,)))
            assert (await arrived(made, READER, 2))[1].state is InboxState.OPENED

    asyncio.run(scenario())


def test_what_is_no_delivery_at_all_is_an_alarm_and_does_not_stop_the_next(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            made.wire.after = _bent(lambda d: d.__setitem__("grant", {"x": 1}))
            await sent(made, SENDER, a_request(to=(READER,)))
            await until(lambda: "odd-delivery" in made[READER]._alarms.on)
            made.wire.after = None
            status = await sent(made, SENDER, a_request(to=(READER,)))
            (item,) = await arrived(made, READER)
            assert item.notice_id == status.id

    asyncio.run(scenario())


def test_another_participants_stanza_is_evidence(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            pages = []

            def swap(request, answer):
                if "/v1/feed?" in request.url and orjson.loads(answer.body)["deliveries"]:
                    pages.append(answer.body)
                    return Answer(200, answer.headers, pages[0])
                return answer

            made.wire.after = swap
            status = await sent(made, SENDER, a_request(to=(READER, OTHER)))
            (one,) = await arrived(made, READER)
            (two,) = await arrived(made, OTHER)
            assert one.notice_id == two.notice_id == status.id
            assert {one.state, two.state} == {InboxState.OPENED, InboxState.UNVERIFIED}

    asyncio.run(scenario())


def test_a_stanza_for_a_key_that_is_not_here_is_kept_to_be_opened_later(tmp_path):
    async def scenario():
        world = make_world()
        lost = world.people[READER]
        async with scene(tmp_path, SENDER, world=world) as made:
            place = gateway_world.plant(world, tmp_path / "reader", lost)
            gateway_world.FileCustody(place.keys, gateway_world.PASSPHRASE).keep(
                "sealing.uz.focal-point.1", SealingKey.generate().to_bytes()
            )
            async with gateway_world.running(place, made.wire) as reader:
                made.gateways[READER] = reader
                await known(reader)
                assert "foreign-key" in reader._alarms.on
                await sent(made, SENDER, a_request(to=(READER,)))
                (item,) = await arrived(made, READER)
                assert item.state is InboxState.UNREADABLE
                evidence = reader.store.read_now(
                    lambda tx: tx.connection.execute("SELECT evidence FROM inbox").fetchone()[0]
                )
                assert evidence

    asyncio.run(scenario())


def test_a_page_that_was_fetched_twice_is_put_once_and_a_cursor_never_goes_back(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            for _ in range(3):
                await sent(made, SENDER, a_request(to=(READER,)))
            await arrived(made, READER, 3)
        # As after a crash behind the page's commit, or with a restored folder: the cursor is back at the beginning.
        place = gateway_world.Folder(tmp_path / "uz-focal-point")
        async with gateway_world.scene(tmp_path, SENDER, world=made.world) as again:
            copy = tmp_path / "restored"
            shutil.copytree(place.path, copy)
            gateway = gateway_world.Gateway.open(
                gateway_world.options(gateway_world.Folder(copy)), gateway_world.PASSPHRASE
            )
            await gateway.store.write(lambda tx: tx.connection.execute("UPDATE cursor SET position = 0").rowcount)
            await gateway.start(gateway_world.BrokerClient(gateway_world.BASE, transport=again.wire))
            again.gateways[READER] = gateway
            await sent(again, SENDER, a_request(to=(READER,)))
            items = await arrived(again, READER, 4)
            assert len({item.notice_id for item in items}) == len(items) == 4
            await gateway.stop()

    asyncio.run(scenario())


def test_reading_goes_on_after_refusals_and_interruptions(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            answers = [problem("unauthenticated", 401), problem("unavailable", 503), None]

            def hinder(request):
                if "/v1/feed?" not in request.url or not answers:
                    return None
                answer = answers.pop(0)
                if answer is None:
                    raise BrokerAwayError("The line is cut.")
                return answer

            made.wire.before = hinder
            await sent(made, SENDER, a_request(to=(READER,)))
            assert len(await arrived(made, READER)) == 1
            await sent(made, SENDER, a_request(to=(READER,)))
            assert len(await arrived(made, READER, 2)) == 2
            await until(lambda: "not-receiving" not in made[READER]._alarms.on)
            assert answers == []

    asyncio.run(scenario())


FORBIDS = denying()


def test_a_recall_of_what_is_denied_by_now_is_neither_refused_nor_held(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            status = await sent(made, SENDER, a_request(to=(READER, OTHER)))
            await arrived(made, OTHER)
            await arrived(made, READER)
            world, before = made.world, made.world.repository
            put_law(world, "tj", world.law("tj", FORBIDS))
            await upload(made.broker, world, "tj-law", "tj/law.json", before)
            await until(lambda: made[SENDER].network.directory.version > 7)
            kept = await made[SENDER].recall(SENDER, status.id, RecallRequest())
            recall = await made[SENDER].wait_outcome(SENDER, kept.notice_id, 10)
            assert recall.state is State.PUBLISHED
            assert {item.participant for item in recall.recipients} == {SENDER, READER, OTHER}
            assert (await arrived(made, READER, 2))[0].state is InboxState.RECALLED
            assert (await arrived(made, OTHER, 2))[0].state is InboxState.RECALLED
            assert await made[OTHER].held(OTHER) == ()

    asyncio.run(scenario())


def test_obligations_of_the_law_stand_beside_what_was_opened(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await sent(made, SENDER, a_request(to=(READER,), label={"handling": ("h1",)}))
            (item,) = await arrived(made, READER)
            assert [one["condition"] for one in item.obligations] == ["h1"]
            assert item.obligations[0]["evaluated_by"] == "recipient-gateway"

    asyncio.run(scenario())


async def _all_opened(made, number):
    items, _ = await made[READER].inbox(READER, limit=1000)
    return items if [item.state for item in items] == [InboxState.OPENED] * number else None


MINORS = """
[[condition]]
id = "minors"
type = "minors"
instrument = "Act"
article = "8"
effect = "deny"
parameters = { years = 18 }
explanation = { en = "No data on minors." }
"""


def test_what_only_the_opened_notice_shows_is_held_against_the_law_again(tmp_path):
    """The broker cannot see how old somebody is, and a sender's gateway may be of another mind: the recipient's looks."""

    def about(world, born):
        notice = {**examples("seizure"), "nominal": {"persons": [{"role": {"code": "driver"}, "born": born}]}}
        statement = world.statement(SENDER, label=replace(LABEL, nominal=True, kind="seizure"))
        return world.sign([world.sealed(statement, [READER], notice)])[0]

    async def scenario():
        world = make_world(laws={"uz": MINORS})
        async with scene(tmp_path, SENDER, READER, world=world) as made:
            await publish(made, about(world, "1984-02-29"))
            await publish(made, about(world, "2020-02-29"))
            adult, minor = await arrived(made, READER, 2)
            assert adult.state is InboxState.OPENED
            assert (minor.state, minor.reason, minor.notice) == (InboxState.UNREADABLE, "No data on minors.", None)

            # The law changes: what it kept closed arrives anew, and nothing else does.
            before = world.repository
            put_law(world, "uz", world.law("uz", MINORS.replace("years = 18", "years = 5")))
            await upload(made.broker, world, "uz-law", "uz/law.json", before)
            adult, minor = await until(lambda: _all_opened(made, 2))
            assert minor.notice_id != adult.notice_id
            assert minor.notice["nominal"]["persons"][0]["born"] == "2020-02-29"

    asyncio.run(scenario())


def test_a_page_with_a_checkpoint_that_never_was_is_fetched_anew(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            bent = [1]

            def bend(delivery):
                if bent:
                    bent.pop()
                    delivery["inclusion"]["checkpoint"] = _flip(delivery["inclusion"]["checkpoint"])

            made.wire.after = _bent(bend)
            status = await sent(made, SENDER, a_request(to=(READER,)))
            (item,) = await arrived(made, READER)
            assert (item.notice_id, item.state, bent) == (status.id, InboxState.OPENED, [])

    asyncio.run(scenario())


def test_nothing_is_opened_while_the_log_cannot_be_followed(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:

            def hide(request):
                return problem("not-found", 404) if "/tile/entries/" in request.url else None

            made.wire.before = hide
            await publish(made, made.world.envelope(SENDER, [READER]))
            await until(lambda: "not-receiving" in made[READER]._alarms.on)
            assert (await made[READER].inbox(READER))[0] == []
            made.wire.before = None
            await arrived(made, READER)

    asyncio.run(scenario())


def test_a_page_that_waited_too_long_is_fetched_anew(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            follower = made[READER]._follower
            admit, old = follower.admit, [1]

            async def admit_late(note):
                if old:
                    old.pop()
                    raise TooOldError("Too far back (test).")
                return await admit(note)

            follower.admit = admit_late
            status = await sent(made, SENDER, a_request(to=(READER,)))
            (item,) = await arrived(made, READER)
            assert (item.notice_id, old) == (status.id, [])

    asyncio.run(scenario())


def test_a_wire_that_carries_nothing_is_the_same_as_no_broker(tmp_path):
    async def scenario():
        world = make_world()
        place = gateway_world.plant(world, tmp_path / "one", SENDER)
        async with gateway_world.running(place, Wire(None)) as gateway:
            await until(lambda: "broker-away" in gateway._alarms.on)
            kept = await gateway.accept(SENDER, a_request(to=(READER,)), "key")
            assert (await gateway.status(SENDER, kept.notice_id)).state is State.KEPT

    asyncio.run(scenario())
