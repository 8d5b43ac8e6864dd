"""What is put into production is what the broker demands, in properties and as Strimzi's resources alike."""

import re
import shlex

import pytest
import yaml

from broker.ledger.kafka.topics import PREFIX, definitions, unsafe, unsafe_node
from deploy.kafka.production import commands
from deploy.kafka.protocol import read_acls, read_properties

HERE = commands.HERE
SERVER = read_properties(HERE / "server.properties")
REPLICATION = 3

# Strimzi refuses settings that it makes itself (KafkaClusterSpec, since 0.48).
STRIMZI_REFUSES = re.compile(
    r"listeners|advertised\.|broker\.|listener\.|host\.name|port|inter\.broker|sasl\.|ssl\.|security\.|password\.|log\.dir"
    r"|authorizer\.|super\.user|node\.id|process\.roles|controller\.|metadata\.log\.dir"
)
STRIMZI_TAKES = {
    "broker.session.timeout.ms",
    "broker.heartbeat.interval.ms",
    "controller.socket.timeout.ms",
    "controller.quorum.election.backoff.max.ms",
    "controller.quorum.election.timeout.ms",
    "controller.quorum.fetch.timeout.ms",
}


def resources(name):
    return list(yaml.safe_load_all((HERE / "strimzi" / name).read_text(encoding="utf-8")))


