"""Evidence files are checked on another machine with no network, and no bit of one can be flipped unnoticed.

`VALISE_EXHAUSTIVE` (set by `make soak`) flips forty times as many, and all of what is short.
"""

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.audit.bundle import make_evidence
from adapters.audit.check import check_evidence
from adapters.audit.evidence import Content, Evidence
from adapters.client.broker import BrokerClient
from keys.directory.update import root_fingerprint
from keys.envelope import open_notice, verify_delivery
from keys.http_signature import sign_request
from keys.log.note import verify_checkpoint
from schemas.delivery import Delivery
from tests import broker_world, gateway_world
from tests.gateway_world import BASE, Wire
from tests.world import NOTICE, ORIGIN, make_world

SENDER, READER, AUDITOR = "kz/customs", "uz/focal-point", "audit/court"
LONG = bool(os.environ.get("VALISE_EXHAUSTIVE"))
FLIPS = 300 * (40 if LONG else 1)
PLACES = 60 if LONG else 8
ROOT = Path(__file__).parents[2]
CHILD = Path(__file__).with_name("evidence_child.py")
# As `valise` on a machine whose network is off: nothing can be connected to, nothing can be listened on.
OFFLINE = """
import socket, sys
class NoSocket(socket.socket):
    def __init__(self, *_, **__):
        raise OSError("there is no network here")
socket.socket = NoSocket
from adapters.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER, "tj/focal-point", AUDITOR])


def signer(world, who):
    def sign(method, url, body):
        key = world.people[who].request
        return sign_request(method, url, {}, body, signer=key, origin=ORIGIN, created=world.now)

    return sign


async def gather(world, folder) -> Evidence:
    """Publish some notices and gather the evidence for one of them, receipt and content key included."""
    async with broker_world.running(world, folder) as broker:
        client = BrokerClient(BASE, transport=Wire(gateway_world.api(broker)))
        for number in range(5):
            signed = world.envelope(SENDER, [READER])
            receipt = await client.publish(signed.statement.notice_id, signed.envelope)
            if number == 2:
                notice_id, kept = signed.statement.notice_id, receipt
        await gateway_world.until(lambda: broker.serving.note_size == broker.serving.size)
        delivery = Delivery.parse(await client.notice(notice_id, signer(world, READER)))
        key = world.people[READER].sealing
        checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, world.directory.log.keys)
        opened = open_notice(
            verify_delivery(delivery, world.directory, checkpoint, revoked={}, own={key.kid: key}), key
        )
        share = delivery.sealed
        content = Content(opened.content_key, share.header.protected, share.iv, share.ciphertext, share.tag)
        return await make_evidence(
            client, world.directory, notice_id, sign=signer(world, AUDITOR), receipt=kept, content=content
        )


@pytest.fixture(scope="module")
def evidence(world, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evidence")
    (folder / "broker").mkdir()
    found = asyncio.run(gather(world, folder / "broker"))
    file = folder / "evidence.json"
    file.write_bytes(found.encode())
    return file


@pytest.fixture(scope="module")
def fingerprint(world):
    return root_fingerprint(world.repository.files["1.root.json"])


def without_network() -> list[str]:
    """Return what runs a command in a network of its own that has not even a loopback interface, where that may be."""
    works = subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0
    return ["unshare", "-n"] if works else []


def offline(*arguments: str) -> subprocess.CompletedProcess:
    command = [*without_network(), sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=environment, timeout=1000, check=False)


@pytest.mark.loopback
@pytest.mark.timeout(60 + FLIPS)
def test_it_is_checked_offline_and_no_flipped_bit_passes(evidence, fingerprint):
    seed = random.randrange(1 << 32)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = offline(str(CHILD), str(evidence), fingerprint, port, str(seed), str(FLIPS))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["network"] is not bool(without_network())
    assert said["sound"], said
    assert said["steps"] == [
        "root fingerprint",
        "directory event",
        "directory",
        "leaf in the log",
        "directory in the log",
        "statement and signatures",
        "receipt",
        "content",
    ]
    assert said["notice"] == NOTICE
    assert said["flips"] == FLIPS
    assert said["accepted"] == [], seed


@pytest.mark.parametrize("part", ["leaf", "tlog_proof", "notice_id", "receipt"])
def test_no_bit_of_what_is_short_can_be_flipped(evidence, fingerprint, part):
    data = evidence.read_bytes()
    begin = data.index(json.loads(data)[part].encode())
    length = min(len(json.loads(data)[part]), 60)
    for place in random.sample(range(begin, begin + length), min(length, PLACES)):
        for bit in range(8):
            changed = bytearray(data)
            changed[place] ^= 1 << bit
            assert not check_evidence(bytes(changed), fingerprint=fingerprint).sound, (part, place, bit)


def test_no_signature_in_a_file_of_the_directory_can_be_spelt_otherwise(evidence, fingerprint):
    """Hexadecimal has two cases, one bit apart: what no digest fixes must not be altered by that either."""
    found = Evidence.parse(evidence.read_bytes())
    for name, data in found.directory.files.items():
        letters = [at for at, byte in enumerate(data) if name.endswith(".json") and byte in b"abcdef"]
        for place in random.sample(letters, min(len(letters), 12)):
            changed = bytearray(data)
            changed[place] ^= 0x20
            files = {**found.directory.files, name: bytes(changed)}
            bent = replace(found, directory=replace(found.directory, files=files)).encode()
            assert not check_evidence(bent, fingerprint=fingerprint).sound, (name, place)


@pytest.mark.parametrize("cut", [0, 1, 2, 100, 5000, -1, -2, -100])
def test_a_file_that_is_cut_off_is_refused(evidence, fingerprint, cut):
    assert not check_evidence(evidence.read_bytes()[:cut], fingerprint=fingerprint).sound


def test_the_command_says_whether_it_is_sound(evidence, fingerprint, tmp_path):
    other = root_fingerprint(b"another root")
    bent = tmp_path / "bent.json"
    data = evidence.read_bytes()
    bent.write_bytes(data.replace(b'"leaf":"A', b'"leaf":"B', 1))
    assert bent.read_bytes() != data
    for file, print_, code in [
        (evidence, fingerprint, 0),
        (evidence, fingerprint.upper().replace(" ", ""), 0),
        (evidence, other, 1),
        (bent, fingerprint, 1),
    ]:
        done = offline("-c", OFFLINE, "--json", "audit", "check", str(file), "--root-fingerprint", print_)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert b"Traceback" not in done.stderr
    done = offline("-c", OFFLINE, "--json", "audit", "check", str(evidence))
    assert done.returncode == 1, "without a fingerprint it is held against itself alone"
