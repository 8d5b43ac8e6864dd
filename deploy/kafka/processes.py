"""Processes that outlive the program that started them: watched and signalled by id and time of birth. Linux only."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class KafkaError(Exception):
    """Kafka cannot be had, or did not do what it was told."""


class MissingError(KafkaError):
    """A program is missing that this machine must have; the message says how to get it."""


def run(command: Sequence[str], problem: str) -> None:
    """Run a command to its end; raise `KafkaError` that says what went wrong and what it printed last."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise KafkaError(f"{problem}:\n{last_lines(done.stdout + done.stderr)}")


def last_lines(text: str, count: int = 12) -> str:
    """Return the last lines of a text, without the places in Java's code that errors list."""
    return "\n".join([line for line in text.strip().splitlines() if not line.startswith("\tat ")][-count:])


def spawn(command: Sequence[str], log: Path) -> int:
    """Start a process in a session of its own, its talk appended to the log, and return its id."""
    return os.posix_spawn(
        command[0],
        list(command),
        dict(os.environ),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def wait(pid: int) -> int:
    """Wait for a process that this run has spawned and return its exit code."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; say whether it did in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Process:
    """A process that a file remembers: its id and when it was born, so that no stranger with the same id is meant."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def start(self, command: Sequence[str], log: Path) -> None:
        """Start it and write down which it is."""
        pid = spawn(command, log)
        self._file.write_text(f"{pid} {_born(pid) or 0}\n", encoding="utf-8")

    @property
    def pid(self) -> int | None:
        """Return its id while it runs, or is frozen; None once it has ended."""
        try:
            pid, born = map(int, self._file.read_text(encoding="utf-8").split())
        except (FileNotFoundError, ValueError):  # never started, or the start was cut off
            return None
        with contextlib.suppress(ChildProcessError):  # another run started it
            os.waitpid(pid, os.WNOHANG)
        return pid if _born(pid) == born else None

    def send(self, number: signal.Signals) -> None:
        """Signal it, if it runs."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # ended just now
                os.kill(pid, number)


def _born(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None if it is not there or has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])
