"""The broker behind its HTTP interface: the sequencer for what changes, a reader of the view for what is asked.

Implements `broker.http.service.Service`. Lives on the event loop: the view's reader is the loop's own, and work on a page is
done in pieces, so that other requests get their turn.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from broker.answers import Answer, NotPublished
from broker.checkpoints import SignedTree
from broker.clock import Clock
from broker.decisions import EVALUATOR
from broker.deliver import Withheld, whole
from broker.housekeeping import Housekeeping
from broker.http.service import (
    AuditedStatement,
    AuditPage,
    DirectoryLeaf,
    FeedPage,
    HeldNotice,
    LogObject,
    OwnPage,
    OwnStatement,
    Subscription,
)
from broker.ledger.port import Condition
from broker.offers import Offers
from broker.sequencer import Sequencer
from broker.streams import Stream, Streams
from broker.telemetry import EngineFigures, Figures
from broker.trust import Trust
from broker.uploads import Upload, Uploaded, parse_answer
from broker.view.statements import AuditRow, StatementRow
from broker.view.store import View, ViewReader
from keys.log.proof import Proof, encode
from keys.log.tiles import Tile
from schemas.encoding import Time, b64encode, from_seconds
from schemas.envelope import envelope_bytes
from schemas.errors import Error
from schemas.ids import Kid, NoticeId, Origin, ParticipantId, Pattern, Role, is_state, role_of
from schemas.leaf import EVENTS
from schemas.limits import LIMITS
from schemas.rules.decide import decide
from schemas.rules.facts import Facts

PAGE_BYTES: Final = LIMITS.batch // 2
"""Bytes after which a page ends, however many items were asked for: clients take answers of `LIMITS.batch`."""

STRETCH: Final = 2048
"""Leaves that are looked through for one page of a participant's own statements."""

HANDED_S: Final = 15.0
"""Seconds that the instance that signs has for an upload that another one took."""
LOOK_S: Final = 0.2

FRESH_MS: Final = 5000
"""How old a checkpoint over an unsigned leaf may be before the broker says that it is not ready."""
OLD_MS: Final = 120_000
"""How old any checkpoint may be: it is renewed each minute, and clients alarm after three."""


