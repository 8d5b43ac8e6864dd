"""A cluster or an instance that stands still, and another signer: nothing stale is signed or acknowledged, reads go on.

`VALISE_KAFKA_PAUSED` says how long the old signer stands still (12; `make soak` 180).
"""

import asyncio
import inspect
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from broker.app import SIGNER
from broker.ledger.kafka.loop import GRACE_S
from broker.ledger.kafka.store import STOP_S
from broker.ledger.kafka.topics import LEDGER
from broker.ledger.signer import HEAD
from broker.serving import Serving
from broker.settings import Settings
from keys.log.note import verify_checkpoint
from tests.cluster import clear
from tests.faults.deployment import ask, closing, start_all, tell, until
from tests.faults.test_clocks import FAKETIME
from tests.kafka.instances import instances
from tests.kafka.writing import alter
from tests.world import make_world

PAUSED = float(os.environ.get("VALISE_KAFKA_PAUSED", "12"))
pytestmark = pytest.mark.timeout(240 + PAUSED)
SENDER, READER = "kz/customs", "uz/focal-point"
LONG = PAUSED > 12
SHUTDOWN_S = Settings.model_fields["shutdown_seconds"].default


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture
def two(world, kafka, tmp_path):
    """Two instances that do not run, the first of which signs."""
    pair = instances(world, tmp_path, kafka, 2)
    with closing(*pair):
        yield pair
    asyncio.run(clear(kafka))


def publish(world, instance):
    return instance.publish(world.envelope(SENDER, [READER]))


def published(world, instance):
    """Publish one notice, however often it takes."""
    signed = world.envelope(SENDER, [READER])
    return until(lambda: (found := instance.publish(signed)).status in (200, 201) and found, 30)


def checkpoint(world, instance):
    return verify_checkpoint(ask(f"{instance.address}/v1/log/checkpoint").body, world.directory.log.keys)


def one_of(world, instance):
    found = checkpoint(world, instance)
    return found.size, found.root


def test_a_cluster_that_stands_still(world, two, kafka):
    start_all(two)
    for one in two:
        published(world, one)
    until(lambda: all(len(one.notices(READER)) == 2 for one in two))
    kafka.pause(1)
    try:
        began = time.monotonic()
        with ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(lambda one: publish(world, one), two))
        first = time.monotonic() - began
        for one in two:
            until(lambda one=one: any("does not answer" in reason for reason in one.reasons), 10)
        for one, answer in zip(two, answers, strict=True):
            assert (answer.status, answer.code, bool(answer.headers["Retry-After"])) == (503, "unavailable", True)
            began = time.monotonic()
            later = publish(world, one)
            assert (later.status, later.code, bool(later.headers["Retry-After"])) == (503, "unavailable", True)
            assert time.monotonic() - began < 8
            assert len(one.notices(READER)) == 2  # reads go on
            assert checkpoint(world, one).size
            assert ask(f"{one.address}/v1/directory/metadata/timestamp.json").status == 200
            assert ask(f"{one.address}/livez").status == 200
        assert first < 15, first
    finally:
        kafka.resume(1)
    began = time.monotonic()
    for one in two:
        published(world, one)
        until(lambda one=one: not one.reasons)
    back = f"{time.monotonic() - began:.1f} s"
    tell("a cluster of one node stopped", first_503_after=f"{first:.1f} s", publishing_again_after=back)
    until(lambda: all(len(one.notices(READER)) >= 4 for one in two))


def test_stopping_is_bounded_while_the_cluster_stands_still(world, two, kafka):
    for one in two:
        one.start()
        published(world, one)
    most = SHUTDOWN_S + inspect.signature(Serving.stop).parameters["seconds"].default + STOP_S + 2 * GRACE_S
    kafka.pause(1)
    try:
        with ThreadPoolExecutor(4) as threads:
            # One ends with what it waits for under way, the other once it knows that the cluster is silent.
            waiting = [threads.submit(publish, world, two[0]) for _ in range(2)]
            until(lambda: any("does not answer" in reason for reason in two[1].reasons), 15)
            for one in two:
                began = time.monotonic()
                assert one.end(seconds=most) == 0, one.printed[-2000:]
                took = f"{time.monotonic() - began:.1f} s"
                tell("an instance ended while Kafka stands still", stopped_after=took, at_most=f"{most:.0f} s")
            assert [answer.result().status for answer in waiting] == [503, 503]
    finally:
        kafka.resume(1)
    for one in two:
        one.start_again()
        published(world, one)


