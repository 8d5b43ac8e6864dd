"""The digests against the formulas of the design, written out once more."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from keys import digests
from tests import strategies as wire


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_leaves(statement, proof):
    inner = sha256(statement).digest() + sha256(proof).digest()
    assert digests.statement_leaf(statement, proof) == sha256(b"\x00" + inner).digest()
    assert (
        digests.joined_leaf(digests.statement_digest(statement), digests.sha256(proof))
        == sha256(b"\x00" + inner).digest()
    )
    assert digests.event_leaf(statement) == sha256(b"\x01" + sha256(statement).digest()).digest()


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=40), st.binary(max_size=20))
def test_contents(key, ciphertext, iv):
    assert digests.key_commitment(key) == sha256(b"valise/key-commitment/1\x00" + key).digest()
    assert digests.content("cHJv", iv, ciphertext, key) == sha256(b"cHJv." + iv + ciphertext + key).digest()


@given(wire.statements())
def test_a_binding_is_the_digest_of_what_is_bound(statement):
    assert digests.binding(statement) == sha256(statement.bound()).digest()
    assert statement.encode().startswith(statement.bound()[:-1] + b',"issued_at":')
