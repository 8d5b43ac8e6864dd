"""The log is followed leaf by leaf; what it hides, bends or takes back is an alarm, and the bad ones stop sending."""

import asyncio
import shutil
from dataclasses import replace

import orjson
from multidict import CIMultiDict

from adapters.client.transport import Answer
from adapters.gateway import follow
from adapters.gateway.status import State
from adapters.gateway.store import StorageFullError
from keys.directory import edit
from keys.directory.records import Life, SealingRecord
from keys.log.merkle import Frontier, leaf_hash
from keys.log.note import LogSigner, sign_checkpoint, verify_checkpoint
from keys.seal import SealingKey
from schemas.encoding import b64encode, from_seconds
from schemas.ids import Pattern
from tests import broker_world, gateway_world
from tests.gateway_world import (
    SkewedClock,
    Wire,
    a_request,
    known,
    problem,
    scene,
    sent,
    subscribed,
    until,
    upload,
)
from tests.world import ORIGIN, make_world, put_role

SENDER, POINT, READER, OTHER = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"


def alarms(gateway) -> set[str]:
    return set(gateway._alarms.on)


def note_of(signer, size, root, at):
    return Answer(200, CIMultiDict({"Content-Type": "text/plain"}), sign_checkpoint(signer, size, root, at=at))


def swap_checkpoint(made, answer) -> None:
    def instead(request):
        return answer if request.url.endswith("/log/checkpoint") else None

    made.wire.before = instead


async def stopped(made, who=SENDER) -> None:
    """See that nothing is sent."""
    kept = await made[who].accept(who, a_request(to=(READER,)))
    status = await made[who].wait_outcome(who, kept.notice_id, 0.3)
    assert status.state is State.KEPT
    assert not made[who].readiness().ready


