"""A full disk: nothing is appended by half, reads go on, and it works again by itself once there is space."""

import pytest

from broker.ledger.fsck import fsck
from broker.ledger.port import Append, Decision, StorageFullError
from broker.ledger.signer import CheckpointSigner
from broker.ledger.sqlite import SqliteLedger
from broker.view.store import View
from keys.log.note import LogSigner
from tests.faults import disk
from tests.faults.disk import MEGABYTE, fill
from tests.unit.broker.ledger.made_records import ORIGIN, Maker, kid_of


@pytest.fixture
def small_disk(tmp_path):
    with disk.small_disk(tmp_path / "disk", 6) as folder:
        yield folder


@pytest.mark.parametrize("filler", ["notices", "another program"])
def test_a_full_disk_is_said_and_left_again(small_disk, filler):
    maker = Maker()
    log = LogSigner.generate(ORIGIN)
    ledger = SqliteLedger(small_disk / "ledger.sqlite", ORIGIN)
    view = View(small_disk / "view.sqlite", ORIGIN)
    view.catch_up(ledger)
    signer = CheckpointSigner(log, small_disk / "signer")
    reader = view.reader()
    kept = []

    def publish(count):
        entries = tuple(maker.notice(filler=2000) for _ in range(count))
        decision = Decision("2026-01-01", b'{"size":"%d"}' % len(kept))
        position = ledger.append(Append(entries, {"metadata/a": b"%d" % len(kept)}, (decision,)))[0]
        kept.extend(entries)
        view.apply([(position + n, entry.record, entry.body) for n, entry in enumerate(entries)])
        signer.sign(view.size, view.root(view.size), maker.now // 1000)

    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2 * MEGABYTE))
    publish(5)
    if filler == "another program":
        fill(small_disk / "filler")
    with pytest.raises(StorageFullError):
        list(map(publish, [5] * 1000))
    fill(small_disk / "filler")
    refused = 0
    while refused < 20:  # what fits into the space that the write-ahead log has already is still taken
        entry = maker.notice(filler=2000)
        try:
            ledger.append(Append((entry,), {"metadata/a": b"%d" % len(kept)}))
        except StorageFullError:
            refused += 1
        else:
            kept.append(entry)

    # Reads go on: at the writer, at a reader that was open, and at one that is opened now.
    assert ledger.length() == len(kept)
    for asked in (ledger, ledger.reader()):
        assert [record for _, record in asked.read(0, 10_000)] == [entry.record for entry in kept]
        assert asked.body(kept[-1].record.body_digest) == kept[-1].body
        assert int(asked.object("metadata/a")) < len(kept)
        if asked is not ledger:
            asked.close()
    assert reader.by_index(0) is not None
    assert len(reader.offers([kid_of("de/police")], "de/police", 0, 5, None, reader.size)) == 5
    assert reader.inclusion(0, reader.size)

    # Space comes back, and nobody does anything else.
    (small_disk / "filler").unlink()
    ballast.unlink()
    view.catch_up(ledger)
    publish(5)
    assert view.size == len(kept)
    assert reader.size == len(kept)
    report = fsck(ledger, now_ms=maker.now, head=signer.head, view=view)
    assert report.findings == ()
    assert report.leaves == len(kept)
    reader.close()
    signer.close()
    view.close()
    ledger.close()
