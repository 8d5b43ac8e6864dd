"""The clusters that tests stand on: they take records, survive what they must, and end with who started them."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from deploy.kafka import dev
from deploy.kafka.processes import KafkaError, until
from tests import cluster
from tests.cluster import ADMIN

ROOT = Path(__file__).parents[2]
TOPIC = "valise.probe"


async def create(kafka, name, *, replication=1, principal=ADMIN):
    async with cluster.admin(kafka, principal) as client:
        answer = await client.create_topics([NewTopic(name, 1, replication)])
    assert answer.topic_errors[0][1] == 0, answer


async def send(kafka, name, values):
    producer = AIOKafkaProducer(**kafka.client(), acks="all", enable_idempotence=True)
    try:
        await producer.start()
        for value in values:
            await producer.send_and_wait(name, value)
    finally:
        await producer.stop()


async def read(kafka, name, count):
    consumer = AIOKafkaConsumer(**kafka.client(), auto_offset_reset="none", enable_auto_commit=False)
    try:
        await consumer.start()
        consumer.assign([TopicPartition(name, 0)])
        consumer.seek(TopicPartition(name, 0), 0)
        return [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(count)]
    finally:
        await consumer.stop()


def test_a_record_outlives_the_kill_of_the_only_node(kafka):
    asyncio.run(cluster.clear(kafka))
    asyncio.run(create(kafka, TOPIC))
    asyncio.run(send(kafka, TOPIC, [b"before"]))
    kafka.kill(1)
    assert kafka.node(1).pid is None
    kafka.start(1)
    asyncio.run(send(kafka, TOPIC, [b"after"]))
    assert asyncio.run(read(kafka, TOPIC, 2)) == [b"before", b"after"]


def test_a_test_finds_the_records_in_the_files_of_the_nodes(kafka):
    asyncio.run(cluster.clear(kafka))
    asyncio.run(create(kafka, TOPIC))
    asyncio.run(send(kafka, TOPIC, [b"a word that stands nowhere else"]))
    assert any(b"a word that stands nowhere else" in file.read_bytes() for file in kafka.segments(TOPIC))


def test_no_topic_comes_of_itself(kafka):
    asyncio.run(cluster.clear(kafka))

    async def ask():
        async with cluster.admin(kafka) as client:
            await client.describe_topics([TOPIC])
            return await client.list_topics()

    assert TOPIC not in asyncio.run(ask())


def test_two_of_three_nodes_take_what_is_sent_while_one_is_dead_or_frozen(kafka_of_three):
    asyncio.run(create(kafka_of_three, TOPIC, replication=3))
    kafka_of_three.kill(1)
    asyncio.run(send(kafka_of_three, TOPIC, [b"one dead"]))
    kafka_of_three.start(1)
    kafka_of_three.pause(2)
    assert kafka_of_three.node(2).pid is not None
    asyncio.run(send(kafka_of_three, TOPIC, [b"one frozen"]))
    kafka_of_three.resume(2)
    kafka_of_three.start_all()  # waits until each knows all three
    assert [kafka_of_three.serving(number) for number in (1, 2, 3)] == [3, 3, 3]
    assert asyncio.run(read(kafka_of_three, TOPIC, 2)) == [b"one dead", b"one frozen"]


def test_all_three_nodes_killed_and_started_again_have_what_they_had(kafka_of_three):
    asyncio.run(create(kafka_of_three, "valise.killed", replication=3))
    asyncio.run(send(kafka_of_three, "valise.killed", [b"kept"]))
    kafka_of_three.kill_all()
    kafka_of_three.start_all()
    assert asyncio.run(read(kafka_of_three, "valise.killed", 1)) == [b"kept"]


def test_a_node_that_ends_while_it_starts_says_why(kafka):
    with (
        pytest.raises(KafkaError, match=r"Node 1 has ended(.|\n)*No such setting would do"),
        cluster.running(settings={"authorizer.class.name": "No such setting would do"}),
    ):
        pass


RUN = """
import time
from tests import cluster
with cluster.running() as kafka:
    print(kafka.folder, kafka.node(1).pid, flush=True)
    time.sleep(60)
"""


@pytest.mark.usefixtures("kafka")
def test_a_test_run_that_is_killed_leaves_no_node_behind():
    run = subprocess.Popen([sys.executable, "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    folder, pid = run.stdout.readline().split()
    assert not ended(pid)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert until(lambda: ended(pid) and not Path(folder).exists(), 10)


def ended(pid):
    """Say whether a process has ended, whether or not its new parent has taken note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


@pytest.mark.usefixtures("kafka")
def test_the_command_starts_kills_and_ends_a_cluster_as_it_says(tmp_path, capsys):
    folder = ["--dir", str(tmp_path / "dev")]
    assert dev.main(["status", *folder]) == 1
    assert "There is no cluster" in capsys.readouterr().err
    assert dev.main(["up", *folder]) == 0
    assert capsys.readouterr().out.startswith("127.0.0.1:")
    try:
        assert dev.main(["status", *folder]) == 0
        assert "knows 1 of 1" in capsys.readouterr().out
        assert dev.main(["up", *folder, "--nodes", "3"]) == 1
        assert "holds 1 node(s)" in capsys.readouterr().err
        assert dev.main(["kill", "1", *folder]) == 0
        assert dev.main(["status", *folder]) == 3
        assert "does not run, does not answer" in capsys.readouterr().out
        assert dev.main(["start", "1", *folder]) == 0
        assert dev.main(["pause", "1", *folder]) == 0
        assert dev.main(["resume", "1", *folder]) == 0
        assert dev.main(["start", "2", *folder]) == 1
        assert dev.main(["down", *folder]) == 0
        assert dev.main(["up", *folder]) == 0
    finally:
        assert dev.main(["down", "--remove", *folder]) == 0
    assert not (tmp_path / "dev").exists()


def test_a_process_is_known_by_its_birth_too(kafka):
    file = kafka.node(1).folder / "pid"
    pid, born = file.read_text().split()
    try:
        file.write_text(f"{os.getpid()} {born}\n")
        assert kafka.node(1).pid is None
    finally:
        file.write_text(f"{pid} {born}\n")
    assert kafka.node(1).pid == int(pid)
