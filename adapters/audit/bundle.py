"""Make the evidence file of one notice, from what the broker serves to somebody who may see its statement.

It is gathered here, not judged: hand it out only once `adapters.audit.check` finds it sound.
"""

from dataclasses import dataclass

from adapters.audit.directory_files import collect
from adapters.audit.evidence import Content, DirectoryEvidence, Evidence, Logged
from adapters.audit.source import Sign, Source, bundle_of
from adapters.audit.tree import inclusion
from keys.directory.directory import Directory
from keys.errors import VerificationError
from keys.log import proof as proofs
from keys.log.note import VerifiedCheckpoint, verify_checkpoint
from keys.log.proof import Proof
from schemas.event import DirectoryVersion, Event
from schemas.ids import Kid, NoticeId
from schemas.leaf import Leaf, LeafType
from schemas.statement import RevocationBody, Statement


@dataclass(frozen=True, slots=True)
class _Place:
    """A leaf and where it stands."""

    index: int
    entry: bytes
    leaf: Leaf


async def make_evidence(
    source: Source,
    directory: Directory,
    notice_id: NoticeId,
    *,
    sign: Sign,
    receipt: str | None = None,
    content: Content | None = None,
) -> Evidence:
    """Gather the evidence for a notice: statement, proofs, the rules that applied; all under one checkpoint.

    `directory` is the newest one, whose log keys count; `sign` the requests of somebody who may see the statement.
    Raises `Error` where the broker refuses, or serves what does not belong together.
    """
    proof = proofs.parse(await source.proof(notice_id, sign))
    run = _Gathering(source, sign, verify_checkpoint(proof.checkpoint, directory.log.keys))
    own = await run.place(proof.index)
    found = await source.log_object(own.leaf.digest, sign)
    if found.proof is None or Statement.parse(found.document).notice_id != notice_id:
        raise VerificationError("The broker serves another statement for this notice.")
    before = await run.rules_before(own.index)
    if before.directory is None:
        raise VerificationError("No directory version stands in the log before the notice.")
    happening = Event.parse((await source.log_object(before.directory.leaf.digest)).document).what
    if not isinstance(happening, DirectoryVersion):
        raise VerificationError("The event is not a directory version.")
    return Evidence(
        origin=directory.origin,
        notice_id=notice_id,
        statement=found.document,
        proof=found.proof,
        leaf=own.entry,
        tlog_proof=await run.proof(own),
        receipt=receipt,
        directory=DirectoryEvidence(
            version=happening.version,
            logged=await run.logged(before.directory),
            files=await collect(source, happening.version),
        ),
        boundary=None if before.boundary is None else await run.logged(before.boundary),
        revoked=before.revoked,
        content=content,
    )


@dataclass(slots=True)
class _Before:
    """What was in force before a leaf: the last directory version and boundary, and every revocation."""

    directory: _Place | None
    boundary: _Place | None
    revoked: dict[Kid, int]


class _Gathering:
    """One run under one checkpoint."""

    def __init__(self, source: Source, sign: Sign, checkpoint: VerifiedCheckpoint) -> None:
        self._source = source
        self._sign = sign
        self._checkpoint = checkpoint

    async def place(self, index: int) -> _Place:
        """Return the leaf at an index."""
        tile = bundle_of(index, self._checkpoint.size)
        entry = (await self._source.entries(tile))[index - tile.index * 256]
        return _Place(index, entry, Leaf.parse(entry))

    async def rules_before(self, index: int) -> _Before:
        """Read the leaves before one and return what was in force there."""
        found = _Before(None, None, {})
        at = 0
        while at < index:
            for entry in (await self._source.entries(bundle_of(at, self._checkpoint.size)))[: index - at]:
                place = _Place(at, entry, Leaf.parse(entry))
                if place.leaf.type is LeafType.DIRECTORY:
                    found.directory = place
                elif place.leaf.type is LeafType.BOUNDARY:
                    found.boundary = place
                elif place.leaf.type is LeafType.OPEN:
                    await self._note_revocation(place, found)
                at += 1
        return found

    async def _note_revocation(self, place: _Place, found: _Before) -> None:
        said = Statement.parse((await self._source.log_object(place.leaf.digest, self._sign)).document)
        if isinstance(said.body, RevocationBody):
            for kid in said.body.kids:
                found.revoked.setdefault(kid, place.index)

    async def logged(self, place: _Place) -> Logged:
        """Return an event with its leaf and proof."""
        event = (await self._source.log_object(place.leaf.digest)).document
        return Logged(event, place.entry, await self.proof(place))

    async def proof(self, place: _Place) -> bytes:
        """Return the `.tlog-proof` of a leaf under this run's checkpoint."""
        path = await inclusion(self._source, place.index, self._checkpoint.size)
        return proofs.encode(Proof(place.index, path, self._checkpoint.note))
