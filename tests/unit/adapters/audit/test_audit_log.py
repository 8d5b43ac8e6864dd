"""An auditor over a real broker: the whole log verified, one notice's evidence carried away, and every lie noticed."""

import asyncio
import contextlib
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.audit.bundle import make_evidence
from adapters.audit.check import check_evidence
from adapters.audit.evidence import Content, Evidence
from adapters.audit.tree import inclusion
from adapters.audit.verify import verify_log
from adapters.client.broker import BrokerClient
from keys.directory.update import load_directory, root_fingerprint
from keys.envelope import open_notice, verify_delivery
from keys.errors import VerificationError
from keys.http_signature import sign_request
from keys.log.merkle import Frontier, inclusion_path, leaf_hash, root_of_hashes
from keys.log.note import sign_checkpoint, verify_checkpoint
from keys.log.tiles import parse_bundle, tile_nodes
from schemas.delivery import Delivery
from schemas.encoding import b64encode, from_seconds
from schemas.errors import Error
from schemas.event import Boundary, DirectoryVersion, Event
from schemas.ids import Code
from schemas.statement import RevocationBody, SubscriptionBody
from tests import broker_world
from tests.gateway_world import BASE, Wire, borrowed_api, problem
from tests.world import ORIGIN, make_world

SENDER, READER, AUDITOR = "kz/customs", "uz/focal-point", "audit/court"


class Scene:
    """A broker with a few leaves of every kind, and a client over a wire that a test may bend."""

    def __init__(self, world, broker, wire) -> None:
        self.world, self.broker, self.wire = world, broker, wire
        self.client = BrokerClient(BASE, transport=wire)
        self.published = {}

    def sign(self, who: str):
        person = self.world.people[who]

        def sign(method, url, body):
            return sign_request(method, url, {}, body, signer=person.request, origin=ORIGIN, created=self.world.now)

        return sign

    @property
    def directory(self):
        repository = self.world.repository
        return load_directory(repository.files, repository.root, origin=ORIGIN, now=self.world.now)

    @property
    def fingerprint(self) -> str:
        return root_fingerprint(self.world.repository.root)

    async def verify(self, **more):
        given = {"sign": self.sign(AUDITOR), "told": lambda _: None, "now": self.world.now, **more}
        return await verify_log(self.client, self.directory, **given)

    async def evidence(self, signed, who=AUDITOR, **more) -> Evidence:
        return await make_evidence(self.client, self.directory, signed.statement.notice_id, sign=self.sign(who), **more)


_world = None


@contextlib.asynccontextmanager
async def scene(folder: Path):
    global _world  # noqa: PLW0603 - keys are dear, and no test changes them
    if _world is None:
        _world = make_world((SENDER, "kz/focal-point", READER, AUDITOR))
    world = replace(_world, now=int(time.time()), people=dict(_world.people), revoked={})
    async with broker_world.running(world, folder) as broker:
        with borrowed_api(broker) as app:
            made = Scene(world, broker, Wire(app))
            for number in range(3):
                made.published[number] = await _publish(made, world.envelope(SENDER, [SENDER, READER]))
            made.published["open"] = await _publish(
                made, world.open_envelope(READER, "subscribe", SubscriptionBody(READER, ("central-asia.*",)))
            )
            made.published["last"] = await _publish(made, world.envelope(SENDER, [SENDER, READER]))
            yield made


async def _publish(made: Scene, signed):
    receipt = await made.client.publish(signed.statement.notice_id, signed.envelope)
    await made.broker.sequencer.call(made.broker.sequencer._sign)  # else the checkpoint follows within a second
    return signed, receipt


def run(folder: Path, work) -> None:
    async def inside():
        async with scene(folder) as made:
            await work(made)

    asyncio.run(inside())


def test_a_sound_log_is_found_sound(tmp_path):
    async def work(made: Scene):
        report = await made.verify(sealed=True)
        assert report.findings == []
        assert report.sound
        assert (report.sealed_statements, report.open_statements) == (4, 1)
        assert report.size == sum(report.leaves.values())
        assert report.events == report.leaves["directory"]
        without = await made.verify(sign=None, sealed=True)
        assert without.sound
        assert (without.not_demanded, without.open_statements, without.sealed_statements) == (1, 0, 0)

    run(tmp_path, work)


