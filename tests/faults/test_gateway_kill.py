"""A gateway killed with SIGKILL under load: what it accepted is published once, in the order of acceptance.

`VALISE_KILLS` says how often (10; `make soak` 1,000). Agencies' systems post single notices and tables; those that give
an `Idempotency-Key` repeat until they are answered, one does neither. The gateway is killed while it serves and while
it starts; every third time the broker is away meanwhile. At the end, answers, ledger and what a recipient opens agree.
"""

import asyncio
import itertools
import json
import os
import random
import time
from collections import Counter
from dataclasses import dataclass

import aiohttp
import pytest

from broker.init import LEDGER
from broker.ledger.fsck import fsck
from broker.ledger.sqlite import SqliteLedger
from keys.sign import verify_receipt
from schemas.leaf import LeafType
from schemas.statement import Statement, SubscriptionBody
from tests.faults.deployment import BrokerService, GatewayService, closing, notice, post, tell, until
from tests.world import ORIGIN, make_world

pytestmark = pytest.mark.loopback
KILLS = int(os.environ.get("VALISE_KILLS", "10"))
SENDER, READER = "kz/customs", "uz/focal-point"
CLIENTS = 4
LARGE = 700
"""Rows of the one table that is accepted in two commits."""


@dataclass(frozen=True)
class Accepted:
    """What was answered with 202: its reference, since when it was asked for and when it was answered."""

    reference: str
    began: float
    ended: float


class Agencies:
    """Everybody who posts, and what they were answered."""

    def __init__(self, gateway, seed):
        self.gateway = gateway
        self.chance = random.Random(seed)
        self.accepted = []
        self.tables = []
        self.perhaps = set()
        self.ids = {}
        self.over = asyncio.Event()

    async def run(self):
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            for name in range(CLIENTS):
                tasks.create_task(self._steady(session, f"steady-{name}"))
            tasks.create_task(self._careless(session))
            tasks.create_task(self._importing(session))

    def _url(self, path):
        return f"{self.gateway.address}{path}"

    async def _steady(self, session, name):
        for number in itertools.count():
            reference = f"{name}-{number}"
            headers = self.gateway.headers(SENDER, Content_Type="application/json", Idempotency_Key=reference)
            body = json.dumps(notice(reference)).encode()
            began, answer = time.monotonic(), None
            while answer is None:
                answer = await post(session, self._url("/v1/notices"), body, headers)
                if answer is None:
                    await asyncio.sleep(0.02)
            assert answer[0] == 202, answer
            self.accepted.append(Accepted(reference, began, time.monotonic()))
            self.ids[reference] = answer[1]["id"]
            if self.over.is_set():
                return
            await asyncio.sleep(self.chance.uniform(0, 0.1))

    async def _careless(self, session):
        headers = self.gateway.headers(SENDER, Content_Type="application/json")
        for number in itertools.count():
            reference = f"careless-{number}"
            began = time.monotonic()
            answer = await post(session, self._url("/v1/notices"), json.dumps(notice(reference)).encode(), headers)
            if answer is None:
                self.perhaps.add(reference)
            else:
                assert answer[0] == 202, answer
                self.accepted.append(Accepted(reference, began, time.monotonic()))
                self.ids[reference] = answer[1]["id"]
            if self.over.is_set():
                return
            await asyncio.sleep(0.1)

    async def _importing(self, session):
        headers = self.gateway.headers(SENDER, Content_Type="text/csv")
        for number in itertools.count():
            rows = LARGE if number == 1 else self.chance.randrange(1, 40)
            references = [f"table-{number}-{row}" for row in range(rows)]
            began, attempts, answer = time.monotonic(), 0, None
            while answer is None:
                attempts += 1
                answer = await post(session, self._url("/v1/imports?name=table.csv"), table(references), headers, 60)
                if answer is None:
                    await asyncio.sleep(0.02)
            status, report = answer
            assert status == 202, answer
            assert (report["rows_read"], report["rows_refused"]) == (rows, 0)
            assert report["rows_imported"] + report["already_known"] == rows
            assert attempts > 1 or report["already_known"] == 0
            ended = time.monotonic()
            self.accepted += [Accepted(reference, began, ended) for reference in references]
            self.tables.append(references)
            if self.over.is_set():
                return
            await asyncio.sleep(self.chance.uniform(0, 0.6))


def table(references):
    lines = ["REGION;SUBREGION;COUNTRY;ADMINISTRATIVE_DIVISION;PLACE;SEIZURE_DATE;DRUG_NAME;AMOUNT;DRUG_UNIT;"]
    lines[0] += (
        "HIDING_PLACE;INSTALLATION;TRANSPORT;PRODUCING_COUNTRY;DEPARTURE_COUNTRY;DESTINATION_COUNTRY;ROUTING;SERIAL"
    )
    lines += [f";;Kazakhstan;;Almaty;2014-03-02;Heroin;1.5;Kilogram;;;;;;;;{reference}" for reference in references]
    return "\n".join(lines).encode()


