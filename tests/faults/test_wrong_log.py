"""A log, a directory or a store that is not what it must be: said with an alarm, and nothing is sent into it.

A real broker, real gateways; between them something that serves what an operator, a thief of its keys, or an old backup
would. What the gateway accepts meanwhile stays with it and goes out once all is well again.
"""

import asyncio
import contextlib
import json
import re
import shutil
import sqlite3
import subprocess
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from adapters.client.broker import BrokerClient
from adapters.client.transport import Answer
from adapters.gateway import follow
from adapters.gateway.folder import Folder
from adapters.gateway.request import NoticeRequest
from adapters.gateway.service import Gateway
from adapters.gateway.status import State
from broker.app import open_broker
from broker.init import LEDGER
from broker.ledger.fsck import fsck
from broker.ledger.port import Append, Entry
from broker.ledger.signer import CheckpointSigner, SignerError
from broker.ledger.sqlite import SqliteLedger
from broker.sequencer import NotPublished
from broker.settings import Settings
from broker.view.store import View
from keys.directory import edit
from keys.directory.update import root_fingerprint
from keys.log.note import LogSigner, sign_checkpoint, verify_checkpoint
from keys.sign import Ed25519Signer, verify_refusal
from schemas import encoding
from schemas.encoding import b64decode, b64encode
from schemas.errors import Error
from schemas.leaf import LeafType
from schemas.notice import examples
from schemas.receipt import Receipt
from schemas.statement import SeenCheckpoint, SubscriptionBody
from tests import broker_folder, broker_world, gateway_world
from tests.broker_world import HandClock
from tests.faults.deployment import COMMAND
from tests.gateway_world import Wire, known, until
from tests.world import ORIGIN, World, make_world, put_law

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
FORBIDS = """
[[condition]]
id = "no-seizures"
instrument = "Act on Secrets"
article = "12(3)"
effect = "deny"
applies_to = { direction = "receive", kinds = ["seizure"] }
[condition.explanation]
en = "Seizures of others may not be kept here."
"""


@dataclass
class Between:
    """Stands between gateways and the broker: `wrongs` are patterns of addresses and what becomes of their answers."""

    wire: Wire
    wrongs: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.wire.after = self._after

    def _after(self, request, given: Answer) -> Answer:
        target = request.url.removeprefix(gateway_world.BASE)
        for pattern, wrong in self.wrongs.items():
            if re.search(pattern, target):
                given = wrong(given)
        return given

    @property
    def published(self) -> int:
        return sum(request.method == "PUT" for request in self.wire.log)


@dataclass
class Scene:
    """A broker, what stands before it, and gateways."""

    world: World
    folder: Path
    stack: AsyncExitStack
    between: Between = field(default_factory=lambda: Between(Wire(None)))
    broker: broker_world.Broker | None = None
    gateways: dict[str, Gateway] = field(default_factory=dict)
    _running: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_broker(self, *, ahead: int = 0) -> None:
        # Each life begins a little later: it signs with a later time, as a clock that goes on would have it.
        clock = HandClock(int(time.time()) * 1000 + ahead * 1000)
        self.broker = await self._running.enter_async_context(
            broker_world.running(self.world, self.folder / "broker", clock)
        )
        self.between.wire.app = gateway_world.api(self.broker)

    async def stop_broker(self) -> None:
        self.between.wire.app = None
        await self._running.aclose()

    async def gateway(self, who: str, root: bytes | None = None) -> Gateway:
        place = Folder(self.folder / who.replace("/", "-"))
        if not place.path.exists():  # a second life goes on with the keys of the first
            gateway_world.plant(self.world, place.path, who)
        if root is not None:
            place.write(place.enrolled(), root)
        gateway = await self.stack.enter_async_context(gateway_world.running(place, self.between.wire))
        self.gateways[who] = gateway
        return gateway

    async def publish(self, *to: str, sender: str = SENDER) -> None:
        """Publish a notice without any gateway."""
        signed = self.world.envelope(sender, to or (READER,))
        answer = await self.broker.serving.publish(signed.statement.notice_id, signed.envelope)
        assert not isinstance(answer, NotPublished), answer

    async def subscribe(self, who: str, *patterns: str) -> None:
        signed = self.world.open_envelope(who, "subscribe", SubscriptionBody(who, patterns))
        answer = await self.broker.serving.publish(signed.statement.notice_id, signed.envelope)
        assert not isinstance(answer, NotPublished), answer

    async def change_law(self) -> None:
        """Upload a law, so that the directory has a new version."""
        before = self.world.repository.version_of("tj-law")
        law = self.world.law("tj", FORBIDS)
        put_law(self.world, "tj", law)
        version = self.world.repository.version_of("tj-law")
        metadata = self.world.repository.files[f"{version}.tj-law.json"]
        await self.broker.serving.upload_role("tj-law", metadata, {"tj/law.json": law}, before)


