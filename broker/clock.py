"""The one place where the broker reads the time of day, for which tests bring their own; and a clock that never stands still."""

import time
from typing import Protocol


class Clock(Protocol):
    """A source of wall-clock time."""

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return Unix milliseconds."""
        return time.time_ns() // 1_000_000


def boot_seconds() -> float:
    """Return the seconds since the machine was started, those included in which it was suspended.

    For what may be old by now: the usual monotonic clock stands still while a machine is suspended.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)
