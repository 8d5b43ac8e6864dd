"""What is in the frames: bytes to values and back, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.ledger.kafka.payloads import (
    Heartbeat,
    encode_checkpoint,
    encode_record,
    parse_checkpoint,
    parse_record,
)
from broker.ledger.stanzas import stanza_kids
from schemas.errors import Error
from tests.unit.broker.ledger.made_records import Maker


@given(seed=st.integers(0, 1000))
def test_records_come_back_with_the_key_ids_of_their_bodies(seed):
    maker = Maker(seed)
    for entry in (maker.notice(), maker.next_directory(), maker.subscribe("de/police", "*.*")):
        kids = () if entry.body is None else stanza_kids(entry.body)
        assert parse_record(encode_record(entry.record, kids)) == (entry.record, kids)


@given(data=st.binary(max_size=200))
def test_other_bytes_are_refused_with_an_error_of_ours(data):
    for parse in (parse_record, parse_checkpoint, Heartbeat.parse):
        try:
            parse(data)
        except Error:
            pass


def test_a_record_that_was_cut_is_refused():
    maker = Maker(1)
    entry = maker.notice()
    payload = encode_record(entry.record, stanza_kids(entry.body))
    for length in (*range(0, 200, 7), len(payload) - 1):
        with pytest.raises(Error):
            parse_record(payload[:length])


def test_a_record_of_another_version_is_refused():
    payload = encode_record(Maker(1).notice().record, ())
    assert payload[0] == 1
    with pytest.raises(Error):
        parse_record(b"\x02" + payload[1:])


@given(name=st.from_regex(r"[a-z0-9][a-z0-9.-]{0,62}", fullmatch=True), note=st.binary(max_size=300))
def test_checkpoints_say_who_published_them(name, note):
    assert parse_checkpoint(encode_checkpoint(name, note)) == (name, note)


@pytest.mark.parametrize("payload", [b"", b"\x00note", b"\x05abc", b"\x01\xffnote"])
def test_a_checkpoint_without_a_name_is_refused(payload):
    with pytest.raises(Error):
        parse_checkpoint(payload)


@given(at=st.integers(0, 2**53 - 1), signer=st.booleans(), size=st.integers(0, 2**53 - 1))
def test_heartbeats_come_back(at, signer, size):
    beat = Heartbeat(at, signer, size)
    assert Heartbeat.parse(beat.encode()) == beat
