"""Publishing, step 7: the acts by which an originator keeps control, and those who have its notices ask."""

from dataclasses import replace

import pytest

from broker.trust import Delegation
from schemas.encoding import from_seconds
from schemas.ids import Code
from schemas.statement import DelegationBody, RevocationBody, SubscriptionBody
from tests.formed import b64
from tests.granting import granted, unsigned_grant
from tests.paper import PaperLedger, trust_in
from tests.unit.broker.publish.letters import BESIDE, OTHER, POINT, SENDER, about, accepted, kids_of, letter, refused
from tests.world import LABEL, make_world

ASKER, POLICE = "uz/police", "kz/police"


def published(ledger, to=(OTHER,), sender=SENDER, **changes):
    signed = ledger.world.envelope(sender, to, **changes)
    accepted(ledger.publish(signed))
    return signed


# Asking for access


def test_access_is_asked_for_by_who_does_not_hold_it_of_its_sender(world, ledger):
    first = letter(ledger, [OTHER])

    def ask(sender=ASKER, to=(SENDER,), **changes):
        return ledger.publish(world.envelope(sender, to, "ask_access", **about(first, **changes)))

    accepted(ask())
    accepted(ask(BESIDE))
    refused(ask(OTHER), "act-refused", "/ref")
    refused(ask(SENDER, [OTHER]), "act-refused", "/ref")
    wrong = [
        ask(to=(OTHER,)),
        ask(to=(SENDER, OTHER)),
        ask(topic="central-asia.routes"),
        ask(thread=world.statement(SENDER).notice_id),
        ask(ref=world.statement(SENDER).notice_id),
    ]
    # One answer to all of them: who guesses learns neither whether there is such a notice, nor whose, nor about what.
    for outcome in wrong:
        refused(outcome, "act-refused", "/ref")
    assert len({outcome.error.detail for outcome in wrong}) == 1


def test_access_that_is_asked_for_within_a_time_is_asked_for_before_the_focal_points(world, ledger):
    first = letter(ledger, [OTHER])
    label = replace(LABEL, urgency=Code("8h"))

    def ask(to):
        return ledger.publish(world.envelope(ASKER, to, "ask_access", **about(first, label=label)))

    refused(ask([SENDER]), "recipients")
    accepted(ask([SENDER, POINT, OTHER]))
    refused(ask([SENDER, POINT, OTHER, BESIDE]), "act-refused", "/ref")


# Grants


def test_a_notice_is_granted_by_its_sender_to_those_who_do_not_hold_it(world, ledger):
    signed = published(ledger)
    accepted(ledger.publish(granted(world, signed, [ASKER])))
    refused(ledger.publish(granted(world, signed, [ASKER])), "act-refused", "/sealed/recipient_count")
    refused(ledger.publish(granted(world, signed, [OTHER, BESIDE])), "act-refused", "/sealed/recipient_count")
    accepted(ledger.publish(granted(world, signed, [BESIDE, POINT])))
    # Who came to hold it through a grant is a holder like all others.
    short = world.envelope(SENDER, [OTHER, ASKER, BESIDE], "recall", **about(signed.statement))
    refused(ledger.publish(short), "act-refused", "/sealed/recipient_count")
    accepted(ledger.publish(world.envelope(ASKER, [SENDER], "ask_use", **about(signed.statement))))
    refused(ledger.publish(world.envelope(ASKER, [SENDER], "ask_access", **about(signed.statement))), "act-refused")
    accepted(ledger.publish(world.envelope(SENDER, [OTHER, ASKER, BESIDE, POINT], "recall", **about(signed.statement))))


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "central-asia.routes"},
        {"label": replace(LABEL, tlp=Code("green"))},
        {"expires_at": "2030-01-01T00:00:00Z"},
    ],
)
def test_a_grant_changes_nothing_that_is_bound(world, ledger, change):
    signed = published(ledger)
    refused(ledger.publish(granted(world, signed, [ASKER], **change)), "act-refused", "/ref")


def test_a_grant_is_for_the_same_ciphertext(world, ledger):
    signed = published(ledger)
    unsigned = unsigned_grant(world, signed, [ASKER])
    for sealed in (
        replace(unsigned.statement.sealed, content_digest=b64(bytes(32))),
        replace(unsigned.statement.sealed, length=1),
    ):
        said = replace(unsigned.statement, sealed=sealed)
        bent = world.sign([replace(unsigned, statement=said, statement_bytes=said.encode())])[0]
        refused(ledger.publish(bent), "act-refused", "/ref")


