"""Open once more what could not be opened: the law has changed since, or a key has come.

What the broker withheld is offered again by the broker. What only the gateway sees, a condition over contents or a key that is
not here, is the gateway's to try again: it fetches its own delivery anew, so that everything is verified as at an arrival.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final

import structlog

from adapters.client.broker import BrokerClient, Sign
from adapters.client.errors import AnswerError, BrokerAwayError, RefusedError
from adapters.gateway import inbox
from adapters.gateway.identity import Identity
from adapters.gateway.inbox import Arrival
from adapters.gateway.network import Network
from adapters.gateway.opening import Opened, Read, read_page
from adapters.gateway.status import InboxState
from adapters.gateway.store import Store
from schemas import encoding
from schemas.errors import Error
from schemas.ids import NoticeId

MOST: Final = 200
"""Notices that are tried again after one change."""

Open = Callable[[Sequence[Read]], Awaitable[Opened | None]]
"""Opens deliveries; None where that cannot be done now."""

_log = structlog.get_logger("gateway")


class Reopener:
    """Tries again for one participant. For one task at a time."""

    def __init__(self, identity: Identity, store: Store, client: BrokerClient, sign: Sign) -> None:
        self._identity = identity
        self._store = store
        self._client = client
        self._sign = sign
        self._tried: object = None  # under which rules and with which keys it was tried last

    async def reopen(self, network: Network, open_them: Open, *, at: int) -> int:
        """Try again where rules or keys have changed since the last time; return how many notices could be opened."""
        now = (network.rules.version, network.rules.boundary, frozenset(self._identity.sealing))
        if now == self._tried:
            return 0
        who = self._identity.participant
        opened = 0
        for notice_id in await self._store.read(partial(inbox.unreadable, participant=who, limit=MOST)):
            try:
                arrival = await self._fetch(notice_id, open_them)
            except RefusedError:
                continue  # it was erased meanwhile, or is withheld by now
            except (BrokerAwayError, AnswerError):
                return opened  # with the next page
            if arrival is not None:
                opened += await self._store.write(partial(inbox.put_again, participant=who, item=arrival, at=at))
                _log.info("notice.reopened", participant=who, notice=notice_id)
        self._tried = now
        return opened

    async def _fetch(self, notice_id: NoticeId, open_them: Open) -> Arrival | None:
        """Return a notice as it arrives now, None where it still cannot be read. Raises as the client does."""
        data = await self._client.notice(notice_id, self._sign)
        try:
            read, _ = read_page([encoding.parse(data, limit=len(data))])
        except Error as error:
            raise AnswerError(f"What the broker delivered cannot be read: {error.detail}") from None
        opened = await open_them(read)
        if opened is None:
            raise AnswerError("The checkpoint of what the broker delivered cannot be admitted now.")
        found = (item for item in opened.arrivals if item.statement.notice_id == notice_id)
        return next((item for item in found if item.state is InboxState.OPENED), None)
