"""The topics of a deployment and their settings, as data, and what is unsafe about those that are found (design: ledger).

Every topic has one partition. The ledger's order is that of its one partition; the newest of a key, and a tombstone for
it, must come to the partition that the key's older values are in, which another number of partitions would change. All
time stamps are the cluster's own: an instance with a wrong clock must not decide what retention deletes. No I/O here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from schemas.codes.lists import code_list
from schemas.ids import Topic
from schemas.limits import LIMITS

PREFIX: Final = "valise."
LEDGER: Final = "valise.ledger"
OBJECTS: Final = "valise.objects"
DECISIONS: Final = "valise.decisions"
CHECKPOINTS: Final = "valise.checkpoints"
BODIES: Final = "valise.notices."
"""What the names of all topics with sealed bodies begin with."""
DIRECT: Final = "valise.notices.direct"
"""The bodies of sealed acts without a topic."""

DECISION_DAYS: Final = 30
"""How long decisions must at least be kept, whatever the policy: the day's digest and its audit come first."""
MAX_MESSAGE: Final = 2 << 20
"""Bytes of a batch: the greatest record (a statement and proof, or a sealed body, of an envelope of 1 MiB) and its frame."""

CLEANED_HOURS: Final = 6
"""After how many hours a topic of bodies closes the segment that it writes to, at its next record, and cleans it.

Kafka closes a segment only when another record comes: in a quiet topic a tombstone erases nothing until something is
written `CLEANED_HOURS` or more after it, for example another tombstone, under `CLOSING_KEY`.
"""
CLOSING_KEY: Final = b"closing"
"""The key of tombstones that are there to close a segment; no body has it."""

_HOUR: Final = 3_600_000
_DAY: Final = 24 * _HOUR
_FOREVER: Final = "-1"


class Rule(Enum):
    """How a setting is held against its bound; for numbers, -1 is without end."""

    ANY = ""
    EXACTLY = "{}"
    AT_LEAST = "at least {}"
    AT_MOST = "at most {}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a topic or node: its name in Kafka, the value to create with, and what it must be."""

    name: str
    value: str
    rule: Rule = Rule.EXACTLY
    bound: str = ""

    @property
    def demand(self) -> str:
        """Return what the setting must be, for a person."""
        return self.rule.value.format(self.bound or self.value)

    def holds(self, found: str) -> bool:
        """Say whether a value that was found is safe."""
        if self.rule is Rule.ANY:
            return True
        bound = self.bound or self.value
        if self.rule is Rule.EXACTLY:
            return _parts(found) == _parts(bound)
        value, limit = _number(found), int(bound)
        return value is not None and (value >= limit if self.rule is Rule.AT_LEAST else value <= limit)


@dataclass(frozen=True, slots=True)
class TopicDefinition:
    """A topic as it must be: `replication` is the least number of copies of each partition."""

    name: str
    replication: int
    settings: tuple[Setting, ...]
    partitions: int = 1

    def created(self) -> dict[str, str]:
        """Return the settings to create the topic with."""
        return {setting.name: setting.value for setting in self.settings}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is unsafe: the setting of a topic or node (`where`), what it is, and what it must be."""

    where: str
    setting: str
    found: str
    demand: str

    def __str__(self) -> str:
        return f"{self.where}: {self.setting} is {self.found}, must be {self.demand}"


NODE_SETTINGS: Final = (
    Setting("unclean.leader.election.enable", "false"),
    # A deleted topic would come back empty, with whatever settings are the default.
    Setting("auto.create.topics.enable", "false"),
)
"""What every node of the cluster must be set to."""


def definitions(replication: int) -> tuple[TopicDefinition, ...]:
    """Return all topics of a deployment, whose regions and themes are the code lists of this process."""
    names = (LEDGER, OBJECTS, DECISIONS, CHECKPOINTS, *body_topics())
    return tuple(definition(name, replication) for name in names)


def definition(name: str, replication: int) -> TopicDefinition:
    """Return the definition of a topic of ours, also of bodies whose region or theme is on no list any more.

    Raises `ValueError` for another name.
    """
    if is_body_topic(name):
        own = _BODY_SETTINGS
    else:
        found = _SETTINGS.get(name)
        if found is None:
            raise ValueError("Not a topic of the deployment.")
        own = found
    # One copy may be away and every acknowledged record is still on two of three.
    insync = Setting("min.insync.replicas", str(max(1, replication - 1)), Rule.AT_LEAST)
    return TopicDefinition(name, replication, (insync, *_SAFE, *own))


def body_topics() -> Iterator[str]:
    """Yield the names of the topics for bodies: direct, then each region and theme of the code lists of this process."""
    yield DIRECT
    for region in code_list("regions").entries:
        for theme in code_list("themes").entries:
            yield body_topic(Topic(f"{region}.{theme}"))


def body_topic(topic: Topic | None) -> str:
    """Return the name of the topic for a body, from its statement's topic.

    It depends on nothing else, so that a tombstone written years later goes where the body went.
    """
    return DIRECT if topic is None else BODIES + topic


def is_body_topic(name: str) -> bool:
    """Say whether a topic holds bodies."""
    return name.startswith(BODIES)


def unsafe(
    wanted: TopicDefinition, found: Mapping[str, str], *, partitions: int, replication: int
) -> tuple[Finding, ...]:
    """Hold a topic that was found against its definition.

    `found` are its settings by name, `partitions` their number, `replication` the least number of copies that one of
    them has. A setting that is not shown counts as unsafe.
    """
    counts = (
        Setting("partitions", str(wanted.partitions)),
        Setting("replication", str(wanted.replication), Rule.AT_LEAST),
    )
    shown = {**found, "partitions": str(partitions), "replication": str(replication)}
    return _held(wanted.name, (*counts, *wanted.settings), shown)


def unsafe_node(node: str, found: Mapping[str, str]) -> tuple[Finding, ...]:
    """Hold a node's settings against what they must be."""
    return _held(f"node {node}", NODE_SETTINGS, found)


