"""What the programs really show at `/metrics`, for all that names metrics."""

import asyncio
import re
from dataclasses import replace

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from adapters.gateway.options import Stats
from adapters.gateway.status import State
from adapters.gateway.telemetry import Telemetry as GatewayTelemetry
from broker.telemetry import EngineFigures, Telemetry
from tests import broker_world
from tests.world import make_world

BOOKKEEPING = re.compile(r"_created$|_info$")


def samples(text):
    """Return the names of samples that a page of metrics has or announces."""
    names = set()
    for family in text_string_to_metric_families(text):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names |= {f"{family.name}{end}" for end in ends}
        names |= {sample.name for sample in family.samples}
    return {name for name in names if not BOOKKEEPING.search(name)}


@pytest.fixture(scope="session")
def shown(tmp_path_factory):
    """Return the names of everything that a broker on a shared store, and a gateway, show."""

    async def broker():
        world = make_world(("kz/customs", "uz/focal-point"))
        async with broker_world.running(world, tmp_path_factory.mktemp("broker")) as running:
            await broker_world.publish(running, world.envelope("kz/customs", ["uz/focal-point"]))
            figures = replace(running.serving.figures(), engine=EngineFigures())
            return generate_latest(Telemetry(lambda: figures).registry).decode()

    stats = Stats(
        outbox={("kz/customs", state): 1 for state in State},
        inbox={("kz/customs", "opened"): 1},
        log_size=1,
        directory=1,
        checkpoint_age=1,
        alarms=("fork",),
    )
    return samples(asyncio.run(broker())) | samples(GatewayTelemetry().text(stats).decode())
