"""Send what waits in the outbox, in the order of acceptance, until each entry is answered for good.

Two tasks a participant: one seals what comes next (a batch ahead, never more), one publishes. An entry's bytes are durable
before they are first sent, and are sent unchanged until there is an answer; the broker answers the same statement with
the same receipt. Crash points: before `keep_sealed` nothing has left the house and the entry is sealed afresh; after it
the same bytes go out again; after the broker's commit, and before `mark_published`, they go out again and get the same
receipt; after a refusal and before it is recorded, the same refusal comes again. So nothing is lost and nothing doubled.

What waits alone goes alone. Where more waits, up to a hundred go in one request, in their order, if nothing among them
depends on another: rows of one import, notices, acknowledgements. Each is answered by itself; one that must be sealed anew
takes its new place behind those that went with it, and what the broker could not decide on goes out again before anything
else. All other acts go one after the other. Of one import two requests may be on their way at once, for its rows have no
order among themselves; to a broker without batches they go eight at a time.
"""

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from adapters.client.broker import BrokerClient
from adapters.client.errors import AnswerError, BrokerAwayError, NoBatchesError, RefusedError
from adapters.client.receipts import VerifiedReceipt, check_receipt, check_refusal
from adapters.gateway import copies, outbox
from adapters.gateway.alarms import Alarms
from adapters.gateway.entries import Addressed, Entry, Publication, Sealing
from adapters.gateway.follow import Follower
from adapters.gateway.granting import NotGrantableError, Original, original
from adapters.gateway.identity import Identity
from adapters.gateway.outcomes import Outcomes
from adapters.gateway.pace import Pace
from adapters.gateway.sanitising import wanted
from adapters.gateway.sealing import Holders, Originals, Sealed, Sealer
from adapters.gateway.state import STOPPING
from adapters.gateway.status import Denial, LeftOut, State, Trouble, Via
from adapters.gateway.store import Store, Transaction, Work
from adapters.gateway.together import fitting, runs
from keys.directory.log_target import LogTarget
from keys.errors import UnknownKeyError
from schemas.envelope import envelope_bytes
from schemas.errors import Error
from schemas.ids import NoticeId, Origin, ParticipantId
from schemas.limits import LIMITS
from schemas.receipt import Refusal

BATCH: Final = LIMITS.batch_lines
AHEAD: Final = 2
"""Batches of one import that are on their way at once: one is decided on while another one's answer is read."""

AT_ONCE: Final = 8
RECORDED_LATER: Final = 32
MOST_SEALS: Final = 5
_log = structlog.get_logger("gateway")

_ENROLLING: Final = frozenset({"unknown-key", "unauthenticated"})
"""Answers before the sender was authenticated: the directory is on its way, or the clock is wrong. They are waited out."""

_LACKING: Final = "copy-lacking"
_RESEALED: Final = frozenset({"recipients", "denied", "no-profile", "revoked-key", _LACKING})
"""Definite refusals that another seal may cure: keys and laws that changed. It is tried a few times."""

_WAITED_OUT: Final = frozenset({"clock-skew", "fork"})
"""Definite refusals that another seal cures once a clock is set or a person has looked: it is tried for ever."""

AWAY: Final = frozenset({"broker-away"})


@dataclass(slots=True)
class Backoff:
    """How long to wait after the broker did not answer: from a quarter second to half a minute, with jitter."""

    least: float = 0.25
    most: float = 30.0
    _next: float = field(init=False, default=0.0)

    def after(self, asked: float | None = None) -> float:
        """Return the seconds to wait now; `asked` is what the broker asked for."""
        self._next = min(self.most, max(self.least, self._next * 2))
        return max(asked or 0.0, self._next * random.uniform(0.5, 1.0))  # noqa: S311 -- no secret

    def reset(self) -> None:
        """Begin anew after an answer."""
        self._next = 0.0


@dataclass(frozen=True, slots=True)
class _Published:
    seq: int
    id: NoticeId
    receipt: VerifiedReceipt


