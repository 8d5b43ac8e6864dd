"""Make the topics that are missing, and refuse what is unsafe about those that are there (design: ledger, kafka).

All that is asked of the cluster's administration is here; what counts as unsafe is in `topics`. No setting is ever
changed: who has set one may have had a reason, and must be asked.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from broker.ledger.kafka.connection import Connection
from broker.ledger.kafka.topics import (
    NODE_SETTINGS,
    Finding,
    TopicDefinition,
    definition,
    definitions,
    is_body_topic,
    missing,
    unsafe,
    unsafe_node,
)
from broker.ledger.port import LedgerUnavailableError
from schemas.errors import Error

_T = TypeVar("_T")
_CLOSE_S: Final = 2.0
_PAUSE_S: Final = 0.2
_TRANSIENT: Final = (KafkaError, OSError, TimeoutError)


class UnsafeStoreError(Error):
    """The cluster's topics or settings would lose or keep what they must not; `findings` says which, one by one."""

    problem = "configuration"

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(map(str, findings)) + ".", hint="Set them so, or let the broker make the topics.")
        self.findings: Final = findings


async def prepare(connection: Connection, replication: int, *, create: bool, within: float = 30.0) -> tuple[str, ...]:
    """Make missing topics where `create` says so, and return the names of all topics with bodies that there are.

    Among these are such of regions and themes that are on no code list any more. `replication` is the number of copies
    to make and the least to find. Waits for a cluster that is starting, `within` seconds in all. Raises
    `UnsafeStoreError`, or `LedgerUnavailableError` where the cluster cannot be asked.
    """
    async with _administrator(connection, within) as admin:
        state = await _prepared(admin, replication, create=create)
    if state.findings:
        raise UnsafeStoreError(state.findings)
    return state.bodies


async def recheck(connection: Connection, replication: int, *, within: float = 10.0) -> tuple[Finding, ...] | None:
    """Return what is unsafe by now, and None where the cluster could not be asked; raise nothing that is the cluster's.

    For every few minutes: administrators change settings and delete topics. Raises `ConnectionSettingsError` still.
    """
    try:
        async with _administrator(connection, within) as admin:
            return (await _patiently(lambda: _inspect(admin, replication))).findings
    except LedgerUnavailableError:
        return None


@dataclass(frozen=True, slots=True)
class _State:
    """What was found: definitions without a topic, topics for bodies, and all that is unsafe."""

    missing: tuple[TopicDefinition, ...]
    bodies: tuple[str, ...]
    findings: tuple[Finding, ...]


@asynccontextmanager
async def _administrator(connection: Connection, within: float) -> AsyncIterator[Any]:
    """Hold a client, bounded in time; raise `LedgerUnavailableError` for whatever fails about the cluster."""
    try:
        async with asyncio.timeout(within):
            admin = AIOKafkaAdminClient(**connection.client())
            try:
                await _patiently(admin.start)
                yield admin
            finally:  # also one that did not start has connections
                with suppress(*_TRANSIENT):
                    await asyncio.wait_for(admin.close(), _CLOSE_S)
    except _TRANSIENT as error:
        raise LedgerUnavailableError(f"The cluster cannot be asked now ({type(error).__name__}).") from None


async def _patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Ask until there is an answer: nodes come and go. Who calls bounds the time."""
    while True:
        try:
            return await ask()
        except _TRANSIENT as error:
            if isinstance(error, KafkaError) and not error.retriable:
                raise
        await asyncio.sleep(_PAUSE_S)


async def _prepared(admin: Any, replication: int, *, create: bool) -> _State:
    """Return what there is once what is missing was made, where it may be; raise `UnsafeStoreError` if it cannot."""
    state = await _patiently(lambda: _inspect(admin, replication))
    if create and state.missing:
        refused = await _patiently(lambda: _create(admin, state.missing))
        if refused:
            raise UnsafeStoreError(refused)
    while create and state.missing:  # nodes learn of new topics one after the other
        await asyncio.sleep(_PAUSE_S)
        state = await _patiently(lambda: _inspect(admin, replication))
    return state


async def _inspect(admin: Any, replication: int) -> _State:
    """Hold what there is against what must be."""
    # All topics are asked for: to ask for one by name makes it, where a node is set so.
    topics = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics()}
    wanted = {one.name: one for one in definitions(replication)}
    wanted |= {name: definition(name, replication) for name in topics if is_body_topic(name)}
    settings = await _settings(admin, [one for one in wanted.values() if one.name in topics])
    lost = tuple(one for one in wanted.values() if one.name not in settings)
    findings = [missing(one.name) for one in lost]
    for name, found in settings.items():
        copies = [len(partition["replicas"]) for partition in topics[name]]
        findings += unsafe(wanted[name], found, partitions=len(copies), replication=min(copies, default=0))
    for node in (await admin.describe_cluster())["brokers"]:
        findings += await _unsafe_node(admin, node["node_id"])
    return _State(lost, tuple(sorted(filter(is_body_topic, settings))), tuple(findings))


async def _settings(admin: Any, wanted: Iterable[TopicDefinition]) -> dict[str, dict[str, str]]:
    """Return the settings of topics by topic and name; a topic that was just deleted is left out."""
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, one.name, {setting.name: "" for setting in one.settings})
        for one in wanted
    ]
    found = {}
    for answer in await admin.describe_configs(resources) if resources else ():
        for name, code, values in _described(answer):
            if code == UnknownTopicOrPartitionError.errno:
                continue
            if code:
                raise for_code(code)
            found[name] = values
    return found


async def _unsafe_node(admin: Any, node: int) -> tuple[Finding, ...]:
    """Return what is unsafe about a node; nothing where it is away, or does not let us look at its settings."""
    resource = ConfigResource(ConfigResourceType.BROKER, str(node), {setting.name: "" for setting in NODE_SETTINGS})
    try:
        (answer,) = await admin.describe_configs([resource])
    except _TRANSIENT:
        return ()
    return tuple(
        finding for name, code, values in _described(answer) if not code for finding in unsafe_node(name, values)
    )


def _described(answer: Any) -> list[tuple[str, int, dict[str, str]]]:
    """Take an answer of DescribeConfigs apart: each resource's name, error code, and settings that have a value."""
    return [
        (
            resource["resource_name"],
            resource["error_code"],
            {
                entry["config_names"]: entry["config_value"]
                for entry in resource["config_entries"]
                if entry["config_value"] is not None
            },
        )
        for resource in answer.to_object()["resources"]
    ]


async def _create(admin: Any, wanted: Iterable[TopicDefinition]) -> tuple[Finding, ...]:
    """Make topics and return what was refused; another instance may have made them meanwhile."""
    topics = [NewTopic(one.name, one.partitions, one.replication, topic_configs=one.created()) for one in wanted]
    answer = await admin.create_topics(topics)
    refused = []
    for topic in answer.to_object()["topic_errors"]:  # the client raises nothing by itself
        error = for_code(topic["error_code"])
        if topic["error_code"] in (0, TopicAlreadyExistsError.errno):
            continue
        if error.retriable:
            raise error
        refused.append(Finding(topic["topic"], "the topic", f"refused ({error.__name__})", "made"))
    return tuple(refused)
