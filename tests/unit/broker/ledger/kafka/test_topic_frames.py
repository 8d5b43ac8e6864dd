"""Frames of one topic, and the file that their keys are in."""

import pytest

from broker.ledger.kafka.frames import BadFrameError, TopicFrames, read_frame_keys
from broker.ledger.port import LedgerUnavailableError
from keys.custody.errors import CustodyError
from keys.frame import new_frame_key


def test_a_value_opens_in_its_topic_only(tmp_path):
    path = tmp_path / "frame.keys"
    path.write_bytes(new_frame_key())
    keys = read_frame_keys(path)
    here, there = TopicFrames(keys, "valise.ledger"), TopicFrames(keys, "valise.objects")
    value = here.sign(None, b"record")
    assert here.open(None, value) == b"record"
    for frames, key in ((there, None), (here, b"")):
        with pytest.raises(BadFrameError):
            frames.open(key, value)


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    with pytest.raises(CustodyError):
        read_frame_keys(tmp_path / "missing")
    with pytest.raises(LedgerUnavailableError):
        read_frame_keys(tmp_path)
