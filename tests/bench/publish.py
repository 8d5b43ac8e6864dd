"""Publishing over HTTP beside the two signature checks alone: one interleaved run, medians of five."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from keys.batch import Signed
from keys.envelope import seal_notice
from keys.sign import verify_pair
from schemas.envelope import Envelope
from tests.bench.load import at_rate, batches, closed_loop
from tests.bench.serve import broker, pin
from tests.world import World, make_world

ROUNDS = 5
BATCH = 100
STATES = [
    "kz",
    "uz",
    "tj",
    "kg",
    "tm",
    "mn",
    "am",
    "az",
    "ge",
    "tr",
    "fr",
    "de",
    "it",
    "es",
    "at",
    "be",
    "ch",
    "cz",
    "dk",
    "ee",
    "fi",
    "gb",
    "gr",
    "hr",
    "hu",
    "ie",
    "is",
    "li",
    "lt",
    "lu",
    "lv",
    "mc",
    "md",
    "me",
    "mk",
    "mt",
    "nl",
    "no",
    "pl",
    "pt",
    "ro",
    "rs",
    "se",
    "si",
    "sk",
    "sm",
    "ua",
    "va",
    "bg",
    "by",
    "al",
    "ba",
    "ad",
    "ca",
    "us",
    "cy",
    "ru",
]
NOTICE = {"kind": "seizure", "text": "x" * 1800}


def make() -> World:
    """Return a deployment of 57 States with a focal point each, and the agency that sends."""
    return make_world(["kz/customs", *(f"{state}/focal-point" for state in STATES)])


def recipients(count: int) -> list[str]:
    """Return the recipients beside the sender."""
    return [f"{state}/focal-point" for state in STATES[: count - 1]]


def prepare(world: World, count: int, stanzas: int, batch: int = 1) -> list[Signed]:
    """Seal and sign notices of 2 KiB, so many under a head."""
    to, trust = recipients(stanzas), world.directory
    records = [trust.sealing(world.people[who].sealing.kid) for who in (*to, "kz/customs")]
    unsigned = [seal_notice(world.statement("kz/customs"), NOTICE, records) for _ in range(count)]
    return [item for at in range(0, count, batch) for item in world.sign(unsigned[at : at + batch])]


def signatures_alone(world: World, sample: Signed, seconds: float = 0.5) -> float:
    """Return how many pairs of signatures one core checks in a second."""
    envelope = Envelope.parse(sample.envelope)
    identity = world.directory.signing(envelope.proof.head.kids)
    first, second = envelope.proof.head.signatures
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        for _ in range(20):
            verify_pair(identity.public, envelope.proof.head.signing_inputs(), (first.value, second.value))
        count += 20
    return count / (time.perf_counter() - begun)


def run(folder: Path, count: int = 600) -> list[dict[str, object]]:
    """Measure and return the figures."""
    world = make()
    pin(0)
    ten = prepare(world, count * ROUNDS + 1200, 10)
    together = prepare(world, count * (ROUNDS + 1), 10, BATCH)
    all_states = prepare(world, count // 2 * ROUNDS, 57)
    alone, rates_ten, rates_together, rates_all, seals = [], [], [], [], []
    with broker(world, folder / "broker") as (address, _process):
        asyncio.run(closed_loop(address, ten[-200:], 8))  # warm
        asyncio.run(batches(address, together[-count:], BATCH, 2))
        for number in range(ROUNDS):
            alone.append(signatures_alone(world, ten[0]))
            rates_ten.append(_rate(address, ten[number * count : (number + 1) * count]))
            sent = together[number * count : (number + 1) * count]
            rates_together.append(asyncio.run(batches(address, sent, BATCH, 2)))
            rates_all.append(_rate(address, all_states[number * (count // 2) : (number + 1) * (count // 2)]))
            seals.append(_seal_time(world))
        single = statistics.median(rates_ten)
        latencies = sorted(asyncio.run(at_rate(address, ten[count * ROUNDS : count * ROUNDS + 1000], single / 2)))
    p99 = latencies[int(len(latencies) * 0.99)] * 1000
    ratio = statistics.median(a / b for a, b in zip(rates_ten, alone, strict=True))
    gain = statistics.median(a / b for a, b in zip(rates_together, rates_ten, strict=True))
    wide = statistics.median(a / b for a, b in zip(rates_all, rates_ten, strict=True))
    seal = statistics.median(seals) * 1000
    return [
        figure("single publish, 2 KiB, ten recipients", single, "/s", ratio, "two signature checks alone", 0.45),
        figure("batch of 100 a request under one head, 2 KiB, ten recipients", statistics.median(rates_together), "/s", gain, "single publish", 1.5),
        figure("single publish, 57 recipients", statistics.median(rates_all), "/s", wide, "ten recipients", 0.5),
        {"name": "p99 to receipt at half of that load", "value": round(p99, 2), "unit": "ms", "ratio": None,
         "beside": None, "goal": 25, "holds": p99 <= 25},
        {"name": "seal and sign for 57 recipients", "value": round(seal, 2), "unit": "ms", "ratio": None,
         "beside": None, "goal": 12, "holds": seal <= 12},
    ]  # fmt: skip


def _rate(address: str, envelopes: Sequence[Signed]) -> float:
    return asyncio.run(closed_loop(address, envelopes, 16))[0]


def _seal_time(world: World, count: int = 20) -> float:
    begun = time.perf_counter()
    prepare(world, count, 57)
    return (time.perf_counter() - begun) / count


def figure(name: str, value: float, unit: str, ratio: float, beside: str, goal: float) -> dict[str, object]:
    """Return a figure whose goal is a ratio."""
    return {
        "name": name,
        "value": round(value, 1),
        "unit": unit,
        "ratio": round(ratio, 3),
        "beside": beside,
        "goal": goal,
        "holds": ratio >= goal,
    }
