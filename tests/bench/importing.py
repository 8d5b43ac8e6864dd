"""Importing at a gateway end to end: read, decide, seal, sign, publish, receipt; the processes that operators run.

Twice: gateway and broker on the cores of this machine, as where an agency imports, the three recipients being elsewhere;
and the demonstration, whose readers fetch, verify, open and acknowledge every notice on the same cores.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from adapters.demo.ceremony import new_stage, three_states
from adapters.demo.outcome import Progress
from adapters.demo.rows import choose
from adapters.demo.scenario import SENDER, Scenario
from schemas.ids import ParticipantId, Pattern
from schemas.statement import SubscriptionBody
from tests.faults.deployment import BrokerService, GatewayService, ask, closing, until
from tests.world import make_world

ROWS = 2000
GOAL = 1000
READERS = ("kz/focal-point", "uz/focal-point", "tj/focal-point")
TICKS = os.sysconf("SC_CLK_TCK")


def _alone(folder: Path, rows: int) -> tuple[float, dict[str, float]]:
    """Import at a gateway whose readers are elsewhere; return rows a second, and µs of a core that each process took."""
    world = make_world((SENDER, *READERS))
    broker = BrokerService(world, folder / "broker")
    with closing(broker):
        broker.start()
        for who in READERS:
            body = SubscriptionBody(ParticipantId(who), (Pattern("*.precursors"), Pattern("*.seizures")))
            assert broker.publish(world.open_envelope(who, "subscribe", body)).status == 201
        gateway = GatewayService(world, folder / "gateway", SENDER, broker=broker.address, poll_seconds=2)
        with closing(gateway):
            gateway.start()
            until(lambda: _candidates(gateway) == len(READERS))
            before = {service.kind: _seconds(service.pid) for service in (broker, gateway)}
            table, begun = choose(None, rows), time.perf_counter()
            report = ask(
                f"{gateway.address}/v1/imports?name={table.name}",
                "POST",
                table.data,
                gateway.headers(SENDER, Content_Type="text/csv"),
            ).json()
            count = len(report["notices"])
            until(lambda: not _waiting(gateway), 300, every=0.25)
            seconds = time.perf_counter() - begun
            cost = {
                service.kind: (_seconds(service.pid) - before[service.kind]) / count * 1e6
                for service in (broker, gateway)
            }
    return count / seconds, cost


def _candidates(gateway: GatewayService) -> int:
    from schemas.notice import examples

    value = {"topic": "central-asia.seizures", "notice": examples("seizure")}
    preview = gateway.call(SENDER, "/v1/notices/preview", "POST", value)
    return len(preview.json()["candidates"]) if preview.status == 200 else 0


def _waiting(gateway: GatewayService) -> bool:
    pages = (gateway.call(SENDER, f"/v1/notices?status={status}&limit=1") for status in ("kept", "sealed"))
    return any(page.json()["notices"] for page in pages)


def _seconds(pid: int) -> float:
    """Return how long a process has had a core."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def _together(folder: Path, rows: int) -> float:
    """Import in the demonstration; return rows a second until all are published."""
    scenario = Scenario(
        new_stage(folder, three_states()), choose(None, rows), Progress(lambda _: None, lambda *_: None)
    )
    async with scenario.stage_set() as agencies:
        sender = agencies[SENDER]
        begun = time.perf_counter()
        report = await scenario.import_rows()
        wanted = len(report["notices"])
        while await _sender_waits(sender):
            await asyncio.sleep(0.2)
        return wanted / (time.perf_counter() - begun)


async def _sender_waits(sender) -> bool:
    for status in ("kept", "sealed"):
        page = await sender.call("GET", f"/v1/notices?status={status}&limit=1")
        if page["notices"]:
            return True
    return False


def run(rows: int = ROWS) -> list[dict[str, object]]:
    """Measure each once: a run of thousands of rows is its own average."""
    with tempfile.TemporaryDirectory() as folder:
        rate, cost = _alone(Path(folder), rows)
    with tempfile.TemporaryDirectory() as folder:
        together = asyncio.run(_together(Path(folder) / "stage", rows))
    return [
        {
            "name": f"gateway import end to end, {rows} rows to three recipients and the sender",
            "value": round(rate, 1),
            "unit": "rows/s",
            "ratio": None,
            "beside": f"a core: gateway {cost['gateway']:.0f} µs a row, broker {cost['broker']:.0f}",
            "goal": GOAL,
            "holds": rate >= GOAL,
        },
        {
            "name": "the same, and the three recipients' gateways read on the same cores",
            "value": round(together, 1),
            "unit": "rows/s",
            "ratio": None,
            "beside": None,
            "goal": None,
            "holds": True,
        },
    ]
