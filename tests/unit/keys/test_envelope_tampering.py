"""Every single-bit flip and every truncation is refused: of an open act's envelope all, of larger ones a sample.

`VALISE_EXHAUSTIVE=1` takes every bit of the larger ones too. The sample is the same in every run.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from schemas.errors import Error
from tests.vectors import workshop
from tests.vectors.bending import SUBSCRIPTION
from tests.vectors.ours import ours_delivery, ours_envelope

pytestmark = pytest.mark.no_cover  # thousands of the same: what they reach is measured elsewhere

STEP = 1 if os.environ.get("VALISE_EXHAUSTIVE") == "1" else 61
"""Bits from one flip to the next: no multiple of 8, so that every bit of a byte has its turn."""

ENVELOPE: dict[str, Any] = {
    "origin": workshop.ORIGIN,
    "revoked": {},
    "moment": {"index": workshop.INDEX, "received_at": workshop.RECEIVED_AT},
}
DELIVERY: dict[str, Any] = {
    "origin": workshop.ORIGIN,
    "revoked": {},
    "seeds": {workshop.sealing("kz/focal-point").kid: workshop.b64(workshop.seed("kz/focal-point sealing"))},
}

Check = Callable[[bytes], object]
CHECK_ENVELOPE: Check = partial(ours_envelope, vector=ENVELOPE)
CHECK_DELIVERY: Check = partial(ours_delivery, vector=DELIVERY)


def flips(good: bytes, step: int) -> Iterator[bytes]:
    for bit in range(0, 8 * len(good), step):
        bad = bytearray(good)
        bad[bit >> 3] ^= 1 << (bit & 7)
        yield bytes(bad)


def truncations(good: bytes, step: int) -> Iterator[bytes]:
    for length in range(0, len(good), step):
        yield good[:length]
        yield good[len(good) - length :]


def accepted(check: Check, bad: Iterator[bytes]) -> list[int]:
    """Return the numbers of those that were not refused; any other error than ours escapes and fails the test."""
    passed = []
    for number, data in enumerate(bad):
        try:
            check(data)
        except Error:
            continue
        passed.append(number)
    return passed


@pytest.fixture(scope="module")
def open_act() -> bytes:
    return workshop.opened("subscribe", SUBSCRIPTION).bytes()


@pytest.fixture(scope="module")
def sealed() -> workshop.Parts:
    return workshop.issue()


@pytest.fixture(scope="module")
def delivery(sealed: workshop.Parts) -> bytes:
    return workshop.dumps(workshop.delivery(sealed))


def test_what_is_tampered_with_is_good(open_act: bytes, sealed: workshop.Parts, delivery: bytes) -> None:
    CHECK_ENVELOPE(open_act)
    CHECK_ENVELOPE(sealed.bytes())
    assert CHECK_DELIVERY(delivery) == workshop.NOTICE


@pytest.mark.parametrize("part", range(8))
def test_every_bit_of_an_open_act(open_act: bytes, part: int) -> None:
    """Eighth by eighth, all 47,000 of them."""
    bad = (data for number, data in enumerate(flips(open_act, 1)) if number % 8 == part)
    assert accepted(CHECK_ENVELOPE, bad) == []


def test_every_truncation_of_an_open_act(open_act: bytes) -> None:
    assert accepted(CHECK_ENVELOPE, truncations(open_act, 1)) == []


def test_bits_of_a_sealed_envelope(sealed: workshop.Parts) -> None:
    assert accepted(CHECK_ENVELOPE, flips(sealed.bytes(), STEP)) == []


def test_truncations_of_a_sealed_envelope(sealed: workshop.Parts) -> None:
    assert accepted(CHECK_ENVELOPE, truncations(sealed.bytes(), STEP)) == []


def test_bits_of_a_delivery(delivery: bytes) -> None:
    assert accepted(CHECK_DELIVERY, flips(delivery, STEP)) == []


def test_every_truncation_of_a_delivery(delivery: bytes) -> None:
    assert accepted(CHECK_DELIVERY, truncations(delivery, 1)) == []


@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_bytes_inserted_or_removed(open_act: bytes, delivery: bytes, length: int) -> None:
    for good, check in ((open_act, CHECK_ENVELOPE), (delivery, CHECK_DELIVERY)):
        places = range(0, len(good) - length, 97)
        assert accepted(check, (good[:at] + good[at + length :] for at in places)) == []
        assert accepted(check, (good[:at] + b"A" * length + good[at:] for at in places)) == []
        assert accepted(check, (good[:at] + good[at : at + length] + good[at:] for at in places)) == []
