"""What the ledger thread does beside publishing: directory versions, boundaries, erasures, days, the timestamp.

All of it is appended like everything else, so that what changes is data in the ledger. Runs in the ledger thread only.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from broker.deliver import may_receive
from broker.ledger.port import Append, Decision, Entry, Ledger, LedgerReader, LedgerUnavailableError
from broker.trust import Trust
from broker.uploads import ANSWERS, DONE, UPLOADS, Upload, Uploaded, encode_refusal
from broker.view.store import View
from keys import digests
from keys.directory.repository import NewVersion, Repository
from keys.log import merkle
from schemas import encoding
from schemas.encoding import Time, b64encode, from_seconds
from schemas.errors import Error
from schemas.event import Boundary, Day, DirectoryVersion, Erasure, Event, Happening
from schemas.ids import Code, NoticeId, Origin, ParticipantId
from schemas.leaf import Leaf, LeafType
from schemas.limits import LIMITS
from schemas.record import Record
from schemas.rules.compile import Rules, compile_rules, next_boundary
from schemas.statement import Statement

EVERY_MS: Final = 1000
TIMESTAMP_EVERY_S: Final = 3600
ERASE_AT_ONCE: Final = 500
METADATA: Final = "metadata/"
TARGETS: Final = "targets/"

log = structlog.get_logger("broker")


class Housekeeping:
    """Keep directory, rules and retention in step with the ledger; owned by the ledger thread.

    Of several instances one `leads`: it signs directory versions and timestamps, erases and closes days; the others take
    over what it has appended. Boundaries are passed by any of them.
    """

    def __init__(
        self, origin: Origin, ledger: Ledger, view: View, repository: Repository, *, now_ms: int, leads: bool = True
    ) -> None:
        self._origin = origin
        self._ledger = ledger
        self._view = view
        self._repository = repository
        self.leads = leads
        self._ran_at = 0
        self._timestamp_at = 0
        self._erasing = False  # an erasure was begun, and nothing has said yet that it is done
        self._directory = repository.load(now_ms // 1000)
        self._rules: Rules | None = None
        self._trust: Trust | None = None
        # A new ledger has no directory leaf yet: the versions that the ceremony made come before anything else.
        for version in range(view.state.directory + 1, self._directory.version + 1 if leads else 0):
            snapshot = digests.sha256(repository.files[f"{version}.snapshot.json"])
            self._append_event(DirectoryVersion(version, b64encode(snapshot)), now_ms)
        self._pass_boundary(now_ms)
        self._finish_erasures()
        self.follow(now_ms)
        if leads:
            self.take_uploads(ledger.object_names(UPLOADS), now_ms)

    def trust(self) -> Trust:
        """Return the trust behind the last leaf; the same object as long as nothing moved it."""
        state = self._view.state
        directory = self._directory
        revoked, delegations = self._view.revoked(), self._view.delegations()
        held = self._trust
        if (
            held is None
            or held.directory is not directory
            or held.boundary != state.boundary
            or len(held.revoked) != len(revoked)
            or held.delegations != delegations
        ):
            rules = self._compiled(state.boundary)
            self._trust = held = Trust(directory, rules, state.boundary, revoked, delegations)
        return held

    def due(self, now_ms: int) -> bool:
        """Say whether a round of housekeeping is due."""
        return now_ms - self._ran_at >= EVERY_MS or now_ms < self._ran_at

    def run(self, now_ms: int) -> bool:
        """Do a round: boundary, expiry, days, snapshot and timestamp. Return whether the rules moved."""
        self._ran_at = now_ms
        moved = self._pass_boundary(now_ms)
        if self._erasing:
            self._finish_erasures()
        if not self.leads:
            if now_ms // 1000 >= self._directory.valid_until:
                self._reload(now_ms)
                moved = True
            return moved
        self._expire(now_ms)
        self._close_days(now_ms)
        now = now_ms // 1000
        if self._repository.snapshot_due(now) or now >= self._directory.valid_until:
            self._take(self._repository.renew_snapshot(now), now_ms)
            moved = True
        if now - self._timestamp_at >= TIMESTAMP_EVERY_S:
            self.renew_timestamp(now_ms)
        return moved

    def prove(self, now_ms: int) -> None:
        """Have the ledger do something, after it could not: raise as it does."""
        if self.leads:
            self.renew_timestamp(now_ms)
        else:
            self._ledger.refresh()

    def renew_timestamp(self, now_ms: int) -> None:
        """Sign the directory's timestamp anew and keep it in the ledger."""
        now = now_ms // 1000
        files = self._repository.renew_timestamp(now)
        self._ledger.append(Append(objects=_objects(files)))
        self._repository = replace(self._repository, files={**self._repository.files, **files})
        self._timestamp_at = now

    def follow(self, now_ms: int) -> None:
        """Erase what recalls have asked for, and offer again what new rules allow; called after each change."""
        if self._directory.version < self._view.state.directory:
            # A version's leaf is in the ledger, another instance's or one that a failure kept from being taken over.
            self._reload(now_ms)
        if not self.leads:
            self._finish_erasures()
            self._settle()
            return
        recalled = self._view.recalled_unerased()
        self._erase(self._going_along(recalled) + recalled, Code("recall"), now_ms)
        self._settle()

    def _reload(self, now_ms: int) -> None:
        self._repository = replace(self._repository, files=directory_files(self._ledger))
        self._directory = self._repository.load(now_ms // 1000)

    def _going_along(self, notices: Sequence[NoticeId]) -> list[NoticeId]:
        """Return what a recall of some notices takes along as far as it is not erased: corrections, theirs, and all grants."""
        found: list[NoticeId] = []
        seen, ahead = set(notices), list(notices)
        while ahead:
            for child in self._view.children(ahead.pop()):
                if child.act in ("correct", "grant") and child.notice_id not in seen:
                    seen.add(child.notice_id)
                    ahead.append(child.notice_id)
                    if not child.erased:
                        found.append(child.notice_id)
        return found

    def upload_role(
        self, role: str, metadata: bytes, targets: Mapping[str, bytes], *, if_match: int | None, now_ms: int
    ) -> Uploaded:
        """Take a State's signed role: verify, re-sign snapshot and timestamp, append the leaf. Raises `DirectoryError`."""
        version = self._repository.accept_role(
            role, metadata, targets, if_match=if_match, tree_size=self._view.size, now=now_ms // 1000
        )
        index = self._take(version, now_ms)
        log.info("directory.uploaded", role=role, version=version.snapshot_version, index=index)
        self._pass_boundary(now_ms)
        return Uploaded(version.snapshot_version, index)

    def hand_over(self, name: str, upload: Upload) -> None:
        """Keep an upload for the instance that leads."""
        self._ledger.append(Append(objects={UPLOADS + name: upload.encode()}))

    def answer_to(self, name: str) -> bytes | None:
        """Return what the leading instance answered to an upload, as far as it can be read here."""
        return self._ledger.object(ANSWERS + name)

    def take_uploads(self, names: Iterable[str], now_ms: int) -> None:
        """Take what other instances have handed over, and answer them."""
        for name in names:
            data = self._ledger.object(name)
            if not data:
                continue
            try:
                upload = Upload.parse(data)
                answer = self.upload_role(
                    upload.role, upload.metadata, upload.targets, if_match=upload.if_match, now_ms=now_ms
                ).encode()
            except LedgerUnavailableError:
                raise  # it stays, and is taken at the next round or start
            except Error as error:
                answer = encode_refusal(error)
            self._ledger.append(Append(objects={ANSWERS + name.removeprefix(UPLOADS): answer, name: DONE}))

    def _take(self, version: NewVersion, now_ms: int) -> int:
        """Append a directory version with its files; only then is it in force."""
        event = DirectoryVersion(version.snapshot_version, b64encode(version.snapshot_digest))
        index = self._append_event(event, now_ms, objects=_objects(version.files))
        # --- crash point: the files are in the ledger, and the next start loads them from there ---
        self._repository = self._repository.after(version)
        self._directory = version.directory
        self._timestamp_at = now_ms // 1000
        return index

    def record_access(self, auditor: ParticipantId, what: str, *, after: int, count: int, now_ms: int) -> None:
        """Keep an auditor's access for the daily digest."""
        at = from_seconds(now_ms // 1000)
        data = _encode_access(at, auditor, what, after, count)
        self._ledger.append(Append(decisions=(Decision(at[:10], data),)))

    def _compiled(self, boundary: Time | None) -> Rules:
        directory = self._directory
        if self._rules is None or self._rules.version != directory.version:
            self._rules = compile_rules(
                version=directory.version, boundary=boundary, network=directory.network, laws=directory.laws
            )
        elif self._rules.boundary != boundary:
            self._rules = self._rules.at(boundary)
        return self._rules

    def _pass_boundary(self, now_ms: int) -> bool:
        boundary = self._view.state.boundary
        passed = next_boundary(self._compiled(boundary), boundary, from_seconds(now_ms // 1000))
        if passed is None:
            return False
        try:
            self._append_event(Boundary(passed), now_ms)
        except Error:
            # Another instance may have been faster: doubles fold away.
            if (self._view.state.boundary or "") < passed:
                raise
        log.info("rules.boundary", at=passed)
        return True

    def _expire(self, now_ms: int) -> None:
        expired = self._view.expiring(from_seconds(now_ms // 1000), ERASE_AT_ONCE)
        self._erase(expired, Code("expired"), now_ms)

    def _erase(self, notices: Sequence[NoticeId], reason: Code, now_ms: int) -> None:
        """Append the leaves that say so, all at once, then erase the bodies."""
        if not notices:
            return
        bodies = [self._view.body_digest(notice_id) for notice_id in notices]
        self._erasing = True
        self._append_events([Erasure(notice_id, reason) for notice_id in notices], now_ms)
        # --- crash point: the leaves say that the bodies are gone; the next round or start finishes it ---
        self._ledger.erase([digest for digest in bodies if digest is not None])
        self._erasing = False
        log.info("notices.erased", count=len(notices), reason=reason)

    def _finish_erasures(self) -> None:
        if erased := self._view.erased_bodies():
            self._ledger.erase(erased)
        self._erasing = False

    def _settle(self) -> None:
        """Decide again on all that is held, once for each leaf that changed the rules."""
        changes = (self._view.latest_event(LeafType.DIRECTORY), self._view.latest_event(LeafType.BOUNDARY))
        index = max((change[0] for change in changes if change is not None), default=0)
        if self._view.settled >= index:
            return
        trust = self.trust()
        released = []
        for item in self._view.held():
            statement = Statement.parse(self._view.record(item.notice.index).document)
            if may_receive(statement, item.held.participant, trust) is None:
                released.append((item.held.participant, item.notice.index, index + 1))
        self._view.release(released)
        self._view.settle(index)

    def _close_days(self, now_ms: int) -> None:
        # A clock may be set back as far as records still count: what is decided then belongs to a day that is open.
        today = from_seconds((now_ms - LIMITS.received_at_back) // 1000)[:10]
        for day in self._ledger.decision_days():
            if day < today and not self._view.has_day(day):
                kept = self._ledger.decisions(day)
                self._append_event(Day(day, len(kept), b64encode(merkle.root_of(kept))), now_ms)

    def _append_event(self, what: Happening, now_ms: int, *, objects: Mapping[str, bytes] | None = None) -> int:
        return self._append_events([what], now_ms, objects=objects)[0]

    def _append_events(
        self, happenings: Sequence[Happening], now_ms: int, *, objects: Mapping[str, bytes] | None = None
    ) -> list[int]:
        """Append events in one step, apply them, and return their leaves' indexes; raise `Error` if one does not count."""
        state = self._view.state
        records = []
        for what in happenings:
            event = Event(self._origin, b64encode(os.urandom(16)), what)
            document = event.encode()
            leaf = Leaf(event.leaf_type, now_ms, digests.event_leaf(document))
            records.append(Record(leaf, document, None, None, state.directory, state.boundary))
        places = self._ledger.append(Append(tuple(Entry(record, None) for record in records), objects or {}))
        kept = [(at, record, None) for at, record in zip(places, records, strict=True) if at is not None]
        indexes = []
        for applied in self._view.follow(kept):
            if applied.index is None:
                raise Error(f"An event does not count: {applied.reason}.", problem="unavailable")
            indexes.append(int(applied.index))
        return indexes


def _objects(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {directory_object(name): data for name, data in files.items()}


def directory_object(name: str) -> str:
    """Return the ledger's name for a file of the directory: `metadata/…` or `targets/…`."""
    return name if name.startswith(TARGETS) else f"{METADATA}{name}"


def directory_files(ledger: LedgerReader) -> dict[str, bytes]:
    """Return all files of the directory as the repository names them."""
    found = {name.removeprefix(METADATA): ledger.object(name) for name in ledger.object_names(METADATA)}
    found |= {name: ledger.object(name) for name in ledger.object_names(TARGETS)}
    return {name: data for name, data in found.items() if data is not None}


def _encode_access(at: Time, auditor: ParticipantId, what: str, after: int, count: int) -> bytes:
    return encoding.encode(
        {"typ": "access", "at": at, "auditor": auditor, "what": what, "after": after, "count": count}
    )
