"""What an agency's system does: plain REST with a token to its own gateway. There is no cryptography here, on purpose."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from adapters.demo.processes import DemoError

PAGE: Final = 200


class Agency:
    """One participant's calls to its gateway."""

    def __init__(self, session: aiohttp.ClientSession, address: str, token: str) -> None:
        self._session = session
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"}

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Send one request and return the answer's JSON; raise `DemoError` for a problem."""
        more = {**self._headers, **(headers or {})}
        async with self._session.request(
            method, f"{self._address}{path}", json=json, data=data, headers=more
        ) as response:
            body = await response.json(content_type=None)
            if response.status >= 400:
                raise DemoError(f"{method} {path.partition('?')[0]}: {response.status} {body.get('detail', '')}")
            return body

    async def subscribe(self, *patterns: str) -> None:
        """Set what the participant subscribes to."""
        await self.call("PUT", "/v1/subscriptions", json={"patterns": sorted(patterns)})

    async def subscribed(self, count: int, seconds: float = 30) -> None:
        """Wait until so many patterns stand in the log."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = await self.call("GET", "/v1/subscriptions")
            if sum(item["index"] is not None for item in found["subscriptions"]) >= count:
                return
            await asyncio.sleep(0.1)
        raise DemoError("The subscriptions did not reach the log.")

    async def send(self, notice: Mapping[str, object], wait: int = 15) -> dict[str, Any]:
        """Post a notice and return its status once it is settled."""
        kept = await self.call("POST", "/v1/notices", json=notice, headers={"Prefer": f"wait={wait}"})
        return dict(await self.call("GET", f"/v1/notices/{kept['id']}"))

    async def notices(self, after: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return a page of what became of the participant's notices behind a cursor, and the next cursor."""
        page = await self.call("GET", f"/v1/notices?after={after}&limit={PAGE}")
        return page["notices"], page["next"]

    async def inbox(self, after: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return a page of the inbox behind a cursor, and the next cursor."""
        page = await self.call("GET", f"/v1/inbox?after={after}&limit={PAGE}")
        return page["items"], page["next"]

    async def acknowledge(self, notices: list[str]) -> None:
        """Acknowledge several notices at once."""
        await self.call("POST", "/v1/inbox/acknowledge", json={"notices": notices})
