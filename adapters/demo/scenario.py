"""The demonstration's story, step by step; each step says what it does and leaves figures in an `Outcome`."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from adapters.audit.bundle import make_evidence
from adapters.audit.check import check_evidence
from adapters.audit.verify import verify_log
from adapters.cli import desk
from adapters.client.broker import BrokerClient
from adapters.demo import ceremony, search
from adapters.demo.agency import PAGE, Agency
from adapters.demo.ceremony import AUDITOR, GATEWAYS, Stage
from adapters.demo.processes import DemoError, Service, command
from adapters.demo.rows import Rows
from adapters.gateway import identity
from adapters.gateway.folder import Folder
from adapters.gateway.tokens import Tokens
from keys.custody import durable
from keys.custody.file import FileCustody
from schemas.ids import NoticeId, ParticipantId
from schemas.notice import examples

SENDER: Final = "kz/customs"
READERS: Final = ("kz/focal-point", "uz/focal-point", "tj/focal-point")
PATIENCE_SECONDS: Final = 120
"""How long nothing may move before the demonstration gives up."""

Say = Callable[[str], None]


@dataclass
class Outcome:
    """The figures of the demonstration, as `--json` prints them."""

    rows_read: int = 0
    rows_imported: int = 0
    rows_refused: int = 0
    notices_published: int = 0
    notices_delivered: int = 0
    notices_opened: int = 0
    notices_acknowledged: int = 0
    denied: list[dict[str, str]] = field(default_factory=list)
    broker_restarts: int = 0
    marker_hits: int = 0
    ledger_size: int = 0
    seconds: float = 0.0
    rows_origin: str = ""
    searched_bytes: int = 0
    ledger_sound: bool = False
    evidence_sound: bool = False
    evidence_file: str = ""
    fingerprint: str = ""
    sample: dict[str, Any] = field(default_factory=dict)


@dataclass
class Progress:
    """What is told while the notices travel: how many have arrived, of how many."""

    say: Say
    moved: Callable[[int, int], None]


class Tally:
    """What became of one sender's issues; pages that have nothing to wait for any more are not read again."""

    def __init__(self, sender: str) -> None:
        self.published = self.owed = self.acknowledged = 0
        self._sender = sender
        self._cursor = 0
        self._settled = (0, 0)

    async def count(self, agency: Agency) -> None:
        """Read on from the first page that had something to wait for."""
        cursor, (self.published, self.owed) = self._cursor, self._settled
        self.acknowledged, waiting = self.owed, False
        while True:
            items, following = await agency.notices(cursor)
            issues = [item for item in items if item["act"] == "issue" and item["receipt"]]
            others = [one for item in issues for one in item["recipients"] if one["participant"] != self._sender]
            done = sum(one["acknowledged_at"] is not None for one in others)
            self.published += len(issues)
            self.owed += len(others)
            self.acknowledged += done
            waiting = waiting or done < len(others) or len(items) < PAGE
            if len(items) < PAGE:
                return
            cursor = following
            if not waiting:
                self._cursor, self._settled = cursor, (self.published, self.owed)


