"""Kafka away for a while, behind a gateway that keeps accepting; what lies in Kafka's files, and what does not any more.

`VALISE_KAFKA_AWAY` says for how many seconds it is away (8; `make soak` 600). All that gateways accepted meanwhile, 100 notices at
least, is with the readers of every instance 60 s after its return.
"""

import asyncio
import os
import time

import pytest

from adapters.demo import search
from broker.ledger.kafka.topics import CLOSING_KEY, DECISIONS, LEDGER, body_topic
from schemas.encoding import from_seconds
from schemas.ids import Topic
from tests.cluster import clear
from tests.faults.deployment import GatewayService, closing, notice, start_all, tell, until
from tests.kafka.instances import instances
from tests.kafka.writing import alter, read, write
from tests.world import make_world

SENDER, READER = "kz/customs", "uz/focal-point"
AWAY = float(os.environ.get("VALISE_KAFKA_AWAY", "8"))
TOPIC = body_topic(Topic("central-asia.seizures"))
COUNT = max(100, int(AWAY))
DRAINED_S = 60
EXPIRES_S = 15
pytestmark = pytest.mark.timeout(200 + AWAY * 2)


@pytest.fixture(scope="module")
def world():
    return make_world([SENDER, "kz/focal-point", READER])


@pytest.fixture
def pair(world, kafka, tmp_path):
    """Two instances that run and talk much, the first of which signs."""
    pair = instances(world, tmp_path, kafka, 2)
    with closing(*pair):
        for one in pair:
            one.more = "recheck_seconds = 1\n"
            one.signs(one is pair[0])
            one.config.write_text('log_level = "debug"\n' + one.config.read_text())
        start_all(pair)
        yield pair
    asyncio.run(clear(kafka))


def references(world, instance):
    return [item[4]["reference"] for item in instance.notices(READER)]


def test_kafka_is_away_and_gateways_keep_accepting_in_order(world, pair, kafka, tmp_path):
    marker = search.new_marker(os.urandom(16))
    gateway = GatewayService(world, tmp_path / "gateway", SENDER, broker=pair[1].address)
    with closing(gateway):
        gateway.start()
        accepted = []

        def send():
            accepted.append(f"{marker}-{len(accepted)}")
            answer = gateway.send(SENDER, notice(accepted[-1], READER))
            assert answer.status in (201, 202), answer.body

        for _ in range(5):
            send()
        until(lambda: len(references(world, pair[0])) == 5, 30)
        kafka.kill(1)
        end = time.monotonic() + AWAY
        for left in range(COUNT, 0, -1):
            send()
            time.sleep(max(0.0, (end - time.monotonic()) / left))
        for one in pair:
            began = time.monotonic()
            answer = one.publish(world.envelope(SENDER, [READER]))
            assert (answer.status, answer.code, bool(answer.headers["Retry-After"])) == (503, "unavailable", True)
            tell("a notice while Kafka is away", answered_503_after=f"{time.monotonic() - began:.1f} s")
            assert any("does not answer" in reason for reason in one.reasons)
        kafka.start(1)
        back = time.monotonic()
        found = [[], []]
        while any(len(ids) < len(accepted) for ids in found) and time.monotonic() < back + DRAINED_S:
            time.sleep(0.5)
            found = [references(world, one) for one in pair]
        drained = time.monotonic() - back
        tell(
            f"Kafka away for {AWAY:.0f} s",
            sent=len(accepted),
            acknowledged=len(accepted),
            lost=max(len(set(accepted) - set(ids)) for ids in found),
            doubled=max(len(ids) - len(set(ids)) for ids in found),
            drained_after=f"{drained:.1f} s",
            producers_replaced=sum(one.replacements for one in pair),
        )
        assert found == [accepted, accepted]  # nothing lost, nothing twice, in order
        assert drained < DRAINED_S
        until(lambda: all(item["status"] == "published" for item in gateway.listed(SENDER, "notices")))

    # The marker that stood in all of them is in none of Kafka's files, nor in the instances' own; one in clear is found.
    for folder in (kafka.node(1).folder, *(one.folder.parent for one in pair)):
        assert search.hits_in(folder, marker)[0] == 0, folder
    assert compressed_hits(kafka, marker) == 0
    write(kafka, (TOPIC, b"key", marker.encode()), (DECISIONS, None, marker.encode()))
    assert search.hits_in(kafka.node(1).data, marker)[0] >= 1
    assert compressed_hits(kafka, marker) == 1


def compressed_hits(kafka, marker):
    """Search what Kafka compresses in its files."""
    values = [item.value or b"" for topic in (LEDGER, DECISIONS) for item in read(kafka, topic)]
    return sum(search.hits_in_bytes(value, marker) for value in values)


def content(file):
    try:
        return file.read_bytes()
    except FileNotFoundError:  # the cleaner was faster
        return b""


@pytest.mark.parametrize("why", ["recalled", "expired"])
def test_what_is_erased_is_gone_from_the_files_after_compaction(world, pair, kafka, why):
    alter(kafka, TOPIC, segment_ms="1000", max_compaction_lag_ms="1000", file_delete_delay_ms="100")
    expires_at = from_seconds(int(time.time()) + (EXPIRES_S if why == "expired" else 86_400))
    first = world.envelope(SENDER, [READER], expires_at=expires_at)
    other = world.envelope(SENDER, [READER])
    for signed in (first, other):
        assert pair[1].publish(signed).status == 201
    gone, kept = (item.value[-300:-100] for item in read(kafka, TOPIC)[-2:])

    def held(part):
        files = [*kafka.segments(TOPIC), *(file for one in pair for file in one.folder.glob("mirror.sqlite*"))]
        return [file for file in files if part in content(file)]

    until(lambda: all(len(one.notices(READER)) == 2 for one in pair))
    assert len(held(gone)) >= 3, "else the search finds nothing"
    if why == "recalled":
        said = first.statement
        recall = world.envelope(
            SENDER, [READER], "recall", ref=said.notice_id, thread=said.thread, topic=said.topic, label=said.label
        )
        assert pair[1].publish(recall).status == 201
    until(lambda: any(item.value is None and item.key != CLOSING_KEY for item in read(kafka, TOPIC)), 90, 0.3)
    until(lambda: not [file for file in held(gone) if file.name.startswith("mirror")])
    assert held(gone), "then no closing record would be needed"
    # A quiet topic: the signer's next life closes the segment, and Kafka cleans it.
    assert pair[0].end() == 0
    pair[0].start_again()
    until(lambda: not held(gone), 40, 0.3)
    assert held(kept)
    for one in pair:
        ids = [item[1] for item in one.notices(READER)]
        assert first.statement.notice_id not in ids
        assert other.statement.notice_id in ids
