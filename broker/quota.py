"""How many statements a participant may publish in a second: a token bucket each, counted after verification only.

An unauthenticated sender can therefore not use up anybody's quota. Owned by the ledger thread.
"""

from schemas.ids import ParticipantId
from schemas.limits import LIMITS


class Quota:
    """Token buckets that hold two seconds' worth, by participant; at most one entry each, so bounded by the directory."""

    def __init__(self, per_second: int = LIMITS.statements_per_second) -> None:
        self._rate = per_second / 1000
        self._depth = 2.0 * per_second
        self._buckets: dict[ParticipantId, tuple[float, int]] = {}

    def take(self, who: ParticipantId, now_ms: int) -> bool:
        """Take one statement from a participant's bucket, or say that it is empty."""
        tokens, then = self._buckets.get(who, (self._depth, now_ms))
        tokens = min(self._depth, tokens + max(0, now_ms - then) * self._rate)
        if tokens < 1:
            self._buckets[who] = (tokens, now_ms)
            return False
        self._buckets[who] = (tokens - 1, now_ms)
        return True
