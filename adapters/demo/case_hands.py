"""What Albania's case does with its hands: ask and send at gateways, run commands, wait, see what the broker holds."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from adapters.client.answers import Held
from adapters.client.broker import BrokerClient
from adapters.demo import case_cast
from adapters.demo.agency import Agency
from adapters.demo.case_cast import ALBANIA
from adapters.demo.case_report import Sheet, state_of
from adapters.demo.ceremony import FOCAL_POINT, LAW_KEY, Stage
from adapters.demo.exchange import Alone
from adapters.demo.gateways import Gateways
from adapters.demo.processes import DemoError, command, run
from adapters.gateway import identity
from adapters.gateway.folder import Folder
from keys.custody.file import FileCustody
from schemas.ids import ParticipantId

PATIENCE_SECONDS: Final = 30

Candidates = list[dict[str, Any]]


class Hands:
    """The processes, the agencies' calls to their gateways, and the commands that people run."""

    def __init__(self, stage: Stage, sheet: Sheet, say: Callable[[str], None]) -> None:
        """Take where it happens, where it is told, and who hears what is made ready."""
        self.stage = stage
        self.sheet = sheet
        self.exchange = Alone(stage, say)
        self.gateways = Gateways(stage, self.exchange.preferred)
        self.say = say
        self.notices: dict[str, str] = {}

    def of(self, state: str) -> Agency:
        """Return the focal point of a State."""
        return self.gateways.agencies[f"{state}/{FOCAL_POINT}"]

    async def candidates(self, request: Mapping[str, Any], *, states: bool, to: Sequence[str] = ()) -> Candidates:
        """Ask Albania's gateway who may receive a request, and whom it names besides."""
        path = "/v1/notices/preview" + ("?states=true" if states else "")
        found = await self.of(ALBANIA).call("POST", path, json={**request, **({"to": list(to)} if to else {})})
        return list(found["candidates"])

    async def post(self, name: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send a notice of Albania, remember its id under a name, and return its status."""
        status = await self.of(ALBANIA).send(request)
        if status["status"] != "published":
            raise DemoError(f"A notice was not published: {status['status']}.", hint=f"See {self.stage.logs}.")
        self.notices[name] = status["notice_id"]
        return status

    async def has(self, state: str, name: str) -> bool:
        """Say whether a State has opened a notice."""
        items, _ = await self.of(state).inbox()
        return any(one["id"] == self.notices[name] and one["status"] == "opened" for one in items)

    async def arrived(self, state: str, *names: str) -> None:
        """Wait until a State has opened some notices, and acknowledge them."""
        for name in names:

            async def has(name: str = name) -> bool:
                return await self.has(state, name)

            await until(has, f"the gateway of {state} receives a notice")
        await self.of(state).acknowledge([self.notices[name] for name in names])

    async def acknowledged(self, name: str, states: Sequence[str]) -> None:
        """Wait until Albania has the acknowledgements of some States."""

        async def has() -> bool:
            status = await self.of(ALBANIA).call("GET", f"/v1/notices/{self.notices[name]}")
            done = {state_of(one) for one in status["recipients"] if one["acknowledged_at"] is not None}
            return done >= set(states)

        await until(has, "Albania's gateway has the acknowledgements")

    async def held(self, state: str) -> tuple[Held, ...]:
        """Return what the broker holds from a State."""
        custody = FileCustody(Folder(self.stage.gateway(state)).keys, self.stage.passphrase)
        own = identity.load(custody, ParticipantId(f"{state}/{FOCAL_POINT}"))
        async with BrokerClient(self.exchange.address) as broker:
            return await broker.held(own.signer(self.stage.origin, lambda: time.time_ns() // 1_000_000))

    async def in_force(self, version: int) -> Candidates:
        """Wait until Albania's gateway decides by a directory version, and ask again."""
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update(
                await self.of(ALBANIA).call("POST", "/v1/notices/preview?states=true", json=case_cast.request())
            )
            return bool(found["directory"] >= version)

        await until(there, "Albania's gateway sees the law")
        return list(found["candidates"])

    async def upload(self) -> int:
        """Upload the law that both keys have signed, and return its directory version."""
        done = await self.valise("law", "upload", "al-law.update.json", "--deployment", "deployment.json")
        self.sheet.claim(f"In force from ledger index {done['index']}, directory version {done['directory']}", True)
        return int(done["directory"])

    async def sign(self, who: str, *words: str) -> None:
        """Run a command that signs with one of the two keys of Albania's law."""
        keys = self.stage.law_keys(ALBANIA, who).name
        await self.valise(*words, "--keys", keys, "--key", LAW_KEY, *self.secret)

    @property
    def secret(self) -> tuple[str, str]:
        """Return the option that names the passphrase file."""
        return ("--passphrase-file", self.stage.passphrase_file.name)

    async def valise(self, *words: str) -> dict[str, Any]:
        """Show a command, run it in the demonstration's folder, and return the object that it prints."""
        self.sheet.command(*words)
        output = await command([*words, "--json"], log=self.log, folder=self.stage.folder)
        return dict(json.loads(output))

    async def refused(self, *words: str) -> tuple[int, str]:
        """Show a command that must fail, run it, and return its exit code and what it says."""
        self.sheet.command(*words)
        code, _ = await run([*words, "--json"], log=self.log, folder=self.stage.folder)
        said = self.log.read_text(encoding="utf-8").splitlines()[-1:]
        return code, str(json.loads(said[0])["detail"]) if code and said else ""

    @property
    def log(self) -> Path:
        """Return where the commands talk to."""
        return self.stage.logs / "law.log"


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until a condition holds; raise `DemoError` when patience ends."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        if time.monotonic() > until:
            raise DemoError(f"It did not happen within {PATIENCE_SECONDS} s that {what}.")
        await asyncio.sleep(0.1)
