"""A process that appends to a ledger until it is killed, and says on standard output what it was told is durable.

One JSON object a line: `appended` [[position, SHA-256 of the statement]…], `erased` [body digests], `signed` [size, root].
Started by the kill tests with a folder and a seed; goes on from whatever the last one left behind.
"""

import json
import sys
from pathlib import Path

from broker.ledger.port import Append, Decision, snapshot_object
from broker.ledger.signer import CheckpointSigner
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.digests import sha256
from keys.log.note import LogSigner
from schemas.leaf import LeafType
from schemas.statement import Statement
from tests.unit.broker.ledger.made_records import ORIGIN, Maker


def say(**what):
    print(json.dumps(what), flush=True)


def resume(maker, view):
    """Let the maker go on under the rules in force."""
    maker.directory, maker.boundary, maker.keys = view.state.directory, view.state.boundary, view.state.key_number
    maker.now = max(maker.now, view.state.newest)


def main(folder, seed):
    maker = Maker(seed)
    ledger = SqliteLedger(folder / "ledger.sqlite", ORIGIN)
    view = View(folder / "view.sqlite", ORIGIN)
    view.catch_up(ledger)
    signer = CheckpointSigner(LogSigner.from_bytes((folder / "log.key").read_bytes()), folder / "signer")
    signer.check(view.size, view.root)
    if left := view.erased_bodies():
        ledger.erase(left)
    resume(maker, view)
    say(ready=view.size)
    while True:
        entries = []
        for _ in range(maker.random.randrange(1, 8)):
            choice = maker.random.randrange(10)
            entries.append(maker.next_directory() if choice == 0 else maker.notice(filler=maker.random.randrange(4000)))
        objects = {snapshot_object(version): b"{}" for version in range(view.state.directory + 1, maker.directory + 1)}
        append = Append(tuple(entries), objects, (Decision("2026-01-01", b'{"n":1}'),))
        position = ledger.append(append)[0]
        say(appended=[[position + n, sha256(entry.record.document).hex()] for n, entry in enumerate(entries)])
        items = [(position + n, entry.record, entry.body) for n, entry in enumerate(entries)]
        assert all(item.index is not None for item in view.apply(items))
        notices = [entry for entry in entries if entry.record.leaf.type is LeafType.SEALED]
        if notices and maker.random.randrange(3) == 0:
            gone = notices[0].record
            erasure = maker.erasure(Statement.parse(gone.document).notice_id)
            position = ledger.append(Append((erasure,)))[0]
            view.apply([(position, erasure.record, None)])
            ledger.erase([gone.body_digest])
            say(erased=[gone.body_digest.hex()])
        root = view.root(view.size)
        note = signer.sign(view.size, root, maker.now // 1000)
        (folder / "checkpoint.new").write_bytes(note)
        (folder / "checkpoint.new").replace(folder / "checkpoint")
        say(signed=[view.size, root.hex()])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
