"""How commands reach the broker directly: focal points for the directory, auditors for the log."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from adapters.client.broker import BrokerClient

T = TypeVar("T")


def open_broker(address: str, ca_file: Path | None) -> BrokerClient:
    """Return a client of the broker at an address; call it in a running event loop."""
    tls = ssl.create_default_context(cafile=os.fspath(ca_file)) if ca_file is not None else None
    return BrokerClient(address, tls=tls, seconds=60)


def with_broker(address: str, ca_file: Path | None, work: Callable[[BrokerClient], Awaitable[T]]) -> T:
    """Run `work` with a client of the broker in an event loop of its own, and return its result."""

    async def run() -> T:
        async with open_broker(address, ca_file) as broker:
            return await work(broker)

    return asyncio.run(run())