@asynccontextmanager
async def scene(folder: Path, world: World | None = None):
    (folder / "broker").mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        made = Scene(world or make_world(), folder, stack)
        stack.push_async_callback(made.stop_broker)
        await made.start_broker()
        yield made


def wanted(**changes) -> NoticeRequest:
    return NoticeRequest(
        **{"topic": "central-asia.seizures", "notice": examples("seizure"), "to": (READER,), **changes}
    )


async def alarm(gateway: Gateway, kind: str) -> str:
    """Wait for an alarm and return what it says."""
    return await until(lambda: gateway._alarms.on.get(kind))


async def stays_here(made: Scene, gateway: Gateway, who: str = SENDER):
    """Post a notice and see that it is accepted and does not leave the house."""
    before = made.between.published
    kept = await gateway.accept(who, wanted())
    for _ in range(30):
        await asyncio.sleep(0.01)
    assert made.between.published == before
    assert (await gateway.status(who, kept.notice_id)).state in (State.KEPT, State.SEALED)
    return kept


async def goes_out(gateway: Gateway, kept, who: str = SENDER) -> None:
    status = await gateway.wait_outcome(who, kept.notice_id, 20)
    assert status.state is State.PUBLISHED, status


# Keys of the log


def signed_by(stranger: LogSigner, world: World):
    """Return what signs a checkpoint with another key under the same name."""

    def sign(given: Answer) -> Answer:
        checkpoint = verify_checkpoint(given.body, world.log.keys)
        note = sign_checkpoint(stranger, checkpoint.size, checkpoint.root, at=checkpoint.at)
        return replace(given, body=note)

    return sign


def test_a_log_with_another_key_gets_nothing(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            made.between.wrongs["/log/checkpoint"] = signed_by(LogSigner.generate(ORIGIN), made.world)
            assert await alarm(gateway, "wrong-log")
            assert not gateway.readiness().ready
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)
            assert "wrong-log" not in gateway._alarms.on

    asyncio.run(scenario())


def test_a_new_gateway_does_not_begin_with_another_logs_key(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            made.between.wrongs["/log/checkpoint"] = signed_by(LogSigner.generate(ORIGIN), made.world)
            gateway = await made.gateway(SENDER)
            assert await alarm(gateway, "wrong-log")
            assert gateway.network is None
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)

    asyncio.run(scenario())