def reference_of(content):
    """Return by what a notice can be told: its reference, or what its row had in the last column."""
    if "reference" in content:
        return content["reference"]
    return next(item["text"] for item in content["reported"] if item["label"] == "SERIAL")


async def kill_again_and_again(gateway, broker, chance):
    for number in range(KILLS):
        away = number % 3 == 1
        if away:
            await asyncio.to_thread(broker.kill)
            await asyncio.sleep(chance.uniform(0, 0.3))
        await asyncio.sleep(chance.uniform(0, 0.9))
        gateway.kill()
        if number % 4 == 3:
            gateway.launch()
            await asyncio.sleep(chance.uniform(0, 1.2))
            gateway.kill()
        await asyncio.to_thread(gateway.start)
        if away:
            await asyncio.sleep(chance.uniform(0, 1.0))
            await asyncio.to_thread(broker.start)


async def under_load(gateway, broker, seed):
    agencies = Agencies(gateway, seed)
    posting = asyncio.create_task(agencies.run())
    killing = asyncio.create_task(kill_again_and_again(gateway, broker, random.Random(seed)))
    await asyncio.wait({posting, killing}, return_when=asyncio.FIRST_COMPLETED)
    if killing.done():
        killing.result()
    agencies.over.set()
    await posting
    await killing
    return agencies


def all_settled(gateway):
    pages = [gateway.call(SENDER, f"/v1/notices?limit=1&status={state}").json() for state in ("kept", "sealed")]
    return not any(page["notices"] for page in pages)


@pytest.mark.timeout(120 + KILLS * 12)
def test_what_was_accepted_is_published_once_and_in_its_order(tmp_path):
    world = make_world([SENDER, "kz/focal-point", READER])
    broker = BrokerService(world, tmp_path / "broker")
    broker.start()
    gateway = GatewayService(world, tmp_path / "gateway", SENDER, broker=broker.address)
    seed = random.randrange(1 << 32)
    with closing(broker, gateway):
        wish = world.open_envelope(READER, "subscribe", SubscriptionBody(READER, ("central-asia.seizures",)))
        assert broker.publish(wish).status == 201
        gateway.start()
        agencies = asyncio.run(under_load(gateway, broker, seed))
        began = time.monotonic()
        until(lambda: all_settled(gateway), 60 + KILLS)
        drained = time.monotonic() - began
        entries = gateway.listed(SENDER, "notices")
        opened = broker.notices(READER)
        assert gateway.end() == 0, seed
        assert broker.end() == 0, seed

    # Everything that was answered is there, published, with a receipt that holds.
    by_id = {entry["id"]: entry for entry in entries}
    assert {entry["status"] for entry in entries} == {"published"}, seed
    assert set(agencies.ids.values()) <= by_id.keys(), seed
    log = world.directory.log
    receipts = [verify_receipt(entry["receipt"], log.receipt_kid, log.receipt_public) for entry in entries]
    assert [receipt.index for receipt in receipts] == [entry["index"] for entry in entries], seed

    # The recipient opens each of them once, and nothing else but what perhaps was accepted.
    place = {reference_of(content): index for index, _, _, _, content in opened}
    times = Counter(reference_of(content) for *_, content in opened)
    accepted = {item.reference for item in agencies.accepted}
    assert len(accepted) == len(agencies.accepted)
    assert times.keys() >= accepted, seed
    assert times.keys() - accepted <= agencies.perhaps, seed
    assert set(times.values()) == {1}, seed
    assert len(opened) == len(entries), seed
    for reference, notice_id in agencies.ids.items():
        assert by_id[notice_id]["index"] == place[reference], seed

    # The order of acceptance is that of the ledger, but for the rows of one table among themselves.
    table_of = {reference: number for number, rows in enumerate(agencies.tables) for reference in rows}
    reference_at = {index: reference for reference, index in place.items()}
    highest = -1
    for _, group in itertools.groupby(
        entries, key=lambda entry: table_of.get(reference_at[entry["index"]], entry["id"])
    ):
        indexes = [entry["index"] for entry in group]
        assert min(indexes) > highest, seed
        highest = max(indexes)
    # What was answered before another was asked for comes before it.
    latest_began = 0.0
    for item in sorted(agencies.accepted, key=lambda item: place[item.reference]):
        assert item.ended >= latest_began, seed
        latest_began = max(latest_began, item.began)

    ledger = SqliteLedger(tmp_path / "broker" / LEDGER, ORIGIN)
    try:
        assert fsck(ledger, now_ms=time.time_ns() // 1_000_000).findings == (), seed
        sealed = [record for _, record in ledger.read(0, 1_000_000) if record.leaf.type is LeafType.SEALED]
        assert len(sealed) == len(entries), seed
        assert {Statement.parse(record.document).sender for record in sealed} == {SENDER}
    finally:
        ledger.close()
    tell(
        "a gateway killed, its broker away every third time",
        kills=KILLS,
        sent=len(agencies.accepted) + len(agencies.perhaps),
        acknowledged=len(agencies.accepted),
        unanswered_and_accepted=len(times) - len(accepted),
        lost=0,
        doubled=0,
        drained_after=f"{drained:.1f} s",
        seed=seed,
    )
