#!/usr/bin/env python3
"""Print the commands of Kafka's own tools that make the topics and give the rights, or write Strimzi's resources.

    commands.py topics --server HOST:PORT --config FILE | sh
    commands.py acls --server HOST:PORT --config FILE | sh
    commands.py strimzi

FILE says to Kafka's tools who you are. What is made and given stands in `topics/` and `acls.properties` beside this
file; `strimzi/topics.yaml` and `strimzi/user.yaml` are made from them and not edited. Nothing is carried out here.
"""

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))  # run as a file, from anywhere

from deploy.kafka.protocol import Acl, read_acls, read_properties

PARTITIONS: Final = 1
COPIES: Final = 3
_CLUSTER: Final = "valise"
_PATTERNS: Final = {"literal": "literal", "prefixed": "prefix"}  # Kafka's word, Strimzi's word


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(description="Topics and rights of the broker on a Kafka in production.")
    parser.add_argument("what", choices=("topics", "acls", "strimzi"))
    parser.add_argument("--server", default="kafka-1.example:9092", help="a node's address (%(default)s)")
    parser.add_argument("--config", default="/etc/kafka/admin.properties", help="who you are (%(default)s)")
    options = parser.parse_args(arguments)
    to = ["--bootstrap-server", options.server, "--command-config", options.config]
    if options.what == "strimzi":
        (HERE / "strimzi" / "topics.yaml").write_text(strimzi_topics(), encoding="utf-8")
        (HERE / "strimzi" / "user.yaml").write_text(strimzi_user(), encoding="utf-8")
    else:
        for command in topic_commands(to) if options.what == "topics" else acl_commands(to):
            print(shlex.join(command))
    return 0


def topics() -> dict[str, dict[str, str]]:
    """Return the settings of every topic."""
    folder = HERE / "topics"
    kinds = read_properties(folder / "names.properties")
    settings = {kind: read_properties(folder / f"{kind}.properties") for kind in set(kinds.values())}
    return {name: settings[kind] for name, kind in kinds.items()}


def topic_commands(to: Sequence[str]) -> Iterator[list[str]]:
    """Yield a command for each topic that makes it where it is missing."""
    for name, settings in topics().items():
        made = ["--topic", name, "--partitions", str(PARTITIONS), "--replication-factor", str(COPIES)]
        config = [part for setting, value in settings.items() for part in ("--config", f"{setting}={value}")]
        yield ["kafka-topics.sh", *to, "--create", "--if-not-exists", *made, *config]


def acl_commands(to: Sequence[str]) -> Iterator[list[str]]:
    """Yield a command for each resource that gives the rights to it."""
    for (principal, resource, pattern, name), operations in _grouped().items():
        what = ["--cluster"] if resource == "cluster" else [f"--{resource}", name, "--resource-pattern-type", pattern]
        rights = [part for operation in operations for part in ("--operation", operation)]
        yield ["kafka-acls.sh", *to, "--add", "--allow-principal", principal, *rights, *what]


def strimzi_topics() -> str:
    """Return the topics as KafkaTopic resources."""
    head = "# Made by ../commands.py from ../topics: not edited by hand.\n"
    return head + "---\n".join(_topic(name, settings) for name, settings in topics().items())


def strimzi_user() -> str:
    """Return the brokers' instances as a KafkaUser with its rights."""
    lines = ["# Made by ../commands.py from ../acls.properties: not edited by hand."]
    rights = _grouped()
    ((principal, *_), *_) = rights
    lines += _head("KafkaUser", principal.removeprefix("User:"))
    lines += ["spec:", "  authentication:", "    type: tls", "  authorization:", "    type: simple", "    acls:"]
    for (_, resource, pattern, name), operations in rights.items():
        lines += ["      - resource:", f"          type: {resource}"]
        if resource != "cluster":
            lines += [f"          name: {name}", f"          patternType: {_PATTERNS[pattern]}"]
        lines += [f"        operations: [{', '.join(operations)}]"]
    return "\n".join(lines) + "\n"


def _grouped() -> dict[tuple[str, str, str, str], list[str]]:
    """Return the operations that are allowed by principal, resource, pattern and name."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for acl in read_acls(HERE / "acls.properties"):
        found.setdefault(_of(acl), []).append(acl.operation)
    return found


def _of(acl: Acl) -> tuple[str, str, str, str]:
    return acl.principal, acl.resource, acl.pattern, acl.name


def _topic(name: str, settings: Mapping[str, str]) -> str:
    lines = _head("KafkaTopic", name)
    lines += ["spec:", f"  partitions: {PARTITIONS}", f"  replicas: {COPIES}", "  config:"]
    return "\n".join(lines + [f"    {setting}: {value}" for setting, value in settings.items()]) + "\n"


def _head(kind: str, name: str) -> list[str]:
    labels = ["  labels:", f"    strimzi.io/cluster: {_CLUSTER}"]
    return ["apiVersion: kafka.strimzi.io/v1", f"kind: {kind}", "metadata:", f"  name: {name}", *labels]


if __name__ == "__main__":
    sys.exit(main())
