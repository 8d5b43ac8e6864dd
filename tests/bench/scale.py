"""Two instances on one cluster beside one alone, each held to the same share of a core: interleaved, medians of five.

The share is set by a control group (version 1 or 2); where this process may not make one, nothing is measured.
"""

import asyncio
import os
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import cluster
from tests.bench.load import closed_loop
from tests.bench.publish import ROUNDS, figure, make, prepare
from tests.faults.deployment import closing
from tests.kafka.instances import instances

SHARE = 0.3
PERIOD_US = 100_000
CONNECTIONS = 32
_V1, _V2 = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")


def may_share() -> bool:
    """Say whether this process may hold others to a share of the processor."""
    return os.geteuid() == 0 and ((_V1 / "cpu.cfs_quota_us").exists() or (_V2 / "cgroup.controllers").exists())


@contextmanager
def shares(names: list[str]) -> Iterator[dict[str, Path]]:
    """Make a control group of the share for each name; a process joins by its id in `cgroup.procs`."""
    root = _V1 if _V1.exists() else _V2
    made = {name: root / f"valise-bench-{os.getpid()}-{name}" for name in names}
    try:
        for folder in made.values():
            folder.mkdir()
            quota = int(SHARE * PERIOD_US)
            if root == _V1:
                (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (folder / "cpu.cfs_quota_us").write_text(str(quota))
            else:
                (folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        yield made
    finally:
        for folder in made.values():
            if folder.exists():
                folder.rmdir()


def run(folder: Path, count: int = 240) -> list[dict[str, object]]:
    """Measure and return the figure; nothing where shares cannot be set."""
    if not may_share():
        return []
    world = make()
    signed = prepare(world, (ROUNDS * 3 + 1) * count, 10)
    parts = iter(signed[at : at + count] for at in range(0, len(signed), count))
    alone, together = [], []
    names = ["broker-1", "broker-2"]
    with shares(names) as groups, cluster.running(3) as kafka:
        one, two = instances(world, folder, kafka, 2)

        def start(which):
            which.start() if not which.address else which.start_again()
            (groups[which.name] / "cgroup.procs").write_text(str(which.process.pid))

        with closing(one, two):
            start(one)
            _rate(next(parts), one)
            for _ in range(ROUNDS):
                alone.append(_rate(next(parts), one))
                start(two)
                together.append(_rate([*next(parts), *next(parts)], one, two))
                two.end()
    ratio = statistics.median(a / b for a, b in zip(together, alone, strict=True))
    name = f"Kafka: two instances, each {SHARE:.0%} of a core"
    return [figure(name, statistics.median(together), "/s", ratio, "one alone", 1.7)]


def _rate(signed, *where) -> float:
    """Publish envelopes, each instance its part of them, and return how many a second were accepted in all."""

    async def load() -> float:
        parts = [signed[number :: len(where)] for number in range(len(where))]
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await asyncio.gather(
            *(closed_loop(one.address, part, CONNECTIONS) for one, part in zip(where, parts, strict=True))
        )
        return len(signed) / (loop.time() - begun)

    return asyncio.run(load())
