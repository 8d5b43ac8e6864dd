"""A directory that is rolled back, frozen, mixed or that the log does not name: the last good one goes on serving."""

import asyncio
import re
import time
from dataclasses import replace

import pytest

from adapters.gateway import follow
from broker.ledger.fsck import fsck
from broker.ledger.port import Append, Entry
from broker.ledger.sqlite import SqliteLedger
from keys.directory import edit
from schemas.errors import Error
from schemas.leaf import LeafType
from tests import gateway_world
from tests.faults.between import FORBIDS, OTHER, READER, SENDER, Scene, alarm, goes_out, scene, wanted
from tests.gateway_world import known, until
from tests.world import ORIGIN, World, make_world, put_law


async def recorded(made: Scene) -> dict[str, object]:
    """Return what serves the directory's timestamp for ever as the broker serves it now."""
    data = await made.broker.serving.directory_file("metadata/timestamp.json")
    return {"/directory/metadata/timestamp.json$": lambda given: replace(given, status=200, body=data)}


@pytest.fixture
def looks_often(monkeypatch):
    monkeypatch.setattr(follow, "DIRECTORY_SECONDS", 0.05)


def test_a_directory_that_is_rolled_back_is_not_taken(tmp_path, looks_often):
    async def scenario():
        async with scene(tmp_path) as made:
            old = await recorded(made)
            await made.change_law()
            gateway = await made.gateway(SENDER)
            await known(gateway)
            version = gateway.network.directory.version
            made.between.wrongs.update(old)
            assert await alarm(gateway, "directory-rollback")
            assert gateway.network.directory.version == version
            # The last good one goes on serving.
            kept = await gateway.accept(SENDER, wanted())
            await goes_out(gateway, kept)
            # A gateway that has never seen the newer one is not fooled: the log names it.
            new = await made.gateway(OTHER)
            assert await alarm(new, "directory-frozen")
            assert new.network is None
            made.between.wrongs.clear()
            await until(lambda: "directory-rollback" not in gateway._alarms.on)
            await known(new)
            assert new.network.directory.version == version

    asyncio.run(scenario())


