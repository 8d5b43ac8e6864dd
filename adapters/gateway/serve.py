"""Serving the gateway: sockets, TLS, uvicorn, and an orderly end. The service has one listener, the metrics another.

On SIGTERM or SIGINT no new connections are taken, requests under way may finish within a bound, then the gateway's loops
end and its store is closed. A second signal ends it at once.
"""

import asyncio
import gc
import signal
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from adapters.gateway.http.api import create_api
from adapters.gateway.http.edge import Edge, MetricsApp
from adapters.gateway.http.protocol import LimitedProtocol
from adapters.gateway.service import Gateway
from adapters.gateway.settings import Address, ConfigurationError, Settings, Tls
from adapters.gateway.telemetry import Telemetry
from adapters.gateway.tokens import Tokens
from keys.custody import durable

ADDRESS: Final = "address"
METRICS_ADDRESS: Final = "metrics-address"
KEEP_ALIVE_SECONDS: Final = 65
BACKLOG: Final = 512
SOCKET_MODE: Final = 0o660
SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_LOG: Final = structlog.get_logger("gateway")

Ready = Callable[[str, str | None], None]
"""Is told the service's address and the metrics' once both answer."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket and the address that others reach it by: a URL, or `unix:/path`."""

    socket: socket.socket
    address: str


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, with a word when it listens and one before the end."""

    def __init__(self, config: uvicorn.Config, before_shutdown: Callable[[], None]) -> None:
        super().__init__(config)
        self._before_shutdown = before_shutdown
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn would raise them again before the store is closed."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and say so."""
        await super().startup(sockets)
        self.listening.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Release who waits, then let requests under way end."""
        self._before_shutdown()
        await super().shutdown(sockets)


def run(settings: Settings, gateway: Gateway, ready: Ready) -> None:
    """Serve until a signal comes, then stop the gateway.

    Raises `OSError` where an address cannot be had, `ConfigurationError` for certificates that cannot be used.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, gateway, ready))


async def _serve(settings: Settings, gateway: Gateway, ready: Ready) -> None:
    folder, telemetry = settings.folder, Telemetry()
    try:
        tls = tls_context(settings.tls)
        service = bind(Address.parse(settings.listen), tls=tls is not None)
        metrics = None if settings.metrics == "off" else bind(Address.parse(settings.metrics), tls=False)
        main = _server(Edge(create_api(gateway, Tokens(folder)), telemetry), settings, gateway.release, tls)
        side = _server(MetricsApp(gateway, telemetry), settings, _nothing, None)
        await gateway.start()
        with _ending_on_signals(main, side):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(main.serve([service.socket]))
                if metrics is not None:
                    tasks.create_task(side.serve([metrics.socket]))
                    await side.listening.wait()
                await main.listening.wait()
                # What has been made up to here stays: the collector need not go through it again and again.
                gc.collect()
                gc.freeze()
                _LOG.info("gateway.started", address=service.address)
                ready(service.address, None if metrics is None else metrics.address)
                _write_address(folder / METRICS_ADDRESS, metrics)
                # The last thing that happens: whoever waits for this file finds all else in its place.
                _write_address(folder / ADDRESS, service)
    except ExceptionGroup as group:
        raise group.exceptions[0] from None  # the one that ended the others: a full disk, an address that is taken
    finally:
        for name in (ADDRESS, METRICS_ADDRESS):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        await gateway.stop()
        _LOG.info("gateway.stopped")


def _nothing() -> None:
    """Do nothing: nobody waits for metrics."""


def _server(
    app: ASGIApp, settings: Settings, before_shutdown: Callable[[], None], tls: ssl.SSLContext | None
) -> _Server:
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    config.load()
    config.ssl = tls
    return _Server(config, before_shutdown)


@contextmanager
def _ending_on_signals(*servers: _Server) -> Iterator[None]:
    """Tell the servers to end when a signal comes, and not to wait when a second one does."""

    def end() -> None:
        for server in servers:
            server.force_exit = server.should_exit
            server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def tls_context(tls: Tls) -> ssl.SSLContext | None:
    """Return the context for TLS 1.3, None without certificates; raise `ConfigurationError` for unusable files."""
    if tls.certificate is None or tls.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    except OSError:  # or ssl.SSLError, which is one
        raise ConfigurationError("The certificate and its key cannot be used.", pointer="/tls") from None
    return context


def _no_password() -> str:
    # OpenSSL would ask on the terminal of a service that has none.
    raise ConfigurationError("The TLS key must not need a password.", pointer="/tls/key")


def bind(address: Address, *, tls: bool) -> Listener:
    """Bind a socket; port 0 takes any that is free. Raises `OSError`."""
    if address.socket is not None:
        return _bind_unix(address.socket)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    found = socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    host, port = found.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return Listener(found, f"{'https' if tls else 'http'}://{shown}:{port}")


def _bind_unix(path: Path) -> Listener:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode) and not _answers(path):
            path.unlink()  # left behind by a gateway that was killed
    found = socket.socket(socket.AF_UNIX)
    try:
        found.bind(str(path))
        path.chmod(SOCKET_MODE)  # the proxy is in the group
        found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return Listener(found, f"unix:{path}")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _write_address(path: Path, listener: Listener | None) -> None:
    """Write where a listener is reached, so that local programs find it; without one, remove what a crash has left."""
    if listener is None:
        path.unlink(missing_ok=True)
    else:
        durable.write(path, f"{listener.address}\n".encode())
