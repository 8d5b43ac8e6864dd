"""Who publishes, what they write to whom, and what a test demands of the outcome."""

import orjson

from broker.publish import Accepted, Refused
from tests.world import denying

MEMBERS = (
    "kz/customs",
    "kz/focal-point",
    "kz/police",
    "uz/focal-point",
    "uz/police",
    "tj/police",
    "int/unodc/organisation",
)
SENDER, POINT, OTHER, BESIDE = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/police"
DENY_SEIZURES = denying(instrument="Illustration", article="7")


def refused(outcome, code, pointer=None, *, definite=True):
    """Demand a refusal; a definite one has a payload to sign and a decision to keep, and both say the same."""
    assert isinstance(outcome, Refused), outcome
    assert (outcome.error.code, outcome.error.pointer) == (code, pointer or outcome.error.pointer)
    assert (outcome.refusal is not None) is definite
    assert (outcome.decision is not None) is definite
    if definite:
        decision = orjson.loads(outcome.decision)
        assert outcome.refusal.reason == code == decision["outcome"]
        assert decision["recipients"] == []
        assert [(item.participant, item.condition) for item in outcome.refusal.denied] == [
            (item["participant"], item["condition"]) for item in decision["denied"]
        ]
    return outcome


def accepted(outcome):
    assert isinstance(outcome, Accepted), outcome
    return outcome


def letter(ledger, to=(OTHER, BESIDE), sender=SENDER, **changes):
    signed = ledger.world.envelope(sender, to, **changes)
    accepted(ledger.publish(signed))
    return signed.statement


def about(statement, **changes):
    return {"ref": statement.notice_id, "thread": statement.thread, "topic": statement.topic, **changes}


def kids_of(world, *whose):
    return tuple(sorted(kid for who in whose for kid in world.people[who].signing.kids))
