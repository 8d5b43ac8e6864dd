"""A broker of the four, whose ledger thread has done its first round."""

from dataclasses import replace

import pytest

from tests.broker_world import HandClock, running
from tests.unit.broker.sequencer.thread import MEMBERS
from tests.world import make_world


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def founded():
    return make_world(MEMBERS)


@pytest.fixture
def world(founded):
    """Return a world of the test's own: what it uploads is no other's."""
    return replace(founded)


@pytest.fixture
def clock(world):
    return HandClock(world.now * 1000)


@pytest.fixture
async def broker(world, tmp_path, clock):
    async with running(world, tmp_path, clock) as one:
        await one.sequencer.call(lambda: None)  # the first round of housekeeping is done
        yield one
