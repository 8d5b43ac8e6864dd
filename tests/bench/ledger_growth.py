"""What an append, a feed page and a proof cost at 10⁵ leaves beside 10³, in one interleaved run; and how long a start takes.

    python -m tests.bench.ledger_growth [--leaves N] [--json FILE]

The ledger and its view alone, on made-up notices of two recipients: no signatures, no HTTP. Medians of seven rounds.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

from broker.ledger.port import Append, Decision
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.log.proof import Proof, encode
from schemas.statement import Statement
from tests.unit.broker.ledger import made_records

SMALL = 1_000
ROUNDS = 7
BATCH = 50
GROWTH = 1.2
START_S = 2.0
BODY = 2_048


class Store:
    """A ledger and a view of some leaves."""

    def __init__(self, folder, leaves):
        folder.mkdir()
        self.folder, self.leaves = folder, leaves
        self.maker = made_records.Maker(leaves)
        self.ledger = SqliteLedger(folder / "ledger.sqlite", made_records.ORIGIN)
        self.view = View(folder / "view.sqlite", made_records.ORIGIN)
        self.view.catch_up(self.ledger)
        self.signatures = self.maker.random.randbytes(5_200)  # as long as one with two signatures
        while self.view.size < leaves:
            self.publish(self.entries(min(500, leaves - self.view.size)))
        self.reader = self.view.reader()

    def entries(self, count):
        """Return notices to two recipients of many, a tenth of them to the one whose feed is read."""
        made = []
        for _ in range(count):
            number = self.maker.random.randrange(10)
            who = "de/police" if number == 0 else f"s{number}/agency"
            body = self.maker.body(("fr/customs", who), BODY)
            made.append(self.maker.entry_of(self.maker.statement(), body, self.signatures))
        return made

    def publish(self, entries):
        """Append and apply as the ledger thread does, the statements having been parsed before."""
        statements = [Statement.parse(entry.record.document) for entry in entries]
        decisions = tuple(Decision("2026-01-01", bytes(300)) for _ in entries)
        begin = time.perf_counter()
        position = self.ledger.append(Append(tuple(entries), decisions=decisions))[0]
        items = [(position + n, entry.record, entry.body) for n, entry in enumerate(entries)]
        self.view.apply(items, statements)
        return (time.perf_counter() - begin) / len(entries) * 1e6

    def single(self):
        return statistics.median(self.publish([entry]) for entry in self.entries(60))

    def batch(self):
        return statistics.median(self.publish(self.entries(BATCH)) for _ in range(8))

    def page(self):
        """Read a page of 100 from the feed's last thousand, each offer with its row and proof, as a delivery needs them."""
        size = self.view.size
        begin = time.perf_counter()
        offers = self.reader.offers([made_records.kid_of("de/police")], "de/police", size - 1000, 100, None, size)
        for offer in offers:
            row = self.reader.by_index(offer.index)
            self.reader.record(offer.index)
            self.reader.body(row)
            self.reader.inclusion(offer.index, size)
        return (time.perf_counter() - begin) / len(offers) * 1e6

    def poll(self):
        """Ask for news where there are none."""
        size, kid = self.view.size, made_records.kid_of("de/police")
        begin = time.perf_counter()
        for _ in range(50):
            self.reader.offers([kid], "de/police", size, 100, None, size)
        return (time.perf_counter() - begin) / 50 * 1e6

    def proof(self):
        """Make `.tlog-proof` texts of random notices at a size that was not asked for before, as a request does."""
        size = self.view.size - self.maker.random.randrange(50)
        note = bytes(3_500)
        rows = [self.reader.by_index(self.maker.random.randrange(size)) for _ in range(50)]
        begin = time.perf_counter()
        for row in rows:
            found = self.reader.by_notice(row.notice_id)
            encode(Proof(found.index, self.reader.inclusion(found.index, size), note))
        return (time.perf_counter() - begin) / 50 * 1e6

    def start(self):
        """Open view and ledger again as a start does."""
        self.close()
        begin = time.perf_counter()
        self.ledger = SqliteLedger(self.folder / "ledger.sqlite", made_records.ORIGIN)
        self.view = View(self.folder / "view.sqlite", made_records.ORIGIN)
        self.view.catch_up(self.ledger)
        self.view.root(self.view.size)
        seconds = time.perf_counter() - begin
        self.reader = self.view.reader()
        return seconds

    def rebuild(self):
        """Return leaves a second of a rebuild from nothing."""
        view = View(self.folder / "another.sqlite", made_records.ORIGIN)
        begin = time.perf_counter()
        view.catch_up(self.ledger)
        rate = view.size / (time.perf_counter() - begin)
        view.close()
        return rate

    def close(self):
        self.reader.close()
        self.view.close()
        self.ledger.close()


def figures(small, large):
    """Yield the bench's rows: medians of interleaved rounds, the large store's beside the small one's."""
    # The goal is for whole requests, which are measured over HTTP; these are their parts. Two of them say how a part grows
    # and no more: a batch's random index pages, beside signatures that cost ten times as much, and a path of log2(size).
    for name, goal in (("single", GROWTH), ("batch", None), ("page", GROWTH), ("poll", GROWTH), ("proof", None)):
        rounds = [(getattr(small, name)(), getattr(large, name)()) for _ in range(ROUNDS)]
        beside, value = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(b / a for a, b in rounds)
        yield {
            "name": f"ledger {name} at {large.leaves} leaves",
            "value": round(value, 1),
            "unit": "µs",
            "ratio": round(ratio, 3),
            "beside": f"{round(beside, 1)} µs at {small.leaves}",
            "goal": None if goal is None else f"<= {goal} x",
            "holds": goal is None or ratio <= goal,
        }
    seconds = statistics.median(large.start() for _ in range(5))
    yield {
        "name": f"start of ledger and view with {large.leaves} leaves",
        "value": round(seconds, 4),
        "unit": "s",
        "ratio": None,
        "beside": None,
        "goal": f"<= {START_S} s",
        "holds": seconds <= START_S,
    }
    yield {
        "name": f"rebuild of the view from {large.leaves} leaves",
        "value": round(large.rebuild()),
        "unit": "leaves/s",
        "ratio": None,
        "beside": None,
        "goal": None,
        "holds": True,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--leaves", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--folder", type=Path, help="where to keep the ledgers meanwhile (1 GB for 100,000 leaves)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        print(f"making ledgers of {SMALL} and {args.leaves} leaves ...", file=sys.stderr)
        small, large = Store(Path(folder) / "small", SMALL), Store(Path(folder) / "large", args.leaves)
        rows = []
        for row in figures(small, large):
            rows.append(row)
            ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f} x {row['beside']}"
            print(f"{row['name']:<44}{row['value']:>12} {row['unit']:<9}{ratio:<28}{row['goal'] or ''}", flush=True)
        small.close()
        large.close()
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
