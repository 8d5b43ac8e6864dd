"""Check an evidence file with no network: every digest, path and signature, from the root's fingerprint down.

The order is that of trust: root, directory, checkpoint, leaf, statement, signatures, content. The first step that fails
ends it. That no key was revoked is as good as its maker's list: only the whole log shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from adapters.audit.content import open_content
from adapters.audit.evidence import Evidence, Logged
from adapters.audit.statement import VerifiedStatement, verify_statement
from keys import digests
from keys.directory.directory import Directory
from keys.directory.update import load_directory, root_fingerprint
from keys.errors import VerificationError
from keys.log import proof as proofs
from keys.log.note import VerifiedCheckpoint
from keys.log.proof import verify_proof
from keys.sign import verify_receipt
from schemas.encoding import b64decode, b64encode, from_seconds
from schemas.errors import Error
from schemas.event import Boundary, DirectoryVersion, Event
from schemas.leaf import Leaf
from schemas.strict_json import Json

T = TypeVar("T")
ROOT = "1.root.json"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was checked: what, whether it holds, and what was found."""

    name: str
    ok: bool
    detail: str


@dataclass(slots=True)
class Checked:
    """The outcome. `sound` says that every step holds; `notice` is the content, where its key was released."""

    steps: list[Step] = field(default_factory=list)
    verified: VerifiedStatement | None = None
    notice: dict[str, Json] | None = None

    @property
    def sound(self) -> bool:
        """Say whether every step holds."""
        return bool(self.steps) and all(step.ok for step in self.steps)


def check_evidence(data: bytes, *, fingerprint: str | None) -> Checked:
    """Check an evidence file and return what was found; raises nothing that the file could cause.

    `fingerprint` is the root's, learnt by another way. Without it the file is only held against itself: the first step
    then fails, and the others are done nevertheless.
    """
    checked = Checked()
    try:
        evidence = Evidence.parse(data)
    except Error as error:
        checked.steps.append(Step("form", ok=False, detail=error.detail))
        return checked
    try:
        _Check(evidence, checked).run(fingerprint)
    except _FailedError:
        return checked
    return checked


class _FailedError(Exception):
    """A step failed; what it found is written down already."""


