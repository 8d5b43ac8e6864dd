"""The gateway as one thing: what its HTTP interface, its console and its tests call (design: api, Gateway API).

A `Gateway` is opened with its keys, then started in an event loop. What it accepts is durable when the call returns; what
becomes of it, `status` tells. It works with the broker away, from what it knew last.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

import structlog

from adapters.client.answers import Held
from adapters.client.broker import BrokerClient
from adapters.client.errors import BrokerAwayError
from adapters.gateway import (
    doctor,
    drafting,
    duties,
    enrol,
    imports,
    inbox,
    labels,
    outbox,
    previewing,
    recall,
    subscribing,
)
from adapters.gateway.alarms import Alarms
from adapters.gateway.arrivals import Arrivals, InboxWatch
from adapters.gateway.dealing import Dealings
from adapters.gateway.draft import Draft
from adapters.gateway.entries import key_of
from adapters.gateway.folder import Enrolled, Folder
from adapters.gateway.follow import Follower, Ours
from adapters.gateway.identity import Identity, cells, load_all
from adapters.gateway.keeping import Keeper
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.network import Network
from adapters.gateway.options import GatewayOptions, Stats
from adapters.gateway.outcomes import Outcomes
from adapters.gateway.receive import Acknowledger, Receiver
from adapters.gateway.request import CorrectionRequest, NoticeRequest, RecallRequest
from adapters.gateway.send import Backoff, Sender
from adapters.gateway.status import (
    WAITING,
    Alarm,
    Check,
    ImportReport,
    InboxItem,
    Kept,
    NoticeStatus,
    Preview,
    Readiness,
    State,
    Subscribed,
)
from adapters.gateway.store import StorageFullError, Store, Transaction
from adapters.gateway.supervise import Loops
from keys.custody.file import FileCustody
from keys.directory.update import DirectoryClient
from schemas import ids
from schemas.errors import Error
from schemas.ids import Code, Kid, NoticeId, ParticipantId, Pattern
from schemas.statement import RevocationBody

__all__ = ["Gateway", "GatewayOptions", "Stats", "examine"]

T = TypeVar("T")

DIRECTORY_FILE_SECONDS: Final = 30
STOP_SECONDS: Final = 10
_log = structlog.get_logger("gateway")


class Gateway:
    """One gateway, for one or more participants. `open` it anywhere, `start` and use it in one event loop."""

    def __init__(
        self, options: GatewayOptions, enrolled: Enrolled, identities: Mapping[ParticipantId, Identity], store: Store
    ) -> None:
        """Take what `open` opened."""
        self.options = options
        self.enrolled = enrolled
        self.store = store
        self._identities = identities
        self._now_ms = options.now_ms
        self._alarms = Alarms(store, options.now_ms)
        self._outcomes = Outcomes()
        self._arrivals = Arrivals()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="gateway-seal")
        self._loops = Loops(store, self._alarms)
        self._senders: dict[ParticipantId, Sender] = {}
        self._fetching: set[Future[bytes | None]] = set()
        self._client: BrokerClient | None = None
        self._follower: Follower | None = None
        self.dealings = Dealings(
            store=store,
            keep=self._keep,
            defaults=self.defaults,
            network=lambda: self.network,
            now_ms=options.now_ms,
        )

    @classmethod
    def open(cls, options: GatewayOptions, passphrase: bytes) -> "Gateway":
        """Open keys and store. Raises `Error`: not enrolled, a wrong passphrase, in use, a newer store."""
        folder = Folder(options.folder)
        enrolled = folder.enrolled()
        if enrolled is None:
            raise Error(
                "This folder has no gateway yet.", problem="enrolment", hint="Run `valise gateway init --kit FILE`."
            )
        custody = FileCustody(folder.keys, passphrase)
        identities = load_all(custody)
        return cls(options, enrolled, identities, Store(folder.store, cells(custody)))

    # Life

    async def start(self, client: BrokerClient | None = None) -> None:
        """Begin to follow, send and receive, over a `client` or by the options. With the broker away the rest works."""
        client, follower = self._attach(client)
        self._loops.run("follow", self._follow)
        for who, one in self._identities.items():
            self._start_participant(who, one, client, follower)
        keeper = Keeper(
            store=self.store,
            alarms=self._alarms,
            follower=follower,
            defaults=self.defaults,
            participants=self.participants,
            now_ms=self._now_ms,
            seconds=self.options.duty_seconds,
            wake=self._wake,
        )
        self._loops.run("duties", keeper.run)

    def _attach(self, client: BrokerClient | None = None) -> tuple[BrokerClient, Follower]:
        """Make what speaks to the broker, without beginning anything."""
        loop = asyncio.get_running_loop()
        options, origin = self.options, self.enrolled.origin
        client = self._client = client or self._connect()
        folder = Folder(options.folder)

        def fetch(name: str) -> bytes | None:
            waiting = asyncio.run_coroutine_threadsafe(client.directory_file(name), loop)
            self._fetching.add(waiting)
            try:
                return waiting.result(DIRECTORY_FILE_SECONDS)
            finally:
                self._fetching.discard(waiting)

        first = next(iter(self._identities.values()))
        follower = self._follower = Follower(
            client=client,
            store=self.store,
            directories=DirectoryClient(
                fetch, folder.directory, folder.root(), origin, clock=lambda: self._now_ms() // 1000
            ),
            alarms=self._alarms,
            origin=origin,
            sign=first.signer(origin, self._now_ms),
            ours=Ours({who: one.kids for who, one in self._identities.items()}, self.enrolled.gateway),
            now_ms=self._now_ms,
        )
        return client, follower

    def _connect(self) -> BrokerClient:
        options = self.options
        tls = None if options.ca_file is None else ssl.create_default_context(cafile=str(options.ca_file))
        return BrokerClient(options.broker or self.enrolled.broker, tls=tls, connections=options.connections)

    def _start_participant(self, who: ParticipantId, one: Identity, client: BrokerClient, follower: Follower) -> None:
        origin = self.enrolled.origin
        sender = self._senders[who] = Sender(
            identity=one,
            origin=origin,
            store=self.store,
            client=client,
            follower=follower,
            alarms=self._alarms,
            outcomes=self._outcomes,
            now_ms=self._now_ms,
            in_thread=self._in_thread,
        )
        receiver = Receiver(
            identity=one,
            origin=origin,
            store=self.store,
            client=client,
            follower=follower,
            alarms=self._alarms,
            now_ms=self._now_ms,
            in_thread=self._in_thread,
            arrived=partial(self._arrivals.tell, who),
            wake=sender.wake,
        )
        acknowledger = Acknowledger(who, self.store, self._now_ms, self.options.acknowledge_seconds, sender.wake)
        self._loops.run(f"send {who}", sender.run)
        self._loops.run(f"receive {who}", receiver.run)
        self._loops.run(f"reopen {who}", receiver.reopen)
        self._loops.run(f"elsewhere {who}", partial(receiver.elsewhere.run, self.options.duty_seconds))
        self._loops.run(f"acknowledge {who}", acknowledger.run)
        if self.options.practice_notice:
            self._loops.run(f"practice {who}", partial(self._practise, who))

    def release(self) -> None:
        """Let nobody wait for arrivals any more: the service is about to stop."""
        self._arrivals.finish()

    async def stop(self) -> None:
        """Stop within ten seconds; what was accepted is on disk. May be called twice, and without `start`."""
        self.release()
        await self._loops.stop(STOP_SECONDS)
        # A thread that waits for a file of the directory would hold up the end.
        for waiting in tuple(self._fetching):
            waiting.cancel()
        if self._client is not None:
            await self._client.close()
            self._client = None
        self._threads.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self.store.close)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _follow(self) -> None:
        follower = self._following()
        backoff = Backoff(least=min(0.5, self.options.poll_seconds), most=15)
        while True:
            try:
                if self.store.full:
                    await self.store.probe()
                await follower.poll()
                backoff.reset()
                await asyncio.sleep(self.options.poll_seconds)
            except BrokerAwayError as error:
                await asyncio.sleep(backoff.after(error.retry_after))
            except StorageFullError:
                await asyncio.sleep(self.options.poll_seconds)
            except Error as error:
                _log.info("log.not_followed", problem=error.code)
                await asyncio.sleep(backoff.after())

    # Whom it serves

    @property
    def participants(self) -> tuple[ParticipantId, ...]:
        """Return whom the gateway serves, sorted."""
        return tuple(sorted(self._identities))

    @property
    def network(self) -> Network | None:
        """Return what is known of the network, None before enrolment is complete."""
        return None if self._follower is None else self._follower.network

    def defaults(self, participant: ParticipantId) -> LabelDefaults:
        """Return what completes the labels of a participant's notices."""
        return self.options.defaults.get(participant, LabelDefaults())

    # Sending

    async def accept(
        self, participant: ParticipantId, request: NoticeRequest, idempotency_key: str | None = None
    ) -> Kept:
        """Keep a notice durably and return where its outcome will be.

        Raises `FormError` for what is wrong with it, `IdempotencyError`, `StorageFullError`.
        """
        at = self._now_ms()
        draft = drafting.issue(request, participant, self.defaults(participant), at=at)
        key = key_of(idempotency_key, request, "issue")
        name = ids.new_notice_id(at)

        def work(tx: Transaction) -> Kept:
            complete, answered = drafting.in_thread(tx, participant, draft, at=at)
            ref = None if answered is None else answered.notice_id
            # To pass something on, or to ask a colleague's advice about it, is no answer to whoever sent it.
            answers = ref if answered is not None and answered.sender in complete.to else None
            if answers is not None and answered is not None and _has_clock(answered):
                # The focal point, which has what is answered, is to know that its State has.
                complete = replace(labels.answering(complete), beside=self.dealings.colleagues(participant))
            return outbox.accept(tx, participant, [(name, complete)], at=at, key=key, ref=ref, answers=answers)[0]

        return await self._keep(participant, work)

    async def wait_outcome(
        self, participant: ParticipantId, notice_id: NoticeId, seconds: float
    ) -> NoticeStatus | None:
        """Wait at most so long until an entry is settled; return what is known then, None where there is no entry."""
        with self._outcomes.watch(notice_id) as watch:
            now = await self.status(participant, notice_id)
            if now is None or now.state not in WAITING:
                return now
            if not await watch.wait(seconds):
                return now
        return await self.status(participant, notice_id)

    async def status(self, participant: ParticipantId, notice_id: NoticeId) -> NoticeStatus | None:
        """Return what became of an entry, by any id that it had."""
        return await self.store.read(partial(outbox.status, participant=participant, notice_id=notice_id))

    async def statuses(
        self, participant: ParticipantId, *, after: int = 0, limit: int = 100, state: State | None = None
    ) -> tuple[list[NoticeStatus], int]:
        """Return statuses behind a cursor in the order of acceptance, and the next cursor."""
        return await self.store.read(
            partial(outbox.statuses, participant=participant, after=after, limit=limit, state=state)
        )

    async def preview(
        self,
        participant: ParticipantId,
        request: NoticeRequest,
        *,
        states: bool = False,
        pattern: Pattern | None = None,
    ) -> Preview:
        """Say who would get a notice now and who would not, why, and what would make it lawful; nothing is kept or sent.

        With `states`, each State's focal point is asked about too; with a pattern, the same is said of each of its topics.

        Rests on what was known last where the broker is away. Raises `FormError`, and `Error` before enrolment.
        """
        at = self._now_ms()
        draft = drafting.issue(request, participant, self.defaults(participant), at=at)
        draft, _ = await self.store.read(partial(drafting.in_thread, participant=participant, draft=draft, at=at))
        return await asyncio.to_thread(
            previewing.preview, self._known(), participant, draft, at=at, states=states, pattern=pattern
        )

    async def recall(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: RecallRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Keep a recall of an own published notice and its corrections; raise `NotRecallableError`."""
        key = key_of(idempotency_key, request, f"recall {notice_id}")
        return await self._keep(
            participant,
            partial(
                recall.recall,
                participant=participant,
                notice_id=notice_id,
                request=request,
                at=self._now_ms(),
                key=key,
            ),
        )

    async def correct(
        self,
        participant: ParticipantId,
        notice_id: NoticeId,
        request: CorrectionRequest,
        idempotency_key: str | None = None,
    ) -> Kept:
        """Keep a correction of an own published notice; raise `FormError`, `NotRecallableError`."""
        key = key_of(idempotency_key, request, f"correct {notice_id}")
        return await self._keep(
            participant,
            partial(
                recall.correct,
                participant=participant,
                notice_id=notice_id,
                request=request,
                defaults=self.defaults(participant),
                at=self._now_ms(),
                key=key,
            ),
        )

    async def import_table(
        self, participant: ParticipantId, data: bytes, name: str, *, dry_run: bool = False, routes: bool = False
    ) -> ImportReport:
        """Import a table of seizures; raise `TableError`, `TooLargeError`, `StorageFullError`."""
        work = imports.Import(participant, data, name, dry_run, routes)
        return await imports.run(
            work, self.store, self.defaults(participant), self._now_ms, partial(self._wake, participant)
        )

    # Subscriptions and keys

    async def subscriptions(self, participant: ParticipantId) -> tuple[Subscribed, ...]:
        """Return what a participant subscribes to: by the log, and what is on its way there."""
        network = self.network
        return await self.store.read(
            partial(
                subscribing.current,
                participant=participant,
                folded={} if network is None else network.subscriptions.get(participant, {}),
                size=0 if network is None else network.size,
            )
        )

    async def subscribe(self, participant: ParticipantId, patterns: tuple[Pattern, ...]) -> list[Kept]:
        """Set what a participant subscribes to; return the statements that this takes, none where nothing changes.

        Raises `FormError`, and `Error` where the rules deny a pattern.
        """
        drafting.check_patterns(patterns)
        now = {item.pattern for item in await self.subscriptions(participant)}
        new, gone = tuple(item for item in patterns if item not in now), tuple(now.difference(patterns))
        subscribing.check_allowed(self.network, participant, new)
        drafts = [
            drafting.subscription(act, participant, changed)
            for act, changed in (("subscribe", new), ("unsubscribe", gone))
            if changed
        ]
        return await self._keep_all(participant, drafts)

    async def unsubscribe(self, participant: ParticipantId, pattern: Pattern) -> Kept | None:
        """End one subscription; return the statement that this takes, None where there is none."""
        if pattern not in {item.pattern for item in await self.subscriptions(participant)}:
            return None
        return (await self._keep_all(participant, [drafting.subscription("unsubscribe", participant, (pattern,))]))[0]

    async def revoke_keys(
        self, participant: ParticipantId, kids: tuple[Kid, ...], reason: Code, about: ParticipantId | None = None
    ) -> Kept:
        """Revoke keys of the participant, or of an agency whose focal point it is: obeyed from the leaf on, everywhere."""
        body = RevocationBody(about or participant, tuple(sorted(set(kids))), reason)
        draft = Draft(act="revoke_key", topic=None, label=None, notice=None, to=(), expires_at=None, body=body)
        return (await self._keep_all(participant, [draft]))[0]

    # Receiving

    async def inbox(
        self, participant: ParticipantId, *, after: int = 0, limit: int = 100, unacknowledged: bool = False
    ) -> tuple[list[InboxItem], int]:
        """Return items behind a cursor in the order of arrival, and the next cursor."""
        return await self.store.read(
            partial(inbox.items, participant=participant, after=after, limit=limit, unacknowledged=unacknowledged)
        )

    def watch_inbox(self, participant: ParticipantId) -> InboxWatch:
        """Watch a participant's inbox, as a context: look at it after that, and wait for what arrives then."""
        return self._arrivals.watch(participant)

    async def inbox_item(self, participant: ParticipantId, notice_id: NoticeId) -> InboxItem | None:
        """Return one item."""
        return await self.store.read(partial(inbox.item, participant=participant, notice_id=notice_id))

    async def acknowledge(self, participant: ParticipantId, notices: tuple[NoticeId, ...]) -> list[NoticeId]:
        """Note that a person or system here has seen notices; their senders are told at the next interval.

        Returns those that were not acknowledged before.
        """
        return await self.store.write(
            partial(inbox.acknowledge, participant=participant, notices=notices, at=self._now_ms())
        )

    async def held(self, participant: ParticipantId) -> tuple[Held, ...]:
        """Return what the broker withholds from a participant, and why; raise `BrokerAwayError`."""
        if self._client is None:
            raise Error("The gateway is stopping.", problem="unavailable")
        one = self._identities[participant]
        return await self._client.held(one.signer(self.enrolled.origin, self._now_ms))

    # Health

    async def alarms(self, *, over: bool = False) -> list[Alarm]:
        """Return the alarms that are on, with `over` also those that were."""
        return await self._alarms.every(over=over)

    async def dismiss_alarm(self, kind: str) -> bool:
        """End an alarm because a person has looked; say whether it was on."""
        return await self._alarms.dismiss(kind)

    def readiness(self) -> Readiness:
        """Say whether the gateway serves. With the broker away it does: it keeps what it is given."""
        reasons = [f"{kind}: {detail}" for kind, detail in sorted(self._alarms.on.items())]
        if not self._loops:
            reasons.insert(0, "The gateway is not running.")
        if self.network is None:
            reasons.insert(0, "The enrolment is not complete.")
        if self.store.full:
            reasons.insert(0, "The disk is full: nothing can be kept.")
        ready = bool(self._loops) and self.network is not None and not self._alarms.stopped and not self.store.full
        return Readiness(ready, tuple(reasons))

    async def stats(self) -> Stats:
        """Return figures for metrics."""
        network = self.network
        sent, arrived = await self.store.read(lambda tx: (outbox.counts(tx), inbox.counts(tx)))
        age = None
        if network is not None and network.checkpoint is not None:
            age = self._now_ms() // 1000 - network.checkpoint.at
        return Stats(
            outbox=sent,
            inbox=arrived,
            log_size=0 if network is None else network.size,
            directory=0 if network is None else network.directory.version,
            checkpoint_age=age,
            alarms=tuple(sorted(self._alarms.on)),
        )

    async def doctor(self) -> tuple[Check, ...]:
        """Check every step from the keys to the practice notice, and name the one that is missing."""
        return await doctor.check(
            doctor.Patient(
                folder=Folder(self.options.folder),
                enrolled=self.enrolled,
                identities=self._identities,
                network=self.network,
                on=self._alarms.on,
                store=self.store,
                now_ms=self._now_ms(),
            )
        )

    async def look(self, client: BrokerClient | None = None) -> tuple[Check, ...]:
        """Look at the log once and check every step, without having been started and without sending anything."""
        _, follower = self._attach(client)
        # What is wrong with the log is an alarm by then, and among the checks.
        with contextlib.suppress(Error):
            await follower.poll()
        return await self.doctor()

    # Enrolment

    async def practise(self, participant: ParticipantId) -> Kept | None:
        """Send the practice notice to the focal point, once; None for a focal point itself, or where there is none."""
        network = self._known()
        point = network.focal_point(ids.role_of(participant))
        if point is None or point == participant:
            return None
        at = self._now_ms()
        draft = drafting.issue(enrol.practice(point), participant, self.defaults(participant), at=at)

        def work(tx: Transaction) -> Kept:
            known = outbox.practice(tx, participant)
            if known is not None:
                return Kept(known, created=False)
            return outbox.accept(tx, participant, [(ids.new_notice_id(at), draft)], at=at, series=outbox.PRACTICE)[0]

        return await self._keep(participant, work)

    async def _practise(self, participant: ParticipantId) -> None:
        await self._following().wait()
        await self.practise(participant)

    # Inside

    def _following(self) -> Follower:
        if self._follower is None:
            raise Error("The gateway is not running.", problem="unavailable")
        return self._follower

    def _known(self) -> Network:
        if self.network is None:
            raise Error("The network is not known yet: the enrolment is not complete.", problem="enrolment")
        return self.network

    async def _keep_all(self, participant: ParticipantId, drafts: list[Draft]) -> list[Kept]:
        at = self._now_ms()
        named = [(ids.new_notice_id(at), draft) for draft in drafts]
        return await self._keep(participant, partial(outbox.accept, participant=participant, drafts=named, at=at))

    async def _keep(self, participant: ParticipantId, work: Callable[[Transaction], T]) -> T:
        """Write to the outbox, durably, then wake the sender."""
        if participant not in self._identities:
            raise Error("This gateway does not serve the participant.", problem="forbidden")
        kept = await self.store.write(work)
        self._wake(participant)
        return kept

    def _wake(self, participant: ParticipantId) -> None:
        sender = self._senders.get(participant)
        if sender is not None:
            sender.wake()


def _has_clock(item: InboxItem) -> bool:
    return any(duty.code == duties.REPLY for duty in item.duties)


async def examine(options: GatewayOptions, passphrase: bytes) -> tuple[Check, ...]:
    """Open a gateway that is not running, look at the log once, check it, and close it."""
    try:
        gateway = Gateway.open(options, passphrase)
    except Error as error:
        return (Check("keys", "missing", error.detail, error.hint),)
    try:
        return await gateway.look()
    finally:
        await gateway.stop()
