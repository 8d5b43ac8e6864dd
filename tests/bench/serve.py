"""A broker over HTTP in a process of its own, over a `World` that the parent has made, pinned to one core."""

import asyncio
import multiprocessing
import os
import socket
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from broker.http.api import create_api
from broker.http.protocol import GuardedProtocol
from broker.serving import Serving
from broker.telemetry import Telemetry
from tests.broker_world import HandClock, running
from tests.world import World


class WallClock(HandClock):
    """The machine's clock."""

    def __init__(self) -> None:
        super().__init__(0)

    def now_ms(self) -> int:
        import time

        return time.time_ns() // 1_000_000


CORES = sorted(os.sched_getaffinity(0))
"""What this process may use, as it was started."""


def pin(core: int | None) -> None:
    """Keep this process on one core, or let it have all of them again."""
    os.sched_setaffinity(0, CORES if core is None else {CORES[core % len(CORES)]})


async def _serve(world: World, folder: Path, listener: socket.socket, ready: object) -> None:
    async with running(world, folder, WallClock()) as broker:
        serving: Serving = broker.serving
        app = create_api(serving, Telemetry(serving.figures))
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            loop="uvloop",
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
        server = uvicorn.Server(config)
        ready.set()  # type: ignore[attr-defined]
        await server.serve(sockets=[listener])


def _run(world: World, folder: Path, listener: socket.socket, ready: object, core: int | None) -> None:
    import uvloop

    pin(core)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(world, folder, listener, ready))


@contextmanager
def broker(world: World, folder: Path, core: int | None = 1):
    """Run the broker and yield its address."""
    folder.mkdir(parents=True, exist_ok=True)
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    process = context.Process(target=_run, args=(world, folder, listener, ready, core), daemon=True)
    process.start()
    try:
        if not ready.wait(60):
            raise RuntimeError("the broker did not start")
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", process
    finally:
        process.terminate()
        process.join(15)
        listener.close()
