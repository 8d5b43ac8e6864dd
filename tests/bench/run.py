"""`make bench`: every figure of the issue in one table, and as `build/bench.json`.

    python -m tests.bench.run [--only NAME …]

Ratios come from one interleaved run, medians of at least five. For publishing the broker has one core and the load
generator the other. The machine's noise is measured beside: the spread of the same signature check over the whole run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from rich import box
from rich.console import Console
from rich.table import Table

from tests import cluster

BUILD = Path("build")


def noise(seconds=3.0):
    """Return the median and the relative spread (10th to 90th percentile) of one ML-DSA-65 check."""
    key = MLDSA65PrivateKey.generate()
    public, signature = key.public_key(), key.sign(b"x")
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        for _ in range(20):
            public.verify(signature, b"x")
        times.append((time.perf_counter() - begun) / 20)
    times.sort()
    median = statistics.median(times)
    return median * 1e6, (times[len(times) * 9 // 10] - times[len(times) // 10]) / median


def publishing():
    """Run the publishing bench in this process."""
    from tests.bench.publish import run

    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder))


def growth():
    """Run the bench of whole requests at two sizes of the log."""
    from tests.bench.growth import run

    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder) / "growth")


def ledger():
    """Run the bench of ledger and view alone, in a process of its own."""
    file = BUILD / "bench-ledger.json"
    subprocess.run(
        [sys.executable, "-m", "tests.bench.ledger_growth", "--json", str(file)], check=False, stdout=sys.stderr
    )
    return json.loads(file.read_text())


def streaming():
    """Run the bench of live streams."""
    from tests.bench.streaming import run

    with tempfile.TemporaryDirectory() as folder:
        return run(Path(folder))


def importing():
    """Run the gateway's import bench."""
    from tests.bench.importing import run

    return run()


def kafka():
    """Run the benches that need a cluster; nothing where there is no Java or Maven."""
    if lack := cluster.lacking():
        print(f"kafka: left out, {lack}", file=sys.stderr)
        return []
    from tests.bench import on_kafka, rebuild, scale

    figures = []
    for bench in (on_kafka, scale, rebuild):
        with tempfile.TemporaryDirectory() as folder:
            figures += bench.run(Path(folder))
    return figures


def rules():
    """Run the bench of decisions."""
    from tests.bench.rules import run

    return run()


BENCHES = {
    "publishing": publishing,
    "streaming": streaming,
    "growth": growth,
    "importing": importing,
    "ledger": ledger,
    "rules": rules,
    "kafka": kafka,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", choices=list(BENCHES), action="append")
    args = parser.parse_args()
    BUILD.mkdir(exist_ok=True)
    before, figures = noise(), []
    for name in args.only or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        figures += BENCHES[name]()
    after = noise()
    (BUILD / "bench.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    show(figures)
    print(
        f"Noise: one ML-DSA-65 check took {before[0]:.0f} µs (spread {before[1]:.0%}) before, "
        f"{after[0]:.0f} µs (spread {after[1]:.0%}) after; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores."
    )
    return 0


def show(figures):
    """Print the table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("figure", "value", "", "ratio", "beside", "goal", ""):
        table.add_column(heading, justify="right" if heading in ("value", "ratio") else "left")
    for row in figures:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        mark = "[green]holds[/]" if row["holds"] else "[bold red]misses[/]"
        goal = "" if row["goal"] is None else str(row["goal"])
        table.add_row(
            row["name"], f"{row['value']:,}", row["unit"], ratio, row["beside"] or "", goal, mark if goal else ""
        )
    Console(width=None if sys.stdout.isatty() else 140).print(table)


if __name__ == "__main__":
    sys.exit(main())
