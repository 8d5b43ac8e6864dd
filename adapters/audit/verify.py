"""Verify a whole log over the broker's open addresses: every entry hashed again, the root held against the checkpoint.

Behind every leaf of an event (types 3 to 7) the event is demanded, behind every open statement (type 2) the statement
with its signatures; one that is not served is a finding. Findings are collected, not raised: an auditor wants all of
them. Sealed statements are checked too where the caller may list them. No body is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from adapters.audit.source import Sign, Source, Told, bundle_of
from adapters.audit.statement import verify_statement
from adapters.client.errors import RefusedError
from keys import digests
from keys.directory.directory import Directory
from keys.errors import VerificationError
from keys.log import merkle
from keys.log.merkle import Frontier
from keys.log.note import VerifiedCheckpoint, verify_checkpoint
from schemas import encoding
from schemas.errors import Error
from schemas.event import Boundary, DirectoryVersion, Event, LogKey
from schemas.ids import Kid
from schemas.leaf import Leaf, LeafType
from schemas.limits import LIMITS
from schemas.statement import RevocationBody

_PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be, at a leaf's index or (None) of the log as a whole."""

    index: int | None
    problem: str
    detail: str


@dataclass(slots=True)
class Report:
    """What was verified: counts of leaves by type, of events, open and sealed statements checked, and findings."""

    size: int
    root: bytes
    at: int
    leaves: dict[str, int] = field(default_factory=dict)
    events: int = 0
    open_statements: int = 0
    sealed_statements: int = 0
    not_demanded: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """Say whether nothing was found."""
        return not self.findings


async def verify_log(
    source: Source, directory: Directory, *, sign: Sign | None, told: Told, now: int, sealed: bool = False
) -> Report:
    """Verify the log up to its newest checkpoint.

    `sign` makes requests of a participant in force, which open statements need; `sealed` also checks the sealed ones
    that this participant, an auditor, may list. `now` is Unix seconds. Raises `CheckpointError`, and `Error` where the
    broker cannot be reached.
    """
    checkpoint = verify_checkpoint((await source.checkpoint()).note, directory.log.keys)
    run = _Run(source, directory, sign, Report(checkpoint.size, checkpoint.root, checkpoint.at))
    leaves = await run.read(checkpoint, told)
    if now - checkpoint.at > LIMITS.checkpoint_stale:
        run.find(None, "stale", f"The newest checkpoint is {now - checkpoint.at} s old.")
    if sealed and sign is not None:
        await run.check_sealed(leaves, sign)
    return run.report


class _Run:
    """One verification. What it knows of the ledger so far belongs to it alone."""

    def __init__(self, source: Source, directory: Directory, sign: Sign | None, report: Report) -> None:
        self.source = source
        self.directory = directory
        self.sign = sign
        self.report = report
        self.revoked: dict[Kid, int] = {}
        self.greatest = 0
        self.numbers: dict[str, int] = {}
        self.boundary = ""

    def find(self, index: int | None, problem: str, detail: str) -> None:
        self.report.findings.append(Finding(index, problem, detail))

    async def read(self, checkpoint: VerifiedCheckpoint, told: Told) -> list[Leaf | None]:
        """Read every entry, demand what stands behind it, and compare the root."""
        frontier, leaves, index = Frontier(), list[Leaf | None](), 0
        while index < checkpoint.size:
            entries = await self.source.entries(bundle_of(index, checkpoint.size))
            frontier = frontier.extend(map(merkle.leaf_hash, entries))
            for entry in entries:
                leaves.append(await self._entry(entry, index))
                index += 1
            told(index)
        if frontier.root() != checkpoint.root:
            self.find(None, "root", "The entries do not make the root that the log has signed.")
        return leaves

    async def _entry(self, entry: bytes, index: int) -> Leaf | None:
        try:
            leaf = Leaf.parse(entry)
        except Error as error:
            self.find(index, error.code, f"The entry is no leaf: {error.detail}")
            return None
        name = leaf.type.name.lower()
        self.report.leaves[name] = self.report.leaves.get(name, 0) + 1
        if leaf.received_at < self.greatest - LIMITS.received_at_back:
            self.find(index, "backdated", "It was received more than 60 s before one that stands before it.")
        self.greatest = max(self.greatest, leaf.received_at)
        if leaf.type is LeafType.SEALED:
            return leaf
        if leaf.type is LeafType.OPEN and self.sign is None:
            self.report.not_demanded += 1
            return leaf
        try:
            await self._demand(leaf, index)
        except RefusedError as error:
            self.find(index, "withheld", f"What stands behind the leaf is not served ({error.remote}).")
        except VerificationError as error:
            self.find(index, error.code, error.detail)
        return leaf

    async def _demand(self, leaf: Leaf, index: int) -> None:
        found = await self.source.log_object(leaf.digest, None if leaf.type is not LeafType.OPEN else self.sign)
        if leaf.type is LeafType.OPEN:
            if found.proof is None:
                raise VerificationError("An event is served for an open statement.")
            try:
                said = verify_statement(
                    found.document, found.proof, leaf, index, directory=self.directory, revoked=self.revoked
                )
            except Error as error:
                raise VerificationError(f"The open statement does not hold: {error.detail}") from error
            if isinstance(said.statement.body, RevocationBody):
                for kid in said.statement.body.kids:
                    self.revoked.setdefault(kid, index)
            self.report.open_statements += 1
            return
        if digests.event_leaf(found.document) != leaf.digest:
            raise VerificationError("The event is another one than the leaf's.")
        try:
            event = Event.parse(found.document)
        except Error as error:
            raise VerificationError(f"The event is not of its form: {error.detail}") from error
        if event.leaf_type is not leaf.type or event.origin != self.directory.origin:
            raise VerificationError("The event is of another type or deployment than its leaf.")
        self._number(event)
        self.report.events += 1

    def _number(self, event: Event) -> None:
        """Demand that directory versions and log keys count up by one, and that boundaries move forward."""
        what = event.what
        if isinstance(what, Boundary):
            if what.at <= self.boundary:
                raise VerificationError("The boundary does not lie behind the one before.")
            self.boundary = what.at
        elif isinstance(what, (DirectoryVersion, LogKey)):
            kind = type(what).__name__
            number = what.version if isinstance(what, DirectoryVersion) else what.number
            before = self.numbers.get(kind)
            if before is not None and number != before + 1:
                raise VerificationError(f"Its number is {number} after {before}.")
            self.numbers[kind] = number
            if isinstance(what, DirectoryVersion) and number == self.directory.version:
                self._same_directory(what)

    def _same_directory(self, what: DirectoryVersion) -> None:
        if encoding.b64decode(what.snapshot) != self.directory.snapshot:
            raise VerificationError("The directory that is served is not the one in the log.")

    async def check_sealed(self, leaves: Sequence[Leaf | None], sign: Sign) -> None:
        """Check every sealed statement that the caller may list against its leaf."""
        after = 0
        while True:
            page = await self.source.audit(sign, after=after, limit=_PAGE)
            for row in page.statements:
                if row.index >= len(leaves) or row.leaf.type is not LeafType.SEALED:
                    continue  # behind the checkpoint, or checked already
                if leaves[row.index] != row.leaf:
                    self.find(row.index, "leaf", "The statement is listed with another leaf than the log has.")
                    continue
                try:
                    verify_statement(
                        row.statement, row.proof, row.leaf, row.index, directory=self.directory, revoked=self.revoked
                    )
                except Error as error:
                    self.find(row.index, error.code, error.detail)
                else:
                    self.report.sealed_statements += 1
            if page.next <= after or not page.statements:
                return
            after = page.next