def test_what_is_not_served_or_altered_is_found(tmp_path):
    async def work(made: Scene):
        signed, _ = made.published["open"]

        def withhold(request):
            return problem("not-found", 404) if "/log/objects/" in request.url else None

        made.wire.before = withhold
        report = await made.verify()
        assert {one.problem for one in report.findings} == {"withheld"}
        assert len(report.findings) == report.leaves["directory"] + 1
        made.wire.before = None

        def another(request, answer):
            if "/log/objects/" not in request.url:
                return answer
            value = json.loads(answer.body)
            if "event" in value:
                value["event"] = b64encode(
                    Event(ORIGIN, b64encode(bytes(16)), DirectoryVersion(9, b64encode(bytes(32)))).encode()
                )
            else:
                value["statement"] = b64encode(signed.statement_bytes[:-1] + b" ")
            return replace(answer, body=json.dumps(value).encode())

        made.wire.after = another
        report = await made.verify()
        assert {one.problem for one in report.findings} == {"unverified"}
        assert len(report.findings) == report.leaves["directory"] + 1

        def swapped(request, answer):
            if "/log/objects/" not in request.url or b"event" not in answer.body:
                return answer
            body = {"statement": b64encode(signed.statement_bytes), "proof": json.loads(signed.proof_bytes)}
            return replace(answer, body=json.dumps(body).encode())

        made.wire.after = swapped
        report = await made.verify()
        assert len(report.findings) == report.leaves["directory"]

    run(tmp_path, work)


def test_an_altered_entry_does_not_make_the_signed_root(tmp_path):
    async def work(made: Scene):
        def altered(request, answer):
            if "/log/tile/entries/" not in request.url:
                return answer
            body = bytearray(answer.body)
            body[-1] ^= 1
            return replace(answer, body=bytes(body))

        made.wire.after = altered
        found = {one.problem for one in (await made.verify()).findings}
        assert "root" in found

        def no_leaf(request, answer):
            if "/log/tile/entries/" not in request.url:
                return answer
            body = bytearray(answer.body)
            body[2] = 99
            return replace(answer, body=bytes(body))

        made.wire.after = no_leaf
        report = await made.verify()
        assert {one.problem for one in report.findings} >= {"invalid-form", "root"}

    run(tmp_path, work)


def test_a_stale_checkpoint_and_one_of_another_log(tmp_path):
    async def work(made: Scene):
        report = await made.verify(now=made.world.now + 600)
        assert [one.problem for one in report.findings] == ["stale"]
        other = make_world(("kz/customs",))

        def foreign(request, answer):
            if not request.url.endswith("/log/checkpoint"):
                return answer
            note = sign_checkpoint(other.log, 3, bytes(32), at=made.world.now)
            return replace(answer, body=note)

        made.wire.after = foreign
        with pytest.raises(Error) as caught:
            await made.verify()
        assert caught.value.code == "unverified"

    run(tmp_path, work)


def test_listed_statements_are_held_against_their_leaves(tmp_path):
    async def work(made: Scene):
        def mixed(request, answer):
            if "/audit/statements" not in request.url:
                return answer
            value = json.loads(answer.body)
            rows = value["statements"]
            if len(rows) > 2:
                rows[0]["leaf"], rows[1]["leaf"] = rows[1]["leaf"], rows[0]["leaf"]
                rows[2]["proof"]["index"] = 0
                rows[2]["statement"] = rows[0]["statement"]
            return replace(answer, body=json.dumps(value).encode())

        made.wire.after = mixed
        report = await made.verify(sealed=True)
        assert sorted(one.problem for one in report.findings) == ["leaf", "leaf", "unverified"]

    run(tmp_path, work)


