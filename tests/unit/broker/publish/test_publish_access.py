"""Publishing, step 7: what the rules forbid is denied by name, and what must never be blocked is not."""

from dataclasses import replace

import pytest

from keys.directory import edit
from schemas.ids import Code, Role
from schemas.statement import (
    RevocationBody,
    SubscriptionBody,
)
from tests.paper import PaperLedger, trust_in
from tests.unit.broker.publish.letters import BESIDE, OTHER, SENDER, about, accepted, kids_of, refused
from tests.world import LABEL


def denied(outcome, code="denied"):
    return [(item.participant, item.why.condition) for item in refused(outcome, code).denied]


def test_a_denied_recipient_is_named_with_its_condition_and_nobody_else_is(world, ledger):
    label = replace(LABEL, kind=Code("route"))
    topic = {"topic": "central-asia.routes", "label": label}
    outcome = ledger.publish(world.envelope(SENDER, [OTHER, BESIDE, "uz/police"], **topic))
    assert denied(outcome) == [(BESIDE, "no-seizures")]
    (why,) = outcome.denied
    assert (why.why.instrument, why.why.article, why.why.evaluated_by) == ("Illustration", "7", "broker")
    assert "no-seizures" not in outcome.error.detail
    assert BESIDE not in outcome.error.detail
    accepted(ledger.publish(world.envelope(SENDER, [OTHER, "uz/police"], **topic)))


def test_a_sender_that_may_not_publish_is_denied_itself(world, ledger):
    for change in ({"topic": "nowhere.seizures"}, {"label": replace(LABEL, purpose=Code("curiosity"))}):
        found = denied(ledger.publish(world.envelope(SENDER, [OTHER, BESIDE], **change)))
        assert (SENDER, "unknown-code") in found
        assert found == sorted(found)
        assert len({who for who, _ in found}) == len(found)


def test_a_state_without_a_profile_takes_no_part(lawless):
    ledger = PaperLedger(lawless)
    to_it = ledger.publish(lawless.envelope(SENDER, [OTHER, "uz/police", "kz/police"]))
    assert denied(to_it, "no-profile") == [(OTHER, "no-profile"), ("uz/police", "no-profile")]
    from_it = ledger.publish(lawless.envelope(OTHER, [SENDER]))
    assert ("uz/focal-point", "no-profile") in denied(from_it, "no-profile")
    body = SubscriptionBody(OTHER, ("central-asia.seizures",))
    assert denied(ledger.publish(lawless.open_envelope(OTHER, "subscribe", body)), "no-profile") == [
        (OTHER, "no-profile")
    ]
    both = ledger.publish(lawless.envelope(SENDER, [OTHER, BESIDE]))
    assert denied(both) == [(BESIDE, "no-seizures"), (OTHER, "no-profile")]
    accepted(ledger.publish(lawless.envelope(SENDER, ["kz/police"])))


@pytest.mark.parametrize("act", ["recall", "acknowledge"])
def test_what_must_never_be_blocked_is_not(world, lawless, act):
    """A recipient that may not have it, or a sender whose State has no profile any more: neither is a reason."""
    for where, sender, to in ((lawless, SENDER, OTHER), (lawless, OTHER, SENDER)):
        ledger = PaperLedger(where)
        change = {}
        if act == "recall":
            signed = where.envelope(sender, [to])
            allowed = trust_in(where, replace(where.directory, laws=world.directory.laws))
            accepted(ledger.publish(signed, allowed))
            change = about(signed.statement)
        accepted(ledger.publish(where.envelope(sender, [to], act, **change)))
        # The same as a correction or an issue would be refused.
        if act == "recall":
            assert denied(ledger.publish(where.envelope(sender, [to], "correct", **change)), "no-profile")


def suspended(world, who):
    role = Role(who[:2])
    directory = world.directory
    return trust_in(
        world, replace(directory, roles={**directory.roles, role: edit.suspend(directory.roles[role], who)})
    )


def test_a_suspended_participant_says_nothing_and_gets_nothing(world, ledger):
    trust = suspended(world, OTHER)
    assert denied(ledger.publish(world.envelope(SENDER, [OTHER]), trust)) == [(OTHER, "suspended")]
    assert denied(ledger.publish(world.envelope(OTHER, [SENDER]), trust))[-1] == (OTHER, "suspended")
    # What is never blocked goes to it, and is held; it may say nothing of its own.
    accepted(ledger.publish(world.envelope(SENDER, [OTHER], "acknowledge"), trust))
    own = ledger.publish(world.envelope(OTHER, [SENDER], "acknowledge"), trust)
    assert denied(own) == [(OTHER, "suspended")]
    body = RevocationBody(OTHER, kids_of(world, OTHER), Code("theft"))
    assert denied(ledger.publish(world.open_envelope(OTHER, "revoke_key", body), trust)) == [(OTHER, "suspended")]
