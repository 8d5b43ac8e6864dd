"""The loggers of aiokafka, bounded: in one blackout it writes 10,000 lines otherwise (design: kafka)."""

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Final

import aiokafka.admin  # noqa: F401 - what is imported has made its loggers
import structlog

LIBRARY: Final = "aiokafka"

_WINDOW_S: Final = 60.0
_LINES: Final = 10
_log = structlog.get_logger("kafka")


class LineBound(logging.Filter):
    """Let a logger say at most `most` lines a minute; what was withheld is counted and said with the next minute.

    One for each logger; what a logger withheld last before it fell silent is not said. `clock` gives seconds that never go back.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most: Final = most
        self._clock: Final = clock
        self._lock: Final = Lock()
        self._until = float("-inf")  # under the lock, as the counts
        self._said = 0
        self._withheld = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line may be written."""
        with self._lock:
            now, withheld = self._clock(), 0
            if now >= self._until:
                withheld = self._withheld
                self._until, self._said, self._withheld = now + _WINDOW_S, 0, 0
            passes = self._said < self._most
            self._said += passes
            self._withheld += not passes
        if withheld:
            _log.warning("library.withheld", library=record.name, lines=withheld)
        return passes


def bound_loggers(most: int = _LINES, clock: Callable[[], float] = time.monotonic) -> None:
    """Bound every logger of aiokafka to `most` lines a minute; a blackout makes it write 10,000 otherwise.

    May be called again: a logger keeps the bound that it has. A filter holds for one logger, not for those below it.
    """
    for name in {LIBRARY, *logging.root.manager.loggerDict}:
        if name == LIBRARY or name.startswith(f"{LIBRARY}."):
            logger = logging.getLogger(name)
            if not any(isinstance(one, LineBound) for one in logger.filters):
                logger.addFilter(LineBound(most, clock))
