"""Cells open under their key and in their place, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.custody.cells import OVERHEAD, Cells
from keys.custody.errors import CustodyError

CELLS = Cells(bytes(32))


@given(plaintext=st.binary(max_size=300), context=st.binary(max_size=60))
def test_what_is_sealed_opens_in_its_place(plaintext, context):
    sealed = CELLS.seal(plaintext, context)
    assert len(sealed) == len(plaintext) + OVERHEAD
    assert CELLS.open(sealed, context) == plaintext
    with pytest.raises(CustodyError):
        CELLS.open(sealed, context + b"\x00")
    with pytest.raises(CustodyError):
        Cells(b"\x01" * 32).open(sealed, context)


def test_any_damage_is_noticed():
    sealed = CELLS.seal(b"plaintext", b"here")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 0x80
        for bad in (bytes(changed), sealed[:at]):
            with pytest.raises(CustodyError):
                CELLS.open(bad, b"here")


def test_nonces_are_fresh():
    assert len({CELLS.seal(b"same", b"")[:12] for _ in range(100)}) == 100


def test_keys_have_32_bytes():
    assert len(Cells.new_key()) == 32
    assert Cells.new_key() != Cells.new_key()
    with pytest.raises(CustodyError):
        Cells(bytes(16))