def test_what_is_erased_or_was_never_a_notice_is_not_granted(world, ledger):
    signed = published(ledger)
    grant = granted(world, signed, [ASKER])
    accepted(ledger.publish(grant))
    ledger.rows[signed.statement.notice_id].erased = True
    refused(ledger.publish(granted(world, signed, [BESIDE])), "act-refused", "/ref")
    other = published(ledger)
    refused(ledger.publish(granted(world, signed, [BESIDE], ref=grant.statement.notice_id)), "act-refused", "/ref")
    refused(ledger.publish(granted(world, other, [BESIDE], ref=world.statement(SENDER).notice_id)), "act-refused")
    reply = published(ledger, [SENDER], OTHER, **about(other.statement))
    refused(ledger.publish(granted(world, other, [BESIDE], ref=reply.statement.notice_id)), "act-refused", "/ref")


def test_a_grant_goes_where_the_law_lets_it(world, ledger):
    """The law of one State keeps routes from it: a grant is decided on like the notice that it grants."""
    label = replace(LABEL, kind=Code("route"))
    signed = published(ledger, label=label)
    outcome = refused(ledger.publish(granted(world, signed, [ASKER, BESIDE])), "denied")
    assert [item.participant for item in outcome.denied] == [BESIDE]
    accepted(ledger.publish(granted(world, signed, [ASKER])))


def test_a_grant_of_a_notice_with_a_clock_leaves_nobody_without_its_focal_point(world, ledger):
    label = replace(LABEL, urgency=Code("3d"))
    signed = published(ledger, [POINT, "int/unodc/organisation"], label=label, topic="central-asia.routes")
    refused(ledger.publish(granted(world, signed, [ASKER])), "recipients")
    accepted(ledger.publish(granted(world, signed, [ASKER, OTHER])))
    # Those who hold it already need not be granted it once more.
    accepted(ledger.publish(granted(world, signed, [POLICE])))


@pytest.mark.parametrize("act", ["issue", "correct", "recall", "ask_use", "permit", "refuse", "certify", "consent"])
def test_a_refusal_shows_nobody_what_there_is(world, ledger, act):
    """Whatever a stranger gets wrong or right about a notice, it is told as if there were none."""
    first = letter(ledger, [OTHER])
    outcomes = []
    for ref in (first.notice_id, world.statement(SENDER).notice_id):
        for thread in (first.thread, world.statement(SENDER).notice_id):
            for topic in (first.topic, "central-asia.routes"):
                changes = {"ref": ref, "thread": thread, "topic": topic}
                outcomes.append(ledger.publish(world.envelope(ASKER, [SENDER], act, **changes)))
    said = {(refused(one, "act-refused").error.detail, one.error.pointer) for one in outcomes}
    assert said == {("There is no such notice in the ledger that the sender holds.", "/ref")}


# Between holders


@pytest.mark.parametrize("act", ["ask_use", "permit", "refuse", "certify"])
def test_only_holders_speak_about_a_notice(world, ledger, act):
    first = letter(ledger, [OTHER])

    def say(sender=OTHER, to=(SENDER,), **changes):
        return ledger.publish(world.envelope(sender, to, act, **about(first, **changes)))

    accepted(say())
    accepted(say(SENDER, [OTHER]))
    refused(say(ASKER), "act-refused", "/ref")
    refused(say(topic="central-asia.routes"), "act-refused", "/topic")
    refused(say(thread=world.statement(SENDER).notice_id), "act-refused", "/thread")
    refused(say(ref=world.statement(SENDER).notice_id), "act-refused", "/ref")


def test_what_was_asked_is_answered_by_who_holds_the_question(world, ledger):
    first = letter(ledger, [OTHER])
    ask = letter(ledger, [SENDER], ASKER, act="ask_access", **about(first))
    for act in ("refuse", "permit"):
        accepted(ledger.publish(world.envelope(SENDER, [ASKER], act, **about(ask))))
        refused(ledger.publish(world.envelope(OTHER, [ASKER], act, **about(ask))), "act-refused", "/ref")


def test_a_deletion_is_certified_also_once_the_notice_is_erased_and_whoever_is_denied(world, ledger):
    first = letter(ledger, [OTHER])
    ledger.rows[first.notice_id].erased = True
    accepted(ledger.publish(world.envelope(OTHER, [SENDER], "certify", **about(first))))
    denied = replace(LABEL, kind=Code("route"))
    accepted(ledger.publish(world.envelope(OTHER, [BESIDE], "certify", **about(first, label=denied))))
    refused(ledger.publish(world.envelope(OTHER, [BESIDE], "refuse", **about(first, label=denied))), "denied")


