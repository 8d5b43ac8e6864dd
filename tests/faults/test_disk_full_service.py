"""A full disk under a broker and under a gateway: 507, reads go on, and it recovers by itself once there is space."""

import json
import signal
import subprocess
import time

import pytest

from broker.init import LEDGER
from broker.ledger.fsck import fsck
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.directory import edit
from schemas.encoding import b64encode
from schemas.leaf import LeafType
from tests.faults.deployment import COMMAND, BrokerService, GatewayService, ask, closing, notice, until
from tests.faults.disk import MEGABYTE, fill, small_disk
from tests.faults.test_gateway_kill import table
from tests.world import ORIGIN, World, make_world

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(120)]
SENDER, READER = "kz/customs", "uz/focal-point"
RECOVERS = 5.0
"""Seconds after which everything works again once there is space."""


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


def upload_of(world: World) -> tuple[str, bytes, dict[str, str]]:
    """Return an upload of a role as it is sent."""
    edited = world.repository.version_of("uz")
    data = world.directory.roles["uz"].encode()
    metadata = edit.renew(world.repository.files[f"{edited}.uz.json"], now=world.now)
    metadata = edit.sign_role(edit.set_target(metadata, "uz/directory.json", data), world.state_keys["uz"])
    body = {"metadata": b64encode(metadata), "targets": {"uz/directory.json": b64encode(data)}}
    headers = {"Content-Type": "application/json", "If-Match": f'"{edited}"'}
    return "/v1/directory/roles/uz", json.dumps(body).encode(), headers


def publish_until_full(world: World, broker: BrokerService, accepted: list) -> None:
    """Publish until the broker says for the fifth time that its storage is full.

    One it may answer with 503: the ledger had the last bit of space, and the view had none to follow. That one is
    published, as whoever sends it again finds out.
    """
    refused = perhaps = 0
    for _ in range(3000):
        signed = world.envelope(SENDER, [READER])
        answer = broker.publish(signed)
        if answer.status == 503:
            assert "send it again" in answer.json()["detail"]
            perhaps += 1
            assert perhaps == 1
        if answer.status in (201, 503):
            accepted.append(signed)
            continue
        assert (answer.status, answer.code) == (507, "storage-full"), answer.body
        assert int(answer.headers["Retry-After"]) > 0
        assert "refusal" not in answer.json()
        refused += 1
        if refused == 5:
            return
    pytest.fail("the disk did not get full")


def assert_reads_go_on(world: World, broker: BrokerService, accepted: list) -> None:
    assert ask(f"{broker.address}/livez").status == 200
    ready = ask(f"{broker.address}/readyz")
    assert ready.status == 503
    assert any("storage-full" in reason for reason in ready.json()["reasons"])
    assert ask(f"{broker.address}/v1/log/checkpoint").status == 200
    assert ask(f"{broker.address}/v1/directory/metadata/timestamp.json").status == 200
    assert {name for _, name, *_ in broker.notices(READER)} <= {item.statement.notice_id for item in accepted}
    assert len(broker.notices(READER)) >= 5
    first = accepted[0].statement.notice_id
    for target in (f"/v1/notices/{first}", f"/v1/notices/{first}/proof", "/v1/subscriptions", "/v1/feed/held"):
        assert broker.signed(READER, target).status == 200, target
    assert b"valise_tree_size" in broker.metrics
    # A receipt that is asked for again: given, unless the view could not follow the ledger yet.
    assert broker.publish(accepted[0]).status in (200, 503)


@pytest.mark.parametrize("filler", ["notices", "another program"])
def test_a_broker_on_a_full_disk(tmp_path, world, filler):
    with small_disk(tmp_path / "broker", 8) as folder:
        broker = BrokerService(world, folder)
        with closing(broker):
            broker.start()
            accepted: list = []
            for _ in range(5):
                signed = world.envelope(SENDER, [READER])
                assert broker.publish(signed).status == 201
                accepted.append(signed)
            until(lambda: len(broker.notices(READER)) == 5)
            ballast = folder / "ballast"
            ballast.write_bytes(bytes(MEGABYTE))
            if filler == "another program":
                fill(folder / "filler")
            publish_until_full(world, broker, accepted)
            fill(folder / "filler")
            publish_until_full(world, broker, accepted)
            target, body, headers = upload_of(world)
            answer = ask(f"{broker.address}{target}", "PUT", body, headers)
            assert (answer.status, answer.code) == (507, "storage-full"), answer.body
            assert_reads_go_on(world, broker, accepted)
            time.sleep(2.5)  # rounds of housekeeping, which fail as well
            assert_reads_go_on(world, broker, accepted)

            # Nobody does anything but to make space.
            (folder / "filler").unlink()
            ballast.unlink()
            until(lambda: ask(f"{broker.address}/readyz").status == 200, RECOVERS)
            signed = world.envelope(SENDER, [READER])
            assert broker.publish(signed).status == 201
            accepted.append(signed)
            assert ask(f"{broker.address}{target}", "PUT", body, headers).status == 201
            for item in accepted:
                assert broker.publish(item).status == 200
            names = {item.statement.notice_id for item in accepted}
            until(lambda: {name for _, name, *_ in broker.notices(READER)} == names, RECOVERS)
            assert broker.end() == 0
        examine(folder, len(accepted))