def test_numbers_boundaries_and_times_must_go_on(tmp_path):
    """Put events into a log of one's own that the fold would never make."""

    async def work(made: Scene):
        forged = _Forged(made)
        forged.event(DirectoryVersion(3, b64encode(bytes(32))), 100_000)
        forged.event(DirectoryVersion(5, b64encode(bytes(32))), 100_000)
        forged.event(Boundary("2026-01-01T00:00:00Z"), 100_000)
        forged.event(Boundary("2026-01-01T00:00:00Z"), 10_000)
        forged.event(DirectoryVersion(made.directory.version, b64encode(bytes(32))), 100_000)
        made.wire.before = forged.answer
        report = await made.verify()
        details = [one.detail for one in report.findings]
        assert any("Its number is 5 after 3" in one for one in details)
        assert any("does not lie behind" in one for one in details)
        assert any("more than 60 s before" in one for one in details)
        assert any(one.problem == "unverified" and one.index == 4 for one in report.findings)

    run(tmp_path, work)


class _Forged:
    """A log of events that somebody who has the log's keys could sign."""

    def __init__(self, made: Scene) -> None:
        self.made = made
        self.entries: list[bytes] = []
        self.events: dict[str, bytes] = {}

    def event(self, what, received_at: int) -> None:
        from keys.digests import event_leaf
        from schemas.leaf import Leaf

        event = Event(ORIGIN, b64encode(bytes(16)), what)
        data = event.encode()
        leaf = Leaf(event.leaf_type, received_at, event_leaf(data))
        self.entries.append(leaf.encode())
        self.events[b64encode(leaf.digest)] = data

    def answer(self, request):
        from adapters.client.transport import Answer
        from keys.log.tiles import encode_bundle

        if request.url.endswith("/log/checkpoint"):
            root = root_of_hashes([leaf_hash(one) for one in self.entries])
            note = sign_checkpoint(self.made.world.log, len(self.entries), root, at=self.made.world.now)
            return Answer(200, {}, note)
        if "/log/tile/entries/" in request.url:
            return Answer(200, {}, encode_bundle(self.entries))
        if "/log/objects/" in request.url:
            event = self.events[request.url.rpartition("/")[2]]
            return Answer(200, {}, json.dumps({"event": b64encode(event)}).encode())
        return None


def test_a_revoked_key_counts_from_its_leaf_on(tmp_path):
    async def work(made: Scene):
        kids = tuple(sorted(made.world.people[SENDER].signing.kids))
        await _publish(made, made.world.open_envelope(SENDER, "revoke_key", RevocationBody(SENDER, kids, Code("lost"))))
        report = await made.verify(sealed=True)
        assert report.sound
        assert report.open_statements == 2
        signed, _ = made.published[0]
        evidence = await made.evidence(signed)
        assert evidence.revoked == {}  # what came later does not count

    run(tmp_path, work)


# Evidence


def test_evidence_checks_with_no_network(tmp_path):
    async def work(made: Scene):
        signed, receipt = made.published[1]
        evidence = await made.evidence(signed, receipt=receipt)
        checked = check_evidence(evidence.encode(), fingerprint=made.fingerprint)
        assert checked.sound, checked.steps
        assert [step.name for step in checked.steps] == [
            "root fingerprint",
            "directory event",
            "directory",
            "leaf in the log",
            "directory in the log",
            "statement and signatures",
            "receipt",
        ]
        assert checked.verified.statement == signed.statement
        assert checked.verified.received_at // 1000 == made.world.now
        assert checked.notice is None
        for who in (SENDER, READER):
            assert (await made.evidence(signed, who)).statement == evidence.statement
        with pytest.raises(Error):
            await made.evidence(signed, "kz/focal-point")

    run(tmp_path, work)


