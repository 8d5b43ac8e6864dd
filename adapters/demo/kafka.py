"""Nodes of Kafka for the demonstration, by `deploy/kafka/dev.py`: a program beside this package that is not installed.

It holds the nodes as long as the other end of its standard input is open. So they end with this process, however it ends.
"""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path
from typing import Final

from adapters.demo.outcome import Say
from adapters.demo.processes import DemoError, ending
from schemas.errors import Error

STOP_SECONDS: Final = 30
_PROGRAM: Final = Path(__file__).parents[2] / "deploy" / "kafka" / "dev.py"
_OWN: Final = re.compile("kafka: ")
"""How the program begins a line that says why it failed."""


class Nodes:
    """Some nodes in a folder, numbered from 1."""

    def __init__(self, folder: Path, count: int, log: Path, say: Say) -> None:
        self.folder = folder
        self.count = count
        self._log = log
        self._say = say
        self._holding: Process | None = None
        self._listening: asyncio.Task[str] | None = None

    async def start(self) -> str:
        """Start them and return where clients begin (`host:port,…`); raise `Error` where that cannot be had here."""
        if not _PROGRAM.is_file():
            raise Error(
                "What starts Kafka is not here: deploy/kafka/dev.py.",
                problem="configuration",
                hint="Run the demonstration from a checkout.",
            )
        words = ["hold", "--nodes", str(self.count), "--dir", str(self.folder)]
        self._holding = await asyncio.create_subprocess_exec(
            sys.executable, str(_PROGRAM), *words, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        assert self._holding.stdout is not None  # a pipe
        self._listening = asyncio.create_task(self._listen(self._holding))
        bootstrap = (await self._holding.stdout.readline()).decode().strip()
        if not bootstrap:
            why = await self._listening
            raise Error(why or "Kafka did not start.", problem="configuration", hint="See deploy/kafka/README.md.")
        return bootstrap

    async def _listen(self, process: Process) -> str:
        """Tell what takes long, keep it all in the log, and return why it failed, empty where it says nothing."""
        assert process.stderr is not None  # a pipe
        why: list[str] = []
        with self._log.open("a", encoding="utf-8") as log:
            async for line in process.stderr:
                text = line.decode(errors="replace").rstrip()
                log.write(f"{text}\n")
                if why or _OWN.match(text):
                    why.append(_OWN.sub("", text, 1))
                else:
                    self._say(f"Kafka: {text}")
        return "\n".join(why)

    async def kill(self, number: int) -> None:
        """End a node with SIGKILL."""
        await self._do("kill", number)

    async def restart(self, number: int) -> None:
        """Start a node again, and wait until it serves."""
        await self._do("start", number)

    async def _do(self, verb: str, number: int) -> None:
        with self._log.open("ab") as log:
            words = [verb, str(number), "--dir", str(self.folder)]
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(_PROGRAM), *words, stdin=DEVNULL, stdout=log, stderr=log
            )
            async with ending(process):
                code = await process.wait()
        if code != 0:
            raise DemoError(f"Node {number} of Kafka: {verb} failed.", hint=f"See {self._log}.")

    async def leave(self) -> None:
        """Let them run on when this process ends."""
        await self._end(b"keep\n")

    async def stop(self) -> None:
        """End them, also those that are starting; what they wrote stays."""
        process = self._holding
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGINT)  # it may be fetching Kafka, or starting nodes
        await self._end(b"")

    async def _end(self, word: bytes) -> None:
        process = self._holding
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None  # a pipe
        process.stdin.write(word)
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            raise DemoError("The nodes of Kafka did not end.", hint=f"`{_PROGRAM} down --dir {self.folder}`") from None
        assert self._listening is not None  # as long as there is a process
        await self._listening
