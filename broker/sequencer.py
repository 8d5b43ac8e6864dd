"""The ledger thread: the one writer that gives statements their place, durably, before anybody is answered.

Everything that changes the ledger is a job of this thread, so that deciding and appending are one step. It drains its
queue in chunks: decide on each, append them in one durable transaction (the commit point), apply them to the view, sign
receipts, answer. A crash before the append has published nothing; one after it has published all, and a sender that
retries finds its receipt (`Repeated`). The event loop only waits; an examiner thread parses and verifies ahead of it.
The chunk ends at an open act, a recall or a grant, for what follows it must be decided under what it changed.

Ownership: `trust`, `signed`, `signed_at`, `skipped`, `alarm` and `failure` are written by the ledger thread and read by
anybody (each a reference to an immutable value); so is the view's size. The queues are everybody's, and every other
attribute whose name begins with `_` is the ledger thread's where nothing else is said.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, cast

import structlog

from broker.answers import (
    LATER,
    Answer,
    NotPublished,
    OverloadedError,
    Published,
    as_answer,
    left_open,
    settle,
    stopped,
)
from broker.checkpoints import CheckpointSource, SignedTree
from broker.clock import Clock
from broker.examiner import Examination, Examiner
from broker.housekeeping import Housekeeping
from broker.ledger.fold import Reason
from broker.ledger.port import Append, Condition, Decision, Entry, Ledger, Shared, StorageFullError
from broker.ledger.signer import SignerError
from broker.publish import (
    Accepted,
    Examined,
    Outcome,
    ReceiptDigests,
    Refused,
    Repeated,
    decide_on,
    examine,
    receipt_of,
)
from broker.quota import Quota
from broker.staged import Staged
from broker.trust import Trust
from broker.uploads import UPLOADS
from broker.view.store import Applied, View
from keys import digests
from keys.directory.directory import Moment
from keys.heads import HeadMemory
from keys.sign import Ed25519Signer
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import Kid, LedgerIndex, NoticeId, Origin
from schemas.limits import LIMITS
from schemas.record import Record

CHUNK: Final = 64
QUEUE: Final = 4096
ANSWER_S: Final = 15.0
"""Seconds after which a sender is told that the outcome is open: a store of several nodes may be without a leader."""
TRIES: Final = 3
"""How often what others appended meanwhile makes a statement be decided again."""
ENDING: Final = frozenset({"recall", "grant"})
"""Sealed acts that change who holds a notice, or whether there is one."""
OVERTAKEN: Final = frozenset({Reason.RULES, Reason.KNOWN})
SIGN_EVERY_S: Final = 0.1
TICK_S: Final = 0.25

Listener = Callable[[frozenset[Kid] | None], None]
"""Told of a newer checkpoint: the key ids that its new leaves have stanzas for, or None where it is anybody's business."""

T = TypeVar("T")
log = structlog.get_logger("broker")


@dataclass(frozen=True, slots=True)
class _Call:
    run: Callable[[], object]
    answer: "asyncio.Future[object]"


@dataclass(frozen=True, slots=True)
class _Wake:
    """There is something new to read."""