def test_what_is_delivered_under_another_logs_key_is_not_taken(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            sign = signed_by(LogSigner.generate(ORIGIN), made.world)

            def swap(given: Answer) -> Answer:
                page = encoding.parse(given.body, limit=32 << 20)
                for item in page["deliveries"]:
                    note = b64decode(item["inclusion"]["checkpoint"])
                    item["inclusion"]["checkpoint"] = b64encode(sign(replace(given, body=note)).body)
                return replace(given, body=encoding.encode(page))

            made.between.wrongs["/feed"] = swap
            gateway = await made.gateway(READER)
            await known(gateway)
            await made.publish()
            assert await alarm(gateway, "not-receiving")
            assert (await gateway.inbox(READER))[0] == []

    asyncio.run(scenario())


def test_a_receipt_of_another_key_counts_for_nothing(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            stranger = Ed25519Signer.generate()

            def forge(given: Answer) -> Answer:
                if given.status not in (200, 201):
                    return given
                token = json.loads(given.body)["receipt"]
                receipt = Receipt.parse(b64decode(token.split(".")[1]))
                return replace(given, body=json.dumps({"receipt": stranger.receipt(receipt)}).encode())

            made.between.wrongs["/v1/notices/"] = forge
            gateway = await made.gateway(SENDER)
            await known(gateway)
            kept = await gateway.accept(SENDER, wanted())
            assert await alarm(gateway, "odd-answer")
            status = await gateway.status(SENDER, kept.notice_id)
            assert (status.state, status.receipt) == (State.SEALED, None)

    asyncio.run(scenario())


def test_a_broker_does_not_start_with_another_log_key_than_the_directory_names(tmp_path):
    world = make_world()
    broker_folder.write(replace(world, log=LogSigner.generate(ORIGIN)), tmp_path / "broker")
    with pytest.raises(Error) as raised:
        open_broker(settings(tmp_path / "broker"), broker_folder.PASSPHRASE)
    assert raised.value.code == "wrong-log"


def settings(folder: Path) -> Settings:
    return Settings(state=folder, origin=ORIGIN, demo=True)


# Another root


def test_a_gateway_that_was_enrolled_with_another_root_believes_nothing(tmp_path):
    stranger = make_world(["kz/customs", "kz/focal-point"])

    async def scenario():
        async with scene(tmp_path) as made:
            root = stranger.repository.files["1.root.json"]
            assert root_fingerprint(root) != root_fingerprint(made.world.repository.files["1.root.json"])
            gateway = await made.gateway(SENDER, root)
            assert "fingerprint" in await alarm(gateway, "wrong-log")
            assert gateway.network is None
            assert not gateway.readiness().ready
            await stays_here(made, gateway)
            assert not any("/feed" in request.url for request in made.between.wire.log)

    asyncio.run(scenario())


# Old copies


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_an_old_copy_is_not_signed_by_a_signer_that_knows_better(tmp_path):
    world = make_world()
    old = tmp_path / "old"

    async def scenario():
        async with scene(tmp_path, world) as made:
            await made.publish()
            await made.stop_broker()
            shutil.copytree(tmp_path / "broker", old)
            await made.start_broker()
            await made.publish()
            await made.publish()
            size = made.broker.serving.size
            await made.stop_broker()
            # Everything is put back but what the signer has on a disk of its own.
            signer = tmp_path / "signer"
            shutil.move(tmp_path / "broker" / "signer", signer)
            shutil.rmtree(tmp_path / "broker")
            shutil.copytree(old, tmp_path / "broker")
            shutil.rmtree(tmp_path / "broker" / "signer")
            shutil.copytree(signer, tmp_path / "broker" / "signer")
            with pytest.raises(SignerError) as raised:
                await made.start_broker()
            assert raised.value.alarm == "ledger-shorter"
            assert str(size) in raised.value.detail

    asyncio.run(scenario())


def test_an_old_copy_that_grew_otherwise_is_not_signed_either(tmp_path):
    world = make_world()

    async def scenario():
        async with scene(tmp_path, world) as made:
            await made.publish()
            await made.stop_broker()
            shutil.copytree(tmp_path / "broker", tmp_path / "copy")
            await made.start_broker()
            await made.publish()
            await made.stop_broker()
            signer = CheckpointSigner(world.log, tmp_path / "broker" / "signer")
            head = signer.head
            signer.close()
            # A copy that was written to by somebody who kept the signer out, until it was larger than what was signed.
            async with scene_over(world, tmp_path / "copy") as broker:
                for _ in range(3):
                    signed = world.envelope(SENDER, [READER])
                    await broker.serving.publish(signed.statement.notice_id, signed.envelope)
                assert broker.serving.size > head.size
            ledger = SqliteLedger(tmp_path / "copy" / "ledger.sqlite", ORIGIN)
            view = View(tmp_path / "copy" / "view.sqlite", ORIGIN)
            view.catch_up(ledger)
            signer = CheckpointSigner(world.log, tmp_path / "broker" / "signer")
            with pytest.raises(SignerError) as raised:
                signer.check(view.size, view.root)
            assert raised.value.alarm == "root-differs"
            for closed in (signer, view, ledger):
                closed.close()

    asyncio.run(scenario())


def scene_over(world: World, folder: Path):
    return broker_world.running(world, folder, HandClock(int(time.time()) * 1000))


@pytest.mark.loopback
def test_the_process_says_which_alarm_it_is_and_changes_nothing(tmp_path):
    world = make_world(["kz/customs", "kz/focal-point", READER])
    folder = tmp_path / "broker"
    process = broker_folder.BrokerProcess(broker_folder.write(world, folder), folder)
    process.start()
    process.stop()
    old = (folder / LEDGER).read_bytes()
    process.start()
    process.stop()
    signer = CheckpointSigner(world.log, folder / "signer")
    signer.sign(99, bytes(32), int(time.time()))  # what a longer ledger, that is lost, was signed as
    signer.close()
    (folder / LEDGER).write_bytes(old)
    before = (folder / "signer" / "signed-head").read_bytes()
    done = subprocess.run(
        [*COMMAND, "broker", "run", "--config", str(process.config)], capture_output=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert b"99" in done.stderr
    assert b"Traceback" not in done.stderr
    assert (folder / "signer" / "signed-head").read_bytes() == before
    ledger = SqliteLedger(folder / LEDGER, ORIGIN)
    assert {record.leaf.type for _, record in ledger.read(0, 1000)} == {LeafType.DIRECTORY}
    ledger.close()


async def put_back(made: Scene, *, ahead: int) -> None:
    """Stop the broker, put a copy of everything back, its signer's folder too, and start it, some seconds later."""
    await made.stop_broker()
    shutil.rmtree(made.folder / "broker")
    shutil.copytree(made.folder / "old", made.folder / "broker")
    await made.start_broker(ahead=ahead)


@pytest.mark.parametrize("gateway_runs", [True, False], ids=["gateway-runs", "gateway-stopped-meanwhile"])
def test_a_gateway_notices_that_the_log_has_gone_back(tmp_path, gateway_runs):
    async def scenario():
        async with scene(tmp_path) as made:
            await made.stop_broker()
            shutil.copytree(tmp_path / "broker", tmp_path / "old")
            await made.start_broker(ahead=1)
            await made.publish()
            first = await made.gateway(SENDER)
            await until(lambda: first.network and first.network.size == made.broker.serving.size)
            if gateway_runs:
                gateway = first
                await put_back(made, ahead=2)
            else:
                await first.stop()
                await put_back(made, ahead=2)
                gateway = await made.gateway(SENDER)
            assert await alarm(gateway, "rollback")
            kept = await stays_here(made, gateway)
            evidence = gateway.store.read_now(
                lambda tx: tx.connection.execute("SELECT data FROM evidence WHERE kind = 'rollback'").fetchone()[0]
            )
            assert evidence.count(ORIGIN.encode() + b"\n") == 2  # both notes
            # It is no better once the log has grown again: a person must look.
            for _ in range(3):
                await made.publish()
            await asyncio.sleep(0.3)
            assert "rollback" in gateway._alarms.on
            assert (await gateway.status(SENDER, kept.notice_id)).receipt is None
            # Nor after a restart.
            await gateway.stop()
            again = await made.gateway(SENDER)
            await asyncio.sleep(0.3)
            assert {"rollback", "fork"} & set(again._alarms.on)
            assert (await again.status(SENDER, kept.notice_id)).receipt is None

    asyncio.run(scenario())


def test_a_gateway_notices_a_fork_once_the_old_copy_has_grown(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            await made.stop_broker()
            shutil.copytree(tmp_path / "broker", tmp_path / "old")
            await made.start_broker(ahead=1)
            await made.publish()
            gateway = await made.gateway(SENDER)
            await until(lambda: gateway.network and gateway.network.size == made.broker.serving.size)
            app_is_away = made.between.wire
            await put_back(made, ahead=2)
            app, app_is_away.app = app_is_away.app, None
            for _ in range(3):
                await made.publish()
            await until(lambda: made.broker.serving.note_size == made.broker.serving.size)
            app_is_away.app = app
            assert await alarm(gateway, "fork")
            await stays_here(made, gateway)

    asyncio.run(scenario())


def test_a_sender_that_has_seen_more_than_the_old_copy_is_refused_and_can_prove_it(tmp_path):
    async def scenario():
        async with scene(tmp_path) as made:
            await made.stop_broker()
            shutil.copytree(tmp_path / "broker", tmp_path / "old")
            await made.start_broker(ahead=1)
            await made.publish()
            view = made.broker.view
            size = made.broker.serving.size
            seen = SeenCheckpoint(size, b64encode(view.root(size)))
            await put_back(made, ahead=2)
            for grown in range(2):
                signed = made.world.envelope(SENDER, [READER], checkpoint=seen)
                answer = await made.broker.serving.publish(signed.statement.notice_id, signed.envelope)
                assert isinstance(answer, NotPublished)
                assert answer.error.code == "fork"
                log = made.world.directory.log
                assert verify_refusal(answer.refusal, log.receipt_kid, log.receipt_public).reason == "fork"
                assert made.broker.serving.figures().alarms["fork"] == grown + 1
                await made.publish()

    asyncio.run(scenario())


# What stands behind open leaves


def problem(status: int, code: str):
    """Return what answers with a problem instead."""
    body = {"type": f"urn:valise:problem:{code}", "title": "", "status": status, "detail": "", "hint": ""}

    def answer(given: Answer) -> Answer:
        headers = type(given.headers)({"Content-Type": "application/problem+json"})
        return Answer(status, headers, json.dumps(body).encode())

    return answer


@pytest.mark.parametrize("kind", ["subscription", "directory"])
@pytest.mark.parametrize("how", ["missing", "another", "damaged"])
def test_an_open_leaf_without_its_statement_stops_sending(tmp_path, kind, how):
    async def scenario():
        async with scene(tmp_path) as made:
            await made.subscribe(OTHER, "*.*")
            gateway = await made.gateway(SENDER)
            await known(gateway)
            other = await made.broker.serving.log_object(leaf_digest(made, LeafType.DIRECTORY), None)
            swaps = {
                "missing": problem(404, "not-found"),
                "another": lambda given: replace(given, body=json.dumps({"event": b64encode(other.document)}).encode()),
                "damaged": lambda given: replace(given, body=given.body.replace(b"A", b"B", 1)),
            }
            made.between.wrongs["/log/objects/"] = swaps[how]
            if kind == "subscription":
                await made.subscribe(READER, "*.*")
            else:
                await made.change_law()
            assert await alarm(gateway, "open-statement-withheld")
            assert not gateway.readiness().ready
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)
            assert "open-statement-withheld" not in gateway._alarms.on

    asyncio.run(scenario())


@pytest.mark.parametrize("code", ["unauthenticated", "unknown-key", "revoked-key", "forbidden"])
def test_a_broker_that_does_not_let_read_an_open_statement_gets_nothing_more(tmp_path, code):
    """The same as not serving it: a revocation may stand there."""

    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            made.between.wrongs["/log/objects/"] = problem(403 if code in ("revoked-key", "forbidden") else 401, code)
            await made.subscribe(READER, "*.*")
            assert await alarm(gateway, "reads-refused")
            assert not gateway.readiness().ready
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)
            assert "reads-refused" not in gateway._alarms.on

    asyncio.run(scenario())


def leaf_digest(made: Scene, kind: LeafType) -> bytes:
    index, _ = made.broker.view.latest_event(kind)
    return made.broker.view.record(index).leaf.digest


# The directory


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
        ("focal-point-alone", "law", "unverified"),
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


# Stores of a newer version


def newer_database(path: Path) -> None:
    db = sqlite3.connect(path)
    with contextlib.closing(db):
        db.execute("PRAGMA user_version=2")


def newer_json(path: Path) -> None:
    value = json.loads(path.read_bytes())
    path.write_text(json.dumps({**value, "v": 2, "more": True}, separators=(",", ":")))


def test_a_newer_ledger_is_refused_and_not_touched(tmp_path):
    config = broker_folder.write(make_world(["kz/customs", "kz/focal-point", READER]), tmp_path / "broker")
    newer_database(tmp_path / "broker" / LEDGER)
    before = files_of(tmp_path / "broker")
    with pytest.raises(Error) as raised:
        open_broker(settings(tmp_path / "broker"), broker_folder.PASSPHRASE)
    assert raised.value.code == "newer-store"
    done = subprocess.run(
        [*COMMAND, "broker", "run", "--config", str(config)], capture_output=True, timeout=30, check=False
    )
    assert done.returncode != 0
    assert b"newer version" in done.stderr
    assert {name: data for name, data in files_of(tmp_path / "broker").items() if name in before} == before


def test_newer_keys_of_a_broker_are_refused(tmp_path):
    broker_folder.write(make_world(["kz/customs", "kz/focal-point", READER]), tmp_path / "broker")
    newer_json(tmp_path / "broker" / "keys" / "custody.json")
    before = files_of(tmp_path / "broker")
    with pytest.raises(Error) as raised:
        open_broker(settings(tmp_path / "broker"), broker_folder.PASSPHRASE)
    assert raised.value.code == "newer-store"
    assert files_of(tmp_path / "broker") == before


@pytest.mark.parametrize("newer", ["gateway.db", "gateway.json", "keys/custody.json", "directory/directory.zip"])
def test_a_newer_gateway_is_refused_and_not_touched(tmp_path, newer):
    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            await gateway.stop()
            path = tmp_path / "kz-customs" / newer
            if newer.endswith(".db"):
                newer_database(path)
            elif newer.endswith(".zip"):
                data = path.read_bytes()
                path.write_bytes(rezipped(data))
            else:
                newer_json(path)
            before = files_of(tmp_path / "kz-customs")
            with pytest.raises(Error) as raised:
                await start_and_stop(Folder(tmp_path / "kz-customs"), made.between.wire)
            assert raised.value.code == "newer-store"
            assert files_of(tmp_path / "kz-customs") == before

    asyncio.run(scenario())


async def start_and_stop(place: Folder, wire: Wire) -> None:
    gateway = Gateway.open(gateway_world.options(place), gateway_world.PASSPHRASE)
    try:
        await gateway.start(BrokerClient(gateway_world.BASE, transport=wire))
    finally:
        await gateway.stop()


def rezipped(data: bytes) -> bytes:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            body = old.read(name)
            new.writestr(name, body.replace(b'"v":1', b'"v":2') if name == "store.json" else body)
    return out.getvalue()