def as_kafka_writes(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def of_properties():
    return {name: (commands.PARTITIONS, commands.COPIES, settings) for name, settings in commands.topics().items()}


def of_commands():
    found = {}
    for command in commands.topic_commands(["--bootstrap-server", "kafka-1.example:9092"]):
        words = shlex.split(shlex.join(command))
        assert words[0] == "kafka-topics.sh"
        assert "--if-not-exists" in words

        def after(option, words=words):
            return [words[at + 1] for at, word in enumerate(words) if word == option]

        settings = dict(each.split("=", 1) for each in after("--config"))
        found[after("--topic")[0]] = (int(after("--partitions")[0]), int(after("--replication-factor")[0]), settings)
    return found


def of_strimzi():
    found = {}
    for topic in resources("topics.yaml"):
        assert (topic["apiVersion"], topic["kind"]) == ("kafka.strimzi.io/v1", "KafkaTopic")
        assert topic["metadata"]["labels"] == {"strimzi.io/cluster": "valise"}
        settings = {name: as_kafka_writes(value) for name, value in topic["spec"]["config"].items()}
        found[topic["metadata"]["name"]] = (topic["spec"]["partitions"], topic["spec"]["replicas"], settings)
    return found


@pytest.mark.parametrize("read", [of_properties, of_commands, of_strimzi])
def test_every_topic_of_the_code_is_defined_and_safe(read):
    found = read()
    wanted = {one.name: one for one in definitions(REPLICATION)}
    assert found.keys() == wanted.keys(), "topics/names.properties, then `commands.py strimzi`"
    for name, (partitions, replication, settings) in found.items():
        assert unsafe(wanted[name], settings, partitions=partitions, replication=replication) == ()
        assert settings.keys() == wanted[name].created().keys(), f"{name}: topics/*.properties"


def test_what_strimzi_gets_was_made_from_the_properties():
    assert (HERE / "strimzi" / "topics.yaml").read_text(encoding="utf-8") == commands.strimzi_topics()
    assert (HERE / "strimzi" / "user.yaml").read_text(encoding="utf-8") == commands.strimzi_user()


def test_a_node_is_set_as_the_broker_demands():
    assert unsafe_node("1", SERVER) == ()
    assert SERVER["default.replication.factor"] == str(REPLICATION)
    assert SERVER["min.insync.replicas"] == str(REPLICATION - 1)


def test_no_listener_of_a_node_is_open():
    protocols = dict(pair.split(":") for pair in SERVER["listener.security.protocol.map"].split(","))
    listeners = {part.partition("://")[0] for part in SERVER["listeners"].split(",")}
    assert listeners == protocols.keys()
    assert set(protocols.values()) == {"SSL"}
    assert SERVER["ssl.client.auth"] == "required"
    assert SERVER["allow.everyone.if.no.acl.found"] == "false"
    scram = read_properties(HERE / "scram.properties")
    assert scram["listener.security.protocol.map"] == "CLIENT:SASL_SSL,INTERNAL:SSL,CONTROLLER:SSL"


def test_the_brokers_may_do_what_they_do_and_to_their_topics_only():
    acls = read_acls(HERE / "acls.properties")
    assert {acl.principal for acl in acls} == {"User:valise-broker"}
    assert {(acl.resource, acl.pattern, acl.name) for acl in acls} == {
        ("topic", "prefixed", PREFIX),
        ("cluster", "literal", "kafka-cluster"),
    }
    to_topics = {acl.operation for acl in acls if acl.resource == "topic"}
    assert to_topics == {"Create", "Describe", "DescribeConfigs", "Read", "Write"}
    assert {acl.operation for acl in acls if acl.resource == "cluster"} == {"Describe", "DescribeConfigs"}


def test_the_same_rights_are_given_by_kafkas_tool_and_by_strimzi():
    topic, cluster = commands.acl_commands([])
    (user,) = resources("user.yaml")
    assert (user["apiVersion"], user["kind"]) == ("kafka.strimzi.io/v1", "KafkaUser")
    assert user["metadata"]["name"] == "valise-broker"
    assert user["spec"]["authentication"] == {"type": "tls"}
    to_topics, to_cluster = user["spec"]["authorization"]["acls"]
    assert to_topics["resource"] == {"type": "topic", "name": PREFIX, "patternType": "prefix"}
    assert to_cluster["resource"] == {"type": "cluster"}
    for command, acl in ((topic, to_topics), (cluster, to_cluster)):
        assert command[:4] == ["kafka-acls.sh", "--add", "--allow-principal", "User:valise-broker"]
        assert [word for at, word in enumerate(command) if command[at - 1] == "--operation"] == acl["operations"]
    assert topic[-4:] == ["--topic", PREFIX, "--resource-pattern-type", "prefixed"]
    assert cluster[-1] == "--cluster"


def test_strimzis_nodes_are_set_as_the_plain_ones_as_far_as_it_lets_us():
    pool, kafka = resources("kafka.yaml")
    assert {pool["apiVersion"], kafka["apiVersion"]} == {"kafka.strimzi.io/v1"}
    assert (pool["kind"], kafka["kind"]) == ("KafkaNodePool", "Kafka")
    assert pool["spec"]["replicas"] == REPLICATION
    assert pool["metadata"]["labels"]["strimzi.io/cluster"] == kafka["metadata"]["name"] == "valise"
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    assert (listener["tls"], listener["authentication"]) == (True, {"type": "tls"})
    assert kafka["spec"]["kafka"]["authorization"] == {"type": "simple"}
    config = {name: as_kafka_writes(value) for name, value in kafka["spec"]["kafka"]["config"].items()}
    assert unsafe_node("1", config) == ()
    assert not {name for name in config if STRIMZI_REFUSES.match(name)} - STRIMZI_TAKES
    ours = {name for name in SERVER if not STRIMZI_REFUSES.match(name) or name in STRIMZI_TAKES}
    assert {name: config[name] for name in ours} == {name: SERVER[name] for name in ours}


def test_the_command_prints_what_a_shell_can_run(capsys):
    assert commands.main(["topics", "--server", "kafka-9.example:9092", "--config", "/etc/my file"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(definitions(REPLICATION))
    assert shlex.split(lines[0])[:5] == [
        "kafka-topics.sh",
        "--bootstrap-server",
        "kafka-9.example:9092",
        "--command-config",
        "/etc/my file",
    ]
    assert commands.main(["acls"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_command_writes_strimzis_resources(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "HERE", tmp_path)
    for name in ("topics", "acls.properties"):
        (tmp_path / name).symlink_to(HERE / name)
    (tmp_path / "strimzi").mkdir()
    assert commands.main(["strimzi"]) == 0
    for name in ("topics.yaml", "user.yaml"):
        assert (tmp_path / "strimzi" / name).read_bytes() == (HERE / "strimzi" / name).read_bytes()
