"""Child processes of the demonstration: started, waited for by the address they write, killed and ended by their id."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from schemas.errors import Error

START_SECONDS: Final = 40
STOP_SECONDS: Final = 20
_COMMAND: Final = (sys.executable, "-c", "from adapters.cli.main import main; main()")


class DemoError(Error):
    """A part of the demonstration did not do what it must."""

    problem = "internal"


class Service:
    """One service that runs until it is told to stop, or killed; its talk goes to a log file."""

    def __init__(self, name: str, arguments: Sequence[str], *, log: Path, address_file: Path) -> None:
        self.name = name
        self.address = ""
        self._arguments = list(arguments)
        self._log = log
        self._address_file = address_file
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it has written where it listens; raise `DemoError`."""
        self._address_file.unlink(missing_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220, S603 - one short fork, our own program
                [*_COMMAND, *self._arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise DemoError(f"{self.name} ended with code {self._process.returncode}.", hint=f"See {self._log}.")
            if self._address_file.exists():
                self.address = self._address_file.read_text().strip()
                return
            await asyncio.sleep(0.02)
        raise DemoError(f"{self.name} did not start within {START_SECONDS} s.", hint=f"See {self._log}.")

    def kill(self) -> None:
        """End it with SIGKILL: no farewell, no flush."""
        assert self._process is not None  # started
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    async def stop(self) -> None:
        """Ask it to end, and kill it if it does not."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process is not None  # started
        return self._process.pid


@asynccontextmanager
async def ending(process: Process) -> AsyncIterator[None]:
    """Let no process outlive the block that waits for it."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Let the end of a terminal, and a polite kill, be what Ctrl-C is: an end that ends the children first."""
    # Who is ignored already (nohup) stays so.
    heard = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    # A shell has what it starts in the background ignore Ctrl-C, and with that what is passed on as one.
    ignored = bool(heard) and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in heard:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, signal.SIG_DFL)
        if ignored:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def deaf() -> Iterator[None]:
    """Hear no further interrupt while what has begun to end is ended."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def command(arguments: Sequence[str], *, log: Path, folder: Path | None = None) -> bytes:
    """Run one command of Valise to its end and return what it printed; raise `DemoError` where its exit code is not 0."""
    code, output = await run(arguments, log=log, folder=folder)
    if code != 0:
        raise DemoError(f"`valise {' '.join(arguments[:2])}` ended with {code}.", hint=f"See {log}.")
    return output


async def run(arguments: Sequence[str], *, log: Path, folder: Path | None = None) -> tuple[int, bytes]:
    """Run one command of Valise to its end and return its exit code and what it printed; what it says goes to the log.

    With a `folder` it runs there, and what it remembers for its user stays there too.
    """
    environment = {} if folder is None else {"XDG_STATE_HOME": os.fspath(folder / "state")}
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *_COMMAND,
            *arguments,
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env={**os.environ, **environment},
        )
        async with ending(process):
            output, _ = await process.communicate()
    assert process.returncode is not None  # it has ended
    return process.returncode, output
