"""What a participant subscribes to: as the log says, and what is on its way there; and whether the rules would let it."""

from collections.abc import Mapping

from adapters.gateway import outbox
from adapters.gateway.network import SENDER, Network
from adapters.gateway.status import Denial, Subscribed
from adapters.gateway.store import Transaction
from schemas.errors import Error
from schemas.ids import LedgerIndex, ParticipantId, Pattern, Topic
from schemas.rules.decide import decide
from schemas.rules.facts import Facts
from schemas.statement import SubscriptionBody


class NotAllowedError(Error):
    """The rules deny a subscription; `denied` says who, by which condition of whose rules, in six languages."""

    problem = "denied"

    def __init__(self, denied: Denial, pointer: str) -> None:
        code = "no-profile" if denied.condition == "no-profile" else "denied"
        super().__init__("The rules do not let this participant subscribe to it.", problem=code, pointer=pointer)
        self.denied = (denied,)


def current(
    tx: Transaction, participant: ParticipantId, folded: Mapping[Pattern, LedgerIndex], size: int
) -> tuple[Subscribed, ...]:
    """Return the patterns, sorted; `folded` is what the log's first `size` leaves say, the index of others is None."""
    patterns: dict[Pattern, LedgerIndex | None] = dict(folded)
    for draft in outbox.open_acts_ahead(tx, participant, size):
        if isinstance(draft.body, SubscriptionBody):
            for pattern in draft.body.patterns:
                if draft.act == "subscribe":
                    patterns.setdefault(pattern, None)
                else:
                    patterns.pop(pattern, None)
    return tuple(Subscribed(pattern, patterns[pattern]) for pattern in sorted(patterns))


def check_allowed(network: Network | None, participant: ParticipantId, patterns: tuple[Pattern, ...]) -> None:
    """Refuse a pattern that the rules as they are known here deny; the broker decides in any case.

    Raises `NotAllowedError`.
    """
    party = None if network is None else network.parties.get(participant)
    if network is None or party is None:
        return
    for number, pattern in enumerate(patterns):
        facts = Facts("subscribe", "subscribe", Topic(pattern), None, party, None)
        denial = decide(facts, network.rules, evaluator=SENDER).first_denial()
        if denial is not None:
            raise NotAllowedError(Denial.of(participant, denial), f"/patterns/{number}")
