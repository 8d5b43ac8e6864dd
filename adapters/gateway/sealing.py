"""Seal what is about to be sent: choose, fill in the statement, seal, and sign up to a hundred under one head.

Pure but for randomness and its cost: call it in a thread. What comes back is to be kept durably before it is sent.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from adapters.gateway.draft import Draft
from adapters.gateway.entries import Addressed, Entry, Parts, Sealing
from adapters.gateway.granting import GONE, NotGrantableError, Original
from adapters.gateway.network import Network
from adapters.gateway.recipients import Choice, Chooser
from adapters.gateway.status import Addressee, Trouble, Via
from keys.batch import Signed, Unsigned, sign_batch
from keys.envelope import grant_notice, open_act, seal_notice
from keys.sign import SigningKeys
from schemas import ids
from schemas.encoding import Time, b64encode, from_seconds
from schemas.errors import Error
from schemas.ids import NoticeId, Origin, ParticipantId
from schemas.limits import LIMITS
from schemas.statement import Statement

Holders = Mapping[int, tuple[ParticipantId, ...]]
"""By an entry's `seq`: who has what it corrects, recalls or grants."""

Originals = Mapping[int, Original]
"""By a grant's `seq`: the notice that it grants, as the log has it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """An entry that must not be sealed as it is; `expired` says that its time is over."""

    seq: int
    trouble: Trouble
    addressed: Addressed
    expired: bool = False


@dataclass(frozen=True, slots=True)
class Sealed:
    """What sealing a batch gave: entries with their bytes, and entries that cannot be sealed."""

    sealings: tuple[Sealing, ...]
    returned: tuple[Returned, ...]


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals for one participant with one signing identity, at one place of the log and one time of ours (Unix ms)."""

    network: Network
    origin: Origin
    participant: ParticipantId
    signing: SigningKeys
    now_ms: int

    def seal(self, entries: Sequence[Entry], holders: Holders, originals: Originals | None = None) -> Sealed:
        """Seal entries that are kept, in their order, at most 1,024; those that cannot be come back with the reason.

        `originals` are the notices that grants among them grant, by the entry's `seq`; a grant without one cannot be sealed.
        """
        now = from_seconds(self.now_ms // 1000)
        chooser = Chooser(self.network, self.participant, self.network.moment(self.now_ms), now)
        ready: list[tuple[Entry, Choice, Unsigned]] = []
        returned: list[Returned] = []
        for entry in entries:
            if entry.draft.expires_at is not None and entry.draft.expires_at <= now:
                trouble = Trouble.of(Error("`expires_at` passed before it could be sent.", problem="expired"))
                returned.append(Returned(entry.seq, trouble, entry.addressed, expired=True))
                continue
            outcome = self._one(entry, chooser, holders.get(entry.seq, ()), now, (originals or {}).get(entry.seq))
            if isinstance(outcome, Returned):
                returned.append(outcome)
            else:
                ready.append((entry, *outcome))
        if not ready:
            return Sealed((), tuple(returned))
        signed = sign_batch(
            [unsigned for _, _, unsigned in ready], self.signing, origin=self.origin, signer=self.participant, at=now
        )
        sealings = tuple(
            _sealing(entry, choice, unsigned, one) for (entry, choice, unsigned), one in zip(ready, signed, strict=True)
        )
        return Sealed(sealings, tuple(returned))

    def _one(
        self,
        entry: Entry,
        chooser: Chooser,
        holders: tuple[ParticipantId, ...],
        now: Time,
        original: Original | None,
    ) -> tuple[Choice, Unsigned] | Returned:
        if entry.draft.notice is None:
            return Choice((), Addressed(), (), None, None), open_act(self._statement(entry, entry.draft, now))
        choice = chooser.choose(entry.draft, holders, entry.addressed.left_out)
        if choice.trouble is not None:
            return Returned(entry.seq, choice.trouble, choice.addressed)
        draft = choice.instead or entry.draft
        statement = self._statement(entry, draft, now)
        if draft.act == "grant":
            if original is None:
                return Returned(entry.seq, Trouble.of(NotGrantableError(GONE)), choice.addressed)
            unsigned = grant_notice(statement, original.sealed, original.content_key, choice.keys)
        else:
            assert draft.notice is not None  # a sanitised draft has what is left of it
            unsigned = seal_notice(statement, draft.notice, choice.keys)
        if _size(unsigned) > LIMITS.body:
            error = Error(f"Sealed to {len(choice.keys)} it has more than {LIMITS.body} bytes.", problem="too-large")
            return Returned(entry.seq, Trouble.of(error), choice.addressed)
        return choice, unsigned

    def _statement(self, entry: Entry, draft: Draft, now: Time) -> Statement:
        # The first seal has the id that the caller was given; one after a definite refusal has a new one.
        notice_id = ids.new_notice_id(self.now_ms) if entry.sealed_before else entry.id
        return Statement(
            origin=self.origin,
            notice_id=notice_id,
            sender=self.participant,
            act=draft.act,
            ref=draft.ref,
            thread=_thread(draft, notice_id),
            topic=draft.topic,
            label=draft.label,
            expires_at=draft.expires_at,
            issued_at=now,
            nonce=b64encode(os.urandom(16)),
            body=draft.body,
            sealed=None,
            attachments=(),
            checkpoint=self.network.seen,
        )


def _thread(draft: Draft, notice_id: NoticeId) -> NoticeId | None:
    return draft.thread or (None if draft.label is None else notice_id)


def _size(unsigned: Unsigned) -> int:
    """Return about how many bytes the envelope will have: a head with its path adds at most 6 KiB."""
    return len(unsigned.statement_bytes) * 4 // 3 + len(unsigned.sealed_bytes or b"") + (6 << 10)


def _sealing(entry: Entry, choice: Choice, unsigned: Unsigned, signed: Signed) -> Sealing:
    sender = Addressee(signed.statement.sender, Via.SENDER)
    addressed = choice.addressed
    if entry.draft.notice is not None and entry.draft.act != "grant":
        addressed = replace(addressed, sealed=(sender, *addressed.sealed))
    parts = Parts(signed.statement.notice_id, signed.statement_bytes, signed.proof_bytes, unsigned.sealed_bytes)
    return Sealing(entry.seq, parts, addressed, choice.instead)
