"""A head is checked once for all statements under it, and never believed unless it was."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from keys import heads as module
from keys.errors import VerificationError
from keys.heads import HeadMemory
from keys.sign import SigningKeys
from schemas.envelope import Head, batch_payload

KEYS = SigningKeys.generate()


def head(number: int = 0, keys: SigningKeys = KEYS) -> Head:
    payload = batch_payload("test.invalid/heads", "fr/customs", 1, bytes([number]) * 32, "2026-01-01T00:00:00Z")  # type: ignore[arg-type]
    return Head.from_json(keys.sign_head(payload), "/head")  # type: ignore[arg-type]


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    seen: list[object] = []
    real = module.verify_pair

    def counted(*given: object) -> None:
        seen.append(given)
        real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "verify_pair", counted)
    return seen


def test_the_same_bytes_are_checked_once(checks: list[object]) -> None:
    memory = HeadMemory()
    for _ in range(3):
        memory.verify(head(1), KEYS.public)
    # ML-DSA signs with fresh randomness: the same payload signed again is another head.
    assert len(checks) in {1, 3}
    signed = head(2)
    before = len(checks)
    for _ in range(3):
        memory.verify(signed, KEYS.public)
    assert len(checks) == before + 1


def test_what_failed_is_not_remembered_and_what_was_bent_is_not_believed(checks: list[object]) -> None:
    memory = HeadMemory()
    good = head()
    first, second = good.signatures
    bent = [
        replace(good, signatures=(replace(first, value=bytes(64)), second)),
        replace(good, signatures=(first, replace(second, value=bytes(3309)))),
        replace(good, payload=head(1).payload),
        replace(good, signatures=(replace(first, protected=second.protected), second)),
    ]
    memory.verify(good, KEYS.public)
    for _ in range(2):
        for one in bent:
            with pytest.raises(VerificationError):
                memory.verify(one, KEYS.public)
    assert len(checks) == 1 + 2 * len(bent)
    with pytest.raises(VerificationError):
        HeadMemory().verify(good, SigningKeys.generate().public)


def test_a_head_that_holds_under_its_keys_is_none_under_others(checks: list[object]) -> None:
    """The names of keys are in what is signed, and that is not enough: the keys themselves count."""
    memory = HeadMemory()
    good, other = head(), SigningKeys.generate().public
    memory.verify(good, KEYS.public)
    for public in (other, replace(KEYS.public, ed25519=other.ed25519), replace(KEYS.public, mldsa65=other.mldsa65)):
        with pytest.raises(VerificationError):
            memory.verify(good, public)
    assert (len(checks), len(memory)) == (4, 1)
    memory.verify(good, KEYS.public)
    assert len(checks) == 4


def test_it_forgets_what_was_asked_for_longest_ago(checks: list[object]) -> None:
    memory = HeadMemory(most=2)
    signed = [head(number) for number in range(3)]
    for one in (signed[0], signed[1], signed[0], signed[2]):
        memory.verify(one, KEYS.public)
    assert (len(checks), len(memory)) == (3, 2)
    memory.verify(signed[0], KEYS.public)
    memory.verify(signed[2], KEYS.public)
    assert len(checks) == 3
    memory.verify(signed[1], KEYS.public)
    assert (len(checks), len(memory)) == (4, 2)
    memory.verify(signed[2], KEYS.public)
    assert len(checks) == 4
    memory.verify(signed[0], KEYS.public)
    assert len(checks) == 5


def test_several_threads_may_ask() -> None:
    memory = HeadMemory(most=4)
    signed = [head(number) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: memory.verify(signed[number % 8], KEYS.public), range(64)))
    assert len(memory) == 4
