"""The signer: never two roots for one size, and nothing handed out before it is kept."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.ledger import signer as signers
from broker.ledger.port import LedgerUnavailableError, StorageFullError
from broker.ledger.signer import RENEW_S, CheckpointSigner, SignerError
from keys.log.merkle import EMPTY_ROOT
from keys.log.note import LogSigner, verify_checkpoint
from schemas import checkpoint as checkpoints

NOW = 1_790_000_000


@pytest.fixture(scope="module")
def log(made):
    return LogSigner.generate(made.ORIGIN)


@pytest.fixture
def open_signer(log, tmp_path):
    opened = []

    def open_it():
        if opened:
            opened.pop().close()
        opened.append(CheckpointSigner(log, tmp_path / "signer"))
        return opened[-1]

    yield open_it
    if opened:
        opened.pop().close()


@pytest.fixture
def signer(open_signer):
    return open_signer()


def root(number):
    return bytes([number]) * 32


def test_it_signs_with_both_keys_of_the_log(signer, log):
    for size in (0, 1, 7):
        expected = EMPTY_ROOT if size == 0 else root(size)
        verified = verify_checkpoint(signer.sign(size, expected, NOW + size), log.keys)
        assert (verified.size, verified.root, verified.at) == (size, expected, NOW + size)
        assert (signer.head.size, signer.head.root) == (size, expected)


def test_a_note_is_renewed_each_minute_and_after_the_clock_was_set_back(signer, log):
    assert signer.renewal_due(NOW)
    first = signer.sign(5, root(1), NOW)
    assert signer.sign(5, root(1), NOW + RENEW_S - 1) == first
    assert not signer.renewal_due(NOW + RENEW_S - 1)
    assert signer.renewal_due(NOW + RENEW_S)
    renewed = signer.sign(5, root(1), NOW + RENEW_S)
    assert verify_checkpoint(renewed, log.keys).at == NOW + RENEW_S
    assert renewed.splitlines()[:5] == first.splitlines()[:5]  # the text and the Ed25519 line stay
    assert signer.renewal_due(NOW)
    assert verify_checkpoint(signer.sign(5, root(1), NOW), log.keys).at == NOW


def test_a_larger_tree_is_signed_at_once(signer, log):
    signer.sign(5, root(1), NOW)
    assert verify_checkpoint(signer.sign(6, root(2), NOW + 1), log.keys).size == 6


@pytest.mark.parametrize("again", [False, True])
def test_a_smaller_tree_or_another_root_is_never_signed(open_signer, again):
    signer = open_signer()
    note = signer.sign(5, root(1), NOW)
    signer = open_signer() if again else signer
    with pytest.raises(SignerError, match="4 leaves, and a tree of 5") as smaller:
        signer.sign(4, root(1), NOW)
    with pytest.raises(SignerError, match="at 5 leaves is not the one") as other:
        signer.sign(5, root(2), NOW)
    assert (smaller.value.alarm, other.value.alarm) == ("ledger-shorter", "root-differs")
    assert signer.sign(5, root(1), NOW).splitlines()[:5] == note.splitlines()[:5]


def test_an_empty_tree_has_one_root(signer):
    with pytest.raises(SignerError) as caught:
        signer.sign(0, root(1), NOW)
    assert caught.value.alarm == "root-differs"
    assert signer.head is None


def test_a_ledger_is_held_against_the_last_head_at_start(open_signer):
    signer = open_signer()
    signer.check(0, lambda size: pytest.fail("nothing was signed yet"))
    signer.sign(5, root(1), NOW)
    signer = open_signer()
    signer.check(5, lambda size: root(1))
    signer.check(9, {5: root(1)}.__getitem__)
    with pytest.raises(SignerError) as caught:
        signer.check(4, {}.__getitem__)
    assert caught.value.alarm == "ledger-shorter"
    with pytest.raises(SignerError) as caught:
        signer.check(9, {5: root(2)}.__getitem__)
    assert caught.value.alarm == "root-differs"


def test_the_head_is_kept_before_the_note_is_made(signer, monkeypatch):
    steps = []
    keep, sign = signers.replace_file, signers.sign_checkpoint
    monkeypatch.setattr(signers, "replace_file", lambda *given: (steps.append("keep"), keep(*given)))
    monkeypatch.setattr(
        signers, "sign_checkpoint", lambda *given, **named: (steps.append("sign"), sign(*given, **named))[1]
    )
    signer.sign(1, root(1), NOW)
    signer.sign(1, root(1), NOW + RENEW_S)
    assert steps == ["keep", "sign", "sign"]


def test_what_cannot_be_kept_is_not_signed(open_signer, monkeypatch):
    signer = open_signer()
    signer.sign(1, root(1), NOW)

    def fail(_):
        raise OSError(28, "made to fail")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StorageFullError):
            signer.sign(2, root(2), NOW)
    assert signer.head.size == 1
    assert signer.sign(2, root(3), NOW)
    assert open_signer().head.root == root(3)


def test_a_crash_between_keeping_and_signing_binds_the_next_start(open_signer, monkeypatch):
    signer = open_signer()

    def crash(*given, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(signers, "sign_checkpoint", crash)
        with pytest.raises(KeyboardInterrupt):
            signer.sign(3, root(1), NOW)
    signer = open_signer()
    with pytest.raises(SignerError):
        signer.sign(3, root(2), NOW)
    assert signer.sign(3, root(1), NOW)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"test.invalid/ledger\n1\n"])
def test_a_head_that_cannot_be_read_stops_the_signer(log, tmp_path, data):
    (tmp_path / "signed-head").write_bytes(data)
    for _ in range(2):  # the folder is free again after a refusal
        with pytest.raises(SignerError) as caught:
            CheckpointSigner(log, tmp_path)
        assert caught.value.alarm == "head-unreadable"


def test_another_logs_head_stops_the_signer(log, tmp_path):
    other = checkpoints.Checkpoint("test.invalid/other", 1, root(1))
    (tmp_path / "signed-head").write_bytes(checkpoints.encode(other))
    with pytest.raises(SignerError) as caught:
        CheckpointSigner(log, tmp_path)
    assert caught.value.alarm == "head-foreign"


def test_a_folder_has_one_signer(signer, log, tmp_path):
    with pytest.raises(LedgerUnavailableError, match="Another process"):
        CheckpointSigner(log, tmp_path / "signer")


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), st.booleans()), max_size=12))
def test_no_history_gives_two_roots_for_one_size(log, tmp_path_factory, steps):
    folder = tmp_path_factory.mktemp("signer")
    signer, signed, largest = CheckpointSigner(log, folder), {}, 0
    for size, number, again in steps:
        if again:
            signer.close()
            signer = CheckpointSigner(log, folder)
        try:
            verified = verify_checkpoint(signer.sign(size, root(number), NOW), log.keys)
        except SignerError:
            continue
        assert signed.setdefault(verified.size, verified.root) == verified.root
        assert verified.size >= largest
        largest = verified.size
    signer.close()