def test_another_root_for_a_known_size_is_a_fork_and_stays_one(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            network = made[SENDER].network
            swap_checkpoint(made, note_of(made.world.log, network.size, b"\x01" * 32, made.world.now + 1))
            await until(lambda: "fork" in alarms(made[SENDER]))
            await stopped(made)
            made.wire.before = None
            await asyncio.sleep(0.2)
            assert "fork" in alarms(made[SENDER])
            (kept,) = made[SENDER].store.read_now(
                lambda tx: tx.connection.execute("SELECT data FROM evidence WHERE kind = 'fork'").fetchall()
            )
            assert network.checkpoint.note in kept[0]
        place = gateway_world.Folder(tmp_path / "kz-customs")
        async with gateway_world.running(place, made.wire) as again:
            assert "fork" in alarms(again)
            assert again._alarms.stopped
            assert await again.dismiss_alarm("fork")
            assert not again._alarms.stopped

    asyncio.run(scenario())


def test_a_larger_tree_that_does_not_hold_the_leaves_is_a_fork(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            size = made[SENDER].network.size

            def bend(request, answer):
                if not request.url.endswith("/log/checkpoint"):
                    return answer
                seen = verify_checkpoint(answer.body, made.world.log.keys)
                return answer if seen.size <= size else note_of(made.world.log, seen.size, b"\x02" * 32, seen.at)

            made.wire.after = bend
            await made[READER].subscribe(READER, (Pattern("*.*"),))
            await until(lambda: "fork" in alarms(made[SENDER]))
            assert made[SENDER].network.size == size

    asyncio.run(scenario())


def test_a_directory_that_was_lost_here_is_fetched_again(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            await made.gateways.pop(SENDER).stop()
            place = gateway_world.Folder(tmp_path / "kz-customs")
            shutil.rmtree(place.directory)
            async with gateway_world.running(place, made.wire) as again:
                await known(again)
                assert set(again.network.subscriptions[READER]) == {"*.*"}
                assert alarms(again) == set()

    asyncio.run(scenario())


def test_roots_are_remembered_as_far_back_as_it_is_said(monkeypatch):
    monkeypatch.setattr(follow, "HISTORY", 10)
    leaves = [leaf_hash(bytes([n])) for n in range(40)]
    frontiers = [Frontier()]
    for leaf in leaves:
        frontiers.append(frontiers[-1].append(leaf))
    history = follow._History(frontiers[3])
    at = 3
    for step in (4, 9, 12, 20, 21, 30):
        history.add(frontiers[step], leaves[at:step])
        at = step
    for size in range(41):
        root = history.root(size)
        assert root is None or root == frontiers[size].root()
    assert history.root(30) == frontiers[30].root()
    assert history.root(25) == frontiers[25].root()
    assert history.root(31) is None
    assert history.root(12) is None


def test_a_directory_that_stays_ahead_of_the_log_is_an_alarm(tmp_path, monkeypatch):
    monkeypatch.setattr(follow, "DIRECTORY_SECONDS", 0)

    async def scenario():
        clock = SkewedClock()
        async with scene(tmp_path, SENDER, now_ms=clock) as made:
            note = made[SENDER].network.checkpoint.note

            def hide(request, answer):
                return Answer(200, CIMultiDict(), note) if request.url.endswith("/log/checkpoint") else answer

            made.wire.after = hide
            world, before = made.world, made.world.repository
            state = world.directory.roles["uz"]
            put_role(world, "uz", edit.suspend(state, READER).encode())
            await upload(made.broker, world, "uz", "uz/directory.json", before)
            await until(lambda: made[SENDER]._follower._waiting_for_leaf_since)
            assert "directory-frozen" not in alarms(made[SENDER])
            clock.seconds = 61
            await until(lambda: "directory-frozen" in alarms(made[SENDER]))
            made.wire.after = None
            await until(lambda: "directory-frozen" not in alarms(made[SENDER]))
            await until(lambda: made[SENDER].network.directory.version > before.load(world.now).version)

    asyncio.run(scenario())


def test_a_smaller_tree_signed_later_is_a_rollback(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            network = made[SENDER].network
            root = made[SENDER]._follower._history.root(network.size)
            assert root == network.checkpoint.root
            swap_checkpoint(made, note_of(made.world.log, network.size - 1, b"\x03" * 32, made.world.now + 60))
            await until(lambda: "rollback" in alarms(made[SENDER]))
            await stopped(made)

    asyncio.run(scenario())


def test_an_older_checkpoint_that_was_served_late_is_nothing(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            old = made[SENDER].network.checkpoint.note
            await subscribed(made, READER, "*.*")
            swap_checkpoint(made, Answer(200, CIMultiDict(), old))
            await asyncio.sleep(0.3)
            assert alarms(made[SENDER]) == set()

    asyncio.run(scenario())


def test_another_log_key_is_another_log(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            network = made[SENDER].network
            other = LogSigner.generate(ORIGIN)
            swap_checkpoint(made, note_of(other, network.size, network.checkpoint.root, made.world.now))
            await until(lambda: "wrong-log" in alarms(made[SENDER]))
            await stopped(made)
            made.wire.before = None
            await until(lambda: "wrong-log" not in alarms(made[SENDER]))

    asyncio.run(scenario())


def test_an_open_statement_that_is_not_served_stops_sending_until_it_is(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:

            def hide(request):
                return problem("not-found", 404) if "/log/objects/" in request.url else None

            made.wire.before = hide
            (kept,) = await made[READER].subscribe(READER, (Pattern("*.*"),))
            await made[READER].wait_outcome(READER, kept.notice_id, 10)
            await until(lambda: "open-statement-withheld" in alarms(made[SENDER]))
            assert made[SENDER].network.subscriptions == {}
            held = await made[SENDER].accept(SENDER, a_request(to=(OTHER,)))
            await asyncio.sleep(0.2)
            assert (await made[SENDER].status(SENDER, held.notice_id)).state is State.KEPT
            made.wire.before = None
            status = await made[SENDER].wait_outcome(SENDER, held.notice_id, 10)
            assert status.state is State.PUBLISHED
            assert [item.participant for item in status.recipients] == [SENDER, OTHER, READER]
            assert "open-statement-withheld" not in alarms(made[SENDER])

    asyncio.run(scenario())


def test_something_else_behind_an_open_leaf_is_as_bad(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            event = made.broker.view.record(0).document

            def bend(request, answer):
                if "/log/objects/" not in request.url:
                    return answer
                return Answer(200, CIMultiDict(), orjson.dumps({"event": b64encode(event)}))

            made.wire.after = bend
            await made[READER].subscribe(READER, (Pattern("*.*"),))
            await until(lambda: "open-statement-withheld" in alarms(made[SENDER]))

    asyncio.run(scenario())


def test_a_revoked_key_is_not_sealed_to_and_its_revocation_cannot_be_missed(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER, OTHER) as made:
            await subscribed(made, READER, "*.*")
            await subscribed(made, OTHER, "*.*")
            kid = made.world.people[READER].sealing.kid
            await made[READER].revoke_keys(READER, (kid,), "compromised")
            await until(lambda: kid in made[SENDER].network.revoked)
            status = await sent(made, SENDER, a_request())
            assert [item.participant for item in status.recipients] == [SENDER, OTHER]
            assert status.left_out[0].participant == READER

    asyncio.run(scenario())


def test_clocks_that_differ_are_shown_and_do_not_stop_sending(tmp_path):
    async def scenario():
        clock = SkewedClock()
        async with scene(tmp_path, SENDER, READER, now_ms=clock) as made:
            clock.seconds = -3600
            await until(lambda: "clock-skew" in alarms(made[SENDER]))
            assert "behind" in made[SENDER]._alarms.on["clock-skew"]
            clock.seconds = 0
            await until(lambda: "clock-skew" not in alarms(made[SENDER]))
            clock.seconds = 600
            await until(lambda: "checkpoint-stale" in alarms(made[SENDER]))
            assert made[SENDER].readiness().ready

            def dated(request, answer):
                answer.headers["Date"] = "Tue, 24 Nov 2020 00:00:00 GMT"
                return answer

            made.wire.after = dated
            await until(lambda: "clock-skew" in alarms(made[SENDER]))
            assert "ahead" in made[SENDER]._alarms.on["clock-skew"]
            await until(lambda: "checkpoint-stale" not in alarms(made[SENDER]))

    asyncio.run(scenario())


def test_an_instance_that_stands_still_is_left(tmp_path):
    async def scenario():
        clock = SkewedClock()
        async with scene(tmp_path, SENDER, now_ms=clock) as made:
            turns = []
            made[SENDER]._client.turn = lambda: turns.append(clock.seconds)
            clock.seconds = 600
            await until(lambda: turns)
            clock.seconds = 0
            await until(lambda: "checkpoint-stale" not in alarms(made[SENDER]))
            assert set(turns) == {600}

    asyncio.run(scenario())


def test_it_knows_the_network_again_with_the_broker_away(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            await subscribed(made, READER, "*.*")
            before = made[SENDER].network
        async with gateway_world.running(gateway_world.Folder(tmp_path / "kz-customs"), Wire(None)) as again:
            assert again.network.size == before.size
            assert again.network.subscriptions == before.subscriptions
            preview = await again.preview(SENDER, a_request())
            assert [item.participant for item in preview.candidates] == [READER]
            assert preview.checked_at == from_seconds(before.checkpoint.at)

    asyncio.run(scenario())


def test_a_gateway_that_is_not_enrolled_waits_and_says_so(tmp_path):
    async def scenario():
        world = make_world()
        stranger = world.people.pop("tj/police")
        before = world.repository
        state = world.directory.roles["tj"]
        (tmp_path / "broker").mkdir()
        strange = gateway_world.plant(
            world, tmp_path / "strange", replace(stranger, signing=stranger.signing.generate())
        )
        custody = gateway_world.FileCustody(strange.keys, gateway_world.PASSPHRASE)
        new_seal = SealingKey.generate()
        custody.keep("sealing.tj.police.1", new_seal.to_bytes())
        custody.keep("request.tj.police", stranger.request.generate().to_bytes())
        async with broker_world.running(world, tmp_path / "broker") as broker:
            wire = Wire(gateway_world.api(broker))
            async with gateway_world.running(strange, wire) as gateway:
                await until(lambda: "not-enrolled" in alarms(gateway))
                assert gateway.network is None
                assert not gateway.readiness().ready
                kept = await gateway.accept("tj/police", a_request(to=(OTHER,)))
                own = gateway._identities["tj/police"]
                put_role(world, "tj", _with_keys(state, own, world.now).encode())
                await upload(broker, world, "tj", "tj/directory.json", before)
                await known(gateway)
                status = await gateway.wait_outcome("tj/police", kept.notice_id, 10)
                assert status.state is State.PUBLISHED
                assert "not-enrolled" not in alarms(gateway)
                # The keys that the world made for it are none of its own.
                assert "foreign-key" in alarms(gateway)

    asyncio.run(scenario())


def _with_keys(state, own, now):
    from tests.world import Person, records_of

    (sealing,) = own.sealing.values()
    person = Person(own.participant, own.signing, sealing, own.request)
    participant = state.participant(own.participant)
    more = replace(participant, keys=(*participant.keys, *records_of(person, now)))
    return edit.set_participant(state, more, "tj")


def test_a_key_of_ours_that_we_did_not_make_is_an_alarm(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER) as made:
            assert alarms(made[SENDER]) == set()
            world, before = made.world, made.world.repository
            foreign = SealingKey.generate()
            record = SealingRecord(
                SENDER, Life(from_seconds(world.now)), foreign.kid, foreign.public_key(), foreign.jwk["pub"]
            )
            state = world.directory.roles["kz"]
            one = state.participant(SENDER)
            put_role(world, "kz", edit.set_participant(state, replace(one, keys=(*one.keys, record)), "kz").encode())
            await upload(made.broker, world, "kz", "kz/directory.json", before)
            await until(lambda: "foreign-key" in alarms(made[SENDER]))
            assert foreign.kid in made[SENDER]._alarms.on["foreign-key"]
            assert not made[SENDER]._alarms.stopped

    asyncio.run(scenario())


def test_a_directory_that_is_served_frozen_is_an_alarm_and_the_old_one_stays(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            world, before = made.world, made.world.repository
            version = made[SENDER].network.directory.version
            timestamp = before.files["timestamp.json"]

            def freeze(request, answer):
                if request.url.endswith("/timestamp.json"):
                    return Answer(200, CIMultiDict(), timestamp)
                return answer

            made.wire.after = freeze
            state = world.directory.roles["uz"]
            put_role(world, "uz", edit.suspend(state, READER).encode())
            await upload(made.broker, world, "uz", "uz/directory.json", before)
            # What is old is the log's older version, or older than what was seen: the broker may have renewed its own.
            bad = {"directory-frozen", "directory-rollback"}
            await until(lambda: bad & alarms(made[SENDER]))
            assert made[SENDER].network.directory.version == version
            made.wire.after = None
            await until(lambda: made[SENDER].network.directory.version == version + 1)
            await until(lambda: not bad & alarms(made[SENDER]))

    asyncio.run(scenario())


def test_a_full_bundle_serves_where_the_partial_one_is_gone(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            gone = []

            def drop(request):
                if "/tile/entries/" in request.url and ".p/" in request.url:
                    gone.append(request.url)
                    return problem("not-found", 404)
                return None

            def grow(request, answer):
                if request.url.endswith("/tile/entries/000"):
                    entries = made.broker.view.size
                    bundle = [made.broker.view.record(n).leaf.encode() for n in range(entries)]
                    bundle += [bundle[-1]] * (256 - entries)
                    from keys.log.tiles import encode_bundle

                    return Answer(200, CIMultiDict(), encode_bundle(bundle))
                return answer

            made.wire.before, made.wire.after = drop, grow
            await subscribed(made, READER, "*.*")
            assert gone

    asyncio.run(scenario())


def test_a_step_that_was_not_kept_is_taken_again(tmp_path):
    async def scenario():
        async with scene(tmp_path, SENDER, READER) as made:
            store = made[SENDER].store
            write, failures = store.write, [1, 1]

            async def failing(work):
                if failures and getattr(work, "__name__", "") == "commit":
                    failures.pop()
                    raise StorageFullError("The disk is full (test).")
                return await write(work)

            store.write = failing
            await subscribed(made, READER, "*.*")
            assert failures == []

    asyncio.run(scenario())
