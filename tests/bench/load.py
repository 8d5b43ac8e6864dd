"""A load generator: a fixed number of connections that send prepared requests, closed loop or at a fixed rate."""

import asyncio
import time
from collections.abc import Sequence

import aiohttp

from keys.batch import Signed


async def closed_loop(address: str, envelopes: Sequence[Signed], connections: int) -> tuple[float, list[float]]:
    """Send all envelopes as fast as the broker answers; return requests a second and the latencies in seconds."""
    waiting = iter(envelopes)
    latencies: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:

        async def worker() -> None:
            for item in waiting:
                latencies.append(await _put(session, address, item))

        begun = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(connections)))
        return len(envelopes) / (time.perf_counter() - begun), latencies


async def batches(address: str, envelopes: Sequence[Signed], size: int, connections: int) -> float:
    """Send all envelopes in batches as fast as the broker answers; return envelopes a second."""
    bodies = [b"\n".join(item.envelope for item in envelopes[at : at + size]) for at in range(0, len(envelopes), size)]
    waiting = iter(bodies)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections)) as session:

        async def worker() -> None:
            for body in waiting:
                await _post(session, address, body)

        begun = time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(connections)))
        return len(envelopes) / (time.perf_counter() - begun)


async def _post(session: aiohttp.ClientSession, address: str, body: bytes) -> None:
    headers = {"Content-Type": "application/x-ndjson"}
    async with session.post(f"{address}/v1/notices", data=body, headers=headers) as response:
        lines = (await response.read()).splitlines()
        if response.status != 200 or not all(line.startswith(b'{"status":201,') for line in lines):
            raise RuntimeError(f"{response.status}: {lines[:1]!r}")


async def at_rate(address: str, envelopes: Sequence[Signed], per_second: float) -> list[float]:
    """Send envelopes at a fixed rate, whatever the answers do, and return the latencies in seconds."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256)) as session:
        begun = time.perf_counter()

        async def later(number: int, item: Signed) -> float:
            await asyncio.sleep(max(0.0, begun + number / per_second - time.perf_counter()))
            return await _put(session, address, item)

        return list(await asyncio.gather(*(later(number, item) for number, item in enumerate(envelopes))))


async def _put(session: aiohttp.ClientSession, address: str, item: Signed) -> float:
    url = f"{address}/v1/notices/{item.statement.notice_id}"
    sent = time.perf_counter()
    async with session.put(url, data=item.envelope, headers={"Content-Type": "application/json"}) as response:
        text = await response.read()
        if response.status not in (200, 201):
            raise RuntimeError(f"{response.status}: {text[:300]!r}")
    return time.perf_counter() - sent
