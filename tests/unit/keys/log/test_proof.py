"""Offline proofs: read back, verified with the entry and the log's keys alone, refused when altered."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import CheckpointError, VerificationError
from keys.log import merkle, note, proof
from keys.log.note import LogSigner
from keys.log.proof import Proof
from schemas.errors import MalformedError, TooLargeError

SIGNER = LogSigner.from_bytes(bytes(range(64)) + b"test.invalid/log")
ENTRIES = [b"\x01" + index.to_bytes(40, "big") for index in range(300)]
HASHES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def checkpoint(size):
    return note.sign_checkpoint(SIGNER, size, merkle.root_of(ENTRIES[:size]), at=1_790_000_000)


NOTES = {size: checkpoint(size) for size in (1, 2, 3, 7, 8, 300)}


def proof_of(index, size, extra=None):
    return Proof(index, merkle.inclusion_path(HASHES[:size], index), NOTES[size], extra)


@given(st.sampled_from(sorted(NOTES)), st.data(), st.none() | st.binary(min_size=1, max_size=50))
def test_a_proof_reads_back_and_holds(size, data, extra):
    index = data.draw(st.integers(0, size - 1))
    made = proof_of(index, size, extra)
    read = proof.parse(proof.encode(made))
    assert read == made
    found = proof.verify_proof(read, ENTRIES[index], SIGNER.keys)
    assert (found.size, found.root) == (size, merkle.root_of(ENTRIES[:size]))


def test_a_proof_is_laid_out_as_c2sp_says():
    made = proof_of(1, 3, b"extra")
    siblings = [base64.b64encode(HASHES[index]).decode() for index in (0, 2)]
    expected = f"c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 1\n{siblings[0]}\n{siblings[1]}\n\n".encode()
    assert proof.encode(made) == expected + NOTES[3]
    assert proof.encode(proof_of(0, 1)) == b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + NOTES[1]


def test_empty_extra_data_is_left_out():
    assert proof.encode(proof_of(0, 1, b"")) == proof.encode(proof_of(0, 1))


def test_every_bit_flip_is_refused():
    whole = proof.encode(proof_of(5, 7))
    for bit in range(8 * (len(whole) - len(NOTES[7]))):  # the note's own flips are tested with the note
        altered = bytearray(whole)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises((VerificationError, MalformedError)):
            proof.verify_proof(proof.parse(bytes(altered)), ENTRIES[5], SIGNER.keys)


def test_every_truncation_is_refused():
    whole = proof.encode(proof_of(5, 7))
    for length in range(len(whole)):
        with pytest.raises((VerificationError, MalformedError)):
            proof.verify_proof(proof.parse(whole[:length]), ENTRIES[5], SIGNER.keys)


def test_another_entry_or_log_is_refused():
    made = proof_of(5, 7)
    for entry in (ENTRIES[4], b"", ENTRIES[5] + b"\x00", HASHES[5]):
        with pytest.raises(VerificationError):
            proof.verify_proof(made, entry, SIGNER.keys)
    with pytest.raises(CheckpointError):
        proof.verify_proof(made, ENTRIES[5], LogSigner.generate("test.invalid/log").keys)


def test_a_node_cannot_pass_for_an_entry():
    node = merkle.node_hash(HASHES[0], HASHES[1])
    path = (merkle.node_hash(HASHES[2], HASHES[3]), merkle.root_of(ENTRIES[4:7]))
    assert merkle.root_from_path(node, 0, 3, path) == merkle.root_of(ENTRIES[:7])
    with pytest.raises(VerificationError):
        proof.verify_proof(Proof(0, path, NOTES[7]), HASHES[0] + HASHES[1], SIGNER.keys)


HEAD = b"c2sp.org/tlog-proof@v1\n"
LINE = base64.b64encode(hashlib.sha256(b"").digest()) + b"\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD,
        HEAD + b"index 0\n",
        HEAD + b"index 0\n\n",
        HEAD + b"index 0\nnote",
        HEAD + b"index 00\n\nnote",
        HEAD + b"index -1\n\nnote",
        HEAD + b"index 12345678901234567\n\nnote",
        HEAD + b"index  1\n\nnote",
        HEAD + b"\nindex 1\n\nnote",
        HEAD + b"index 1\nextra AAAA\n\nnote",
        HEAD + b"extra AAAA\nextra AAAA\nindex 1\n\nnote",
        HEAD + b"extra \nindex 1\n\nnote",
        HEAD + b"extra AAB=\nindex 1\n\nnote",
        HEAD + b"extra AA\nindex 1\n\nnote",
        HEAD + b"index 1\n" + LINE[1:] + b"\nnote",
        HEAD + b"index 1\n" + LINE.replace(b"=", b"==") + b"\nnote",
        HEAD + b"index 1\n" + LINE.replace(b"U=", b"V=") + b"\nnote",
        HEAD + b"index 1\n" + LINE.replace(b"\n", b"\r\n") + b"\nnote",
        HEAD + b"index 1\n" + 64 * LINE + b"\nnote",
        HEAD.replace(b"v1", b"v2") + b"index 1\n\nnote",
        HEAD.replace(b".", b"x") + b"index 1\n\nnote",
    ],
)
def test_another_form_is_malformed(data):
    with pytest.raises(MalformedError):
        proof.parse(data)


def test_a_proof_has_a_limit():
    assert proof.parse(HEAD + b"index 1\n" + 63 * LINE + b"\nnote").checkpoint == b"note"
    with pytest.raises(TooLargeError):
        proof.parse(bytes(proof.PROOF_SIZE + 1))


@given(st.binary(max_size=200))
def test_only_our_errors_escape(data):
    for whole in (data, HEAD + data, HEAD + b"extra " + data):
        with pytest.raises(MalformedError):
            proof.parse(whole)


@given(st.data())
def test_what_parses_is_written_back_the_same(data):
    whole = bytearray(proof.encode(proof_of(1, 3, b"extra")))
    at = data.draw(st.integers(len(HEAD), len(whole) - len(NOTES[3]) + 20))
    whole[at] = data.draw(st.sampled_from(b"\n =+/019AZaz\xff"))
    try:
        read = proof.parse(bytes(whole))
    except MalformedError:
        return
    assert proof.encode(read) == whole