def examine(folder, number: int) -> None:
    ledger, view = SqliteLedger(folder / LEDGER, ORIGIN), View(folder / "view.sqlite", ORIGIN)
    try:
        view.catch_up(ledger)
        assert fsck(ledger, now_ms=time.time_ns() // 1_000_000, view=view).findings == ()
        sealed = [record for _, record in ledger.read(0, 100_000) if record.leaf.type is LeafType.SEALED]
        assert len(sealed) == number
    finally:
        view.close()
        ledger.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_broker_that_is_ended_and_started_on_a_full_disk(tmp_path, world, end):
    with small_disk(tmp_path / "broker", 8) as folder:
        broker = BrokerService(world, folder)
        with closing(broker):
            broker.start()
            accepted: list = []
            fill(folder / "filler")
            (folder / "filler").write_bytes(bytes(4 * MEGABYTE))
            publish_until_full(world, broker, accepted)
            code = broker.end(end)
            assert code == (0 if end == signal.SIGTERM else -signal.SIGKILL), broker.printed
            fill(folder / "filler-2")
            done = subprocess.run(
                [*COMMAND, "broker", "run", "--config", str(broker.config)],
                capture_output=True,
                timeout=40,
                check=False,
            )
            assert done.returncode > 0
            assert b"Traceback" not in done.stderr
            assert b"space" in done.stderr.lower() or b"full" in done.stderr.lower(), done.stderr
            (folder / "filler").unlink()
            (folder / "filler-2").unlink()
            broker.start()
            for item in accepted:
                assert broker.publish(item).status == 200
            assert broker.publish(world.envelope(SENDER, [READER])).status == 201
            assert broker.end() == 0
        examine(folder, len(accepted) + 1)


def test_a_gateway_on_a_full_disk(tmp_path, world):
    broker = BrokerService(world, tmp_path / "broker")
    with small_disk(tmp_path / "gateway", 8) as folder:
        broker.start()
        gateway = GatewayService(world, folder, SENDER, READER, broker=broker.address)
        with closing(broker, gateway):
            gateway.start()
            accepted = [
                gateway.send(SENDER, notice(f"before-{number}", READER), 20).json()["id"] for number in range(3)
            ]
            inbox = until(lambda: enough(gateway.listed(READER, "inbox"), 3))
            # Some are accepted, and wait for a broker that is away, when the disk gets full.
            assert broker.end() == 0
            waiting = [gateway.send(SENDER, notice(f"waiting-{number}", READER)).json()["id"] for number in range(3)]
            fill(folder / "filler")
            accepted += waiting + post_until_full(gateway)
            broker.start()
            time.sleep(6)  # its loops try to write, again and again

            assert ask(f"{gateway.address}/livez").status == 200
            ready = ask(f"{gateway.address}/readyz")
            assert ready.status == 503
            assert "disk is full" in ready.json()["reasons"][0]
            assert [item["id"] for item in gateway.listed(READER, "inbox")][:3] == [item["id"] for item in inbox]
            assert gateway.call(READER, f"/v1/inbox/{inbox[0]['id']}").json()["notice"]["reference"] == "before-0"
            assert [item["id"] for item in gateway.listed(SENDER, "notices")] == accepted
            assert gateway.call(SENDER, "/v1/notices/preview", "POST", notice("preview", READER)).status == 200
            headers = gateway.headers(SENDER, Content_Type="text/csv")
            rows = table([f"full-{number}" for number in range(50)])
            imports = f"{gateway.address}/v1/imports?name=a.csv"
            full = [
                gateway.send(SENDER, notice("full", READER)),
                ask(imports, "POST", rows, headers),
                gateway.call(READER, "/v1/subscriptions", "PUT", {"patterns": ["*.routes"]}),
                gateway.call(SENDER, f"/v1/notices/{accepted[0]}/recall", "POST", {"reason": "withdrawn"}),
            ]
            for answer in full:
                assert (answer.status, answer.code) == (507, "storage-full"), answer.body
                assert int(answer.headers["Retry-After"]) > 0

            # Nobody does anything but to make space.
            (folder / "filler").unlink()
            began = time.monotonic()
            answer = gateway.send(SENDER, notice("after", READER))
            assert answer.status == 202
            accepted.append(answer.json()["id"])
            until(lambda: published(gateway, accepted), RECOVERS)
            until(lambda: enough(gateway.listed(READER, "inbox"), len(accepted)), RECOVERS)
            recovered = time.monotonic() - began
            references = [item["notice"]["reference"] for item in gateway.listed(READER, "inbox")]
            assert references[:3] == ["before-0", "before-1", "before-2"]
            assert len(references) == len(set(references)) == len(accepted)
            assert not any(reference.startswith("full") for reference in references)
            until(lambda: ask(f"{gateway.address}/readyz").status == 200, RECOVERS)
            until(lambda: not gateway.alarms(SENDER), RECOVERS)
            assert gateway.end() == 0
            assert broker.end() == 0
    print(f"everything was on its way {recovered:.1f} s after there was space")


def post_until_full(gateway) -> list[str]:
    """Post until the gateway says for the fifth time that its storage is full; return what it took before."""
    taken, refused = [], 0
    for number in range(2000):
        answer = gateway.send(SENDER, notice(f"filling-{number}", READER))
        if answer.status == 202:
            taken.append(answer.json()["id"])
            continue
        assert (answer.status, answer.code) == (507, "storage-full"), answer.body
        refused += 1
        if refused == 5:
            return taken
    pytest.fail("the disk did not get full")


def published(gateway, accepted: list[str]) -> bool:
    found = {item["id"]: item["status"] for item in gateway.listed(SENDER, "notices")}
    return found.keys() == set(accepted) and set(found.values()) == {"published"}


def enough(items: list, number: int) -> list | None:
    return items if len(items) == number else None