def test_a_released_content_key_shows_the_notice(tmp_path):
    async def work(made: Scene):
        signed, _ = made.published["last"]
        reader = made.world.people[READER]
        delivery = Delivery.parse(await made.client.notice(signed.statement.notice_id, made.sign(READER)))
        checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, made.directory.log.keys)
        own = {reader.sealing.kid: reader.sealing}
        opened = open_notice(verify_delivery(delivery, made.directory, checkpoint, revoked={}, own=own), reader.sealing)
        share = delivery.sealed
        content = Content(bytes(opened.content_key), share.header.protected, share.iv, share.ciphertext, share.tag)
        evidence = await made.evidence(signed, content=content)
        checked = check_evidence(evidence.encode(), fingerprint=made.fingerprint)
        assert checked.sound, checked.steps
        assert checked.notice == opened.notice
        for wrong in (
            replace(content, content_key=bytes(32)),
            replace(content, iv=bytes(12)),
            replace(content, ciphertext=content.ciphertext[:-1] + b"x"),
            replace(content, protected=content.protected[:-4]),
        ):
            found = check_evidence(replace(evidence, content=wrong).encode(), fingerprint=made.fingerprint)
            assert not found.sound
            assert found.steps[-1].name in ("content", "form")
            assert found.notice is None
        other, _ = made.published[0]
        mixed = replace(await made.evidence(other), content=content)
        assert not check_evidence(mixed.encode(), fingerprint=made.fingerprint).sound

    run(tmp_path, work)


def test_every_part_of_the_evidence_is_needed(tmp_path):
    async def work(made: Scene):
        signed, receipt = made.published[1]
        other, other_receipt = made.published[0]
        evidence = await made.evidence(signed, receipt=receipt)
        swapped = await made.evidence(other, receipt=other_receipt)
        files = evidence.directory.files
        role = next(name for name in files if name.endswith(".kz.json"))
        logged = evidence.directory.logged
        bent = {
            "notice_id": replace(evidence, notice_id=swapped.notice_id),
            "statement": replace(evidence, statement=swapped.statement),
            "proof": replace(evidence, proof=swapped.proof),
            "leaf": replace(evidence, leaf=swapped.leaf),
            "tlog_proof": replace(evidence, tlog_proof=swapped.tlog_proof),
            "receipt": replace(evidence, receipt=swapped.receipt),
            "receipt's signature": replace(evidence, receipt=receipt[:-4] + "AAAA"),
            "origin": replace(evidence, origin="test.invalid/other"),
            "version": replace(evidence, directory=replace(evidence.directory, version=1)),
            "file": replace(
                evidence,
                directory=replace(evidence.directory, files={k: v for k, v in files.items() if k != role}),
            ),
            "altered file": replace(
                evidence,
                directory=replace(evidence.directory, files={**files, role: files[role].replace(b"kz", b"uz")}),
            ),
            "event": replace(
                evidence,
                directory=replace(evidence.directory, logged=replace(logged, event=logged.event.replace(b"1", b"2"))),
            ),
            "event's leaf": replace(
                evidence, directory=replace(evidence.directory, logged=replace(logged, leaf=evidence.leaf))
            ),
            "event's proof": replace(
                evidence,
                directory=replace(evidence.directory, logged=replace(logged, tlog_proof=evidence.tlog_proof)),
            ),
            "boundary": replace(evidence, boundary=logged),
            "revoked": replace(evidence, revoked={made.world.people[SENDER].signing.kids[0]: 0}),
        }
        for name, one in bent.items():
            checked = check_evidence(one.encode(), fingerprint=made.fingerprint)
            assert not checked.sound, name
            assert not checked.steps[-1].ok, name

    run(tmp_path, work)


def test_the_root_is_compared_or_said_not_to_be(tmp_path):
    async def work(made: Scene):
        data = (await made.evidence(made.published[1][0])).encode()
        for same in (made.fingerprint, made.fingerprint.replace(" ", ""), made.fingerprint.upper()):
            assert check_evidence(data, fingerprint=same).sound
        without = check_evidence(data, fingerprint=None)
        assert not without.sound
        assert [step.ok for step in without.steps].count(False) == 1
        assert made.fingerprint in without.steps[0].detail
        wrong = check_evidence(data, fingerprint="0" * 64)
        assert [step.ok for step in wrong.steps] == [False]

    run(tmp_path, work)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory) -> tuple[bytes, str]:
    made_one = []

    async def work(made: Scene):
        made_one.extend([(await made.evidence(made.published[1][0])).encode(), made.fingerprint])

    run(tmp_path_factory.mktemp("evidence"), work)
    return made_one[0], made_one[1]


