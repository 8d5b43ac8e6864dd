"""Follow the log: every leaf of it, from where it was left, under each checkpoint that counts (design: ledger, access).

checkpoint → both signature lines → entries → root compared → what stands behind open leaves → a new directory, which must
be the newest leaf's → fold → durable → a new `Network`. One step is one commit: a crash leaves the old state, which goes
on from there. A root that differs is kept as evidence and stops sending until a person has looked; an open statement that
is not served stops sending until it is.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from adapters.client.broker import BrokerClient, Sign
from adapters.client.errors import AnswerError, BrokerAwayError, RefusedError
from adapters.gateway import fold, outbox, state
from adapters.gateway.alarms import Alarms
from adapters.gateway.leaves import WithheldError, read_stretch
from adapters.gateway.network import Network
from adapters.gateway.state import LogState
from adapters.gateway.store import Store, Transaction
from keys.directory.directory import Directory
from keys.directory.errors import (
    DirectoryAwayError,
    DirectoryError,
    DirectoryFrozenError,
    DirectorySignatureError,
)
from keys.directory.records import SealingRecord
from keys.directory.update import DirectoryClient
from keys.errors import CheckpointError
from keys.log.merkle import Frontier, leaf_hash
from keys.log.note import VerifiedCheckpoint, verify_checkpoint
from schemas.errors import Error
from schemas.ids import Code, Kid, Origin, ParticipantId
from schemas.limits import LIMITS
from schemas.rules.compile import Rules, compile_rules

REFRESH_ENDS_SECONDS: Final = 5
DIRECTORY_SECONDS: Final = 30
HISTORY: Final = 1 << 16
ADMITTED: Final = 64
_DIRECTORY_ALARMS: Final = (
    "directory",
    "directory-rollback",
    "directory-frozen",
    "directory-append-only",
    "directory-scope",
)


class ForkError(Error):
    """The log shows a root that contradicts what it has signed before."""

    problem = "fork"


class TooOldError(AnswerError):
    """The checkpoint lies further back than roots are remembered: a newer one is to be had."""


class NotLoggedYetError(Error):
    """The directory that is served is newer than the log's newest checkpoint: wait for its leaf."""

    problem = "unavailable"


class NotEnrolledError(Error):
    """The directory does not have this gateway's keys yet."""

    problem = "enrolment"


@dataclass(frozen=True, slots=True)
class Ours:
    """Whose gateway this is: the key ids of its participants that are here, and its name."""

    kids: dict[ParticipantId, frozenset[Kid]]
    gateway: Code


class _History:
    """The roots of every size that lies not too far back: frontiers where steps ended, and the leaves in between."""

    def __init__(self, start: Frontier) -> None:
        self._steps = [start]
        self._hashes: list[bytes] = []

    def root(self, size: int) -> bytes | None:
        """Return the root at a size, None where it lies too far back or is not known yet."""
        first = self._steps[0].size
        if not first <= size <= first + len(self._hashes):
            return None
        step = self._steps[bisect_right(self._steps, size, key=lambda one: one.size) - 1]
        return step.extend(self._hashes[step.size - first : size - first]).root()

    def add(self, step: Frontier, hashes: list[bytes]) -> None:
        """Note a step and the leaf hashes that led to it; forget what lies far back."""
        self._hashes += hashes
        self._steps.append(step)
        while len(self._hashes) > HISTORY and len(self._steps) > 1:
            gone = self._steps[1].size - self._steps[0].size
            del self._steps[0], self._hashes[:gone]


