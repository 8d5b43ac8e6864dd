"""Keep the gateway's loops going: one that fails begins again from the store, and an alarm says which and where."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import structlog

from adapters.gateway.alarms import Alarms
from adapters.gateway.send import Backoff
from adapters.gateway.store import Store
from schemas.errors import Error

LOOP_SECONDS: Final = 3
"""How long a loop that failed waits at most: what it waits for, such as space on the disk, does not tell it."""

_log = structlog.get_logger("gateway")


class Loops:
    """The loops of one gateway, as tasks of one event loop."""

    def __init__(self, store: Store, alarms: Alarms) -> None:
        self._store = store
        self._alarms = alarms
        self._tasks: list[asyncio.Task[None]] = []

    def __bool__(self) -> bool:
        """Say whether any was started and not stopped."""
        return bool(self._tasks)

    def run(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Begin a loop."""
        self._tasks.append(asyncio.create_task(self._supervise(name, work), name=name))

    async def stop(self, seconds: float) -> None:
        """End all loops, within so many seconds."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        self._tasks.clear()

    async def _supervise(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run a loop, and run it again where it fails: all of them begin from the store."""
        backoff = Backoff(least=1, most=LOOP_SECONDS)
        while True:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 -- a loop that ended would lose what waits; an alarm says so
                # Not the values: a traceback with locals would put notices and keys into the log.
                _log.error("loop.failed", loop=name, error=type(_first(error)).__name__, where=_where(error))
                if not self._store.full:  # which shows in readiness, and goes by itself
                    await self._fault(name, error)
                await asyncio.sleep(backoff.after())
            else:
                return

    async def _fault(self, name: str, error: Exception) -> None:
        try:
            await self._alarms.start("fault", f"{name}: {_named(error)}")
        except Error:
            _log.warning("alarm.not_kept", loop=name)


def _first(error: BaseException) -> BaseException:
    """Return the first failure of a group."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _named(error: BaseException) -> str:
    """Return what went wrong without what it went wrong with: an alarm is shown to many."""
    first = _first(error)
    return first.detail if isinstance(first, Error) else type(first).__name__


def _where(error: BaseException) -> list[str]:
    """Return the innermost places of a failure, as file:line, in a form that the log does not withhold."""
    frames = traceback.extract_tb(_first(error).__traceback__)[-4:]
    return [f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames)]
