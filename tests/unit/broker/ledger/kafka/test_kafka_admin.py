"""Administration against a cluster in memory: what is made, what is refused, and that every wait ends."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    KafkaConnectionError,
    NotControllerError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from broker.ledger.kafka import admin
from broker.ledger.kafka.admin import UnsafeStoreError, prepare, recheck
from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.topics import LEDGER, body_topics, definitions
from broker.ledger.port import LedgerUnavailableError

HERE = Connection("127.0.0.1:9092", practice=True)
BROKER = 4


class Cluster:
    """What an administrator's client sees of a cluster; `fail` are the errors of calls to come, by method."""

    def __init__(self, nodes=(1, 2, 3)):
        self.topics = {}
        self.nodes = {
            node: {"unclean.leader.election.enable": "false", "auto.create.topics.enable": "false"} for node in nodes
        }
        self.fail = {}
        self.codes = {}  # what DescribeConfigs says of a topic or node
        self.refuse = {}  # what CreateTopics says of a topic
        self.hidden = 0  # how often new topics are not seen yet
        self.made = []
        self.open = 0

    def client(self, **arguments):
        assert arguments == HERE.client()
        return self

    def make(self, replication=3, **changed):
        for one in definitions(replication):
            self.topics[one.name] = ([list(range(replication))], {**one.created(), **changed})

    async def start(self):
        self.open += 1
        self._trouble("start")

    async def close(self):
        self.open = 0
        self._trouble("close")

    async def describe_topics(self):
        self._trouble("describe_topics")
        if self.made and self.hidden:
            self.hidden -= 1
            return []
        return [
            {"topic": name, "partitions": [{"replicas": copies} for copies in partitions]}
            for name, (partitions, _) in self.topics.items()
        ]

    async def describe_cluster(self):
        return {"brokers": [{"node_id": node} for node in self.nodes]}

    async def describe_configs(self, resources):
        (kind,) = {resource.resource_type for resource in resources}
        self._trouble("describe_node" if kind == BROKER else "describe_configs")
        found = [self._described(resource) for resource in resources]
        return [SimpleNamespace(to_object=lambda: {"resources": found})]

    def _described(self, resource):
        settings = self.nodes[int(resource.name)] if resource.resource_type == BROKER else self.topics[resource.name][1]
        code = self.codes.get(resource.name, 0)
        entries = [
            {"config_names": name, "config_value": value}
            for name, value in settings.items()
            if name in resource.configs and not code
        ]
        return {"resource_name": resource.name, "error_code": code, "config_entries": entries}

    async def create_topics(self, topics):
        self._trouble("create_topics")
        errors = []
        for topic in topics:
            code = self.refuse.pop(topic.name, 0)
            if not code:
                copies = list(range(topic.replication_factor))
                self.topics[topic.name] = ([copies] * topic.num_partitions, topic.topic_configs)
                self.made.append(topic.name)
            errors.append({"topic": topic.name, "error_code": code})
        return SimpleNamespace(to_object=lambda: {"topic_errors": errors})

    def _trouble(self, method):
        errors = self.fail.get(method, [])
        if errors:
            raise errors.pop(0)


@pytest.fixture
def cluster(monkeypatch):
    made = Cluster()
    monkeypatch.setattr(admin, "AIOKafkaAdminClient", made.client)
    monkeypatch.setattr(admin, "_PAUSE_S", 0.001)
    yield made
    assert made.open == 0, "a client was not closed"


def prepared(*, create=True, replication=3, within=5.0):
    return asyncio.run(prepare(HERE, replication, create=create, within=within))


def refused(**how):
    with pytest.raises(UnsafeStoreError) as caught:
        prepared(**how)
    assert caught.value.code == "configuration"
    assert all(str(finding) in caught.value.detail for finding in caught.value.findings)
    return [str(finding) for finding in caught.value.findings]


def test_missing_topics_are_made_once_and_are_safe(cluster):
    cluster.hidden = 2
    assert prepared() == tuple(sorted(body_topics()))
    assert cluster.made == [one.name for one in definitions(3)]
    assert prepared(create=False) == tuple(sorted(body_topics()))
    assert len(cluster.made) == len(cluster.topics)


def test_in_practice_one_copy_is_enough(cluster):
    prepared(replication=1)
    assert cluster.topics[LEDGER][1]["min.insync.replicas"] == "1"
    assert f"{LEDGER}: replication is 1, must be at least 3" in refused()