@pytest.mark.parametrize("act", ["consent", "withdraw"])
def test_consent_is_given_to_the_first_notice_of_a_thread(world, ledger, act):
    first = letter(ledger, [OTHER])
    accepted(ledger.publish(world.envelope(OTHER, [SENDER], act, **about(first))))
    reply = letter(ledger, [SENDER], OTHER, **about(first))
    refused(ledger.publish(world.envelope(SENDER, [OTHER], act, **about(reply))), "act-refused", "/ref")
    refused(ledger.publish(world.envelope(ASKER, [SENDER], act, **about(first))), "act-refused", "/ref")


# Delegation


def body(world, to=POLICE, since=-60, seconds=3600):
    return DelegationBody(to, from_seconds(world.now + since), from_seconds(world.now + seconds))


@pytest.mark.parametrize(
    ("sender", "change", "pointer"),
    [
        (POINT, {}, None),
        (SENDER, {}, "/sender"),
        (OTHER, {}, "/body/to"),
        (POINT, {"to": ASKER}, "/body/to"),
        (POINT, {"to": POINT}, "/body/to"),
        (POINT, {"to": "kz/nobody"}, "/body/to"),
        (POINT, {"since": -99, "seconds": 0}, "/body/until"),
        (POINT, {"since": 7 * 86400, "seconds": 8 * 86400}, None),
        (POINT, {"seconds": 366 * 86400}, None),
        (POINT, {"seconds": 366 * 86400 + 1}, "/body/until"),
    ],
)
def test_a_focal_point_delegates_to_its_own_for_a_time(world, ledger, sender, change, pointer):
    outcome = ledger.publish(world.open_envelope(sender, "delegate", body(world, **change)))
    accepted(outcome) if pointer is None else refused(outcome, "act-refused", pointer)


def standing_in(world, *bodies, by=POINT):
    return replace(trust_in(world), delegations=tuple(Delegation(by, one) for one in bodies))


def test_who_stands_in_says_what_the_focal_point_may_say_as_long_as_it_does(world, ledger):
    revocation = RevocationBody(SENDER, kids_of(world, SENDER), Code("theft"))
    subscription = SubscriptionBody(SENDER, ("*.*",))

    def say(trust, at=0):
        now_ms = (world.now + at) * 1000
        return [
            ledger.publish(world.open_envelope(POLICE, act, one), trust, now_ms=now_ms)
            for act, one in (("revoke_key", revocation), ("subscribe", subscription), ("unsubscribe", subscription))
        ]

    trust = standing_in(world, body(world))
    for outcome in say(trust):
        accepted(outcome)
    for outcome in say(trust, 3599):
        accepted(outcome)
    # It ends by itself, at its second.
    for outcome in say(trust, 3600):
        refused(outcome, "act-refused", "/sender")
    for other in (
        standing_in(world),
        standing_in(world, body(world), by=OTHER),
        standing_in(world, body(world, since=9)),
    ):
        for outcome in say(other):
            refused(outcome, "act-refused", "/sender")
    # It is one State's: another's agencies are not its business, and it hands nothing on.
    foreign = RevocationBody(ASKER, kids_of(world, ASKER), Code("theft"))
    refused(ledger.publish(world.open_envelope(POLICE, "revoke_key", foreign), trust), "act-refused", "/sender")
    onward = world.open_envelope(POLICE, "delegate", body(world, to=SENDER))
    refused(ledger.publish(onward, trust), "act-refused", "/sender")


def test_who_stands_in_gains_nothing_that_the_focal_point_lacks():
    world = make_world(("int/unodc/focal-point", "int/unodc/organisation", "int/unodc/police", "kz/customs"))
    ledger = PaperLedger(world)
    desk = DelegationBody("int/unodc/police", from_seconds(world.now - 1), from_seconds(world.now + 60))
    trust = standing_in(world, desk, by="int/unodc/focal-point")
    wide = SubscriptionBody("int/unodc/organisation", ("*.seizures",))
    refused(ledger.publish(world.open_envelope("int/unodc/police", "subscribe", wide), trust), "denied")
    narrow = SubscriptionBody("int/unodc/organisation", ("*.routes",))
    accepted(ledger.publish(world.open_envelope("int/unodc/police", "subscribe", narrow), trust))