@settings(max_examples=40)
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_noticed(evidence, data):
    whole, fingerprint = evidence
    place = data.draw(st.integers(0, len(whole) - 1))
    bent = bytearray(whole)
    bent[place] ^= 1 << data.draw(st.integers(0, 7))
    checked = check_evidence(bytes(bent), fingerprint=fingerprint)
    assert not checked.sound
    assert checked.steps


@given(st.binary(max_size=200))
def test_nothing_but_evidence_is_evidence(evidence, data):
    checked = check_evidence(data, fingerprint=evidence[1])
    assert [step.name for step in checked.steps] == ["form"]


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"typ": "valise-evidence/2"},
        {"directory": []},
        {"directory": {"version": 1, "event": "AA", "leaf": "AA", "tlog_proof": "AA", "files": []}},
        {"revoked": []},
        {"revoked": {"x": 1}},
        {"revoked": {"x": "1"}},
        {"content": {}},
        {"boundary": {}},
    ],
)
def test_the_form_of_evidence(evidence, change):
    value = {**json.loads(evidence[0]), **change}
    checked = check_evidence(json.dumps(value, separators=(",", ":")).encode(), fingerprint=evidence[1])
    assert [step.name for step in checked.steps] == ["form"]


def test_a_broker_that_serves_something_else(tmp_path):
    async def work(made: Scene):
        first, _ = made.published[0]
        second, _ = made.published[1]

        def other_proof(request, answer):
            if not request.url.endswith("/proof") or made.wire.app is None:
                return answer
            return replace(answer, body=proofs[second.statement.notice_id])

        proofs = {
            one.statement.notice_id: await made.client.proof(one.statement.notice_id, made.sign(AUDITOR))
            for one in (first, second)
        }
        made.wire.after = other_proof
        with pytest.raises(VerificationError):
            await made.evidence(first)
        made.wire.after = None

        def no_directory(request, answer):
            missing = request.url.endswith("snapshot.json")
            return problem("not-found", 404) if missing else answer

        made.wire.after = no_directory
        with pytest.raises(Error) as caught:
            await made.evidence(first)
        assert caught.value.code == "directory"

    run(tmp_path, work)


def test_evidence_has_the_boundary_that_applied(tmp_path):
    async def work(made: Scene):
        at = from_seconds(made.world.now - 5)
        house = made.broker.housekeeping
        await made.broker.sequencer.call(lambda: house._append_event(Boundary(at), made.world.now * 1000))
        signed, receipt = await _publish(made, made.world.envelope(SENDER, [SENDER, READER]))
        evidence = await made.evidence(signed)
        assert evidence.boundary is not None
        checked = check_evidence(evidence.encode(), fingerprint=made.fingerprint)
        assert checked.sound, checked.steps
        assert "boundary in the log" in [step.name for step in checked.steps]
        assert receipt

    run(tmp_path, work)


# Paths from tiles


class _Tiles:
    """A log's tiles in memory."""

    def __init__(self, entries: list[bytes]) -> None:
        self.hashes = [leaf_hash(one) for one in entries]

    async def tile(self, tile) -> bytes:
        return b"".join(root_of_hashes(self.hashes[n << level : n + 1 << level]) for level, n in tile_nodes(tile))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 255, 256, 257, 511, 600, 65536 + 300])
def test_paths_from_tiles_are_the_log_s_own(size):
    entries = [n.to_bytes(4, "big") for n in range(size)]
    log = _Tiles(entries)
    for index in {0, size // 3, size // 2, size - 1}:
        assert asyncio.run(inclusion(log, index, size)) == inclusion_path(log.hashes, index)
    assert Frontier().extend(log.hashes).root() == root_of_hashes(log.hashes)
    assert parse_bundle(b"") == []
