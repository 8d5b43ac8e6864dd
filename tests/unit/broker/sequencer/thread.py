"""The ledger thread held, made to fail, and asked by several at once."""

import asyncio
import threading
from contextlib import asynccontextmanager

import orjson

from broker.answers import NotPublished, Published
from broker.ledger.fsck import fsck
from schemas.ids import Pattern
from tests.broker_world import publish
from tests.world import denying

ALL = Pattern("*.*")
MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point")
SENDER, OTHER = "kz/customs", "uz/focal-point"
DENY = denying("uz-seizures-1")


def fail(target, name, *errors, after=False):
    """Make the next calls of a method fail, before it does anything or after it has done all of it."""
    real = getattr(target, name)
    left = list(errors)

    def failing(*arguments, **named):
        if not left:
            return real(*arguments, **named)
        if after:
            real(*arguments, **named)
        raise left.pop(0)

    setattr(target, name, failing)
    return left


@asynccontextmanager
async def held(broker):
    """Hold the ledger thread where it is, so that what is asked meanwhile becomes one chunk."""
    entered, go = threading.Event(), threading.Event()

    def wait():
        entered.set()
        assert go.wait(10)

    call = asyncio.ensure_future(broker.sequencer.call(wait))
    await asyncio.to_thread(entered.wait, 10)
    try:
        yield
    finally:
        go.set()
        await call


async def publish_together(broker, letters):
    """Publish letters as one chunk, in this order; return what each was answered, errors as values."""
    async with held(broker):
        tasks = []
        for number, signed in enumerate(letters):
            tasks.append(asyncio.ensure_future(publish(broker, signed)))
            while broker.sequencer.intake.jobs.qsize() <= number:  # until the examiner has handed it on
                await asyncio.sleep(0.001)
    return await asyncio.gather(*tasks, return_exceptions=True)


def outcomes(answers):
    return [
        "created" if isinstance(one, Published) and one.created
        else "repeated" if isinstance(one, Published)
        else one.error.code if isinstance(one, NotPublished)
        else one.code
        for one in answers
    ]  # fmt: skip


async def inbox(broker, who):
    await broker.serving.wait_checkpoint(broker.view.size - 1, 5)
    found = await broker.serving.feed(who, 0, 1000, ALL)
    return [orjson.loads(one)["statement"] for one in found.deliveries]


def sound(broker):
    assert fsck(broker.ledger, now_ms=broker.clock.ms, view=broker.view).findings == ()


def letters(world, count, to=(OTHER,), **changes):
    return [world.envelope(SENDER, to, **changes) for _ in range(count)]
