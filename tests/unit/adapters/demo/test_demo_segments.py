"""What Kafka keeps compressed is unpacked, batch by batch; holes in files are not read."""

import gzip

import pytest

from adapters.demo import search, segments
from adapters.demo.processes import DemoError

MARKER = search.new_marker(bytes(range(16)))


def batch(records, codec=0):
    """Return a record batch of format v2 as far as it is looked at."""
    head = bytes(21) + codec.to_bytes(2, "big") + bytes(38)
    data = head + records
    return data[:8] + (len(data) - 12).to_bytes(4, "big") + data[12:]


def unpacked(folder, data):
    (folder / "topic-0").mkdir(exist_ok=True)
    (folder / "topic-0" / "00000000000000000000.log").write_bytes(data)
    return list(segments.unpacked(folder))


def test_compressed_batches_are_unpacked_and_others_passed_over(tmp_path):
    packed = [gzip.compress(MARKER.encode() * n) for n in (1, 2)]
    data = batch(b"plain") + batch(packed[0], 1) + batch(b"x" * 500) + batch(packed[1], 1)
    assert unpacked(tmp_path, data) == [MARKER.encode(), MARKER.encode() * 2]
    # In the file as it is the marker would not be found.
    assert search.hits_in(tmp_path, MARKER)[0] == 0


def test_a_batch_that_is_being_written_ends_the_file(tmp_path):
    whole = batch(gzip.compress(b"one"), 1)
    for end in range(len(whole)):
        assert unpacked(tmp_path, whole + whole[:end]) == [b"one"]
    assert unpacked(tmp_path, whole + bytes(200)) == [b"one"]
    assert unpacked(tmp_path, b"") == []


def test_another_codec_is_not_passed_over_in_silence(tmp_path):
    with pytest.raises(DemoError):
        unpacked(tmp_path, batch(b"?", 4))


def test_of_a_hole_nothing_is_read_and_nothing_beyond_it_is_missed(tmp_path):
    with (tmp_path / "index").open("wb") as file:
        file.write(MARKER.encode())
        file.seek(64 << 20)
        file.write(b"x" * 100 + MARKER.encode("utf-16-le"))
        file.truncate(128 << 20)
    hits, searched = search.hits_in(tmp_path, MARKER)
    assert hits == 2
    if (tmp_path / "index").stat().st_blocks * 512 < 1 << 20:  # where files may have holes
        assert searched < 1 << 20
