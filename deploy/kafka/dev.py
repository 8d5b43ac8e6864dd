#!/usr/bin/env python3
"""Start, stop and look at an Apache Kafka of one or three KRaft nodes, for development and tests.

Only the standard library is used, and no virtual environment is needed. What this machine must have, and what the
commands do, is in README.md beside this file.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a file, from anywhere

from deploy.kafka import cluster, software
from deploy.kafka.cluster import Cluster
from deploy.kafka.processes import KafkaError, MissingError

_FAILED: Final = 1
_NOT_RUNNING: Final = 3  # as of init scripts
_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE of sysexits.h


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except KafkaError as error:
        software.say(f"kafka: {error}")
        return _UNAVAILABLE if isinstance(error, MissingError) else _FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dev.py", description="Apache Kafka for development and tests.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, function, says in (
        ("up", _up, "make it if there is none, start it, wait until it serves, print where"),
        (
            "hold",
            _hold,
            "as up, and end it once standard input ends, with all that it was; a line `keep` lets it run on",
        ),
        ("down", _down, "end it in good order; the data stay"),
        ("status", _status, "say which nodes run and serve"),
        ("kill", _kill, "end one node with SIGKILL"),
        ("start", _start, "start one node again"),
        ("pause", _pause, "freeze one node (SIGSTOP)"),
        ("resume", _resume, "let a frozen node go on (SIGCONT)"),
    ):
        verb = verbs.add_parser(name, help=says, description=says)
        verb.set_defaults(run=function)
        verb.add_argument("--dir", type=Path, default=software.BUILD / "dev", help="where it lies (%(default)s)")
        if name in {"up", "hold"}:
            verb.add_argument("--nodes", type=int, choices=(1, 3), help="how many (1, or as many as there are)")
            verb.add_argument("--security", choices=cluster.SECURITIES, help="of all listeners (none, or as it is)")
            verb.add_argument("--host", default="127.0.0.1", help="the address of this machine to listen at")
        if name == "down":
            verb.add_argument("--remove", action="store_true", help="delete the folder with the data as well")
        if name in {"kill", "start", "pause", "resume"}:
            verb.add_argument("node", type=int, help="its number, from 1")
    return parser


def _up(options: argparse.Namespace) -> int:
    cluster.prepare()
    if (options.dir / "cluster.json").exists():
        kafka = Cluster(options.dir)
        if options.nodes not in {None, len(kafka.nodes)} or options.security not in {None, kafka.security}:
            raise KafkaError(
                f"{options.dir} holds {len(kafka.nodes)} node(s) with security {kafka.security}; "
                "`down --remove` deletes them, `--dir` names another folder."
            )
    else:
        kafka = Cluster.create(
            options.dir, nodes=options.nodes or 1, security=options.security or "none", host=options.host
        )
    try:
        kafka.start_all()
    except KeyboardInterrupt:
        kafka.kill_all()
        raise
    print(kafka.bootstrap)
    return 0


def _hold(options: argparse.Namespace) -> int:
    """Serve as long as whoever started this lives, however it ends: it holds the other end of a pipe."""
    said = ""
    try:
        _up(options)
        sys.stdout.flush()
        said = sys.stdin.readline()
    except KeyboardInterrupt:
        pass
    finally:
        if said.strip() != "keep" and (options.dir / "cluster.json").exists():
            Cluster(options.dir).kill_all()
    return 0


def _down(options: argparse.Namespace) -> int:
    kafka = Cluster(options.dir)
    kafka.stop()
    if options.remove:
        kafka.remove()
    return 0


def _status(options: argparse.Namespace) -> int:
    kafka = Cluster(options.dir)
    serving = {node.number: kafka.serving(node.number) for node in kafka.nodes}
    for node in kafka.nodes:
        runs = "does not run" if node.pid is None else f"process {node.pid}"
        knows = f"knows {serving[node.number]} of {len(kafka.nodes)}" if serving[node.number] else "does not answer"
        print(f"node {node.number}  {kafka.host}:{node.client}  {runs}, {knows}")
    return 0 if all(serving.values()) else _NOT_RUNNING


def _kill(options: argparse.Namespace) -> int:
    Cluster(options.dir).kill(options.node)
    return 0


def _start(options: argparse.Namespace) -> int:
    Cluster(options.dir).start(options.node)
    return 0


def _pause(options: argparse.Namespace) -> int:
    Cluster(options.dir).pause(options.node)
    return 0


def _resume(options: argparse.Namespace) -> int:
    Cluster(options.dir).resume(options.node)
    return 0


if __name__ == "__main__":
    sys.exit(main())
