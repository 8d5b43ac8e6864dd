"""From the kit to the practice notice's receipt, and the doctor who names the step that is missing."""

import asyncio
import shutil
from dataclasses import replace
from functools import partial

import pytest

from adapters.gateway import enrol, identity, outbox
from adapters.gateway.enrol import init_gateway
from adapters.gateway.folder import Enrolled, Folder
from adapters.gateway.service import Gateway, GatewayOptions, examine
from adapters.gateway.status import State
from keys.custody.backup import make_backup, restore_backup
from keys.custody.file import FileCustody
from keys.directory import edit
from keys.directory.enrolment import Kit, eight_words, verify_request
from keys.directory.records import Names, Participant
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import Code, Origin
from tests import broker_world, gateway_world
from tests.gateway_world import PASSPHRASE, Wire, known, until, upload
from tests.world import ORIGIN, make_world, put_role

WHO, POINT = "tj/customs", "tj/focal-point"


@pytest.fixture(autouse=True)
def _cheap(monkeypatch):
    """Stretch passphrases as little as may be: what is tested is not how long that takes."""
    little = {"memory_kib": 64, "passes": 1, "lanes": 1}
    monkeypatch.setattr(enrol, "FileCustody", partial(FileCustody, **little))
    monkeypatch.setattr(enrol, "make_backup", partial(make_backup, **little))


def kit_of(world, who=WHO, origin=ORIGIN) -> bytes:
    return Kit(origin, gateway_world.BASE, who, world.repository.files["1.root.json"]).encode()


def init(world, folder, **changes):
    given = {"gateway": Code("gate-1"), "now_ms": world.now * 1000, "backup_passphrase": b"another phrase", **changes}
    return init_gateway(kit_of(world), folder, PASSPHRASE, **given)


def approved(world, request: bytes):
    """Enter a request as the focal point does."""
    verified = verify_request(request)
    state = world.directory.roles["tj"]
    one = Participant(
        WHO,
        Code("customs"),
        Names.same("Customs"),
        (),
        None,
        suspended=False,
        keys=verified.records(from_seconds(world.now)),
    )
    put_role(world, "tj", edit.set_participant(state, one, "tj").encode())


def checks(found) -> dict[str, str]:
    return {item.name: item.state for item in found}


def test_fifteen_minutes(tmp_path):
    async def scenario():
        world = make_world(("kz/customs", "uz/focal-point", POINT))
        made = init(world, tmp_path / "gate")
        assert made.words == eight_words(made.request)
        assert len(made.words.split()) == 8
        assert made.fingerprint == Kit.parse(kit_of(world)).fingerprint
        (tmp_path / "broker").mkdir()
        async with broker_world.running(world, tmp_path / "broker") as broker:
            wire = Wire(gateway_world.api(broker))
            options = GatewayOptions(tmp_path / "gate", poll_seconds=0.05)
            gateway = Gateway.open(options, PASSPHRASE)
            await gateway.start(gateway_world.BrokerClient(gateway_world.BASE, transport=wire))
            await until(lambda: "not-enrolled" in gateway._alarms.on)
            found = checks(await gateway.doctor())
            assert found["keys"] == found["backup"] == found["kit"] == found["broker"] == "ok"
            assert found["directory-entry"] == "missing"
            before = world.repository
            approved(world, made.request)
            await upload(broker, world, "tj", "tj/directory.json", before)
            await known(gateway)

            async def practised():
                entries, _ = await gateway.statuses(WHO)
                return [item for item in entries if item.state is State.PUBLISHED]

            (practice,) = await until(practised)
            assert practice.receipt
            assert practice.label.exercise
            assert [item.participant for item in practice.recipients] == [WHO, POINT]
            found = checks(await gateway.doctor())
            assert set(found.values()) == {"ok"}, found
            assert found[f"practice {WHO}"] == "ok"
            again = await gateway.practise(WHO)
            assert (again.notice_id, again.created) == (practice.id, False)
            await gateway.store.write(partial(outbox.mark_erased, notice_id=practice.notice_id, reason="expired"))
            assert (await gateway.status(WHO, practice.id)).state is State.EXPIRED
            assert checks(await gateway.doctor())[f"practice {WHO}"] == "ok"
            await gateway.stop()

    asyncio.run(scenario())


def test_init_does_not_end_without_a_backup_or_a_clear_word(tmp_path):
    world = make_world((POINT,))
    with pytest.raises(Error) as raised:
        init(world, tmp_path / "gate", backup_passphrase=None)
    assert raised.value.code == "configuration"
    assert Folder(tmp_path / "gate").enrolled() is None
    made = init(world, tmp_path / "gate", backup_passphrase=None, no_backup=True)
    assert made.backup is None
    assert Folder(tmp_path / "gate").enrolled().backup is False


def test_a_backup_gives_every_key_back(tmp_path):
    world = make_world((POINT,))
    made = init(world, tmp_path / "gate")
    first = FileCustody(tmp_path / "gate" / "keys", PASSPHRASE)
    restored = FileCustody(tmp_path / "restored", b"a third phrase", memory_kib=64, passes=1, lanes=1)
    restore_backup(made.backup, b"another phrase", restored)
    one, two = identity.load(first, WHO), identity.load(restored, WHO)
    assert one.kids == two.kids
    assert restored.open("store") == first.open("store")


