"""The gateway's alarms: what a person must see, and what stops sending while it lasts.

Kept in the store, so that a restart forgets none. An alarm that goes on is written again at most once a minute.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

import structlog

from adapters.gateway import state
from adapters.gateway.status import Alarm
from adapters.gateway.store import Store

AGAIN_MS: Final = 60_000
_log = structlog.get_logger("gateway")


class Alarms:
    """The alarms of one gateway. Used in one event loop."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        # Owned by the event loop: kind → (detail, when it was last written).
        self._on: dict[str, tuple[str, int]] = {item.kind: (item.detail, 0) for item in store.read_now(state.alarms)}
        self._changed = asyncio.Event()

    @property
    def on(self) -> dict[str, str]:
        """Return the alarms that are on, with their details."""
        return {kind: detail for kind, (detail, _) in self._on.items()}

    @property
    def stopped(self) -> bool:
        """Say whether an alarm forbids sending."""
        return not state.STOPPING.isdisjoint(self._on)

    async def without(self, kinds: Collection[str]) -> None:
        """Wait until none of these alarms is on."""
        while any(kind in self._on for kind in kinds):
            self._changed.clear()
            await self._changed.wait()

    async def start(self, kind: str, detail: str, evidence: bytes | None = None) -> None:
        """Raise an alarm, or note that it goes on; of a new one `evidence` is kept."""
        now = self._now_ms()
        before = self._on.get(kind)
        if before is not None and before[0] == detail and now - before[1] < AGAIN_MS:
            return
        # In force at once, and written again as long as it could not be.
        self._on[kind] = (detail, before[1] if before is not None and before[0] == detail else 0)
        new = await self._store.write(lambda tx: state.raise_alarm(tx, kind, detail, at=now, evidence=evidence))
        self._on[kind] = (detail, now)
        if new:
            _log.warning("alarm.raised", alarm=kind)

    async def end(self, *kinds: str) -> None:
        """End alarms that are over by themselves; those of `state.STICKY` stay."""
        await self._end(kind for kind in kinds if kind not in state.STICKY)

    async def dismiss(self, kind: str) -> bool:
        """End an alarm because a person says so; say whether it was on."""
        was_on = kind in self._on
        await self._end((kind,))
        return was_on

    async def every(self, *, over: bool) -> list[Alarm]:
        """Return the alarms that are on, with `over` also those that were."""
        return await self._store.read(lambda tx: state.alarms(tx, over=over))

    async def _end(self, kinds: Iterable[str]) -> None:
        now = self._now_ms()
        for kind in kinds:
            if (held := self._on.get(kind)) is not None:
                # Over once that is written: what a full disk kept from being written is ended the next time.
                await self._store.write(partial(state.end_alarm, kind=kind, at=now))
                if self._on.get(kind) is held:  # else it was raised again meanwhile
                    del self._on[kind]
                _log.info("alarm.ended", alarm=kind)
                self._changed.set()
