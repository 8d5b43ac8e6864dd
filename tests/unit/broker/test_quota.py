"""Quotas against exact arithmetic, and that they are counted a participant."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.quota import Quota

steps = st.lists(st.tuples(st.sampled_from(["fr/a", "de/b"]), st.integers(-50, 400)), max_size=60)


@given(st.integers(1, 20), steps)
def test_a_bucket_holds_two_seconds_and_fills_as_time_passes(rate, taken):
    quota = Quota(rate)
    buckets: dict[str, tuple[Fraction, int]] = {}
    now = 10_000
    for who, passed in taken:
        now += passed
        held, then = buckets.get(who, (Fraction(2 * rate), now))
        # Where the clock runs back nothing is added, and nothing is taken away.
        held = min(Fraction(2 * rate), held + Fraction(max(0, now - then) * rate, 1000))
        permitted = quota.take(who, now)
        if abs(held - 1) > Fraction(1, 10**9):  # beyond what a float can tell apart
            assert permitted is (held >= 1)
        buckets[who] = (held - 1 if permitted else held, now)


@given(st.integers(1, 50), st.integers(0, 10**13))
def test_a_burst_is_bounded_and_the_rate_is_kept(rate, begin):
    quota = Quota(rate)
    assert sum(quota.take("fr/a", begin) for _ in range(3 * rate)) == 2 * rate
    assert quota.take("de/b", begin)
    seconds = 5
    later = sum(quota.take("fr/a", begin + ms) for ms in range(0, seconds * 1000 + 1, 10))
    assert seconds * rate - 1 <= later <= min(seconds * rate + 1, seconds * 100 + 1)


@pytest.mark.parametrize("back", [1, 10**6])
def test_a_clock_that_runs_back_gives_nothing(back):
    quota = Quota(1)
    assert [quota.take("fr/a", 10**9) for _ in range(3)] == [True, True, False]
    assert not quota.take("fr/a", 10**9 - back)


def test_the_default_is_the_limits():
    quota = Quota()
    assert sum(quota.take("fr/a", 0) for _ in range(5000)) == 4000
