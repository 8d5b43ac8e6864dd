"""Topics: which there are, where a body goes, and what is found unsafe about them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ledger.kafka import topics
from broker.ledger.kafka.topics import Rule, Setting, body_topic, definition, definitions, unsafe, unsafe_node
from schemas.codes.lists import code_list
from tests import strategies as wire

ALL = definitions(3)
BY_NAME = {one.name: one for one in ALL}
HOUR, DAY = 3_600_000, 86_400_000


def findings(name, changed=None, *, partitions=1, replication=3, wanted=3):
    found = {**definition(name, wanted).created(), **(changed or {})}
    return unsafe(definition(name, wanted), found, partitions=partitions, replication=replication)


def test_the_topics_of_a_deployment():
    regions, themes = code_list("regions").entries, code_list("themes").entries
    assert len(BY_NAME) == len(ALL) == 5 + len(regions) * len(themes)
    assert [one.name for one in ALL[:5]] == [
        "valise.ledger",
        "valise.objects",
        "valise.decisions",
        "valise.checkpoints",
        "valise.notices.direct",
    ]
    assert "valise.notices.central-asia.precursors" in BY_NAME
    assert all(re.fullmatch("[a-z0-9.-]{1,249}", name) and name.startswith(topics.PREFIX) for name in BY_NAME)
    assert all(one.partitions == 1 and one.replication == 3 for one in ALL)


@given(wire.statements())
def test_a_body_goes_where_its_statement_says(statement):
    name = body_topic(statement.topic)
    assert topics.is_body_topic(name)
    assert name == ("valise.notices.direct" if statement.topic is None else f"valise.notices.{statement.topic}")
    assert definition(name, 3).settings == BY_NAME["valise.notices.direct"].settings


def test_a_topic_of_others_has_no_definition():
    for name in ("valise.ledger2", "valise.notices", "elsewhere"):
        assert not topics.is_body_topic(name)
        with pytest.raises(ValueError):
            definition(name, 3)


@pytest.mark.parametrize("replication", [1, 3])
def test_what_is_created_is_safe(replication):
    for one in definitions(replication):
        assert unsafe(one, one.created(), partitions=1, replication=replication) == ()
        assert one.created()["min.insync.replicas"] == str(max(1, replication - 1))
        assert one.created()["message.timestamp.type"] == "LogAppendTime"


def test_the_design_is_in_the_settings():
    ledger, bodies = BY_NAME["valise.ledger"].created(), BY_NAME["valise.notices.direct"].created()
    assert (ledger["retention.ms"], ledger["retention.bytes"], ledger["cleanup.policy"]) == ("-1", "-1", "delete")
    assert bodies["cleanup.policy"] == "compact,delete"
    assert bodies["segment.ms"] == bodies["max.compaction.lag.ms"] == str(6 * HOUR)
    assert int(bodies["max.message.bytes"]) == 2 << 20
    assert BY_NAME["valise.objects"].created()["cleanup.policy"] == "compact"
    assert BY_NAME["valise.checkpoints"].created()["cleanup.policy"] == "compact"


@pytest.mark.parametrize(
    ("name", "setting", "value", "demand"),
    [
        ("valise.ledger", "retention.ms", "604800000", "-1"),
        ("valise.ledger", "retention.bytes", "1073741824", "-1"),
        ("valise.ledger", "cleanup.policy", "compact", "delete"),
        ("valise.ledger", "cleanup.policy", "compact,delete", "delete"),
        ("valise.ledger", "min.insync.replicas", "1", "at least 2"),
        ("valise.ledger", "unclean.leader.election.enable", "true", "false"),
        ("valise.ledger", "message.timestamp.type", "CreateTime", "LogAppendTime"),
        ("valise.ledger", "max.message.bytes", "1048588", "at least 2097152"),
        ("valise.objects", "cleanup.policy", "delete", "compact"),
        ("valise.decisions", "retention.ms", str(29 * DAY), f"at least {30 * DAY}"),
        ("valise.checkpoints", "segment.ms", str(7 * DAY), f"at most {HOUR}"),
        ("valise.notices.direct", "retention.ms", str(7 * DAY), f"at least {3653 * DAY}"),
        ("valise.notices.direct", "cleanup.policy", "delete", "compact,delete"),
        ("valise.notices.direct", "max.compaction.lag.ms", "9223372036854775807", f"at most {6 * HOUR}"),
        ("valise.notices.direct", "min.compaction.lag.ms", str(7 * HOUR), f"at most {6 * HOUR}"),
        ("valise.notices.direct", "segment.ms", "-1", f"at most {6 * HOUR}"),
        ("valise.notices.direct", "segment.ms", "soon", f"at most {6 * HOUR}"),
    ],
)
def test_an_unsafe_setting_is_named(name, setting, value, demand):
    (found,) = findings(name, {setting: value})
    assert str(found) == f"{name}: {setting} is {value}, must be {demand}"


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("valise.notices.direct", "cleanup.policy", "delete, compact"),
        ("valise.notices.direct", "retention.ms", "-1"),
        ("valise.notices.direct", "segment.ms", str(HOUR)),
        ("valise.decisions", "retention.ms", str(400 * DAY)),
        ("valise.ledger", "min.insync.replicas", "3"),
        ("valise.ledger", "max.message.bytes", "8388608"),
        ("valise.ledger", "compression.type", "zstd"),
        ("valise.ledger", "compression.gzip.level", "9"),
    ],
)
def test_a_setting_that_is_as_safe_passes(name, setting, value):
    assert findings(name, {setting: value}) == ()


def test_copies_and_partitions_are_counted():
    assert findings("valise.ledger", replication=5) == ()
    (few,) = findings("valise.ledger", replication=2)
    assert str(few) == "valise.ledger: replication is 2, must be at least 3"
    (many,) = findings("valise.objects", partitions=12)
    assert str(many) == "valise.objects: partitions is 12, must be 1"


def test_what_is_not_shown_is_unsafe():
    one = BY_NAME["valise.ledger"]
    found = unsafe(one, {}, partitions=1, replication=3)
    assert {item.setting for item in found} == {s.name for s in one.settings if s.rule is not Rule.ANY}
    assert all(item.found == "not shown" for item in found)


def test_nodes_neither_lose_records_nor_make_topics():
    safe = {"unclean.leader.election.enable": "false", "auto.create.topics.enable": "false"}
    assert unsafe_node("2", safe) == ()
    (found,) = unsafe_node("2", {**safe, "auto.create.topics.enable": "true"})
    assert str(found) == "node 2: auto.create.topics.enable is true, must be false"


def test_a_topic_that_is_not_there():
    assert str(topics.missing("valise.ledger")) == "valise.ledger: the topic is missing, must be there"


@given(st.integers(-1, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_bounds_are_compared_as_numbers(value, bound):
    endless = value == -1
    assert Setting("s", str(bound), Rule.AT_LEAST).holds(str(value)) is (endless or value >= bound)
    assert Setting("s", str(bound), Rule.AT_MOST).holds(str(value)) is (not endless and value <= bound)
