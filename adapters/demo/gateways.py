"""The gateways of the demonstration as processes, each with tokens for the agencies that it serves."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

import aiohttp

from adapters.demo.agency import Agency
from adapters.demo.ceremony import Stage
from adapters.demo.processes import Service
from adapters.gateway.tokens import Tokens
from keys.custody import durable
from schemas.ids import ParticipantId


class Gateways:
    """One process a State of the cast; an agency is known by its participant's name from its gateway's first start on."""

    def __init__(self, stage: Stage, preferred: Callable[[str], str]) -> None:
        """Take where it happens, and the brokers' addresses by State."""
        self.agencies: dict[str, Agency] = {}
        self.services: dict[str, Service] = {}
        self._stage = stage
        self._preferred = preferred

    async def start(self, session: aiohttp.ClientSession, states: Iterable[str] | None = None) -> None:
        """Start the gateways of some States, or of all, and wait until they listen."""
        chosen = list(self._stage.cast.gateways if states is None else states)
        for state in chosen:
            if state not in self.services:
                self.services[state] = self._configured(state)
        await asyncio.gather(*(self.services[state].start() for state in chosen))
        for state in chosen:
            self._let_in(session, state)

    def _configured(self, state: str) -> Service:
        stage, folder = self._stage, self._stage.gateway(state)
        config = stage.folder / f"gateway-{state}.toml"
        durable.write(
            config,
            f'folder = "{folder}"\nbroker = "{self._preferred(state)}"\nlisten = "127.0.0.1:0"\n'
            f'metrics = "off"\npassphrase_file = "{stage.passphrase_file}"\n'
            "acknowledge_seconds = 0.5\npoll_seconds = 0.5\n".encode(),
        )
        return Service(
            f"the gateway of {state}",
            ["gateway", "run", "--config", str(config)],
            log=stage.logs / f"gateway-{state}.log",
            address_file=folder / "address",
        )

    def _let_in(self, session: aiohttp.ClientSession, state: str) -> None:
        for member in self._stage.cast.gateways[state]:
            file = self.token_file(member)
            if not file.exists():
                _, token = Tokens(self._stage.gateway(state)).new(ParticipantId(member), "demonstration")
                durable.write(file, token.encode())
            self.agencies[member] = Agency(session, self.services[state].address, file.read_text())

    def token_file(self, member: str) -> Path:
        """Return the file with an agency's token."""
        return self._stage.folder / f"token-{member.replace('/', '-')}"

    async def stop(self, states: Iterable[str] | None = None) -> None:
        """End the gateways of some States, or of all."""
        chosen = list(self.services if states is None else states)
        await asyncio.gather(*(self.services[state].stop() for state in chosen))
