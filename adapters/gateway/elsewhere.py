"""Learn what other gateways of the same participant have published: from the broker, verified, and only where there are any.

A feed brings a participant what others have sent it. What it has said itself through another gateway, with that one's signing
identity, is fetched as whole envelopes: signatures, digests, the recipients' root and the leaf's place in the log are checked
as for anything else, and the text is opened with the sender's own stanza, whose key both gateways have. A grant has none; but
its recipients stand in its envelope, and its text is that of the notice that it grants.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from adapters.client.answers import Published
from adapters.client.broker import BrokerClient, Sign
from adapters.client.errors import AnswerError, RefusedError
from adapters.gateway import adopting
from adapters.gateway.adopting import Said
from adapters.gateway.follow import Follower
from adapters.gateway.identity import Identity
from adapters.gateway.network import Network
from adapters.gateway.store import Store
from keys import digests
from keys.directory.directory import Moment
from keys.directory.records import SigningRecord
from keys.envelope import VerifiedEnvelope, open_own, verify_envelope
from keys.log import proof as tlog
from schemas.errors import Error
from schemas.ids import Kid, ParticipantId
from schemas.leaf import Leaf, LeafType
from schemas.strict_json import Json

AT_ONCE: Final = 50
_log = structlog.get_logger("gateway")


class Elsewhere:
    """Keeps up with the other gateways of one participant. Used in one event loop."""

    def __init__(
        self,
        identity: Identity,
        store: Store,
        client: BrokerClient,
        follower: Follower,
        sign: Sign,
        *,
        now_ms: Callable[[], int],
        wake: Callable[[], None],
    ) -> None:
        """Take the participant's keys and connections; `wake` tells its sender that something waits."""
        self._identity = identity
        self._store = store
        self._client = client
        self._follower = follower
        self._sign = sign
        self._now_ms = now_ms
        self._wake = wake
        self._lock = asyncio.Lock()

    async def run(self, seconds: float) -> None:
        """Look every `seconds` until cancelled."""
        while True:
            await self._follower.wait()
            try:
                await self.catch_up()
            except Error as error:
                # The receiver's alarm says so where it lasts: both read the same broker.
                _log.info("elsewhere.not_read", participant=self._identity.participant, problem=error.code)
            await asyncio.sleep(seconds)

    async def catch_up(self) -> int:
        """Take up all that the log has by now; return how many statements that were. Raises as the client does."""
        network = await self._follower.wait()
        if not self._others(network):
            return 0
        async with self._lock:
            taken = 0
            who = self._identity.participant
            position = await self._store.read(partial(adopting.position, participant=who))
            while True:
                page = await self._page(position)
                if page is None or page[0] <= position:
                    return taken
                position, found = page
                # What is sealed to a key that was never brought here cannot be read here.
                read = [await self._verified(item) for item in found]
                said = [item for item in read if item.notice is not None or item.statement.act == "grant"]
                at = self._now_ms()
                waits = await self._store.write(
                    partial(adopting.adopt, participant=who, said=said, following=position, at=at)
                )
                if waits:
                    self._wake()
                taken += len(said)

    def _others(self, network: Network) -> bool:
        """Say whether the directory has signing identities of the participant that are not this gateway's."""
        participant = network.directory.participant(self._identity.participant)
        return participant is not None and any(
            isinstance(record, SigningRecord) and not self._identity.kids.issuperset(record.kids)
            for record in participant.keys
        )

    async def _page(self, position: int) -> tuple[int, list[Published]] | None:
        """Return the next cursor and what is new here; None where the broker is too old to be asked."""
        try:
            page = await self._client.own(self._sign, after=position, limit=AT_ONCE)
        except RefusedError as error:
            if error.remote == "not-found":
                return None
            raise
        names = {item.envelope.statement.notice_id: item for item in page.statements}
        new = await self._store.read(partial(adopting.unknown, names=tuple(names)))
        return page.next, [item for name, item in names.items() if name in new]

    async def _verified(self, item: Published) -> Said:
        """Verify an envelope and its leaf, and open it. Raises `AnswerError` for what does not hold."""
        envelope = item.envelope
        statement = envelope.statement
        proof = tlog.parse(await self._client.proof(statement.notice_id, self._sign))
        await self._follower.admit(proof.checkpoint)
        network = await self._follower.wait()
        try:
            digest = digests.statement_leaf(envelope.statement_bytes, envelope.proof_bytes)
            leaf = Leaf(LeafType.SEALED, item.received_at, digest)
            tlog.verify_proof(proof, leaf.encode(), network.directory.log.keys)
            if proof.index != item.index or statement.sender != self._identity.participant:
                raise AnswerError("It is another statement than was asked for.")
            moment = Moment(item.index, item.received_at)
            verified = verify_envelope(envelope, network.directory, moment=moment, revoked=network.revoked)
            notice = self._opened(verified)
        except Error as error:
            raise AnswerError(
                f"What the broker says that was published elsewhere does not hold: {error.detail}"
            ) from None
        return Said(
            statement=statement,
            data=envelope.statement_bytes,
            index=item.index,
            received_at=item.received_at,
            notice=notice,
            recipients=_recipients(verified, network),
        )

    def _opened(self, verified: VerifiedEnvelope) -> dict[str, Json] | None:
        """Open an envelope with a key that is here; None for a grant, and where none of its stanzas is for such a key."""
        kids = _stanza_kids(verified)
        key = next((self._identity.sealing[kid] for kid in kids if kid in self._identity.sealing), None)
        return None if key is None or verified.statement.act == "grant" else open_own(verified, key)


def _stanza_kids(verified: VerifiedEnvelope) -> tuple[Kid, ...]:
    sealed = verified.envelope.sealed
    return () if sealed is None else tuple(stanza.kid for stanza in sealed.recipients)


def _recipients(verified: VerifiedEnvelope, network: Network) -> tuple[ParticipantId, ...]:
    owners = (network.directory.owner(kid) for kid in _stanza_kids(verified))
    return tuple(who for who in owners if who is not None)
