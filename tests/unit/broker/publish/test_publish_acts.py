"""Publishing, step 7: the acts' own rules, sealed and open."""

from dataclasses import replace

import pytest

from schemas.ids import Code
from schemas.statement import (
    RevocationBody,
    SubscriptionBody,
)
from tests.formed import b64
from tests.paper import trust_in
from tests.unit.broker.publish.letters import BESIDE, OTHER, POINT, SENDER, about, accepted, kids_of, letter, refused
from tests.world import LABEL


def test_an_issue_may_go_on_from_what_its_sender_holds(world, ledger):
    first = letter(ledger, [OTHER])
    reply = letter(ledger, [SENDER, BESIDE], OTHER, **about(first, topic="central-asia.routes"))
    letter(ledger, [OTHER], BESIDE, **about(reply))
    stranger = world.envelope("uz/police", [OTHER], **about(first))
    refused(ledger.publish(stranger), "act-refused", "/ref")
    missing = world.statement(OTHER)
    refused(ledger.publish(world.envelope(OTHER, [SENDER], **about(missing))), "act-refused", "/ref")
    other = world.statement(OTHER)
    elsewhere = world.envelope(OTHER, [SENDER], **about(first, thread=other.notice_id))
    refused(ledger.publish(elsewhere), "act-refused", "/thread")


@pytest.mark.parametrize("act", ["correct", "recall"])
def test_only_ones_own_is_corrected_or_recalled_and_to_all_who_hold_it(world, ledger, act):
    first = letter(ledger)
    everybody = [OTHER, BESIDE]

    def send(to, sender=SENDER, **changes):
        return ledger.publish(world.envelope(sender, to, act, **about(first, **changes)))

    refused(send([SENDER, BESIDE], OTHER), "act-refused", "/ref")
    refused(send([OTHER, BESIDE], POINT), "act-refused", "/ref")
    refused(send([OTHER]), "act-refused", "/sealed/recipient_count")
    refused(send(everybody, topic="central-asia.routes"), "act-refused", "/topic")
    refused(send(everybody, thread=world.statement(SENDER).notice_id), "act-refused", "/thread")
    refused(send(everybody, ref=world.statement(SENDER).notice_id), "act-refused", "/ref")
    accepted(send(everybody, label=replace(LABEL, tlp=Code("green"))))
    accepted(send([*everybody, "uz/police"]))
    ledger.rows[first.notice_id].erased = True
    refused(send(everybody), "act-refused", "/ref")


def test_a_correction_is_corrected_and_nothing_else_is(world, ledger):
    first = letter(ledger, [OTHER])
    correction = letter(ledger, [OTHER, BESIDE], act="correct", **about(first))
    letter(ledger, [OTHER, BESIDE], act="correct", **about(correction))
    # Who came to hold it through the correction is asked for as well.
    short = world.envelope(SENDER, [OTHER], "recall", **about(correction))
    refused(ledger.publish(short), "act-refused", "/sealed/recipient_count")
    recall = letter(ledger, [OTHER, BESIDE], act="recall", **about(correction))
    for act in ("correct", "recall"):
        again = world.envelope(SENDER, [OTHER, BESIDE], act, **about(recall))
        refused(ledger.publish(again), "act-refused", "/ref")


def test_holders_of_a_state_that_left_the_directory_are_not_asked_for(world, ledger):
    first = letter(ledger)
    directory = world.directory
    without = replace(directory, roles={role: state for role, state in directory.roles.items() if role != "tj"})
    signed = world.envelope(SENDER, [OTHER], "recall", **about(first))
    accepted(ledger.publish(signed, trust_in(world, without)))


def test_an_acknowledgement_goes_to_exactly_one(world, ledger):
    accepted(ledger.publish(world.envelope(SENDER, [OTHER], "acknowledge")))
    two = world.envelope(SENDER, [OTHER, BESIDE], "acknowledge")
    refused(ledger.publish(two), "act-refused", "/sealed/recipient_count")
    refused(ledger.publish(world.envelope(SENDER, [], "acknowledge")), "recipients")
    # What is acknowledged is nobody's to refer to: it has no thread.
    acknowledgement = world.envelope(SENDER, [OTHER], "acknowledge")
    accepted(ledger.publish(acknowledgement))
    thread = world.statement(SENDER).notice_id
    reply = world.envelope(OTHER, [SENDER], ref=acknowledgement.statement.notice_id, thread=thread)
    refused(ledger.publish(reply), "act-refused", "/thread")


@pytest.mark.parametrize(
    ("sender", "problem"),
    [
        (SENDER, None),
        (POINT, None),
        ("kz/police", "/sender"),
        (OTHER, "/sender"),
        ("int/unodc/organisation", "/sender"),
    ],
)
def test_keys_are_revoked_by_their_owner_or_its_focal_point(world, ledger, sender, problem):
    body = RevocationBody(SENDER, kids_of(world, SENDER), Code("theft"))
    outcome = ledger.publish(world.open_envelope(sender, "revoke_key", body))
    accepted(outcome) if problem is None else refused(outcome, "act-refused", problem)


def test_only_the_named_participants_keys_are_revoked(world, ledger):
    for kids in (kids_of(world, SENDER, OTHER), kids_of(world, POINT), (b64(bytes(32)),)):
        body = RevocationBody(SENDER, kids, Code("theft"))
        outcome = ledger.publish(world.open_envelope(POINT, "revoke_key", body))
        refused(outcome, "act-refused", "/body/kids")
    body = RevocationBody("kz/nobody", kids_of(world, SENDER), Code("theft"))
    refused(ledger.publish(world.open_envelope(POINT, "revoke_key", body)), "act-refused", "/body/participant")
    sealing = RevocationBody(SENDER, (world.people[SENDER].sealing.kid,), Code("theft"))
    accepted(ledger.publish(world.open_envelope(SENDER, "revoke_key", sealing)))


@pytest.mark.parametrize("act", ["subscribe", "unsubscribe"])
def test_subscriptions_are_said_by_the_participant_or_its_focal_point(world, ledger, act):
    body = SubscriptionBody("uz/police", ("*.precursors", "central-asia.*"))
    accepted(ledger.publish(world.open_envelope("uz/police", act, body)))
    accepted(ledger.publish(world.open_envelope(OTHER, act, body)))
    for stranger in (POINT, "tj/police"):
        refused(ledger.publish(world.open_envelope(stranger, act, body)), "act-refused", "/sender")
    nobody = SubscriptionBody("uz/nobody", ("*.*",))
    refused(ledger.publish(world.open_envelope(OTHER, act, nobody)), "act-refused", "/body/participant")


@pytest.mark.parametrize(
    ("who", "patterns", "permitted"),
    [
        ("uz/police", ("*.*",), True),
        ("uz/police", ("nowhere.*",), False),
        ("uz/police", ("*.nothing", "central-asia.seizures"), False),
        ("int/unodc/organisation", ("*.routes", "*.substances"), True),
        ("int/unodc/organisation", ("*.routes", "*.seizures"), False),
        ("int/unodc/organisation", ("*.*",), False),
    ],
)
def test_a_subscription_is_to_what_may_be_received(world, ledger, who, patterns, permitted):
    body = SubscriptionBody(who, tuple(sorted(patterns)))
    outcome = ledger.publish(world.open_envelope(who, "subscribe", body))
    if permitted:
        accepted(outcome)
    else:
        assert [item.participant for item in refused(outcome, "denied").denied] == [who]
    # To leave is always possible, also from what is no topic any more.
    accepted(ledger.publish(world.open_envelope(who, "unsubscribe", body)))
