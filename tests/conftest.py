"""What holds for every test: no network but what it says, and properties without deadlines on shared cores."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_socket
from hypothesis import HealthCheck, settings

# A shell has what it starts in the background ignore Ctrl-C, and so would all processes that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("valise", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("valise")

TESTS = Path(__file__).parent
COVERING = ("unit/schemas", "unit/keys", "unit/broker/ledger", "vectors", "kafka/store")
"""Where the tests of what is measured are (pyproject.toml): to measure in others costs minutes, and shows less."""
OF_PROCESSES = ("deploy", "faults", "kafka")
"""Tests that mostly wait for processes: a whole run has them on one core, and all others beside them on another."""
OVER_LOOPBACK = ("api", "faults", "interop", "kafka")


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    """Cut sockets off, but for tests that are marked `loopback` or lie in a folder of such: those reach this machine."""
    folder = Path(request.node.path).relative_to(TESTS).parts[0]
    if folder in OVER_LOOPBACK or request.node.get_closest_marker("loopback") is not None:
        pytest_socket.socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    else:
        pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()
    pytest_socket._remove_restrictions()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where coverage is measured, do not in tests of something else; keep the tests of real processes one after the other."""
    for item in items:
        if not any(item.path.is_relative_to(TESTS / folder) for folder in COVERING):
            item.add_marker(pytest.mark.no_cover)
        folder = item.path.relative_to(TESTS).parts[0]
        item.add_marker(pytest.mark.xdist_group("processes" if folder in OF_PROCESSES else str(item.path)))
