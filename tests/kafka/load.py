"""Senders that retry as gateways do, whichever instance answers, and what must hold once they all have their receipts."""

import asyncio
import random
import time
from itertools import chain, pairwise
from pathlib import Path

import aiohttp

from broker.app import VIEW
from broker.ledger.fsck import fsck
from broker.view.store import View
from keys.digests import statement_leaf
from keys.log.merkle import verify_consistency
from keys.log.note import verify_checkpoint
from keys.sign import verify_receipt
from tests.faults.deployment import tell, until
from tests.faults.test_broker_kill import read_feed
from tests.world import ORIGIN

JSON = {"Content-Type": "application/json"}


def letters(world, count, sender, readers):
    """Return signed envelopes, in batches as gateways sign them."""
    unsigned = [world.sealed(world.statement(sender), readers) for _ in range(count)]
    return list(chain.from_iterable(world.sign(unsigned[at : at + 100]) for at in range(0, count, 100)))


def unending(world, sender, readers):
    """Yield signed envelopes for as long as somebody asks for them."""
    while True:
        yield from letters(world, 20, sender, readers)


class Load:
    """Sends envelopes to any of some instances, again until each has a receipt, and looks at every checkpoint meanwhile."""

    def __init__(self, instances, envelopes, *, connections=8, pause=0.0, seed=0, patience=30.0):
        self.instances = instances
        self.ahead = envelopes
        self.envelopes = []  # that were sent
        self.over = False
        self.connections = connections
        self.pause = pause
        self.patience = patience  # seconds for one answer
        self.chance = random.Random(seed)
        self.receipts = {}
        self.created = 0
        self.tries = 0
        self.unavailable = 0
        self.times = []
        self.notes = set()

    async def run(self):
        """Send all, or until it is `over`, and return once all that were sent have their receipts."""
        waiting = iter(self.ahead)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.patience)) as session:
            watching = asyncio.create_task(self._watch(session))
            try:
                await asyncio.gather(*(self._work(session, waiting) for _ in range(self.connections)))
                await asyncio.sleep(0.5)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    async def _work(self, session, waiting):
        for signed in waiting:
            self.envelopes.append(signed)
            while (receipt := await self._try(session, signed)) is None:
                await asyncio.sleep(0.1)
            self.receipts[signed.statement.notice_id] = receipt
            self.times.append(time.monotonic())
            if self.over:
                break
            await asyncio.sleep(self.pause)

    async def _try(self, session, signed):
        instance = self.chance.choice(self.instances)
        url = f"{instance.address}/v1/notices/{signed.statement.notice_id}"
        self.tries += 1
        try:
            async with session.put(url, data=signed.envelope, headers=JSON) as answer:
                body = await answer.json(content_type=None)
                if answer.status == 503:
                    assert answer.headers["Retry-After"]
                    self.unavailable += 1
                    return None
                assert answer.status in (200, 201), body
                self.created += answer.status == 201
                return body["receipt"]
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def _watch(self, session):
        while True:
            for instance in self.instances:
                try:
                    async with session.get(f"{instance.address}/v1/log/checkpoint") as answer:
                        if answer.status == 200:
                            self.notes.add(await answer.read())
                except (aiohttp.ClientError, TimeoutError):
                    pass
            await asyncio.sleep(0.1)

    @property
    def stall(self):
        """Return the longest time between two acknowledgements, in seconds."""
        times = sorted(self.times)
        return max((after - before for before, after in pairwise(times)), default=0.0)

    @property
    def lasted(self):
        """Return the seconds between the first acknowledgement and the last."""
        return max(self.times) - min(self.times) if self.times else 0.0


async def under_load(load, trouble):
    """Let trouble come while senders send, which they do for longer than it lasts."""
    task = asyncio.create_task(load.run())
    try:
        await asyncio.sleep(1)
        await trouble()
        assert not task.done(), "the load was over before the trouble"
        over = time.monotonic()
        while max(load.times, default=0.0) < over:
            assert time.monotonic() < over + 60, "nothing is acknowledged any more"
            await asyncio.sleep(0.1)
        await asyncio.sleep(1)
    finally:
        load.over = True
        await task


def reconcile(world, instances, load, folder: Path, fault, *, extra=(), **counts):
    """Compare what senders were answered with what readers get, with each instance's tree, and with one made anew.

    Ends the instances. `extra` are notices that were published beside the load; `fault` and `counts` are what happened.
    """
    replaced = [instance.replacements for instance in instances]
    sent = {signed.statement.notice_id for signed in load.envelopes}
    assert load.receipts.keys() == sent
    expected = sent | set(extra)
    feeds = []
    for instance in instances:
        end = time.monotonic() + 30
        while len(ids := asyncio.run(_ids(world, instance))) < len(expected) and time.monotonic() < end:
            time.sleep(0.3)
        feeds.append(ids)
    tell(
        fault,
        **counts,
        sent=len(sent),
        acknowledged=len(load.receipts),
        lost=max(len(expected - set(ids)) for ids in feeds),
        doubled=max(len(ids) - len(set(ids)) for ids in feeds),
        longest_stall=f"{load.stall:.1f} s",
        lasted=f"{load.lasted:.0f} s",
        tries=load.tries,
        answered_503=load.unavailable,
        checkpoints=len(load.notes),
        producers_replaced=sum(replaced),
    )
    for ids in feeds:
        assert len(ids) == len(set(ids)), "delivered twice"
        assert set(ids) == expected, "lost, or never sent"
    assert all(ids == feeds[0] for ids in feeds)
    for instance in instances:
        assert instance.end() == 0, instance.printed[-2000:]
        for false_alarm in ("body.absent", "ledger.shorter", "record.foreign", "kafka.task_failed"):
            assert false_alarm not in instance.printed
    assert_one_tree(world, instances, load, folder)


async def _ids(world, instance):
    return [one.statement.notice_id for one in await read_feed(world, instance.address)]


def assert_one_tree(world, instances, load, folder: Path):
    """Hold receipts and checkpoints against the ledger as it is read anew, and each instance's view against that."""
    log = world.directory.log
    ledger = instances[0].ledger(folder / "anew")
    view = View(folder / "anew" / VIEW, ORIGIN)
    try:
        until(lambda: not ledger.behind)
        view.catch_up(ledger)
        findings = fsck(ledger, now_ms=time.time_ns() // 1_000_000, view=view).findings
        assert findings == (), findings
        for signed in load.envelopes:
            receipt = verify_receipt(load.receipts[signed.statement.notice_id], log.receipt_kid, log.receipt_public)
            assert receipt.leaf.digest == statement_leaf(signed.statement_bytes, signed.proof_bytes)
            assert view.record(receipt.index).leaf == receipt.leaf
        for instance in instances:
            own = View(instance.folder / VIEW, ORIGIN)
            try:
                assert own.size <= view.size
                assert own.root(own.size) == view.root(own.size)
            finally:
                own.close()
        seen = sorted({(one.size, one.root) for one in (verify_checkpoint(note, log.keys) for note in load.notes)})
        assert len({size for size, _ in seen}) == len(seen), "two roots for one size"
        for (size, root), (later, newer) in pairwise([*seen, (view.size, view.root(view.size))]):
            if size and size < later:
                verify_consistency(size, root, later, newer, view.consistency(size, later))
            elif size == later:
                assert root == newer
    finally:
        view.close()
        ledger.close()