class Serving:
    """Answer what the HTTP interface asks."""

    def __init__(self, sequencer: Sequencer, housekeeping: Housekeeping, view: View, clock: Clock) -> None:
        self.origin: Origin = sequencer.origin
        self._sequencer = sequencer
        self._housekeeping = housekeeping
        self._view = view
        self._clock = clock
        self._reader: ViewReader | None = None
        self._offers: Offers | None = None
        self._streams: Streams | None = None
        self._waiting: dict[asyncio.Event, frozenset[Kid] | None] = {}  # whose keys each waits for; None: anybody's
        self._new: list[tuple[int, frozenset[Kid] | None]] = []  # up to which leaf, and whose business it is
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarms: dict[str, int] = {}
        self._stopping = False

    async def start(self) -> None:
        """Open the loop's reader and start the ledger thread."""
        self._loop = asyncio.get_running_loop()
        self._reader = self._view.reader()
        self._offers = Offers(self._sequencer, self._view, self._reader)
        self._streams = Streams(self._offers, self._offers.memory.prune)
        self._streams.start()
        self._sequencer.on_checkpoint(self._announce)
        await self._loop.run_in_executor(None, self._sequencer.start)

    def release(self) -> None:
        """Release who waits for a checkpoint, and let nobody wait any more; what else is asked is still answered."""
        self._stopping = True
        if self._streams is not None:
            self._streams.finish()
        self._wake()

    async def stop(self, seconds: float = 10.0) -> None:
        """Release who waits, finish what is queued, close the reader; within a bound."""
        self.release()
        await asyncio.get_running_loop().run_in_executor(None, self._sequencer.stop, seconds)
        if self._streams is not None:
            await self._streams.stop()
            self._streams = self._offers = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @property
    def trust(self) -> Trust:
        """Return the trust behind the last leaf."""
        return self._sequencer.trust

    @property
    def size(self) -> int:
        """Return the number of leaves, signed or not."""
        return self._view.size

    @property
    def note(self) -> bytes | None:
        """Return the newest signed checkpoint."""
        return self._sequencer.signed.note

    @property
    def note_size(self) -> int:
        """Return the number of leaves under it."""
        return self._sequencer.signed.size

    @property
    def _view_of_loop(self) -> ViewReader:
        if self._reader is None:
            raise Error("The broker is stopping.", problem="unavailable")
        return self._reader

    @property
    def _offers_of_loop(self) -> Offers:
        if self._offers is None:
            raise Error("The broker is stopping.", problem="unavailable")
        return self._offers

    def now_ms(self) -> int:
        """Return the broker's Unix milliseconds."""
        return self._clock.now_ms()

    async def publish(self, notice_id: NoticeId, data: bytes) -> Answer:
        """Publish one envelope."""
        return self._seen(await self._sequencer.publish(notice_id, data))

    async def publish_many(self, lines: Sequence[bytes]) -> list[Answer]:
        """Publish envelopes in their order, each standing alone; raise `Error` where none was tried."""
        return [self._seen(answer) for answer in await self._sequencer.publish_many(lines)]

    def _seen(self, answer: Answer) -> Answer:
        if isinstance(answer, NotPublished) and answer.error.code == "fork":
            self._alarms["fork"] = self._alarms.get("fork", 0) + 1
        return answer

    # Waiting

    async def wait_checkpoint(self, size_above: int, seconds: float, caller: ParticipantId | None = None) -> None:
        """Return when a checkpoint of more than `size_above` leaves is out, the time is over, or the service stops.

        A caller is not woken by leaves that cannot be its business.
        """
        if self.note_size > size_above or self._stopping:
            return
        event = asyncio.Event()
        self._waiting[event] = None if caller is None else Offers.kids(caller, self.trust)
        try:
            async with asyncio.timeout(seconds):
                while self.note_size <= size_above and not self._stopping:
                    event.clear()
                    await event.wait()
        except TimeoutError:
            return
        finally:
            del self._waiting[event]

    def _announce(self, addressed: frozenset[Kid] | None = None) -> None:
        """Wake the loop; called by the ledger thread."""
        if self._loop is not None and not self._loop.is_closed():
            # The checkpoint that this is about, for there may be a newer one by then: streams take them one by one.
            self._loop.call_soon_threadsafe(self._announced, self._sequencer.signed, addressed, self._view.size)

    def _announced(self, signed: SignedTree, addressed: frozenset[Kid] | None, size: int) -> None:
        if self._streams is not None:
            self._streams.announce(signed, addressed, size)
        # Who takes checkpoints from another may have leaves beyond this one: their readers are woken with the next.
        self._new.append((size, addressed))
        kids = [item for _, item in self._new]
        self._new = [item for item in self._new if item[0] > signed.size]
        self._wake(None if None in kids else frozenset(kid for item in kids for kid in item or ()))

    def _wake(self, addressed: frozenset[Kid] | None = None) -> None:
        for event, kids in self._waiting.items():
            if addressed is None or kids is None or not kids.isdisjoint(addressed):
                event.set()

    # Delivering

    async def feed(self, caller: ParticipantId, after: int, limit: int, topic: Pattern) -> FeedPage:
        """Return a page of the caller's feed; what the rules withhold is durably held before the cursor passes it."""
        page = await self._offers_of_loop.page(caller, after, limit, PAGE_BYTES, topic)
        note = b64encode(page.signed.note or b"").encode()
        return FeedPage(
            page.next, page.signed.size, [whole(item.parts, item.inclusion, note) for item in page.deliveries]
        )

    def stream(self, caller: ParticipantId, after: int, topic: Pattern, demand: Callable[[], None]) -> Stream:
        """Open a stream of the caller's feed; `demand` raises when it may not go on."""
        if self._streams is None:
            raise Error("The broker is stopping.", problem="unavailable")
        return self._streams.open(caller, after, topic, demand)

    async def held(self, caller: ParticipantId) -> Sequence[HeldNotice]:
        """Return what is kept from the caller, in the order of the ledger."""
        return [
            HeldNotice(
                notice_id=item.notice.notice_id,
                index=item.notice.index,
                sender=item.notice.sender,
                topic=item.notice.topic,
                since=self._time_of(item.held.since),
                why=item.held.why_json(),
            )
            for item in self._view_of_loop.held(caller)
        ]

    def _time_of(self, size: int) -> Time:
        """Return when the log had a size: when its last leaf was received."""
        return from_seconds(self._view_of_loop.record(max(size - 1, 0)).leaf.received_at // 1000)

    async def delivery(self, caller: ParticipantId, notice_id: NoticeId) -> bytes | None:
        """Return the caller's delivery of a notice; None where there is nothing for the caller."""
        row = self._view_of_loop.by_notice(notice_id)
        if row is None:
            return None
        signed, trust = self._sequencer.signed, self.trust
        kids = Offers.kids(caller, trust)
        # Whoever holds it through a grant asks for the notice itself.
        for share in (row, *self._view_of_loop.grants(notice_id)):
            made = self._offers_of_loop.deliver(share, caller, kids, trust, signed)
            if isinstance(made, Withheld):
                raise Error(f"The rules withhold it: condition {made.why.condition}.", problem="forbidden")
            if made is not None:
                return whole(*made, b64encode(signed.note or b"").encode())
        return None

    async def proof_text(self, caller: ParticipantId, notice_id: NoticeId) -> bytes | None:
        """Return the `.tlog-proof` of a notice's leaf; None where there is nothing for the caller."""
        reader, signed = self._view_of_loop, self._sequencer.signed
        row = reader.by_notice(notice_id)
        if row is None or signed.note is None or row.index >= signed.size or not self._may_see(row, caller):
            return None
        return encode(Proof(row.index, reader.inclusion(row.index, signed.size), signed.note))

    def _may_see(self, row: StatementRow, caller: ParticipantId) -> bool:
        """Say whether a statement is the caller's to see: open acts are everybody's."""
        if row.body_digest is None or row.sender == caller:
            return True
        if self._view_of_loop.holders(row.notice_id) & Offers.kids(caller, self.trust):
            return True
        mandate = self._mandate(caller)
        return mandate is not None and (not mandate or bool(mandate & self._concerned(row)))

    def _concerned(self, row: StatementRow) -> frozenset[Role]:
        directory = self.trust.directory
        owners = (directory.owner(kid) for kid in self._view_of_loop.holders(row.notice_id))
        return frozenset(role_of(who) for who in (row.sender, *owners) if who is not None)

    # Open acts, log, directory

    async def subscriptions(self) -> Sequence[Subscription]:
        """Return the folded subscriptions."""
        reader, found = self._view_of_loop, []
        for item in reader.subscriptions():
            record = reader.record(item.index)
            found.append(Subscription(item.participant, item.pattern, item.index, record.document, record.proof or b""))
        return found

    async def log_object(self, digest: bytes, caller: ParticipantId | None) -> LogObject | None:
        """Return what stands behind a leaf's digest, for a caller or for anybody; None where there is nothing for it."""
        reader = self._view_of_loop
        found = reader.object(digest)
        if found is None:
            return None
        index, record = found
        if record.leaf.type not in EVENTS:
            row = reader.by_index(index)
            if caller is None or row is None or not self._may_see(row, caller):
                return None
        return LogObject(record.document, record.proof)

    async def tile(self, tile: Tile) -> bytes | None:
        """Return a tile's hashes; None where the newest checkpoint's tree does not have it."""
        if ((tile.index << 8) + tile.width) << (8 * tile.level) > self.note_size:
            return None
        return self._view_of_loop.tile(tile.level, tile.index, tile.width)

    async def entries(self, tile: Tile) -> bytes | None:
        """Return the bundle of entries beside a tile of level 0."""
        if (tile.index << 8) + tile.width > self.note_size:
            return None
        return self._view_of_loop.entries(tile.index, tile.width)

    async def directory_file(self, name: str) -> bytes | None:
        """Return a file of the directory by its path, such as `metadata/timestamp.json`."""
        return self._view_of_loop.stored_object(name)

    async def upload_role(
        self, role: str, metadata: bytes, targets: Mapping[str, bytes], if_match: int
    ) -> DirectoryLeaf:
        """Take a role's signed metadata and targets into the directory; raise `Error`."""
        if not self._housekeeping.leads:
            uploaded = await self._hand_over(Upload(role, metadata, targets, if_match))
            return DirectoryLeaf(uploaded.version, uploaded.index)

        def upload() -> Uploaded:
            self._sequencer.demand_sound()
            return self._housekeeping.upload_role(role, metadata, targets, if_match=if_match, now_ms=self.now_ms())

        uploaded = await self._sequencer.call(upload)
        return DirectoryLeaf(uploaded.version, uploaded.index)

    async def _hand_over(self, upload: Upload) -> Uploaded:
        """Have the instance that signs take an upload, and wait until this one has it in its own view."""
        name = secrets.token_hex(16)
        housekeeping, size = self._housekeeping, self.size

        def answer() -> Uploaded | None:
            found = housekeeping.answer_to(name)
            uploaded = None if found is None else parse_answer(found)
            return None if uploaded is None or uploaded.index >= self._view.size else uploaded

        await self._sequencer.call(lambda: housekeeping.hand_over(name, upload))
        try:
            async with asyncio.timeout(HANDED_S):
                while (uploaded := await self._sequencer.call(answer)) is None:
                    await self.wait_checkpoint(size, LOOK_S)
                    size = max(size, self.note_size)
        except TimeoutError:
            raise Error("The instance that signs the directory has not answered.", problem="unavailable") from None
        return uploaded

    # Auditors

    def _mandate(self, caller: ParticipantId) -> frozenset[Role] | None:
        """Return the roles whose statements an auditor may read, empty for all of them; None where it is no auditor."""
        party = self.trust.parties.get(caller)
        if party is None or (party.kind != "auditor" and "auditor" not in party.roles):
            return None
        own = party if is_state(party.role) else None
        facts = Facts("audit", "audit", None, None, party, own)
        if not decide(facts, self.trust.rules, evaluator=EVALUATOR).permitted:
            return None
        return frozenset() if own is None else frozenset({party.role})

    async def audit_page(self, caller: ParticipantId, after: int, limit: int) -> AuditPage:
        """Return a page of statements, having recorded the access; raise `Error` where the caller has no mandate."""
        mandate = self._mandate(caller)
        if mandate is None:
            raise Error("Only auditors may list statements.", problem="forbidden")
        kids: set[Kid] = set()
        for who, party in self.trust.parties.items():
            if party.role in mandate:
                kids |= Offers.kids(who, self.trust)
        signed_size = self.note_size
        found = self._view_of_loop.page_for_audit(after, limit, mandate or None, kids, signed_size)
        rows = _fitting(found)
        await self._sequencer.call(
            lambda: self._housekeeping.record_access(
                caller, "statements", after=after, count=len(rows), now_ms=self.now_ms()
            )
        )
        full = len(rows) < len(found) or len(rows) >= limit
        following = rows[-1].index + 1 if full else max(after, signed_size)
        return AuditPage(
            following,
            [
                AuditedStatement(
                    index=row.index,
                    leaf=row.record.leaf.encode(),
                    statement=row.record.document,
                    proof=row.record.proof or b"",
                    body_digest=row.record.body_digest,
                    erased=row.erased,
                )
                for row in rows
            ],
        )

    async def own_page(self, caller: ParticipantId, after: int, limit: int) -> OwnPage:
        """Return a page of what the caller has published, whole, as long as it is not erased."""
        # A stretch of the log, however much of it is others': where a page ends must not say where those stand.
        end, size = min(after + STRETCH, max(after, self.note_size)), 0
        # By role, because grants have no stanza of their sender's; the State's others are passed over.
        own: list[OwnStatement] = []
        for item in self._view_of_loop.page_for_audit(after, STRETCH, (role_of(caller),), (), end):
            row = self._view_of_loop.by_index(item.index)
            assert row is not None  # it was just found there
            body = self._view_of_loop.body(row) if row.sender == caller else None
            if body is None:
                continue
            if len(own) >= limit or size > PAGE_BYTES:
                return OwnPage(item.index, own)
            envelope = envelope_bytes(item.record.document, item.record.proof or b"", body)
            size += len(envelope)
            own.append(OwnStatement(item.index, item.record.leaf.received_at, envelope))
        return OwnPage(end, own)

    # Health

    def readiness(self) -> Sequence[str]:
        """Return why the service is not ready, in words without particulars; nothing when it is."""
        reasons = list(self._sequencer.troubles())
        if not self._sequencer.alive:
            reasons.append("the ledger thread has stopped")
        if self._sequencer.alarm is not None:
            reasons.append(f"the ledger is not the one that was signed: {self._sequencer.alarm}")
        if self._sequencer.clock_ran_back:
            reasons.append("the clock has run back behind the newest leaf")
        if self._sequencer.failure is not None:
            reasons.append(f"the last attempt to write failed: {self._sequencer.failure}")
        if self.note is None:
            reasons.append("no checkpoint is signed yet")
        elif self.size > self.note_size and self.now_ms() - self._sequencer.signed_at > FRESH_MS:
            reasons.append("the newest leaves are not signed")
        elif self.now_ms() - self._sequencer.signed_at > OLD_MS:
            reasons.append("the newest checkpoint is old")  # what lies beyond it may not have been heard of
        return reasons

    def figures(self) -> Figures:
        """Return what the metrics show of ledger and view."""
        trust, condition = self.trust, self._sequencer.condition()
        skipped = Counter(self._view.skipped)
        if condition is not None:
            skipped.update(condition.skipped)
        return Figures(
            gauges={
                "tree_size": self.size,
                "checkpoint_size": self.note_size,
                "checkpoint_age_seconds": max(0.0, (self.now_ms() - self._sequencer.signed_at) / 1000),
                "directory_version": trust.directory.version,
                "participants": len(trust.parties),
                "revoked_keys": len(trust.revoked),
                "queue": self._sequencer.backlog,
                "streams": 0 if self._streams is None else len(self._streams),
                "ready": int(not self.readiness()),
            },
            counters={"skipped_records": self._sequencer.skipped},
            alarms={
                **self._alarms,
                **({} if self._sequencer.alarm is None else {self._sequencer.alarm: 1}),
                **({"clock-ran-back": 1} if self._sequencer.clock_ran_back else {}),
                **_alarms_of(condition),
                **{f"unreadable-law-{state}": 1 for state in trust.rules.unreadable},
                **{
                    f"unevaluable-law-{state}-{condition}": 1
                    for state, conditions in trust.rules.unevaluable.items()
                    for condition in conditions
                },
            },
            skipped=skipped,
            engine=None if condition is None else self._engine(condition),
        )

    def _engine(self, condition: Condition) -> EngineFigures:
        return EngineFigures(
            lag=self._sequencer.lag,
            heartbeat_age=condition.seconds,
            clock_offset=condition.clock_offset,
            instances=condition.instances,
            signer=condition.signer,
            replacements=condition.replacements,
        )


def _alarms_of(condition: Condition | None) -> dict[str, int]:
    if condition is None:
        return {}
    found = {
        "foreign-records": sum(condition.skipped.values()),
        "bodies-absent": condition.absent,
        "unsafe-store": condition.unsafe,
        "ledger-shorter": int(condition.short),
    }
    return {kind: count for kind, count in found.items() if count}


def _fitting(rows: Sequence[AuditRow]) -> Sequence[AuditRow]:
    """Return the rows that make a page, at least one where there is one."""
    size = 0
    for number, row in enumerate(rows):
        if size > PAGE_BYTES:
            return rows[:number]
        size += len(row.record.document) + len(row.record.proof or b"")
    return rows
