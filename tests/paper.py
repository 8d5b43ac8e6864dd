"""A ledger on paper, for `broker.publish` as the function that it is: what was accepted, in memory, and nothing else."""

from collections.abc import Collection
from dataclasses import dataclass, field

from broker.publish import Accepted, Outcome, publish
from broker.trust import Trust
from keys.batch import Signed
from keys.directory.directory import Directory
from schemas.envelope import Envelope
from schemas.ids import Kid, LedgerIndex, NoticeId, ParticipantId, Topic
from schemas.record import Record
from schemas.rules.compile import compile_rules
from schemas.statement import Statement
from tests.carrying import root, sha
from tests.world import ORIGIN, World


@dataclass
class Row:
    """A notice that counts."""

    sender: ParticipantId
    act: str
    ref: NoticeId | None
    thread: NoticeId | None
    topic: Topic | None
    erased: bool = False


@dataclass
class PaperLedger:
    """What publishing reads; `leaves` may be filled with others' to move the next index."""

    world: World
    leaves: list[bytes] = field(default_factory=list)
    records: dict[bytes, tuple[LedgerIndex, Record]] = field(default_factory=dict)
    rows: dict[NoticeId, Row] = field(default_factory=dict)
    kids: dict[NoticeId, list[Kid]] = field(default_factory=dict)
    statements: dict[NoticeId, Statement] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.leaves)

    @property
    def next_index(self) -> int:
        return len(self.leaves)

    def known(self, digest: bytes) -> tuple[LedgerIndex, Record] | None:
        return self.records.get(digest)

    def by_notice(self, notice_id: NoticeId) -> Row | None:
        return self.rows.get(notice_id)

    def holders(self, notice_id: NoticeId) -> Collection[Kid]:
        return self.kids.get(notice_id, [])

    def statement(self, notice_id: NoticeId) -> Statement | None:
        return self.statements.get(notice_id)

    def root(self, size: int) -> bytes:
        return root(self.leaves[:size])

    def fill(self, size: int) -> "PaperLedger":
        self.leaves += [b"\x07" * 41] * (size - len(self.leaves))
        return self

    def publish(self, signed: Signed | bytes, trust: Trust | None = None, *, now_ms: int | None = None) -> Outcome:
        """Publish an envelope at its own address, and keep it where it is accepted."""
        data, notice_id = (signed, None) if isinstance(signed, bytes) else (signed.envelope, signed.statement.notice_id)
        at = self.world.now * 1000 if now_ms is None else now_ms
        outcome = publish(data, notice_id, ORIGIN, trust or self.world.trust(), self, now_ms=at)
        if isinstance(outcome, Accepted):
            self._keep(outcome.record, Envelope.parse(data))
        return outcome

    def _keep(self, record: Record, envelope: Envelope) -> None:
        statement: Statement = envelope.statement
        self.records[sha(record.document)] = (LedgerIndex(self.size), record)
        self.leaves.append(record.leaf.encode())
        self.statements[statement.notice_id] = statement
        self.rows[statement.notice_id] = Row(
            statement.sender, statement.act, statement.ref, statement.thread, statement.topic
        )
        sealed = envelope.sealed
        kids = [] if sealed is None else [stanza.kid for stanza in sealed.recipients]
        self.kids[statement.notice_id] = kids
        if statement.act == "grant":
            self.kids[statement.ref] = [*self.kids[statement.ref], *kids]


def trust_in(world: World, directory: Directory | None = None, *, revoked: dict[str, int] | None = None) -> Trust:
    """Return the trust of a directory that a test has made of the world's, with revocations."""
    directory = directory or world.directory
    rules = compile_rules(version=directory.version, boundary=None, network=directory.network, laws=directory.laws)
    return Trust(directory, rules, None, revoked or {})  # type: ignore[arg-type]