class _Check:
    """The steps over one file; each returns its value and a few words on what it found."""

    def __init__(self, evidence: Evidence, checked: Checked) -> None:
        self._evidence = evidence
        self._checked = checked

    def run(self, fingerprint: str | None) -> None:
        evidence = self._evidence
        self._root(fingerprint)
        event, at = self._step("directory event", self._event)
        directory = self._step("directory", lambda: self._directory(event, at))
        checkpoint = self._step(
            "leaf in the log", lambda: _included(directory, evidence.leaf, evidence.tlog_proof, None)
        )
        logged = evidence.directory.logged
        self._step("directory in the log", lambda: self._before(directory, checkpoint, logged))
        if (boundary := evidence.boundary) is not None:
            self._step("boundary in the log", lambda: self._boundary(directory, checkpoint, boundary))
        self._checked.verified = self._step("statement and signatures", lambda: self._statement(directory))
        if (receipt := evidence.receipt) is not None:
            self._step("receipt", lambda: self._receipt(directory, receipt))
        if evidence.content is not None:
            self._checked.notice = self._step("content", self._content)

    def _step(self, name: str, work: Callable[[], tuple[T, str]]) -> T:
        try:
            value, said = work()
        except Error as error:
            self._checked.steps.append(Step(name, ok=False, detail=error.detail))
            raise _FailedError from error
        self._checked.steps.append(Step(name, ok=True, detail=said))
        return value

    def _root(self, fingerprint: str | None) -> None:
        found = root_fingerprint(self._evidence.directory.files.get(ROOT, b""))
        if fingerprint is None:
            detail = f"Nothing to compare with was given; the file's root has {found}."
            self._checked.steps.append(Step("root fingerprint", ok=False, detail=detail))
            return
        same = "".join(fingerprint.split()).lower() == found.replace(" ", "")
        detail = found if same else f"Another deployment's root: {found}."
        self._checked.steps.append(Step("root fingerprint", same, detail))
        if not same:
            raise _FailedError

    def _event(self) -> tuple[tuple[DirectoryVersion, int], str]:
        logged, version = self._evidence.directory.logged, self._evidence.directory.version
        event, leaf = _happened(logged, self._evidence)
        if not isinstance(event.what, DirectoryVersion) or event.what.version != version:
            raise VerificationError("The event is not that of the directory version.")
        at = leaf.received_at // 1000
        return (event.what, at), f"version {version} of {from_seconds(at)}"

    def _directory(self, event: DirectoryVersion, at: int) -> tuple[Directory, str]:
        evidence = self._evidence
        files = evidence.directory.files
        # The time is that of the version's own leaf: nothing in it may have expired when it came into force.
        root = files.get(ROOT, b"")
        directory = load_directory(files, root, origin=evidence.origin, now=at, version=event.version)
        if directory.snapshot != b64decode(event.snapshot):
            raise VerificationError("The directory's files are not those that the event names.")
        return directory, f"{len(directory.roles)} roles, {len(directory.participants)} participants"

    def _before(self, directory: Directory, checkpoint: VerifiedCheckpoint, logged: Logged) -> tuple[None, str]:
        found = _included(directory, logged.leaf, logged.tlog_proof, checkpoint)[1]
        if proofs.parse(logged.tlog_proof).index >= proofs.parse(self._evidence.tlog_proof).index:
            raise VerificationError("It does not stand before the notice.")
        return None, found

    def _boundary(self, directory: Directory, checkpoint: VerifiedCheckpoint, logged: Logged) -> tuple[None, str]:
        event, _ = _happened(logged, self._evidence)
        if not isinstance(event.what, Boundary):
            raise VerificationError("The event is not a boundary.")
        return None, f"{event.what.at}, {self._before(directory, checkpoint, logged)[1]}"

    def _statement(self, directory: Directory) -> tuple[VerifiedStatement, str]:
        evidence = self._evidence
        verified = verify_statement(
            evidence.statement,
            evidence.proof,
            Leaf.parse(evidence.leaf),
            proofs.parse(evidence.tlog_proof).index,
            directory=directory,
            revoked=evidence.revoked,
        )
        said = verified.statement
        if said.notice_id != evidence.notice_id:
            raise VerificationError("The statement is another notice's.")
        return verified, f"{said.act} by {said.sender}, issued {said.issued_at}"

    def _receipt(self, directory: Directory, token: str) -> tuple[None, str]:
        evidence = self._evidence
        receipt = verify_receipt(token, directory.log.receipt_kid, directory.log.receipt_public)
        digest = b64encode(digests.statement_digest(evidence.statement))
        same = (receipt.origin, receipt.statement, receipt.leaf.encode(), receipt.index) == (
            evidence.origin,
            digest,
            evidence.leaf,
            proofs.parse(evidence.tlog_proof).index,
        )
        if not same:
            raise VerificationError("The receipt is for another statement or leaf.")
        if receipt.directory != evidence.directory.version:
            raise VerificationError("The receipt names another directory version.")
        boundary = None if evidence.boundary is None else Event.parse(evidence.boundary.event).what
        if receipt.boundary != (boundary.at if isinstance(boundary, Boundary) else None):
            raise VerificationError("The receipt names another boundary.")
        return None, f"decided under directory version {receipt.directory}, in the log by {receipt.due}"

    def _content(self) -> tuple[dict[str, Json], str]:
        assert self._checked.verified is not None and self._evidence.content is not None  # noqa: PT018 - run's order
        notice = open_content(self._checked.verified.statement, self._evidence.content)
        return notice, f"{notice.get('kind', 'a notice')}, opened with the released content key"


def _happened(logged: Logged, evidence: Evidence) -> tuple[Event, Leaf]:
    """Return an event and its leaf, which belong to each other and to this deployment."""
    leaf, event = Leaf.parse(logged.leaf), Event.parse(logged.event)
    if digests.event_leaf(logged.event) != leaf.digest or event.leaf_type is not leaf.type:
        raise VerificationError("The event is another one than the leaf's.")
    if event.origin != evidence.origin:
        raise VerificationError("The event is for another deployment.")
    return event, leaf


def _included(
    directory: Directory, leaf: bytes, proof: bytes, checkpoint: VerifiedCheckpoint | None
) -> tuple[VerifiedCheckpoint, str]:
    """Verify that a leaf is in the log; where a checkpoint is given, in that one's tree."""
    parsed = proofs.parse(proof)
    found = verify_proof(parsed, leaf, directory.log.keys)
    if checkpoint is not None and (found.size, found.root) != (checkpoint.size, checkpoint.root):
        raise VerificationError("It is proved under another checkpoint than the notice.")
    return found, f"index {parsed.index} of {found.size}, signed {from_seconds(found.at)}"