def test_a_producer_whose_send_failed_is_replaced_and_counted(world, two, kafka):
    """A topic that keeps the newest of a key takes nothing without one, and what failed may have poisoned the producer."""
    one = two[0]
    one.start()
    published(world, one)
    assert one.replacements == 0
    signed = world.envelope(SENDER, [READER])
    alter(kafka, LEDGER, cleanup_policy="compact")
    try:
        answer = one.publish(signed)
        assert (answer.status, answer.code) == (503, "unavailable")
        until(lambda: one.replacements)
    finally:
        alter(kafka, LEDGER)
    until(lambda: one.publish(signed).status in (200, 201), 30)
    assert "producer.replaced" in one.printed
    until(lambda: len(one.notices(READER)) == 2)
    tell("the ledger's topic refuses records", producers_replaced=one.replacements, lost=0, doubled=0)


def fail_over(old, new, *, copy=True):
    """Do the steps of the runbook on the new signer; that the old one is dead was seen to."""
    if copy:  # step 2: its disk can be read
        (new.folder / SIGNER).mkdir(mode=0o700)
        shutil.copyfile(old.folder / SIGNER / HEAD, new.folder / SIGNER / HEAD)
        (new.folder / SIGNER / HEAD).chmod(0o600)
    new.signs(True)  # step 4
    assert new.end() == 0
    new.start_again()


@pytest.mark.parametrize("copy", [True, False] if LONG else [False])
def test_another_signer_takes_over_by_the_runbook(world, two, copy):
    old, new = two
    start_all(two)
    published(world, new)
    size = until(lambda: (found := checkpoint(world, new).size) and found)
    old.kill()
    published(world, new)  # without a signer notices are still accepted
    until(lambda: new.reasons)
    assert new.reasons == ["the newest leaves are not signed"]  # step 3: it is whole otherwise
    fail_over(old, new, copy=copy)
    until(lambda: not new.reasons)
    assert checkpoint(world, new).size > size
    # The old one, started with its old configuration, is not let in; as one of the others it is (step 5).
    old.launch()
    assert old.process.wait(60) != 0
    assert "Another instance signs" in old.printed
    old.signs(False)
    old.start_again()
    published(world, old)
    until(lambda: not old.reasons)
    until(lambda: one_of(world, old) == one_of(world, new))


@pytest.mark.parametrize("moved", ["+3600s", "-45s"] if LONG else ["+3600s"])
def test_an_old_signer_that_goes_on_after_a_pause_signs_nothing(world, two, tmp_path, moved):
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed")
    old, new = two
    clock = tmp_path / "clock"
    clock.write_text("+0s")
    old.start(
        {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
    )
    new.start()
    published(world, old)
    until(lambda: checkpoint(world, old).size == checkpoint(world, new).size > 5)
    paused = time.monotonic()
    old.process.send_signal(signal.SIGSTOP)
    head = (old.folder / SIGNER / HEAD).read_bytes()
    clock.write_text(moved)
    fail_over(old, new)
    for _ in range(3):
        published(world, new)
    until(lambda: not new.reasons)
    until(lambda: time.monotonic() - paused > PAUSED, PAUSED + 1)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(publish, world, old)  # it was asked while it stood still
        time.sleep(0.2)
        old.process.send_signal(signal.SIGCONT)
        answer = waiting.result()
    assert (answer.status, answer.code) == (503, "unavailable")
    until(lambda: any("second-signer" in reason for reason in old.reasons))
    assert b'kind="second-signer"' in old.metrics
    for _ in range(3):
        assert publish(world, old).status == 503
        published(world, new)
    assert (old.folder / SIGNER / HEAD).read_bytes() == head
    until(lambda: not new.reasons)
    before = checkpoint(world, new)
    assert abs(before.at - time.time()) < 65
    assert checkpoint(world, old).size < before.size
    tell(f"the signer stopped for {PAUSED:.0f} s, another one signs meanwhile", clock_moved=moved, signed_by_the_old=0)
