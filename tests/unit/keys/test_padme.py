"""Padmé lengths against the definition of its paper (Nikitin and others, PETS 2019), in whole numbers only."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keys.seal import padded_length


def defined(length: int) -> int:
    """Count upwards to the next length whose last E - S bits are zero; E and S are counted too."""
    exponent = 0
    while 2 ** (exponent + 1) <= length:
        exponent += 1
    significant = 1
    while 2**significant <= exponent:
        significant += 1
    while length % 2 ** max(exponent - significant, 0):
        length += 1
    return length


def test_all_short_lengths_are_as_defined():
    assert [padded_length(length) for length in range(2, 5000)] == [defined(length) for length in range(2, 5000)]


@given(st.integers(2, 1 << 21))
@example(1 << 20)
@example((1 << 20) + 1)
@example((1 << 20) - 1)
def test_lengths_are_as_defined_and_within_the_papers_bounds(length):
    padded = padded_length(length)
    assert padded == defined(length)
    exponent = length.bit_length() - 1
    # Less than one part in E is added, so never more than 12 %, and ever less with length.
    assert (padded - length) * exponent < length
    assert 100 * (padded - length) <= 12 * length


@pytest.mark.parametrize("exponent", [4, 8, 12, 16])
def test_few_lengths_remain(exponent):
    """Of all lengths of one power of two no more than 2^S + 1 are seen: O(log log M) bits are told, not log M."""
    seen = {padded_length(length) for length in range(1 << exponent, 1 << exponent + 1)}
    assert len(seen) <= 2 ** exponent.bit_length() + 1
    assert max(seen) <= 1 << exponent + 1