class Sequencer:
    """Run the ledger thread and answer the event loop."""

    def __init__(
        self,
        origin: Origin,
        ledger: Ledger,
        view: View,
        *,
        checkpoints: CheckpointSource,
        receipts: Ed25519Signer,
        housekeeping: Housekeeping,
        clock: Clock,
        shared: Shared | None = None,
    ) -> None:
        self.origin = origin
        self.trust: Trust = housekeeping.trust()
        self.signed = SignedTree(None, 0)
        self.failure: str | None = None
        self.skipped = 0
        self.alarm: str | None = None
        self._ledger = ledger
        self._view = view
        self._checkpoints = checkpoints
        self._shared = shared
        self._receipts = receipts
        self._housekeeping = housekeeping
        self._clock = clock
        self._quota = Quota()
        self._jobs: queue.Queue[Examination | _Call | _Wake | None] = queue.Queue(QUEUE)
        self._examiner = Examiner(self._examine_one, self._jobs)
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self.signed_at = 0
        self._sign_after = 0.0
        self._followed = True  # whether what the last leaves changed has taken effect
        self._ended = False  # read by the loop
        self._news: list[str] = []  # names of objects that other instances have put
        self._waiting: set[asyncio.Future[Any]] = set()  # added to by the loop, read once by the ledger thread
        self._listeners: list[Listener] = []
        self._announced = self.trust  # behind the last checkpoint that was announced
        self._untold: list[
            tuple[int, frozenset[Kid] | None]
        ] = []  # whose business came up to a size, None: everybody's

    # --- called from the event loop ---

    def start(self) -> None:
        """Start the thread; the first checkpoint is signed before this returns."""
        if self._shared is not None:
            self._shared.on_news(self._wake_up)
        self._sign()
        self._thread.start()
        self._examiner.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Finish what is queued and end the thread, within a bound; who comes later is turned away."""
        self._examiner.end()
        if self._thread.is_alive():
            self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Say whether the ledger thread runs."""
        return self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """Return the number of jobs that wait."""
        return self._jobs.qsize() + self._examiner.backlog

    def on_checkpoint(self, listener: Listener) -> None:
        """Call `listener` from the ledger thread whenever a newer checkpoint is out."""
        self._listeners.append(listener)

    async def publish(self, notice_id: NoticeId, data: bytes) -> Answer:
        """Publish one envelope; raise `OverloadedError` when nothing can be decided now."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._demand_room()
        self._examiner.put(notice_id, data, answer)
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._await(answer)
        except TimeoutError:
            raise left_open() from None

    async def publish_many(self, lines: Sequence[bytes]) -> list[Answer]:
        """Publish envelopes in their order, each standing alone; raise `OverloadedError` where none was tried.

        Where nothing can be decided on one of them now, what lies a chunk behind it is not tried: whoever sends again from
        there on has published in the same order.
        """
        self._demand_room(len(lines))
        answers: list[Answer] = []
        for at in range(0, len(lines), CHUNK):
            answers += await self._publish_piece(lines[at : at + CHUNK])
            if any(isinstance(answer, NotPublished) and answer.error.status in LATER for answer in answers[at:]):
                left = OverloadedError("Not tried: nothing could be decided on one before it.")
                return answers + [NotPublished(left, (), None)] * (len(lines) - len(answers))
        return answers

    async def _publish_piece(self, lines: Sequence[bytes]) -> list[Answer]:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[Answer]] = [loop.create_future() for _ in lines]
        for data, answer in zip(lines, waiting, strict=True):
            self._examiner.put(None, data, answer)
        self._waiting.update(waiting)
        try:
            if self._ended:
                settle([(answer, stopped()) for answer in waiting if not answer.done()])
            await asyncio.wait(waiting, timeout=ANSWER_S)
            for answer in waiting:
                if not answer.done():
                    answer.set_exception(left_open())
            found = await asyncio.gather(*waiting, return_exceptions=True)
        finally:
            self._waiting.difference_update(waiting)
        return [as_answer(answer) for answer in found]

    async def call(self, run: Callable[[], T]) -> T:
        """Run a function in the ledger thread and return its result or raise its error."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._demand_room()
        self._jobs.put_nowait(_Call(run, answer))
        return cast("T", await self._await(answer))

    async def _await(self, answer: "asyncio.Future[T]") -> T:
        """Wait for an answer, and for no longer than there is a thread that could give it."""
        self._waiting.add(answer)
        try:
            if self._ended and not answer.done():
                raise stopped()
            return await answer
        finally:
            self._waiting.discard(answer)

    def _demand_room(self, wanted: int = 1) -> None:
        if not self._thread.is_alive():
            raise stopped()
        # Half of the ledger's queue is left to what the examiner hands on.
        if self.backlog + wanted > QUEUE // 2:
            raise OverloadedError("Too many requests are waiting for the ledger.")

    def _wake_up(self) -> None:
        """Have the ledger thread look at what others have appended; called by the store's thread."""
        if self._jobs.empty():
            self._jobs.put_nowait(_Wake())

    def _examine_one(self, data: bytes, notice_id: NoticeId | None, heads: HeadMemory) -> Examined:
        """Parse and verify ahead of the ledger thread; called by the examiner's."""
        moment = Moment(self._view.size, self._clock.now_ms())
        return examine(data, notice_id, self.origin, self.trust, moment, heads)

    # --- the ledger thread ---

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            # Also after an error that nobody foresaw: that ends the thread, and nobody may wait for it.
            self._ended = True
            settle([(answer, stopped()) for answer in list(self._waiting)])

    def _serve(self) -> None:
        running = True
        while running:
            jobs = self._take()
            running = None not in jobs
            waiting = [job for job in jobs if isinstance(job, Examination | _Call)]
            try:
                if self._shared is not None:
                    self._attend()
                self._keep_house()
            except Error as error:
                self._fail(error)
            while waiting:
                waiting = self._work(waiting)
            self._sign_when_due()
        self._sign()

    def _take(self) -> list[Examination | _Call | _Wake | None]:
        pending = self._view.size > self.signed.size
        try:
            jobs = [self._jobs.get(timeout=SIGN_EVERY_S if pending else TICK_S)]
        except queue.Empty:
            return []
        while len(jobs) < CHUNK:
            try:
                jobs.append(self._jobs.get_nowait())
            except queue.Empty:
                break
        return jobs

    def _work(self, jobs: Sequence[Examination | _Call]) -> list[Examination | _Call]:
        """Work through jobs up to one that what follows depends on, and return the rest."""
        first = jobs[0]
        if isinstance(first, _Call):
            self._call(first)
            return list(jobs[1:])
        taken: list[Examination] = []
        for job in jobs:
            if isinstance(job, _Call):
                break
            taken.append(job)
        done, again = self._publish_chunk(taken)
        return [*again, *jobs[done:]]

    def _call(self, job: _Call) -> None:
        try:
            try:
                self._catch_up()  # what it appends must not come before what a failure left between ledger and view
            except StorageFullError:
                if self._changes_left():
                    raise left_open() from None
                raise
            result = self._change(job.run)
        except Exception as error:  # noqa: BLE001 - it is the caller's to see
            settle([(job.answer, error)])
        else:
            settle([(job.answer, result)])

    def _change(self, run: Callable[[], object]) -> object:
        position = self._view.position
        try:
            with self._moving():
                result = run()
                self._after_change()
        except StorageFullError:
            if self._ledger.length() > position:
                raise left_open() from None
            raise
        return result

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """Do what may append: what is appended before a failure is followed by whoever comes next."""
        position = self._view.position
        try:
            yield
        except Exception:
            self._followed = self._followed and self._view.position == position
            raise

    def _publish_chunk(self, jobs: Sequence[Examination]) -> tuple[int, list[Examination]]:
        """Decide, append, apply, answer; return how many jobs were dealt with, and which of them are to be decided again."""
        try:
            self.demand_sound()
            try:
                self._catch_up()
                self._reach(jobs)
            except StorageFullError as full:
                settle([(job.answer, left_open() if self._may_be_there(job.examined) else full) for job in jobs])
                return len(jobs), []
        except Error as error:
            settle([(job.answer, error) for job in jobs])
            return len(jobs), []
        now_ms = self._clock.now_ms()
        staged = Staged(self._view)
        decided: list[tuple[Examination, Outcome]] = []
        opened = False
        for job in jobs:
            outcome = decide_on(job.examined, self.origin, self.trust, staged, now_ms=now_ms)
            if staged.touched:
                break
            if isinstance(outcome, Accepted):
                if not self._quota.take(outcome.statement.sender, now_ms):
                    outcome = Refused(Error("More statements than the quota.", problem="rate-limited"))
                else:
                    staged.add(outcome.statement.notice_id)
                    opened = outcome.statement.form.open or outcome.statement.act in ENDING
            decided.append((job, outcome))
            if opened:
                break
        return len(decided), self._commit(decided, now_ms, opened=opened)

    def _commit(
        self, decided: Sequence[tuple[Examination, Outcome]], now_ms: int, *, opened: bool
    ) -> list[Examination]:
        accepted = [outcome for _, outcome in decided if isinstance(outcome, Accepted)]
        day = from_seconds(now_ms // 1000)[:10]
        decisions = tuple(
            Decision(day, outcome.decision)
            for _, outcome in decided
            if not isinstance(outcome, Repeated) and outcome.decision is not None
        )
        applied: dict[bytes, Applied] = {}
        published = False
        try:
            if accepted or decisions:
                entries = tuple(Entry(outcome.record, outcome.body, outcome.statement.topic) for outcome in accepted)
                positions = self._ledger.append(Append(entries, decisions=decisions))
                # --- the commit point: from here on the accepted statements are published ---
                published = True
                kept = [(outcome, at) for outcome, at in zip(accepted, positions, strict=True) if at is not None]
                after = self._view.position + len(kept)
                results = self._view.follow(
                    [(at, outcome.record, outcome.body) for outcome, at in kept],
                    [outcome.statement for outcome, _ in kept],
                )
                opened = opened or self._view.position != after  # what others appended may have changed the rules
                applied = {
                    outcome.record.leaf.digest: result for (outcome, _), result in zip(kept, results, strict=True)
                }
            if opened:
                self._after_change()
        except Error as error:
            # Whoever sends again finds out what became of it: the receipt, or a decision anew.
            self._fail(error)
            if published:
                error = left_open()
            settle([(job.answer, error) for job, _ in decided])
            return []
        if accepted or decisions:
            self.failure = None
        again = [job for job, outcome in decided if job.again < TRIES and self._overtaken(outcome, applied)]
        settle([(job.answer, self._answer(outcome, applied)) for job, outcome in decided if job not in again])
        return [replace(job, again=job.again + 1) for job in again]

    @staticmethod
    def _overtaken(outcome: Outcome, applied: Mapping[bytes, Applied]) -> bool:
        """Say whether another instance changed the rules, or published the same, between decision and append."""
        result = applied.get(outcome.record.leaf.digest) if isinstance(outcome, Accepted) else None
        return result is not None and result.reason in OVERTAKEN

    def _answer(self, outcome: Outcome, applied: Mapping[bytes, Applied]) -> Answer | OverloadedError:
        if isinstance(outcome, Repeated):
            digests = ReceiptDigests.of(outcome.record)
            return Published(self._receipt(outcome.index, outcome.record, digests), created=False)
        if isinstance(outcome, Refused):
            refusal = None if outcome.refusal is None else self._receipts.refusal(outcome.refusal)
            return NotPublished(outcome.error, outcome.denied, refusal)
        result = applied.get(outcome.record.leaf.digest)
        if result is None:
            return left_open()  # its body is still on the way into the store
        if result.index is None:
            self.skipped += 1
            return NotPublished(OverloadedError(f"The record does not count: {result.reason}."), (), None)
        return Published(self._receipt(result.index, outcome.record, outcome.receipt), created=True)

    def _receipt(self, index: LedgerIndex, record: Record, own: ReceiptDigests) -> str:
        return self._receipts.receipt(receipt_of(self.origin, index, record, own))

    def demand_unchanged(self, trust: Trust) -> None:
        """Demand that a decision was made under the rules in force; called by jobs of the ledger thread.

        Asked again after what follows from the decision was kept: the rules may change at another instance meanwhile.
        """
        if self._shared is not None:
            self._ledger.refresh()
            self._catch_up()
        if self.trust.version != trust.version:
            raise Error("The rules have just changed.", problem="unavailable")  # under the new ones, it is asked again

    @property
    def behind(self) -> bool:
        """Say whether bodies of before the start are still being read."""
        return self._shared is not None and self._shared.behind

    def troubles(self) -> Sequence[str]:
        """Return what is wrong between this instance and a store that others append to."""
        return () if self._shared is None else self._shared.troubles()

    def condition(self) -> Condition | None:
        """Return how this instance and the shared store stand; None where nobody else appends."""
        return None if self._shared is None else self._shared.condition()

    @property
    def lag(self) -> int:
        """Return how many positions the view is behind the ledger."""
        return max(0, self._ledger.length() - self._view.position)

    def demand_sound(self) -> None:
        """Raise `OverloadedError` where nothing may be appended: another ledger than the signed one, or a wrong clock."""
        if self.alarm is not None:
            raise OverloadedError("The ledger is not the one that was signed.")
        if self.clock_ran_back:
            raise OverloadedError("The broker's clock has run back behind its newest leaf.")

    @property
    def clock_ran_back(self) -> bool:
        """Say whether a record of now would not count, because it lies too far behind the newest one."""
        return self._clock.now_ms() < self._view.state.newest - LIMITS.received_at_back

    def _keep_house(self) -> None:
        now_ms = self._clock.now_ms()
        if self.alarm is None and not self.clock_ran_back and self._housekeeping.due(now_ms):
            self._catch_up()
            with self._moving():
                if self._housekeeping.run(now_ms):
                    self._after_change()
            if self.failure is not None:
                # Who looks at readiness need not wait for somebody to publish.
                self._housekeeping.prove(now_ms)
                self.failure = None

    def _attend(self) -> None:
        """Follow what other instances have appended, and take what they have handed over."""
        self._catch_up()
        uploads = [name for name in self._news if name.startswith(UPLOADS)]
        if uploads and self._housekeeping.leads:
            with self._moving():
                self._housekeeping.take_uploads(uploads, self._clock.now_ms())
                self._after_change()
        self._news = []

    def _catch_up(self) -> None:
        """Do what a failure left undone between ledger, view and trust, or else nothing."""
        if self._view.position < self._ledger.length():
            self._followed = False
            self._news += self._view.keep_up()
        elif self._shared is not None:
            self._news += self._view.keep_up()
        if not self._followed:
            self._after_change()

    def _reach(self, jobs: Sequence[Examination]) -> None:
        """Bring in what others have appended where a sender has seen a checkpoint that is ahead of the view."""
        verified = [job.examined.verified for job in jobs if job.examined.verified is not None]
        if any(one.statement.checkpoint.size > self._view.size for one in verified):
            self._ledger.refresh()
            self._catch_up()

    def _left(self) -> list[Record]:
        """Return what is in the ledger and not in the view, for a failure came between the two."""
        position = self._view.position
        return [record for _, record in self._ledger.read(position, self._ledger.length() - position)]

    def _may_be_there(self, examined: Examined) -> bool:
        """Say whether a statement is in the ledger already: then it is not for a full disk to say that nothing was kept."""
        if examined.envelope is None:
            return False
        statement = examined.envelope.statement_bytes
        known = self._view.known(digests.statement_digest(statement)) is not None
        return known or any(record.document == statement for record in self._left())

    def _changes_left(self) -> bool:
        """Say whether what a failure left undone is more than statements: it may be what is asked for again."""
        left = self._left()
        return not left or any(record.proof is None for record in left)

    def _after_change(self) -> None:
        self._followed = False  # nothing is decided before all of this is done: a revocation may be what changed
        if self.alarm is None:
            self._housekeeping.follow(self._clock.now_ms())
        self.trust = self._housekeeping.trust()
        self._followed = True

    def _sign_when_due(self) -> None:
        # What is released must be on offer before a checkpoint lets cursors pass the leaf that released it.
        pending = self._followed and self._view.size > self.signed.size
        due = pending and time.monotonic() >= self._sign_after
        if due or self._checkpoints.due(self._clock.now_ms() // 1000):
            self._sign()

    def _sign(self) -> None:
        if self.alarm is not None:
            return
        now_ms = self._clock.now_ms()
        try:
            if self._shared is not None:
                self._checkpoints.prepare()
                self._catch_up()
            size = self._view.size if self._followed else self.signed.size
            note = self._checkpoints.newest(size, self._view.root, now_ms // 1000)
        except SignerError as error:
            # The ledger is not the one that was signed: no signing, no publishing, until a person has looked.
            self.alarm = error.alarm
            self._fail(error)
            return
        except Error as error:
            self._fail(error)
            return
        self._sign_after = time.monotonic() + SIGN_EVERY_S
        if note is None:
            return
        self.signed_at = now_ms
        self.signed = note
        if self._followed:
            self._announce()

    def _announce(self) -> None:
        # Where the trust has moved, keys may be new or gone, and what was held may be on offer again.
        news = frozenset(self._view.addressed) if self._announced is self.trust else None
        self._announced = self.trust
        self._view.addressed = set()
        # A checkpoint that was taken over may be behind the view: what lies beyond it is told with the next ones, too.
        self._untold.append((self._view.size, news))
        told = [kids for _, kids in self._untold]
        self._untold = [(size, kids) for size, kids in self._untold if size > self.signed.size]
        addressed = None if None in told else frozenset[Kid]().union(*filter(None, told))
        for listener in self._listeners:
            listener(addressed)

    def _fail(self, error: Error) -> None:
        self.failure = error.code
        log.error("ledger.failed", problem=error.code)
