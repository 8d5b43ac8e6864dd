"""Opens a ledger, waits for a line, appends once, and says how that went; a new process for each line of input.

A line names the ledger's file and a seed. Answers: `open PID`, then, after another line, `ok POSITION` or an error's name.
"""

import os
import sys
from pathlib import Path

from broker.ledger.port import Append, Decision
from broker.ledger.sqlite import SqliteLedger
from schemas.errors import Error
from tests.unit.broker.ledger.made_records import ORIGIN, Maker


def trial(path, seed):
    ledger = SqliteLedger(path, ORIGIN)
    maker = Maker(seed)
    maker.now += 1_000_000 * seed
    entries = tuple(maker.notice(filler=3000) for _ in range(3))
    print(f"open {os.getpid()}", flush=True)
    sys.stdin.readline()
    try:
        position = ledger.append(Append(entries, {"file": b"%d" % seed}, (Decision("2026-01-01", b'{"n":1}'),)))[0]
        print(f"ok {position}", flush=True)
    except Error as error:
        print(type(error).__name__, flush=True)


def main():
    while line := sys.stdin.readline():
        path, seed = line.split()
        child = os.fork()
        if not child:
            trial(Path(path), int(seed))
            os._exit(0)
        os.waitpid(child, 0)
        print("done", flush=True)


if __name__ == "__main__":
    main()