class Sender:
    """Sends for one participant. Used in one event loop; `run` is its one task."""

    def __init__(
        self,
        *,
        identity: Identity,
        origin: Origin,
        store: Store,
        client: BrokerClient,
        follower: Follower,
        alarms: Alarms,
        outcomes: Outcomes,
        now_ms: Callable[[], int],
        in_thread: Callable[[Callable[[], Sealed]], Awaitable[Sealed]],
    ) -> None:
        self._identity = identity
        self._participant = identity.participant
        self._sign = identity.signer(origin, now_ms)
        self._origin = origin
        self._store = store
        self._client = client
        self._follower = follower
        self._alarms = alarms
        self._outcomes = outcomes
        self._now_ms = now_ms
        self._in_thread = in_thread
        self._more = asyncio.Event()
        self._recordable = asyncio.Semaphore(RECORDED_LATER)
        self._backoff = Backoff()
        self._resume_at = 0.0
        self._pace = Pace(BATCH)

    def wake(self) -> None:
        """Tell that something new waits."""
        self._more.set()

    async def run(self) -> None:
        """Send until cancelled."""
        sealed: asyncio.Queue[list[Entry]] = asyncio.Queue(1)
        # What fails ends all of it: a receipt that could not be recorded must not lie unseen.
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._prepare(sealed))
            tasks.create_task(self._deliver(sealed, tasks))

    # Sealing, a batch ahead

    async def _prepare(self, sealed: asyncio.Queue[list[Entry]]) -> None:
        after = 0
        while True:
            self._more.clear()
            entries = await self._store.read(self._waiting(after, BATCH))
            if not entries:
                await self._more.wait()
                continue
            await self._follower.wait()
            # Sealed is what is about to be sent: with the broker away it waits as it is.
            await self._alarms.without(STOPPING | AWAY)
            ready = await self._seal(entries)
            if ready:
                await sealed.put(ready)
            after = entries[-1].seq

    def _waiting(self, after: int, limit: int) -> Work[list[Entry]]:
        return partial(outbox.waiting, participant=self._participant, after=after, limit=limit)

    async def _seal(self, entries: Sequence[Entry]) -> list[Entry]:
        """Seal those that are kept, durably, and return all that can be sent, in their order."""
        kept = [entry for entry in entries if entry.state is State.KEPT]
        if not kept:
            return list(entries)
        sealed = await self._sealed_once_enrolled(kept)
        at = self._now_ms()

        def keep(tx: Transaction) -> None:
            outbox.keep_sealed(tx, sealed.sealings, at=at)
            for item in sealed.returned:
                if item.expired:
                    outbox.mark_expired(tx, item.seq, item.trouble)
                else:
                    outbox.give_back(tx, item.seq, item.trouble, item.addressed)

        await self._store.write(keep)
        gone = {item.seq for item in sealed.returned}
        for entry in kept:
            if entry.seq in gone:
                self._outcomes.settled(entry.id)
        now = {item.seq: item for item in sealed.sealings}
        return [_now_sealed(entry, now.get(entry.seq)) for entry in entries if entry.seq not in gone]

    async def _sealed_once_enrolled(self, kept: Sequence[Entry]) -> Sealed:
        """Seal entries; wait where it is this participant that cannot seal yet, for no drafter can help that."""
        holders = await self._store.read(lambda tx: _holders(tx, self._participant, kept))
        originals = await self._originals(kept)
        while True:
            sealer = Sealer(
                await self._follower.wait(), self._origin, self._participant, self._identity.signing, self._now_ms()
            )
            sealed = await self._in_thread(partial(sealer.seal, kept, holders, originals))
            own = next((item.trouble for item in sealed.returned if item.trouble.code == "enrolment"), None)
            if own is None:
                await self._alarms.end("cannot-seal")
                return sealed
            await self._alarms.start("cannot-seal", own.detail)
            await asyncio.sleep(self._backoff.after(1))

    async def _originals(self, kept: Sequence[Entry]) -> Originals:
        """Fetch what grants among some entries grant; one that is gone is left out."""
        found: dict[int, Original] = {}
        for entry in kept:
            about = None
            if entry.draft.act == "grant" and entry.draft.ref is not None:
                about = await self._store.read(
                    partial(outbox.own, participant=self._participant, notice_id=entry.draft.ref)
                )
            while about is not None:
                try:
                    found[entry.seq] = await original(about, self._client, self._follower, self._identity, self._sign)
                except NotGrantableError:
                    pass  # it is given back, with the reason
                except BrokerAwayError as error:
                    await self._not_publishing(error)
                    continue
                except RefusedError as error:
                    await self._alarms.start("not-accepted", f"The broker does not know this gateway: {error.detail}")
                    await asyncio.sleep(self._backoff.after(5))
                    continue
                except Error as error:
                    await self._odd(error)
                    continue
                break
        return found

    # Publishing, in order

    async def _deliver(self, sealed: asyncio.Queue[list[Entry]], tasks: asyncio.TaskGroup) -> None:
        under_way: set[asyncio.Task[None]] = set()
        series: str | None = None
        while True:
            for run in runs(await sealed.get()):
                if under_way and run[0].series != series:
                    await asyncio.wait(under_way)
                series = run[0].series
                if series is None:
                    await self._send_together(run, tasks)
                    continue
                while len(under_way) >= AHEAD:
                    await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                sending = tasks.create_task(self._send_together(run, tasks))
                under_way.add(sending)
                sending.add_done_callback(under_way.discard)

    async def _send_together(self, entries: Sequence[Entry], tasks: asyncio.TaskGroup) -> None:
        """Send entries of which none depends on another: in batches, in their order, until all are settled."""
        waiting = list(entries)
        loop = asyncio.get_running_loop()
        while waiting:
            size = self._pace.size(loop.time())
            batch = fitting(waiting, size)
            if len(batch) > 1:
                waiting = [*await self._send_batch(batch, tasks), *waiting[len(batch) :]]
                continue
            if self._pace.without_batches(loop.time()):
                batch = waiting
            await self._send_singly([(entry, None) for entry in batch], tasks)
            waiting = waiting[len(batch) :]

    async def _send_batch(self, batch: Sequence[Entry], tasks: asyncio.TaskGroup) -> Sequence[Entry]:
        """Send entries in one request and deal with each result; return those that must go out again, in their order."""
        await self._alarms.without(STOPPING)
        network = await self._follower.wait()
        try:
            answers = await self._client.publish_many([_envelope(entry) for entry in batch])
        except NoBatchesError:
            self._pace.no_batches(asyncio.get_running_loop().time())
            return batch
        except BrokerAwayError as error:
            self._pace.went_badly()
            await self._not_publishing(error)
            return batch
        except (RefusedError, AnswerError):
            # Said of none in particular: each finds out for itself.
            self._pace.went_badly()
            await self._send_singly([(entry, None) for entry in batch], tasks)
            return ()
        log = network.directory.log
        outcomes = await asyncio.to_thread(lambda: [_checked(*pair, log) for pair in zip(batch, answers, strict=True)])
        published: list[_Published] = []
        refused: list[tuple[Entry, Error]] = []
        later: list[tuple[Entry, BrokerAwayError]] = []
        for entry, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, VerifiedReceipt):
                published.append(_Published(entry.seq, entry.id, outcome))
            elif isinstance(outcome, BrokerAwayError):
                later.append((entry, outcome))
            else:
                refused.append((entry, outcome))
        await self._record(published, tasks)
        if later:
            self._pace.went_badly()
        elif published:
            self._pace.went_well()
            await self._is_publishing()
        await self._send_singly(refused, tasks)
        if later:
            await self._not_publishing(later[0][1])
        return [entry for entry, _ in later]

    async def _send_singly(self, entries: Sequence[tuple[Entry, Error | None]], tasks: asyncio.TaskGroup) -> None:
        """Send entries in requests of their own, some at once where they are rows of an import; record in their order.

        Beside an entry stands what it was answered in a batch, where it was in one.
        """
        on_their_way: deque[asyncio.Task[_Published | None]] = deque()
        try:
            for entry, answer in entries:
                if len(on_their_way) >= (1 if entry.series is None else AT_ONCE):
                    await self._record(_alone(await on_their_way.popleft()), tasks)
                on_their_way.append(asyncio.create_task(self._settle(entry, answer)))
            while on_their_way:
                await self._record(_alone(await on_their_way.popleft()), tasks)
        finally:
            for task in on_their_way:
                task.cancel()

    async def _settle(self, entry: Entry, answer: Error | None) -> _Published | None:
        """Send one entry until it is answered for good; return its receipt, None where the answer was recorded here.

        `answer` is what it was answered already: it is dealt with before anything is sent.
        """
        while True:
            await self._alarms.without(STOPPING)
            try:
                receipt = await self._publish(entry) if answer is None else _raised(answer)
            except BrokerAwayError as error:
                self._pace.went_badly()
                await self._not_publishing(error)
            except RefusedError as error:
                again = await self._refused(entry, error)
                if again is None:
                    return None
                entry = again
            except AnswerError as error:
                await self._odd(error)
            else:
                self._pace.went_well()
                await self._is_publishing()
                return _Published(entry.seq, entry.id, receipt)
            answer = None

    async def _is_publishing(self) -> None:
        self._backoff.reset()
        await self._alarms.end("not-publishing", "odd-answer", "not-accepted")

    async def _not_publishing(self, error: BrokerAwayError) -> None:
        await self._alarms.start("not-publishing", error.detail)
        await self._pause(error.retry_after)

    async def _pause(self, asked: float | None) -> None:
        """Wait before the next attempt; where the broker is known to be away, at most until it is back.

        Whatever was under way when the broker went fails at once, and that is one failure, not eight.
        """
        now = asyncio.get_running_loop().time()
        if now >= self._resume_at:
            self._resume_at = now + self._backoff.after(asked)
        seconds = self._resume_at - now
        if AWAY.isdisjoint(self._alarms.on):
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._alarms.without(AWAY)

    async def _odd(self, error: Error) -> None:
        """Deal with an answer that counts for nothing: the same bytes go out again, and somebody must look at it."""
        await self._alarms.start("odd-answer", error.detail)
        await asyncio.sleep(self._backoff.after(self._backoff.most / 2))

    async def _publish(self, entry: Entry) -> VerifiedReceipt:
        parts = entry.parts
        assert parts is not None  # only sealed entries come here
        network = await self._follower.wait()
        token = await self._client.publish(parts.notice_id, _envelope(entry))
        return _receipt(entry, token, network.directory.log)

    async def _record(self, published: Sequence[_Published], tasks: asyncio.TaskGroup) -> None:
        """Record receipts behind those before them; some may be on their way to the disk while the next is sent."""
        if published:
            await self._recordable.acquire()
            tasks.create_task(self._note_published(published))

    async def _note_published(self, published: Sequence[_Published]) -> None:
        publications = tuple(_publication(item) for item in published)
        at = self._now_ms()

        def note(tx: Transaction) -> int:
            outbox.mark_published(tx, publications)
            return copies.follow(tx, self._participant, publications, at=at)

        try:
            followed = await self._store.write(note)
        finally:
            self._recordable.release()
        if followed:
            self.wake()
        for item in published:
            self._outcomes.settled(item.id)

    # Refusals

    async def _refused(self, entry: Entry, error: RefusedError) -> Entry | None:
        """Deal with a refusal: return the entry to send next in its place, None where it is settled."""
        if error.refusal is None and (error.remote in _ENROLLING or await self._early(error)):
            await self._postpone(entry, error)
            await self._alarms.start("not-accepted", f"The broker does not know this gateway: {error.detail}")
            await asyncio.sleep(self._backoff.after(5))
            return entry
        if error.refusal is None:
            # Nobody was authenticated, so nothing was published; unchanged it cannot succeed.
            await self._end(entry, Trouble.of(error), None)
            return None
        parts = entry.parts
        assert parts is not None  # it was just sent
        network = await self._follower.wait()
        denials = tuple(Denial.from_json(item) for item in error.denied)
        try:
            verified = check_refusal(error.refusal, network.directory.log, parts.statement)
            _demand_same(verified.refusal, error.remote, denials)
        except AnswerError as odd:
            await self._odd(odd)
            return entry
        token = verified.token
        trouble = Trouble.of(error, denials)
        if error.remote == "fork":
            await self._alarms.start("fork", error.detail, parts.statement)
        if error.remote == "clock-skew":
            await self._alarms.start("clock-skew", error.detail)
        if error.remote in _WAITED_OUT or (error.remote in _RESEALED and entry.attempts < MOST_SEALS):
            return await self._seal_anew(entry, trouble, denials, token)
        await self._end(entry, trouble, token)
        return None

    async def _early(self, error: RefusedError) -> bool:
        """Say whether the broker takes our key for closed while the log, as far as we know it, does not.

        Its clock lies before the key's `from`, or the leaf that ends the key has not arrived here yet.
        """
        if error.remote != "revoked-key":
            return False
        network = await self._follower.wait()
        try:
            record = network.directory.signing(self._identity.signing.kids)
        except UnknownKeyError:
            return True
        return network.directory.in_force(record, network.moment(self._now_ms()), network.revoked)

    async def _seal_anew(self, entry: Entry, trouble: Trouble, denials: tuple[Denial, ...], token: str) -> Entry | None:
        """Free an entry that was definitely refused and seal it under a new id, without those who came uninvited.

        Who is said to lack a copy is not left out any more: the law may have changed in its favour.
        """
        lacking = {item.participant for item in denials if trouble.code == _LACKING}
        denials = () if lacking else denials
        denied = {item.participant: item for item in denials}
        left_out, demanded = [], []
        # Whom a person named may still have a sanitised copy, where one was asked for.
        spared = {
            Via.SUBSCRIPTION,
            Via.FOCAL_POINT,
            Via.DEPUTY,
            Via.HOLDER,
            *([Via.NAMED] if wanted(entry.draft) else []),
        }
        for item in entry.addressed.sealed:
            why = denied.get(item.participant)
            if why is not None and item.via in spared:
                left_out.append(LeftOut(item.participant, item.via, trouble.detail, why))
            elif why is not None:
                demanded.append(LeftOut(item.participant, item.via, trouble.detail, why))
        if demanded or (denials and not left_out):
            # A person named them, or it is the sender itself: that person decides.
            addressed = Addressed((), (*entry.addressed.left_out, *left_out, *demanded))
            await self._store.write(lambda tx: outbox.give_back(tx, entry.seq, trouble, addressed, token))
            self._outcomes.settled(entry.id)
            return None
        before = (item for item in entry.addressed.left_out if item.denied and item.participant not in lacking)
        addressed = Addressed((), (*before, *left_out))
        await self._store.write(lambda tx: outbox.free(tx, entry.seq, trouble, addressed, token))
        if not denials:
            # The directory or the clock moved: give the log a moment to show it.
            await asyncio.sleep(self._backoff.after(1))
        freed = await self._store.read(lambda tx: outbox.waiting(tx, self._participant, after=entry.seq - 1, limit=1))
        ready = await self._seal(freed)
        return ready[0] if ready else None

    async def _postpone(self, entry: Entry, error: Error) -> None:
        await self._store.write(lambda tx: outbox.postpone(tx, entry.seq, Trouble.of(error)))

    async def _end(self, entry: Entry, trouble: Trouble, refusal: str | None) -> None:
        def end(tx: Transaction) -> None:
            if trouble.code == "expired":
                outbox.mark_expired(tx, entry.seq, trouble, refusal)
            else:
                outbox.mark_refused(tx, entry.seq, trouble, refusal)

        await self._store.write(end)
        self._outcomes.settled(entry.id)
        _log.warning("notice.refused", notice=entry.id, problem=trouble.code)