def test_init_again_keeps_the_keys_and_another_deployment_is_refused(tmp_path):
    world = make_world((POINT,))
    first = verify_request(init(world, tmp_path / "gate").request)
    assert verify_request(init(world, tmp_path / "gate").request).kids == first.kids
    with pytest.raises(Error) as raised:
        init(world, tmp_path / "gate", gateway=Code("gate-2"))
    assert raised.value.code == "configuration"
    other = kit_of(world, origin=Origin("test.invalid/other"))
    with pytest.raises(Error) as raised:
        init_gateway(other, tmp_path / "gate", PASSPHRASE, gateway=Code("gate-1"), now_ms=0, no_backup=True)
    assert raised.value.code == "wrong-log"


def test_another_kit_adds_a_participant(tmp_path):
    world = make_world((POINT,))
    init(world, tmp_path / "gate")
    kit = kit_of(world, "tj/police")
    made = init_gateway(kit, tmp_path / "gate", PASSPHRASE, gateway=Code("gate-1"), now_ms=1000, no_backup=True)
    assert made.participant == "tj/police"
    custody = FileCustody(tmp_path / "gate" / "keys", PASSPHRASE)
    assert identity.participants(custody) == (WHO, "tj/police")
    assert Folder(tmp_path / "gate").enrolled().backup is True


def test_a_further_sealing_key_stands_beside_the_first(tmp_path):
    custody = FileCustody(tmp_path, PASSPHRASE, memory_kib=64, passes=1, lanes=1)
    first = identity.create(custody, "int/unodc/desk")
    for _ in range(10):
        newest = identity.add_sealing(custody, "int/unodc/desk")
    kids = list(identity.load(custody, "int/unodc/desk").sealing)
    assert len(kids) == 11
    assert (kids[0], kids[-1]) == (next(iter(first.sealing)), newest.kid)


def test_opening_says_what_is_missing(tmp_path):
    with pytest.raises(Error) as raised:
        Gateway.open(GatewayOptions(tmp_path / "nowhere"), PASSPHRASE)
    assert raised.value.code == "enrolment"
    world = make_world((POINT,))
    init(world, tmp_path / "gate")
    with pytest.raises(Error) as raised:
        Gateway.open(GatewayOptions(tmp_path / "gate"), b"wrong")
    assert raised.value.code == "custody"
    for name, code in (("root.json", "enrolment"), ("keys", "enrolment")):
        copy = tmp_path / name
        shutil.copytree(tmp_path / "gate", copy)
        if name == "keys":
            (copy / "keys" / "signing.tj.customs.sealed").unlink()
        else:
            (copy / name).unlink()
        opening = Folder(copy).root if name == "root.json" else partial(Gateway.open, GatewayOptions(copy), PASSPHRASE)
        with pytest.raises(Error) as raised:
            opening()
        assert raised.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"nonsense",
        b'{"v":1,"origin":"a b","broker":"x","gateway":"g","backup":true}',
        b'{"v":0,"origin":"a.example","broker":"x","gateway":"g","backup":true}',
    ],
)
def test_a_damaged_or_newer_folder_is_refused(data):
    with pytest.raises(Error) as raised:
        Enrolled.parse(data)
    assert raised.value.code == "configuration"
    newer = Enrolled(ORIGIN, "http://b", Code("g"), backup=True).encode().replace(b'"v":1', b'"v":2')
    with pytest.raises(Error) as raised:
        Enrolled.parse(newer)
    assert raised.value.code == "newer-store"


def test_the_doctor_looks_at_a_gateway_that_does_not_run(tmp_path):
    async def scenario():
        found = await examine(GatewayOptions(tmp_path / "nowhere"), PASSPHRASE)
        assert [(item.name, item.state) for item in found] == [("keys", "missing")]
        world = make_world((POINT,))
        init(world, tmp_path / "gate", backup_passphrase=None, no_backup=True)
        gateway = Gateway.open(GatewayOptions(tmp_path / "gate"), PASSPHRASE)
        client = gateway_world.BrokerClient(gateway_world.BASE, transport=Wire(None))
        found = checks(await gateway.look(client))
        assert found["backup"] == "warning"
        assert found["broker"] == "missing"
        await gateway.stop()

    asyncio.run(scenario())


def test_the_doctor_warns_of_what_expires_and_of_what_is_not_in_force(tmp_path):
    async def scenario():
        async with gateway_world.scene(tmp_path, "kz/customs", world=make_world(without_law=("kz",))) as made:
            gateway = made["kz/customs"]
            found = {item.name: item for item in await gateway.doctor()}
            assert found["law kz/customs"].state == "missing"
            assert found["practice kz/customs"].state == "missing"
            clock = gateway_world.SkewedClock(seconds=80 * 86400)
            gateway._now_ms = clock
            found = {item.name: item for item in await gateway.doctor()}
            assert found["sealing-key kz/customs"].state == "warning"
            clock.seconds = 340 * 86400
            found = {item.name: item for item in await gateway.doctor()}
            assert found["role kz"].state == "warning"
            clock.seconds = 400 * 86400
            found = {item.name: item for item in await gateway.doctor()}
            assert found["role root"].state == "missing"
            kid = made.world.people["kz/customs"].sealing.kid
            await gateway.revoke_keys("kz/customs", (kid,), Code("lost"))
            await until(lambda: kid in gateway.network.revoked)
            found = {item.name: item for item in await gateway.doctor()}
            assert "no sealing" in f"{found['keys kz/customs'].detail}".lower()
            gateway._identities = {"kz/nobody": replace(gateway._identities["kz/customs"], participant="kz/nobody")}
            found = {item.name: item for item in await gateway.doctor()}
            assert found["directory-entry kz/nobody"].state == "missing"

    asyncio.run(scenario())