def test_a_directory_that_is_frozen_is_noticed(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            version = gateway.network.directory.version
            made.between.wrongs.update(await recorded(made))
            await made.change_law()
            assert await alarm(gateway, "directory-frozen")
            assert gateway.network.directory.version == version
            made.between.wrongs.clear()
            await until(lambda: gateway.network.directory.version == version + 1)
            assert "directory-frozen" not in gateway._alarms.on

    asyncio.run(scenario())


@pytest.mark.parametrize("mixed", ["snapshot", "role"])
def test_a_directory_that_is_mixed_is_not_taken(tmp_path, mixed):
    async def scenario():
        async with scene(tmp_path) as made:
            repository = made.world.repository
            gateway = await made.gateway(SENDER)
            await known(gateway)
            version = gateway.network.directory.version
            law = repository.version_of("tj-law")
            old, new = {
                "snapshot": (f"{version}.snapshot.json", f"{version + 1}.snapshot.json"),
                "role": (f"{law}.tj-law.json", f"{law + 1}.tj-law.json"),
            }[mixed]
            data = repository.files[old]
            made.between.wrongs[f"/directory/metadata/{re.escape(new)}$"] = lambda given: replace(
                given, status=200, body=data
            )
            await made.change_law()
            assert await until(lambda: {"directory", "directory-rollback"} & set(gateway._alarms.on))
            assert gateway.network.directory.version == version
            made.between.wrongs.clear()
            await until(lambda: gateway.network.directory.version == version + 1)
            assert not {"directory", "directory-rollback"} & set(gateway._alarms.on)

    asyncio.run(scenario())


def test_a_directory_that_the_log_does_not_name_is_not_taken(tmp_path, looks_often, monkeypatch):
    """The operator serves a newer version, signed by everybody, to one gateway alone."""
    monkeypatch.setattr(follow, "LIMITS", replace(follow.LIMITS, request_age=0))

    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            version = gateway.network.directory.version
            law = made.world.law("tj", FORBIDS)
            put_law(made.world, "tj", law)  # in no ledger
            files = made.world.repository.files

            def serve(request, given):
                name = request.url.removeprefix(f"{gateway_world.BASE}/v1/directory/").removeprefix("metadata/")
                return replace(given, status=200, body=files[name]) if name in files else given

            made.between.wire.after = serve
            assert await alarm(gateway, "directory-frozen")
            assert gateway.network.directory.version == version

    asyncio.run(scenario())


def altered(world: World, how: str) -> bytes:
    """Return `uz/directory.json` with a key record removed or altered, or with another State's key in it."""
    state = world.directory.roles["uz"]
    one = world.directory.participant(READER)
    first, *others = one.keys
    keys = {
        "removed": others,
        "altered": [replace(first, life=replace(first.life, from_="2020-01-01T00:00:00Z")), *others],
        "listed-twice": [*one.keys, *world.directory.participant(OTHER).keys[:1]],
    }[how]
    return edit.set_participant(state, replace(one, keys=tuple(keys)), "uz").encode()


@pytest.mark.parametrize(
    ("how", "keys", "code"),
    [
        ("removed", "uz", "directory-append-only"),
        ("altered", "uz", "directory-append-only"),
        ("listed-twice", "uz", "directory"),
        ("another-states-key", "tj", "unverified"),
        ("focal-point-alone", "law", "law-signatures"),
    ],
)
def test_an_upload_that_a_client_would_refuse_is_refused(tmp_path, how, keys, code):
    async def scenario():
        async with scene(tmp_path) as made:
            world, serving = made.world, made.broker.serving
            size, version = serving.size, serving.trust.directory.version
            role, path = ("uz-law", "uz/law.json") if keys == "law" else ("uz", "uz/directory.json")
            if keys == "law":
                data = world.law("uz", FORBIDS)
            else:
                data = world.directory.roles["uz"].encode() if keys == "tj" else altered(world, how)
            edited = world.repository.version_of(role)
            metadata = edit.renew(world.repository.files[f"{edited}.{role}.json"], now=world.now)
            metadata = edit.set_target(metadata, path, data)
            signer = world.law_keys["uz"][1] if keys == "law" else world.state_keys[keys]
            with pytest.raises(Error) as raised:
                await serving.upload_role(role, edit.sign_role(metadata, signer), {path: data}, edited)
            assert 400 <= raised.value.status < 500
            assert raised.value.code == code
            assert (serving.size, serving.trust.directory.version) == (size, version)
            # And nothing stands in the way of the next one.
            await made.change_law()
            assert serving.trust.directory.version == version + 1

    asyncio.run(scenario())


def test_an_old_directory_event_that_is_replayed_into_the_ledger_folds_away(tmp_path):
    async def scenario():
        world = make_world()
        async with scene(tmp_path, world) as made:
            await made.change_law()
            await made.publish()
            size, root = made.broker.view.size, made.broker.view.root(made.broker.view.size)
            await made.stop_broker()
            ledger = SqliteLedger(tmp_path / "broker" / "ledger.sqlite", ORIGIN)
            events = [record for _, record in ledger.read(0, 100) if record.leaf.type is LeafType.DIRECTORY]
            for record in events:
                late = replace(record, leaf=replace(record.leaf, received_at=int(time.time() * 1000)))
                ledger.append(Append((Entry(record, None), Entry(late, None))))
            ledger.close()
            await made.start_broker()
            assert (made.broker.view.size, made.broker.view.root(size)) == (size, root)
            assert made.broker.serving.trust.directory.version == len(events)
            gateway = await made.gateway(SENDER)
            await known(gateway)
            await goes_out(gateway, await gateway.accept(SENDER, wanted()))
            assert fsck(made.broker.ledger, now_ms=int(time.time() * 1000), view=made.broker.view).findings == ()

    asyncio.run(scenario())