def _envelope(entry: Entry) -> bytes:
    parts = entry.parts
    assert parts is not None  # only sealed entries are sent
    return envelope_bytes(parts.statement, parts.proof, parts.sealed)


def _receipt(entry: Entry, token: str, log: LogTarget) -> VerifiedReceipt:
    parts = entry.parts
    assert parts is not None  # it was just sent
    return check_receipt(token, log, parts.statement, parts.proof, sealed=parts.sealed is not None)


def _checked(entry: Entry, answer: str | Error, log: LogTarget) -> VerifiedReceipt | Error:
    """Return the receipt in an entry's answer, or the error that it is."""
    if isinstance(answer, Error):
        return answer
    try:
        return _receipt(entry, answer, log)
    except AnswerError as error:
        return error


def _raised(error: Error) -> VerifiedReceipt:
    raise error


def _alone(published: _Published | None) -> Sequence[_Published]:
    return () if published is None else (published,)


def _publication(published: _Published) -> Publication:
    receipt = published.receipt
    return Publication(published.seq, receipt.token, receipt.receipt.index, receipt.receipt.leaf.received_at)


def _demand_same(signed: Refusal, problem: str, denials: Sequence[Denial]) -> None:
    """Demand that a problem document says what is signed: what follows from it rests on both. Raises `AnswerError`."""
    said = [(item.participant, item.condition) for item in denials]
    if signed.reason != problem or [(item.participant, item.condition) for item in signed.denied] != said:
        raise AnswerError("The problem says something else than the refusal that is signed.")


def _holders(tx: Transaction, participant: ParticipantId, entries: Sequence[Entry]) -> Holders:
    """Return who has the own notices that entries correct, recall or grant."""
    holders = {}
    for entry in entries:
        act = entry.draft.act
        if act in ("correct", "recall", "grant") and entry.draft.ref is not None:
            about = outbox.own(tx, participant, entry.draft.ref)
            if about is not None:
                holders[entry.seq] = outbox.holders(tx, participant, about, act)
    return holders


def _now_sealed(entry: Entry, sealing: Sealing | None) -> Entry:
    if sealing is None:
        return entry
    return Entry(
        seq=entry.seq,
        id=entry.id,
        participant=entry.participant,
        state=State.SEALED,
        series=entry.series,
        draft=sealing.draft or entry.draft,
        addressed=sealing.addressed,
        attempts=entry.attempts,
        sealed_before=True,
        parts=sealing.parts,
    )
