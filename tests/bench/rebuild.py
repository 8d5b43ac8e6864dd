"""A fresh instance on a cluster whose ledger is long: mirror and view from nothing, while bodies follow behind."""

import time
from contextlib import closing
from pathlib import Path

from broker.ledger.kafka.frames import FrameKeys
from broker.ledger.kafka.store import KafkaLedger, Place
from broker.ledger.port import Append
from broker.view.store import View
from keys.custody import durable
from keys.frame import new_frame_key
from tests import cluster
from tests.unit.broker.ledger import made_records

RECORDS = 20_000
TOGETHER = 500
SIGNATURES = 5_200
"""Bytes of a proof with two signatures."""
GOAL = 20_000


def run(folder: Path, records: int = RECORDS) -> list[dict[str, object]]:
    """Measure and return the figure: records a second from nothing until the view has all of them."""
    file = folder / "frame.keys"
    durable.write(file, new_frame_key())
    keys = FrameKeys.parse(file.read_bytes())
    with cluster.running(1) as kafka:

        def opened(name: str) -> KafkaLedger:
            (folder / name).mkdir()
            place = Place(kafka.connection(), keys, name, signer=False, replication=1)
            return KafkaLedger(folder / name, made_records.ORIGIN, place)

        with closing(opened("writer")) as writer:
            _fill(writer, records)
        began = time.perf_counter()
        with closing(opened("fresh")) as fresh:
            mirrored = time.perf_counter() - began
            with closing(View(folder / "fresh" / "view.sqlite", made_records.ORIGIN)) as view:
                view.catch_up(fresh)
                seconds = time.perf_counter() - began
                assert view.size == records
    rate = records / seconds
    return [
        {"name": f"Kafka: rebuild of mirror and view from {records:,} records", "value": round(rate), "unit": "/s",
         "ratio": None, "beside": f"mirror {mirrored:.1f} s, start included, view {seconds - mirrored:.1f} s",
         "goal": GOAL, "holds": rate >= GOAL},
    ]  # fmt: skip


def _fill(ledger: KafkaLedger, records: int) -> None:
    maker = made_records.Maker(1)
    signatures = maker.random.randbytes(SIGNATURES)
    for _ in range(0, records, TOGETHER):
        made = [maker.entry_of(maker.statement(), maker.body(filler=1_000), signatures) for _ in range(TOGETHER)]
        ledger.append(Append(tuple(made)))