def test_missing_topics_are_named_where_they_may_not_be_made(cluster):
    cluster.make()
    del cluster.topics[LEDGER]
    assert refused(create=False) == [f"{LEDGER}: the topic is missing, must be there"]
    assert cluster.made == []


def test_a_cluster_without_any_topic(cluster):
    assert len(refused(create=False)) == len(definitions(3))


def test_unsafe_topics_are_refused_and_not_changed(cluster):
    cluster.make()
    partitions, settings = cluster.topics[LEDGER]
    cluster.topics[LEDGER] = ([*partitions, [0, 1]], {**settings, "retention.ms": "604800000"})
    cluster.topics["elsewhere"] = ([[0]], {})
    assert refused() == [
        f"{LEDGER}: partitions is 2, must be 1",
        f"{LEDGER}: replication is 2, must be at least 3",
        f"{LEDGER}: retention.ms is 604800000, must be -1",
    ]
    assert cluster.topics[LEDGER][1]["retention.ms"] == "604800000"


def test_bodies_of_a_theme_that_is_no_longer_listed_count(cluster):
    cluster.make()
    cluster.topics["valise.notices.osce.old"] = cluster.topics["valise.notices.direct"]
    assert "valise.notices.osce.old" in prepared()
    cluster.topics["valise.notices.osce.old"] = ([[1, 2, 3]], {})
    assert {line.split(":")[0] for line in refused()} == {"valise.notices.osce.old"}


def test_a_setting_without_a_value_is_not_shown(cluster):
    cluster.make()
    cluster.topics[LEDGER][1]["retention.bytes"] = None
    assert refused() == [f"{LEDGER}: retention.bytes is not shown, must be -1"]


def test_nodes_are_looked_at_where_they_can_be(cluster):
    cluster.make()
    cluster.nodes[2]["auto.create.topics.enable"] = "true"
    assert refused() == ["node 2: auto.create.topics.enable is true, must be false"]
    cluster.codes["2"] = ClusterAuthorizationFailedError.errno
    prepared()
    del cluster.codes["2"]
    cluster.fail["describe_node"] = [KafkaConnectionError(), TimeoutError(), OSError()]
    prepared()


def test_what_the_cluster_will_not_make_is_named(cluster):
    cluster.refuse[LEDGER] = InvalidReplicationFactorError.errno
    assert refused() == [f"{LEDGER}: the topic is refused (InvalidReplicationFactorError), must be made"]


def test_another_instance_may_make_the_topics_at_the_same_time(cluster):
    cluster.make()
    cluster.made.append("by another")
    cluster.hidden = 1
    cluster.refuse = dict.fromkeys(cluster.topics, TopicAlreadyExistsError.errno)
    prepared()


def test_a_topic_that_was_deleted_meanwhile_is_missing(cluster):
    cluster.make()
    cluster.codes[LEDGER] = UnknownTopicOrPartitionError.errno
    assert refused(create=False) == [f"{LEDGER}: the topic is missing, must be there"]


def test_what_passes_is_waited_for(cluster):
    away = [KafkaConnectionError(), OSError(), TimeoutError()]
    cluster.fail = {name: list(away) for name in ("start", "describe_topics", "describe_configs", "create_topics")}
    cluster.refuse[LEDGER] = NotControllerError.errno
    prepared()
    assert not any(cluster.fail.values())
    assert len(cluster.topics) == len(definitions(3))


@pytest.mark.parametrize("method", ["start", "describe_topics"])
def test_a_cluster_that_stays_away_is_given_up(cluster, method):
    cluster.fail[method] = [KafkaConnectionError() for _ in range(100_000)]
    with pytest.raises(LedgerUnavailableError):
        prepared(within=0.05)


def test_what_does_not_pass_is_not_waited_for(cluster):
    cluster.make()
    cluster.codes[LEDGER] = TopicAuthorizationFailedError.errno
    with pytest.raises(LedgerUnavailableError, match="TopicAuthorizationFailedError"):
        prepared()


def test_closing_may_fail(cluster):
    cluster.make()
    cluster.fail["close"] = [OSError()]
    prepared()


def test_a_recheck_tells_and_raises_nothing(cluster):
    cluster.make()
    assert asyncio.run(recheck(HERE, 3)) == ()
    del cluster.topics[LEDGER]
    (finding,) = asyncio.run(recheck(HERE, 3))
    assert str(finding) == f"{LEDGER}: the topic is missing, must be there"
    cluster.fail["describe_topics"] = [KafkaConnectionError() for _ in range(100_000)]
    assert asyncio.run(recheck(HERE, 3, within=0.05)) is None
    assert cluster.made == []