def missing(name: str) -> Finding:
    """Return the finding that a topic is not there."""
    return Finding(name, "the topic", "missing", "there")


def _held(where: str, settings: tuple[Setting, ...], found: Mapping[str, str]) -> tuple[Finding, ...]:
    return tuple(
        Finding(where, setting.name, found.get(setting.name, "not shown"), setting.demand)
        for setting in settings
        if not setting.holds(found.get(setting.name, ""))
    )


def _parts(value: str) -> frozenset[str]:
    """Return a value's parts, for lists are compared without order; most have one."""
    return frozenset(part.strip().lower() for part in value.split(","))


def _number(value: str) -> float | None:
    """Return a number, infinite for -1; None where it is none."""
    try:
        number = int(value)
    except ValueError:
        return None
    return float("inf") if number < 0 else number


_SAFE: Final = (
    Setting("unclean.leader.election.enable", "false"),
    Setting("message.timestamp.type", "LogAppendTime"),
    Setting("max.message.bytes", str(MAX_MESSAGE), Rule.AT_LEAST),
)
_UNCOMPRESSED: Final = Setting("compression.type", "producer", Rule.ANY)
# The nodes compress: a batch's records repeat its head, and the publishing loop has better things to do.
_COMPRESSED: Final = (
    Setting("compression.type", "gzip", Rule.ANY),
    Setting("compression.gzip.level", "1", Rule.ANY),
)
_ALL_BYTES: Final = Setting("retention.bytes", _FOREVER)


def _cleaned(hours: int) -> tuple[Setting, ...]:
    """Return settings by which what a key held before is gone so many hours after its segment was closed."""
    most = str(hours * _HOUR)
    return (
        Setting("file.delete.delay.ms", "10000", Rule.AT_MOST, str(_HOUR)),
        Setting("segment.ms", most, Rule.AT_MOST),
        Setting("min.compaction.lag.ms", "0", Rule.AT_MOST, most),
        Setting("max.compaction.lag.ms", most, Rule.AT_MOST),
    )


_BODY_SETTINGS: Final = (
    Setting("cleanup.policy", "compact,delete"),
    Setting("retention.ms", str(1000 * LIMITS.longest_expiry), Rule.AT_LEAST),
    _ALL_BYTES,
    *_cleaned(CLEANED_HOURS),
    _UNCOMPRESSED,
)
_SETTINGS: Final[Mapping[str, tuple[Setting, ...]]] = {
    LEDGER: (Setting("cleanup.policy", "delete"), Setting("retention.ms", _FOREVER), _ALL_BYTES, *_COMPRESSED),
    OBJECTS: (Setting("cleanup.policy", "compact"), *_cleaned(24), _UNCOMPRESSED),
    DECISIONS: (
        Setting("cleanup.policy", "delete"),
        Setting("retention.ms", _FOREVER, Rule.AT_LEAST, str(DECISION_DAYS * _DAY)),
        _ALL_BYTES,
        *_COMPRESSED,
    ),
    # Each instance writes a line a second: what was written before must not pile up for those who start.
    CHECKPOINTS: (Setting("cleanup.policy", "compact"), *_cleaned(1), _UNCOMPRESSED),
}