class Follower:
    """Follows one log for one gateway. Used in one event loop; `network` is replaced, never changed."""

    def __init__(
        self,
        *,
        client: BrokerClient,
        store: Store,
        directories: DirectoryClient,
        alarms: Alarms,
        origin: Origin,
        sign: Sign,
        ours: Ours,
        now_ms: Callable[[], int],
    ) -> None:
        self._client = client
        self._store = store
        self._directories = directories
        self._alarms = alarms
        self._origin = origin
        self._sign = sign
        self._ours = ours
        self._now_ms = now_ms
        # All of these belong to whoever holds the lock.
        self._lock = asyncio.Lock()
        self._state = store.read_now(state.read_log)
        self._history = _History(self._state.frontier)
        self._directory = directories.stored()
        self._rules: Rules | None = None
        self._checkpoint: VerifiedCheckpoint | None = None
        self._admitted: OrderedDict[bytes, VerifiedCheckpoint] = OrderedDict()
        self._directory_looked = 0.0
        self._waiting_for_leaf_since: int | None = None
        self.network: Network | None = None
        self._known = asyncio.Event()
        self._recall()

    def _recall(self) -> None:
        """Take up what was known when the gateway stopped, so that it can answer with the broker away."""
        if self._directory is None or not self._state.note:
            return
        # Log keys that changed between two commits: the next poll sorts it out.
        with contextlib.suppress(CheckpointError):
            self._checkpoint = verify_checkpoint(self._state.note, self._directory.log.keys)
            self._rules = _compile(self._directory, self._state)
            self._publish()

    async def wait(self) -> Network:
        """Return the network as soon as it is known."""
        await self._known.wait()
        assert self.network is not None
        return self.network

    async def poll(self) -> None:
        """Look for a newer checkpoint and follow the log up to it; look for a newer directory now and then.

        Raises `BrokerAwayError` where there is no answer; everything that is wrong becomes an alarm and is raised too.
        """
        async with self._lock:
            try:
                served = await self._client.checkpoint()
                checkpoint = await self._verify(served.note)
                await self._judge_time(checkpoint, served.date)
                await self._reach(checkpoint)
                await self._look_at_directory()
            except Error as error:
                await self._note(error)
                raise
            await self._alarms.end("broker-away", "reads-refused", "log", "wrong-log", "open-statement-withheld")

    async def admit(self, note: bytes) -> VerifiedCheckpoint:
        """Return a checkpoint as verified once it is proved to be of the tree that was followed so far.

        Follows the log up to it where it is newer. Raises as `poll` does.
        """
        known = self._admitted.get(note)
        if known is not None:
            return known
        async with self._lock:
            try:
                checkpoint = await self._verify(note)
                await self._reach(checkpoint)
            except Error as error:
                await self._note(error)
                raise
            self._admitted[note] = checkpoint
            if len(self._admitted) > ADMITTED:
                self._admitted.popitem(last=False)
            return checkpoint

    # Checkpoints

    async def _verify(self, note: bytes) -> VerifiedCheckpoint:
        """Verify a note under the log's keys, those of a newer directory included. Raises `CheckpointError`."""
        if self._directory is not None:
            try:
                return verify_checkpoint(note, self._directory.log.keys)
            except CheckpointError:
                # The root holders may have signed other log keys since: the new directory says so.
                candidate = await self._candidate()
                return verify_checkpoint(note, candidate.log.keys)
        return verify_checkpoint(note, (await self._candidate()).log.keys)

    async def _judge_time(self, checkpoint: VerifiedCheckpoint, date: int | None) -> None:
        """Raise or end the alarms about the age of the newest checkpoint, by our clock. They do not stop sending."""
        now = self._now_ms() // 1000
        age = now - checkpoint.at
        skew = 0 if date is None else now - date
        if abs(skew) > LIMITS.request_age or age < -LIMITS.checkpoint_stale:
            await self._alarms.start("clock-skew", _skew(skew or age))
        else:
            await self._alarms.end("clock-skew")
        if age > LIMITS.checkpoint_stale and abs(skew) <= LIMITS.request_age:
            await self._alarms.start(
                "checkpoint-stale", f"The log's newest checkpoint is {age // 60} min old; something stands still."
            )
            # An instance that is cut off from the others goes on answering with what it has.
            self._client.turn()
        else:
            await self._alarms.end("checkpoint-stale")

    async def _reach(self, checkpoint: VerifiedCheckpoint) -> None:
        """Follow the log up to a checkpoint, or compare it with what was followed. Raises `ForkError` and others."""
        if "fork" in self._alarms.on:
            raise ForkError("The log has contradicted itself; a person must look at it first.")
        newest = self._checkpoint
        if newest is not None and checkpoint.size < newest.size and checkpoint.at > newest.at:
            await self._alarms.start(
                "rollback", "The log has signed a smaller tree after a larger one.", newest.note + checkpoint.note
            )
            raise ForkError("The log has gone back.")
        if checkpoint.size > self._state.frontier.size:
            await self._advance(checkpoint)
            return
        root = self._history.root(checkpoint.size)
        if root is None:
            raise TooOldError("The checkpoint lies too far back to be compared.")
        if root != checkpoint.root:
            await self._fork(checkpoint)
        if newest is None or (checkpoint.size == newest.size and checkpoint.at > newest.at):
            if self.network is None:
                await self._take_directory(await self._directory_at(self._state, None))
            self._checkpoint = checkpoint
            self._publish()

    async def _advance(self, checkpoint: VerifiedCheckpoint) -> None:
        """Take the step from what is known to a larger checkpoint."""
        before = self._state
        stretch = await read_stretch(self._client, self._sign, before.frontier.size, checkpoint.size)
        hashes = [leaf_hash(entry) for entry in stretch.entries]
        frontier = before.frontier.extend(hashes)
        if frontier.size != checkpoint.size or frontier.root() != checkpoint.root:
            await self._fork(checkpoint)
        directory = await self._directory_at(before, fold.newest_directory(before, stretch.things))
        folded = fold.fold(before, stretch.things, directory, self._origin)
        after = replace(folded.state, frontier=frontier, note=checkpoint.note)

        # The one commit point of a step.
        def commit(tx: Transaction) -> None:
            state.write_log(tx, after, changed=folded.changed)
            for erasure in folded.erasures:
                outbox.mark_erased(tx, erasure.notice_id, erasure.reason)

        await self._store.write(commit)
        self._history.add(frontier, hashes)
        self._state, self._checkpoint = after, checkpoint
        await self._alarms.end("open-statement-withheld")
        for words in folded.odd:
            await self._alarms.start("odd-leaf", words)
        await self._take_directory(directory)
        self._publish()
        await self._look_at_laws()

    async def _fork(self, checkpoint: VerifiedCheckpoint) -> None:
        """Keep both notes and raise: what the log shows is not what it showed."""
        mine = b"" if self._checkpoint is None else self._checkpoint.note
        await self._alarms.start(
            "fork", f"The log's root at size {checkpoint.size} contradicts its leaves.", mine + checkpoint.note
        )
        raise ForkError("The log's root contradicts its leaves.")

    # The directory

    async def _directory_at(self, before: LogState, newest: tuple[int, int, bytes] | None) -> Directory:
        """Return the directory of the newest leaf; fetch it where it is not the one at hand. Raises `Error`."""
        version, snapshot = (before.directory, before.snapshot) if newest is None else (newest[0], newest[2])
        at_hand = self._directory
        if at_hand is not None and (at_hand.version, at_hand.snapshot) == (version, snapshot):
            return at_hand
        return await self._fetch_directory(version, snapshot, before.directory_index)

    async def _fetch_directory(self, version: int, snapshot: bytes | None, known_index: int) -> Directory:
        def check(directory: Directory) -> None:
            if directory.version > version:
                raise NotLoggedYetError("The directory is newer than the log's newest checkpoint.")
            if (directory.version, directory.snapshot) != (version, snapshot):
                raise DirectoryFrozenError("The directory that is served is not the one that the log names.")

        refresh = partial(self._directories.refresh, self._directory, tree_size=known_index + 1, check=check)
        directory = await _seen_out(refresh)
        check(directory)  # an unchanged one was not asked about
        return directory

    async def _candidate(self) -> Directory:
        """Return the directory that is served now, verified but not compared with the log: for its log keys alone."""
        seen: list[Directory] = []

        def look(directory: Directory) -> None:
            seen.append(directory)
            raise NotLoggedYetError("Only looked at.")

        try:
            return await _seen_out(partial(self._directories.refresh, self._directory, check=look))
        except NotLoggedYetError:
            self._demand_enrolled(seen[-1])
            return seen[-1]

    async def _look_at_directory(self) -> None:
        """See every 30 s whether the directory that is served is still the log's, and fresh."""
        now = asyncio.get_running_loop().time()
        if now - self._directory_looked < DIRECTORY_SECONDS or self._state.directory == 0:
            return
        at = self._state
        try:
            await self._take_directory(await self._fetch_directory(at.directory, at.snapshot, at.directory_index))
            self._waiting_for_leaf_since = None
        except NotLoggedYetError:
            # An upload is served a moment before its leaf is under a checkpoint; for longer, something is wrong.
            self._waiting_for_leaf_since = self._waiting_for_leaf_since or self._now_ms()
            if self._now_ms() - self._waiting_for_leaf_since > LIMITS.request_age * 1000:
                raise DirectoryFrozenError("A directory is served that the log does not name.") from None
            return
        self._directory_looked = now
        await self._alarms.end(*_DIRECTORY_ALARMS)
        self._publish()
        await self._look_at_laws()

    async def _take_directory(self, directory: Directory) -> None:
        """Make a directory the one that counts, and look at the records of our own participants in it."""
        if directory is self._directory and self._rules is not None:
            return
        # Compiling the laws of 57 States takes a while.
        self._rules = await asyncio.to_thread(_compile, directory, self._state)
        self._directory = directory
        await self._alarms.end("not-enrolled", *_DIRECTORY_ALARMS)
        foreign = sorted(self._foreign(directory))
        if foreign:
            await self._alarms.start(
                "foreign-key", f"The directory has keys of ours that were not made here: {', '.join(foreign)}."
            )
        else:
            await self._alarms.end("foreign-key")

    async def _look_at_laws(self) -> None:
        """Tell a person which laws deny only because they, or one of their conditions, cannot be read here."""
        assert self._rules is not None  # it was just published
        unreadable = [f"the law of {state} cannot be read" for state in sorted(self._rules.unreadable)]
        unclear = [
            f"{', '.join(ids)} of {state} cannot be evaluated" for state, ids in sorted(self._rules.unevaluable.items())
        ]
        if unreadable or unclear:
            said = "; ".join((*unreadable, *unclear))
            await self._alarms.start("law", f"What these laws are about is denied: {said}.")
        else:
            await self._alarms.end("law")

    def _foreign(self, directory: Directory) -> Collection[str]:
        """Return key ids that the directory holds for our participants and this gateway did not make."""
        found = set()
        for who, kids in self._ours.kids.items():
            participant = directory.participant(who)
            for record in () if participant is None else participant.keys:
                elsewhere = not isinstance(record, SealingRecord) and record.gateway != self._ours.gateway
                unknown = set(record.kids) - kids
                if unknown and not (elsewhere and record.life.closed_at is not None):
                    found |= unknown
        return found

    def _demand_enrolled(self, directory: Directory) -> None:
        for who, kids in self._ours.kids.items():
            participant = directory.participant(who)
            if participant is None or not any(kids.issuperset(record.kids) for record in participant.keys):
                raise NotEnrolledError("The directory does not have this gateway's keys yet.")

    # What others read

    def _publish(self) -> None:
        """Put together the network as of now, and tell those who wait for it."""
        directory = self._directory
        assert directory is not None  # callers have one
        assert self._rules is not None  # it came with the directory
        if self._rules.boundary != self._state.boundary:
            self._rules = self._rules.at(self._state.boundary)
        self.network = Network(
            directory,
            self._rules,
            self._state.subscriptions,
            self._state.revoked,
            self._checkpoint,
            self._state.delegations,
        )
        self._known.set()

    async def _note(self, error: Error) -> None:
        """Turn what went wrong into an alarm."""
        match error:
            case BrokerAwayError() | DirectoryAwayError():
                await self._alarms.start("broker-away", error.detail)
            case NotLoggedYetError():
                pass
            case NotEnrolledError():
                await self._alarms.start("not-enrolled", error.detail)
            case WithheldError():
                await self._alarms.start("open-statement-withheld", error.detail)
            case CheckpointError():
                await self._alarms.start("wrong-log", error.detail)
            case DirectorySignatureError() if self._directory is None:
                await self._alarms.start(
                    "wrong-log",
                    "What is served is not signed under the root that was enrolled: compare its fingerprint.",
                )
            case DirectorySignatureError():
                await self._alarms.start("directory", error.detail)
            case DirectoryError():
                await self._alarms.start(error.code, error.detail)
            case RefusedError(remote="clock-skew"):
                if "clock-skew" not in self._alarms.on:
                    await self._alarms.start("clock-skew", error.detail)
            case RefusedError():
                await self._alarms.start("reads-refused", f"The broker refuses to be read: {error.detail}")
            case _:
                await self._alarms.start("log", error.detail)


async def _seen_out(refresh: Callable[[], Directory]) -> Directory:
    """Refresh in a thread, and see it out when cancelled: it writes the store, which may be another's after the stop."""
    running = asyncio.ensure_future(asyncio.to_thread(refresh))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait([running], timeout=REFRESH_ENDS_SECONDS)
        for one in done:
            one.exception()
        raise


def _compile(directory: Directory, known: LogState) -> Rules:
    return compile_rules(
        version=directory.version, boundary=known.boundary, network=directory.network, laws=directory.laws
    )


def _skew(seconds: int) -> str:
    ahead = "ahead of" if seconds > 0 else "behind"
    return f"This machine's clock is {abs(seconds)} s {ahead} the broker's: set it, or ask the operator."
