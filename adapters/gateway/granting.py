"""Grant an own notice to further readers: new stanzas for the ciphertext that is in the log (spec/acts.md).

Nobody but a holder has the content key, and the gateway keeps none: it fetches its own delivery of the notice from the
broker when it is about to seal the grant, verifies and opens it. So a grant is sealed by what the log has, and a notice
that was erased meanwhile cannot be granted any more.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.client.broker import BrokerClient, Sign
from adapters.client.errors import AnswerError, RefusedError
from adapters.gateway import outbox
from adapters.gateway.draft import Draft
from adapters.gateway.entries import Own
from adapters.gateway.follow import Follower
from adapters.gateway.identity import Identity
from adapters.gateway.status import State
from adapters.gateway.store import Transaction
from keys.envelope import ContentKey, open_notice, verify_delivery
from schemas.delivery import Delivery
from schemas.errors import Error, FormError
from schemas.ids import NoticeId, ParticipantId
from schemas.statement import SealedDigests, Statement

NOTICES: Final = frozenset({"issue", "correct"})
SIGNED_SECONDS: Final = 0.2
GONE: Final = "It was recalled or has expired: its text is gone from the exchange."


class NotGrantableError(Error):
    """The notice is not an own published one, or its text is gone."""

    problem = "not-grantable"


@dataclass(frozen=True, slots=True)
class Original:
    """What a grant needs of the notice that it grants: what its statement seals, and the content key."""

    statement: Statement
    sealed: SealedDigests
    content_key: ContentKey


async def original(about: Own, client: BrokerClient, follower: Follower, identity: Identity, sign: Sign) -> Original:
    """Fetch and open the own delivery of an own notice, once a checkpoint covers its leaf.

    Raises `BrokerAwayError`, `NotGrantableError` where there is none any more, and `AnswerError` for what does not verify.
    """
    notice_id = about.notice_id
    while (await follower.wait()).size <= about.index:
        await follower.poll()
        await asyncio.sleep(SIGNED_SECONDS)
    try:
        delivery = Delivery.parse(await client.notice(notice_id, sign))
    except RefusedError as error:
        if error.remote in ("not-found", "forbidden"):
            raise NotGrantableError(GONE) from None
        raise
    checkpoint = await follower.admit(delivery.inclusion.checkpoint)
    network = await follower.wait()
    key = identity.sealing.get(delivery.sealed.stanza.kid)
    if delivery.statement.notice_id != notice_id or key is None or delivery.statement.sealed is None:
        raise AnswerError("What the broker delivered is not the notice that was asked for.")
    try:
        verified = verify_delivery(
            delivery, network.directory, checkpoint, revoked=network.revoked, own=dict.fromkeys(identity.sealing)
        )
        opened = open_notice(verified, key)
    except Error as error:
        raise AnswerError(f"What the broker delivered does not hold: {error.detail}") from None
    return Original(delivery.statement, delivery.statement.sealed, opened.content_key)


def grant(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    to: Sequence[ParticipantId],
    acts: Collection[str] = NOTICES,
) -> list[tuple[Own, Draft]]:
    """Return the drafts that grant an own notice, and its corrections, to those who do not hold them yet.

    `acts` are those that may be granted. Raises `NotGrantableError`, and `FormError` where all of them hold it.
    """
    about = outbox.own(tx, participant, notice_id)
    if about is None or about.draft.act not in acts:
        raise NotGrantableError("It is not a published notice of this participant.")
    drafts = []
    # Whoever gets a text that was corrected gets the correction with it.
    for one in (about, *outbox.corrections(tx, participant, about.id)):
        holders = {item.participant for item in one.addressed.sealed}
        lacking = tuple(who for who in dict.fromkeys(to) if who not in holders and who != participant)
        if one.state in (State.RECALLED, State.EXPIRED) or outbox.pending_about(tx, one.id, "recall") is not None:
            if one is about:
                raise NotGrantableError(GONE)
            continue
        if lacking:
            drafts.append((one, _draft(one, lacking)))
    if not drafts:
        raise FormError("All of them have it already.", pointer="/to")
    return drafts


def _draft(about: Own, to: tuple[ParticipantId, ...]) -> Draft:
    return Draft(
        act="grant",
        topic=about.draft.topic,
        label=about.draft.label,
        # Not sealed again: it is what the rules look at that ask for content.
        notice=about.draft.notice,
        to=to,
        expires_at=about.draft.expires_at,
        ref=about.notice_id,
        thread=about.thread,
        closed=True,
    )
