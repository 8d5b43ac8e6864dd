"""The ledger thread: the one writer that gives statements their place, durably, before anybody is answered.

Everything that changes the ledger is a job of this thread, so that deciding and appending are one step. It drains its
queue in chunks: decide on each, append them in one durable transaction (the commit point), apply them to the view, sign
receipts, answer. A crash before the append has published nothing; one after it has published all, and a sender that
retries finds its receipt (`Repeated`). The event loop only waits; an examiner thread parses and verifies ahead of it.
The chunk ends at an open act, a recall or a grant, for what follows it must be decided under what it changed.

Ownership: `trust`, `signed`, `signed_at`, `skipped`, `alarm` and `failure` are written by the ledger thread and read by
anybody (each a reference to an immutable value); so is the view's size. The intake is everybody's, and every other attribute
whose name begins with `_` is the ledger thread's where nothing else is said.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import structlog

from broker.answers import (
    Answer,
    NotPublished,
    OverloadedError,
    Published,
    left_open,
    settle,
)
from broker.checkpoints import CheckpointSource, SignedTree
from broker.clock import Clock
from broker.examiner import Examination
from broker.housekeeping import Housekeeping
from broker.intake import Call, Intake
from broker.ledger.fold import Reason
from broker.ledger.port import Append, Appending, Condition, Decision, Entry, Ledger, Shared, StorageFullError
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
class _Chunk:
    """What was decided together, the accepted ones among it, whether what follows depends on it, and its append.

    `appending` is None where there is nothing to append.
    """

    decided: Sequence[tuple[Examination, Outcome]]
    accepted: Sequence[Accepted]
    opened: bool
    appending: Appending | None


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
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self.intake = Intake(self._examine_one, self._thread.is_alive)
        self._begun: _Chunk | None = None  # whose append is under way
        self.signed_at = 0
        self._sign_after = 0.0
        self._followed = True  # whether what the last leaves changed has taken effect
        self._news: list[str] = []  # names of objects that other instances have put
        self._listeners: list[Listener] = []
        self._announced = self.trust  # behind the last checkpoint that was announced
        self._untold: list[
            tuple[int, frozenset[Kid] | None]
        ] = []  # whose business came up to a size, None: everybody's

    # --- called from the event loop ---

    def start(self) -> None:
        """Start the thread; the first checkpoint is signed before this returns."""
        if self._shared is not None:
            self._shared.on_news(self.intake.wake_up)
        self._sign()
        self._thread.start()
        self.intake.examiner.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Finish what is queued and end the thread, within a bound; who comes later is turned away."""
        self.intake.examiner.end()
        if self._thread.is_alive():
            self._thread.join(seconds)

    @property
    def alive(self) -> bool:
        """Say whether the ledger thread runs."""
        return self._thread.is_alive()

    @property
    def backlog(self) -> int:
        """Return the number of jobs that wait."""
        return self.intake.backlog

    def on_checkpoint(self, listener: Listener) -> None:
        """Call `listener` from the ledger thread whenever a newer checkpoint is out."""
        self._listeners.append(listener)

    async def publish(self, notice_id: NoticeId, data: bytes) -> Answer:
        """Publish one envelope; raise `OverloadedError` when nothing can be decided now."""
        return await self.intake.publish(notice_id, data)

    async def publish_many(self, lines: Sequence[bytes]) -> list[Answer]:
        """Publish envelopes in their order, each standing alone; raise `OverloadedError` where none was tried."""
        return await self.intake.publish_many(lines)

    async def call(self, run: Callable[[], T]) -> T:
        """Run a function in the ledger thread and return its result or raise its error."""
        return await self.intake.call(run)

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
            self.intake.end()

    def _serve(self) -> None:
        running = True
        while running:
            jobs = self.intake.take(self._patience())
            running = None not in jobs
            waiting = [job for job in jobs if isinstance(job, Examination | Call)]
            try:
                if self._shared is not None:
                    self._attend()
                self._keep_house()
            except Error as error:
                self._fail(error)
            if not waiting:
                waiting += self._finish()
            while waiting:
                waiting = self._work(waiting)
            self._sign_when_due()
        while self._begun is not None:
            waiting = [*self._finish()]
            while waiting:
                waiting = self._work(waiting)
        self._sign()

    def _patience(self) -> float:
        """Return the seconds that the next job is waited for."""
        if self._begun is not None:
            return 0.0
        return SIGN_EVERY_S if self._view.size > self.signed.size else TICK_S

    def _work(self, jobs: Sequence[Examination | Call]) -> list[Examination | Call]:
        """Work through jobs up to one that what follows depends on, and return the rest."""
        first = jobs[0]
        if isinstance(first, Call):
            again = self._finish()
            self._call(first)
            return [*again, *jobs[1:]]
        taken: list[Examination] = []
        for job in jobs:
            if isinstance(job, Call):
                break
            taken.append(job)
        done, again = self._publish_chunk(taken)
        return [*again, *jobs[done:]]

    def _call(self, job: Call) -> None:
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
        """Decide and append; return how many jobs were dealt with, and which ones are to be decided again.

        In a store that others append to, too, what was decided before is applied and answered only once this one's append
        has begun: while the one is waited for, the other is decided.
        """
        try:
            self.demand_sound()
            try:
                self._catch_up()
                self._reach(jobs)
            except StorageFullError as full:
                settle([(job.answer, left_open() if self._may_be_there(job.examined) else full) for job in jobs])
                return len(jobs), self._finish()
        except Error as error:
            settle([(job.answer, error) for job in jobs])
            # However many come that are turned away, what was begun is answered.
            return len(jobs), self._finish()
        now_ms = self._clock.now_ms()
        staged = Staged(self._view)
        for before in () if self._begun is None else self._begun.accepted:
            staged.add(before.statement.notice_id)
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
        if not decided:
            return 0, self._finish()  # what it touches is under way
        begun = self._begin(decided, now_ms, opened=opened)
        again = self._finish()
        self._begun = begun
        if begun is not None and (opened or self._shared is None):
            again += self._finish()
        return len(decided), again

    def _begin(self, decided: Sequence[tuple[Examination, Outcome]], now_ms: int, *, opened: bool) -> _Chunk | None:
        """Begin to append what was decided; None where that failed, which everybody concerned is told."""
        accepted = [outcome for _, outcome in decided if isinstance(outcome, Accepted)]
        day = from_seconds(now_ms // 1000)[:10]
        decisions = tuple(
            Decision(day, outcome.decision)
            for _, outcome in decided
            if not isinstance(outcome, Repeated) and outcome.decision is not None
        )
        try:
            appending = None
            if accepted or decisions:
                entries = tuple(Entry(outcome.record, outcome.body, outcome.statement.topic) for outcome in accepted)
                appending = self._ledger.begin(Append(entries, decisions=decisions))
        except Error as error:
            self._fail(error)
            settle([(job.answer, error) for job, _ in decided])
            return None
        return _Chunk(decided, accepted, opened, appending)

    def _finish(self) -> list[Examination]:
        """Apply and answer what was begun, if there is something; return which of it is to be decided again."""
        chunk, self._begun = self._begun, None
        if chunk is None:
            return []
        decided, opened = chunk.decided, chunk.opened
        applied: dict[bytes, Applied] = {}
        published = False
        try:
            if chunk.appending is not None:
                self.demand_sound()  # once more: what was begun is no reason to append to the wrong ledger
                positions = chunk.appending.finish()
                # --- the commit point: from here on the accepted statements are published ---
                published = True
                kept = [(outcome, at) for outcome, at in zip(chunk.accepted, positions, strict=True) if at is not None]
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
        if chunk.appending is not None:
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
            if not self._followed and self.signed.note is None:
                return  # there is no tree yet that could be signed, or held against another's
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
