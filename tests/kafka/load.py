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
from tests.faults.deployment import until
from tests.faults.test_broker_kill import read_feed
from tests.world import ORIGIN

JSON = {"Content-Type": "application/json"}


def letters(world, count, sender, readers):
    """Return signed envelopes, in batches as gateways sign them."""
    unsigned = [world.sealed(world.statement(sender), readers) for _ in range(count)]
    return list(chain.from_iterable(world.sign(unsigned[at : at + 100]) for at in range(0, count, 100)))


class Load:
    """Sends envelopes to any of some instances, again until each has a receipt, and looks at every checkpoint meanwhile."""

    def __init__(self, instances, envelopes, *, connections=8, pause=0.0, seed=0):
        self.instances = instances
        self.ahead = envelopes
        self.envelopes = []  # that were sent
        self.over = False
        self.connections = connections
        self.pause = pause
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
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
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

    def __str__(self):
        return (
            f"{len(self.envelopes)} sent, {len(self.receipts)} acknowledged, {self.tries} tries, "
            f"{self.unavailable} answered 503, longest stall {self.stall:.1f} s, {len(self.notes)} checkpoints"
        )


def reconcile(world, instances, load, folder: Path, reader, *, extra=()):
    """Compare what senders were answered with what readers get, with each instance's tree, and with one made anew.

    Ends the instances. `extra` are notices that were published beside the load.
    """
    sent = {signed.statement.notice_id for signed in load.envelopes}
    assert load.receipts.keys() == sent
    expected = sent | set(extra)
    feeds = []
    for instance in instances:

        def arrived(instance=instance):
            ids = [one.statement.notice_id for one in asyncio.run(read_feed(world, instance.address))]
            return ids if len(ids) >= len(expected) else None

        feeds.append(until(arrived, 30, 0.3))
    for ids in feeds:
        assert len(ids) == len(set(ids)), "delivered twice"
        assert set(ids) == expected, "lost, or never sent"
    assert all(ids == feeds[0] for ids in feeds)
    for instance in instances:
        assert instance.end() == 0, instance.printed[-2000:]
        for false_alarm in ("body.absent", "ledger.shorter", "record.foreign", "kafka.task_failed"):
            assert false_alarm not in instance.printed
    assert_one_tree(world, instances, load, folder)
    print(f"{load}; 0 lost, 0 delivered twice, one tree in {len(instances)} instances and made anew")


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
