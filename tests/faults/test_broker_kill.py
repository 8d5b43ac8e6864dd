"""The broker killed with SIGKILL under load: no receipt without its leaf, nothing delivered twice, nothing lost.

`VALISE_KILLS` says how often (20; `make soak` 1,000). Publishers keep what they were answered and retry unchanged, as
gateways do; afterwards receipts, ledger and feeds are compared.
"""

import asyncio
import os
import random
import time
from itertools import chain

import aiohttp
import pytest

from broker.init import LEDGER
from broker.ledger.fsck import fsck
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.digests import statement_leaf
from keys.http_signature import sign_request
from keys.sign import verify_receipt
from schemas import encoding
from schemas.delivery import Delivery
from tests.faults.deployment import BrokerService, closing, tell
from tests.world import ORIGIN, make_world

pytestmark = pytest.mark.loopback
KILLS = int(os.environ.get("VALISE_KILLS", "20"))
READER = "uz/focal-point"


class Publishers:
    """Sends prepared envelopes until each has a receipt, whatever happens to the broker."""

    def __init__(self, address, envelopes):
        self.address = address
        self.waiting = iter(envelopes)
        self.receipts = {}
        self.created = {}

    async def run(self, connections=8):
        timeout = aiohttp.ClientTimeout(total=20)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(self._work(session) for _ in range(connections)))

    async def _work(self, session):
        for signed in self.waiting:
            url = f"{self.address}/v1/notices/{signed.statement.notice_id}"
            while True:
                try:
                    async with session.put(
                        url, data=signed.envelope, headers={"Content-Type": "application/json"}
                    ) as response:
                        body = await response.json(content_type=None)
                        assert response.status in (200, 201, 503), body
                        if response.status != 503:
                            break
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(0.02)
            self.receipts[signed.statement.notice_id] = body["receipt"]
            self.created[signed.statement.notice_id] = response.status == 201


async def read_feed(world, address):
    """Return every delivery of the reader, page after page."""
    signer, cursor, found = world.people[READER].request, 0, []
    async with aiohttp.ClientSession() as session:
        while True:
            url = f"{address}/v1/feed?after={cursor}&limit=200"
            headers = sign_request("GET", url, {}, None, signer=signer, origin=ORIGIN, created=int(time.time()))
            async with session.get(url, headers=headers) as response:
                body = await response.read()
                assert response.status == 200, body
            page = encoding.parse(body, limit=64 << 20)
            found += [Delivery.from_json(item) for item in page["deliveries"]]
            if not page["deliveries"] and page["next"] == cursor:
                return found
            cursor = page["next"]


async def kill_and_publish(process, publishers, kills, seed):
    chance = random.Random(seed)
    task = asyncio.create_task(publishers.run())
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.0, 0.35))
        process.kill()
        await asyncio.to_thread(process.start)
    await task


@pytest.mark.timeout(60 + KILLS * 10)
def test_nothing_is_lost_and_nothing_is_doubled(tmp_path):
    world = make_world(["kz/customs", "kz/focal-point", READER])
    folder = tmp_path / "broker"
    process = BrokerService(world, folder)
    seed = random.randrange(1 << 32)
    per_kill = 40
    unsigned = [world.sealed(world.statement("kz/customs"), [READER]) for _ in range(KILLS * per_kill)]
    batches = [unsigned[at : at + 100] for at in range(0, len(unsigned), 100)]
    signed = list(chain.from_iterable(world.sign(batch) for batch in batches))
    with closing(process):
        process.start()
        publishers = Publishers(process.address, signed)
        asyncio.run(kill_and_publish(process, publishers, KILLS, seed))
        deliveries = asyncio.run(read_feed(world, process.address))
        process.end()
    log = world.directory.log
    ledger, view = SqliteLedger(folder / LEDGER, ORIGIN), View(folder / "view.sqlite", ORIGIN)
    try:
        view.catch_up(ledger)
        for item in signed:
            receipt = verify_receipt(publishers.receipts[item.statement.notice_id], log.receipt_kid, log.receipt_public)
            assert receipt.leaf.digest == statement_leaf(item.statement_bytes, item.proof_bytes), seed
            assert view.record(receipt.index).leaf == receipt.leaf, seed
        assert fsck(ledger, now_ms=time.time_ns() // 1_000_000).findings == ()
        assert view.size == len(signed) + sum(1 for kind in (3, 4, 5, 6, 7) for _ in view.events(kind))
    finally:
        view.close()
        ledger.close()
    arrived = [delivery.statement.notice_id for delivery in deliveries]
    assert len(arrived) == len(set(arrived)), seed
    assert set(arrived) == {item.statement.notice_id for item in signed}, seed
    retried = sum(not created for created in publishers.created.values())
    tell(
        "the embedded broker killed",
        kills=KILLS,
        sent=len(signed),
        acknowledged=len(publishers.receipts),
        lost=0,
        doubled=0,
        receipts_found_on_retry=retried,
        seed=seed,
    )
