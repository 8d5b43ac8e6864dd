"""Importing at a gateway end to end: read, decide, seal, sign, publish, receipt; all processes of the demonstration."""

import asyncio
import tempfile
import time
from pathlib import Path

from adapters.demo.ceremony import new_stage
from adapters.demo.rows import choose
from adapters.demo.scenario import SENDER, Progress, Scenario

ROWS = 2000
GOAL = 200


async def _measure(folder: Path, rows: int) -> float:
    scenario = Scenario(new_stage(folder), choose(None, rows), Progress(lambda _: None, lambda *_: None))
    async with scenario.stage_set() as agencies:
        sender = agencies[SENDER]
        begun = time.perf_counter()
        report = await scenario.import_rows()
        wanted = len(report["notices"])
        while await _waiting(sender):
            await asyncio.sleep(0.05)
        return wanted / (time.perf_counter() - begun)


async def _waiting(sender) -> bool:
    for status in ("kept", "sealed"):
        page = await sender.call("GET", f"/v1/notices?status={status}&limit=1")
        if page["notices"]:
            return True
    return False


def run(rows: int = ROWS) -> list[dict[str, object]]:
    """Measure once: a run of thousands of rows is its own average."""
    with tempfile.TemporaryDirectory() as folder:
        rate = asyncio.run(_measure(Path(folder) / "stage", rows))
    return [
        {
            "name": f"gateway import end to end, {rows} rows, three recipients and the sender",
            "value": round(rate, 1),
            "unit": "rows/s",
            "ratio": None,
            "beside": None,
            "goal": GOAL,
            "holds": rate >= GOAL,
        }
    ]