class Scenario:
    """The processes, and what is done with them."""

    def __init__(self, stage: Stage, rows: Rows, progress: Progress) -> None:
        self.stage = stage
        self.outcome = Outcome(rows_origin=rows.origin)
        self._rows = rows
        self._progress = progress
        self._logs = stage.folder / "logs"
        self._gateways: dict[str, Service] = {}
        self._broker: Service | None = None
        self._agencies: dict[str, Agency] = {}
        self._opened: dict[str, set[str]] = {who: set() for who in READERS}
        self._cursors: dict[str, int] = dict.fromkeys(READERS, 0)
        self._seen: dict[str, set[str]] = {who: set() for who in READERS}

    async def run(self, *, keep: bool) -> Outcome:
        """Tell the whole story; end every process, unless they are to be kept."""
        begun = time.monotonic()
        async with self.stage_set(keep=keep):
            await self._travel()
            marker = await self._deny()
            await self._settle()
            await self._verify()
            await self._search(marker)
        self.outcome.seconds = round(time.monotonic() - begun, 2)
        return self.outcome

    @asynccontextmanager
    async def stage_set(self, *, keep: bool = False) -> AsyncIterator[Mapping[str, Agency]]:
        """Hold the ceremony, start everything, subscribe; yield the agencies; end every process unless it is kept."""
        durable.make_folder(self._logs)
        connector = aiohttp.TCPConnector(limit=32)
        timeout = aiohttp.ClientTimeout(total=300)
        try:
            async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                await self._found()
                await self._start_gateways(session)
                await self._subscribe()
                yield self._agencies
        finally:
            if not keep:
                await self.stop()

    async def stop(self) -> None:
        """End every process."""
        services = [*self._gateways.values(), *([] if self._broker is None else [self._broker])]
        await asyncio.gather(*(service.stop() for service in services))

    def addresses(self) -> dict[str, str]:
        """Return where the services listen, by name."""
        broker = {} if self._broker is None else {"broker": self._broker.address}
        return {**broker, **{f"gateway-{name}": service.address for name, service in self._gateways.items()}}

    def process_ids(self) -> list[int]:
        """Return the ids of the processes that run."""
        services = [*self._gateways.values(), *([] if self._broker is None else [self._broker])]
        return [service.pid for service in services]

    # Setting up

    async def _found(self) -> None:
        say, stage = self._progress.say, self.stage
        say("Ceremony: five root keys, three sign; a broker with keys of its own")
        passphrase = ["--passphrase-file", str(stage.passphrase_file)]
        log = self._logs / "commands.log"
        await command(["broker", "init", "--state", str(stage.broker), "--origin", stage.origin, *passphrase], log=log)
        folder = ceremony.hold_ceremony(stage, (stage.broker / "broker-public.json").read_bytes())
        await command(["broker", "install", str(folder), "--state", str(stage.broker), *passphrase], log=log)
        config = stage.folder / "broker.toml"
        durable.write(
            config,
            f'state = "{stage.broker}"\norigin = "{stage.origin}"\ndemo = true\nlisten = "127.0.0.1:0"\n'
            f'metrics = "127.0.0.1:0"\npassphrase_file = "{stage.passphrase_file}"\n'.encode(),
        )
        self._broker = Service(
            "the broker",
            ["broker", "run", "--config", str(config)],
            log=self._logs / "broker.log",
            address_file=stage.broker / "address",
        )
        await self._broker.start()
        # A restart must be found where the gateways look for it.
        listen = self._broker.address.removeprefix("http://")
        durable.write(config, config.read_bytes().replace(b"127.0.0.1:0", listen.encode(), 1))
        say("Enrolment: three States, their gateways, their laws signed by two keys each, an auditor")
        async with BrokerClient(self._broker.address) as client:
            await ceremony.enrol(stage, client, self._broker.address)

    async def _start_gateways(self, session: aiohttp.ClientSession) -> None:
        stage = self.stage
        for state in GATEWAYS:
            folder = stage.gateway(state)
            config = stage.folder / f"gateway-{state}.toml"
            durable.write(
                config,
                f'folder = "{folder}"\nlisten = "127.0.0.1:0"\nmetrics = "off"\n'
                f'passphrase_file = "{stage.passphrase_file}"\nacknowledge_seconds = 0.5\npoll_seconds = 0.5\n'.encode(),
            )
            self._gateways[state] = Service(
                f"the gateway of {state}",
                ["gateway", "run", "--config", str(config)],
                log=self._logs / f"gateway-{state}.log",
                address_file=folder / "address",
            )
        await asyncio.gather(*(service.start() for service in self._gateways.values()))
        for state, members in GATEWAYS.items():
            for member in members:
                _, token = Tokens(stage.gateway(state)).new(ParticipantId(member), "demonstration")
                durable.write(stage.folder / f"token-{member.replace('/', '-')}", token.encode())
                self._agencies[member] = Agency(session, self._gateways[state].address, token)

    async def _subscribe(self) -> None:
        self._progress.say("Subscriptions: the three focal points ask for *.seizures and *.precursors")
        await asyncio.gather(*(self._agencies[who].subscribe("*.seizures", "*.precursors") for who in READERS))
        await asyncio.gather(*(self._agencies[who].subscribed(2) for who in READERS))
        await self._known_to_sender()

    async def _known_to_sender(self) -> None:
        """Wait until the sender's gateway has read the subscriptions out of the log."""
        until = time.monotonic() + 30
        request = {"topic": "central-asia.seizures", "notice": examples("seizure")}
        while time.monotonic() < until:
            preview = await self._agencies[SENDER].call("POST", "/v1/notices/preview", json=request)
            found = {item["participant"] for item in preview["candidates"] if item["permitted"]}
            if found >= set(READERS):
                return
            await asyncio.sleep(0.1)
        raise DemoError("The sender's gateway does not see the subscriptions.")

    # Travelling

    async def _travel(self) -> None:
        out = self.outcome
        report = await self.import_rows()
        out.rows_read, out.rows_imported = report["rows_read"], report["rows_imported"]
        out.rows_refused = report["rows_refused"]
        self._progress.say(
            f"Import: {out.rows_read} {self._rows.origin}; {out.rows_imported} accepted, {out.rows_refused} refused"
        )
        if not report["notices"]:
            raise DemoError(
                "No row could be imported.", hint="Import the file with `valise import`: it says why, row by row."
            )
        expected = len(report["notices"]) * len(READERS)
        await self._until(expected // 3, expected)
        await self._kill_broker()
        await self._until(expected, expected)

    async def import_rows(self) -> dict[str, Any]:
        """Post the table to the sender's gateway and return its report."""
        path = f"/v1/imports?name={self._rows.name}"
        return dict(await self._agencies[SENDER].call("POST", path, data=self._rows.data, headers=self._rows_type()))

    def _rows_type(self) -> dict[str, str]:
        return {"Content-Type": "application/gzip" if self._rows.name.endswith(".gz") else "text/csv"}

    async def _kill_broker(self) -> None:
        broker = self._broker
        assert broker is not None  # started
        self._progress.say(f"SIGKILL: the broker (process {broker.pid}) is killed in the middle, and started again")
        broker.kill()
        await broker.start()
        self.outcome.broker_restarts += 1

    async def _until(self, wanted: int, of: int) -> None:
        """Read the inboxes, acknowledging what is there, until so many notices have arrived."""
        last, moved_at = -1, time.monotonic()
        while True:
            await asyncio.gather(*(self._read(who) for who in READERS))
            arrived = sum(map(len, self._seen.values()))
            self._progress.moved(min(arrived, of), of)
            if arrived >= wanted:
                return
            if arrived != last:
                last, moved_at = arrived, time.monotonic()
            elif time.monotonic() - moved_at > PATIENCE_SECONDS:
                raise DemoError(f"Only {arrived} of {wanted} notices arrived.", hint=f"See {self._logs}.")
            await asyncio.sleep(0.15)

    async def _read(self, who: str) -> None:
        agency = self._agencies[who]
        while True:
            items, cursor = await agency.inbox(self._cursors[who])
            fresh = [item for item in items if item["act"] == "issue"]
            names = {item["id"] for item in fresh}
            if len(names) < len(fresh) or names & self._seen[who]:
                raise DemoError(f"{who} was given a notice twice.", hint=f"See {self._logs}.")
            self._seen[who] |= names
            self._opened[who] |= {item["id"] for item in fresh if item["status"] == "opened"}
            if fresh:
                seizures = [item for item in fresh if item["notice"] and item["notice"]["kind"] == "seizure"]
                self.outcome.sample = self.outcome.sample or next(iter(seizures), {})
                await agency.acknowledge([item["id"] for item in fresh])
            self._cursors[who] = cursor
            if len(items) < PAGE:
                return

    async def _deny(self) -> str:
        """Send one notice that a law forbids to a State, with a marker in its text."""
        marker = search.new_marker(secrets.token_bytes(16))
        notice = {**examples("precursor"), "reason": {"language": "en", "text": f"The load was marked {marker}."}}
        request = {"topic": "central-asia.precursors", "notice": notice, "label": {"tlp": "red"}}
        before = await self._agencies[SENDER].call("POST", "/v1/notices/preview", json=request)
        denied = [item["participant"] for item in before["candidates"] if not item["permitted"]]
        status = await self._agencies[SENDER].send(request)
        for item in status["left_out"]:
            why = item["denied"]
            if why is not None:
                article = f"{why['instrument']}, {why['article']}"
                state = item["participant"].partition("/")[0]
                self.outcome.denied.append({"state": state, "article": article, "reason": why["reason"]["en"]})
        if status["status"] != "published" or {item["state"] for item in self.outcome.denied} != {
            who.partition("/")[0] for who in denied
        }:
            raise DemoError("The preview and the outcome differ.")
        self._progress.say(f"Law: {', '.join(denied)} is left out, by {self.outcome.denied[0]['article']}")
        return marker

    async def _settle(self) -> None:
        """Wait until everything that was sent has arrived and is acknowledged, then count."""
        self._progress.say("Acknowledgements: signed, sealed, batched; the sender sees who has read what")
        until = time.monotonic() + PATIENCE_SECONDS
        tallies = {who: Tally(who) for who in self._agencies}
        while True:
            await asyncio.gather(*(self._read(who) for who in READERS))
            await asyncio.gather(*(tally.count(self._agencies[who]) for who, tally in tallies.items()))
            published = sum(tally.published for tally in tallies.values())
            owed = sum(tally.owed for tally in tallies.values())
            acknowledged = sum(tally.acknowledged for tally in tallies.values())
            if owed == acknowledged or time.monotonic() > until:
                break
            await asyncio.sleep(0.2)
        out = self.outcome
        out.notices_published, out.notices_acknowledged = published, acknowledged
        out.notices_delivered = sum(map(len, self._seen.values()))
        out.notices_opened = sum(map(len, self._opened.values()))
        if out.notices_acknowledged != owed:
            raise DemoError(f"Only {acknowledged} of {owed} acknowledgements came back.")

    # Proving

    async def _verify(self) -> None:
        self._progress.say("Audit: every leaf is hashed again, every open statement demanded, the root compared")
        assert self._broker is not None  # started
        stage = self.stage
        custody = FileCustody(Folder(stage.folder / "auditor").keys, stage.passphrase)
        auditor = identity.load(custody, AUDITOR)
        sign = auditor.signer(stage.origin, lambda: time.time_ns() // 1_000_000)
        async with BrokerClient(self._broker.address) as client:
            known = await desk.newest(client, stage.place, stage.folder / "desk")
            report = await verify_log(
                client, known.directory, sign=sign, told=lambda _: None, now=int(time.time()), sealed=False
            )
            self.outcome.ledger_size, self.outcome.ledger_sound = report.size, report.sound
            if not report.sound:
                raise DemoError(f"The log does not verify: {report.findings[0].detail}")
            notice = NoticeId(self.outcome.sample["id"])
            evidence = await make_evidence(client, known.directory, notice, sign=sign)
        file = stage.folder / "evidence.json"
        durable.write(file, evidence.encode())
        self.outcome.evidence_file = str(file)
        self.outcome.fingerprint = stage.place.fingerprint
        # Offline: this function opens no connection, and is given nothing but the file and the root's fingerprint.
        checked = check_evidence(file.read_bytes(), fingerprint=stage.place.fingerprint)
        self.outcome.evidence_sound = checked.sound
        if not checked.sound:
            failed = next(step for step in checked.steps if not step.ok)
            raise DemoError(f"The evidence does not check: {failed.name}: {failed.detail}")

    async def _search(self, marker: str) -> None:
        self._progress.say("Search: everything that the broker wrote, for a marker that stood in a notice")
        await self._marker_was_read(marker)
        metrics = (self.stage.broker / "metrics-address").read_text().strip()
        async with aiohttp.ClientSession() as session, session.get(f"{metrics}/metrics") as response:
            exposed = await response.read()
        hits, searched = await asyncio.to_thread(search.hits_in, self.stage.broker, marker)
        log = (self._logs / "broker.log").read_bytes()
        self.outcome.marker_hits = hits + search.hits_in_bytes(log + exposed, marker)
        self.outcome.searched_bytes = searched + len(log) + len(exposed)

    async def _marker_was_read(self, marker: str) -> None:
        """Make sure that the search could have found something: a recipient has read the marker."""
        after = 0
        while True:
            items, after = await self._agencies["tj/focal-point"].inbox(after)
            if any(marker in str(item["notice"]) for item in items):
                return
            if len(items) < PAGE:
                raise DemoError("The marker did not arrive at its recipient.")
