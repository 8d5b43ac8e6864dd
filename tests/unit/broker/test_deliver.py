"""Deliveries as a function: each opens for its recipient, is the same as one made by hand, and nobody else gets any."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.deliver import SharedNotice, Withheld, deliver_parts, inclusion_part, may_receive, page_bytes, whole
from keys.directory import edit
from keys.envelope import open_notice
from keys.errors import VerificationError
from schemas.delivery import Delivery, Inclusion
from schemas.encoding import b64decode, b64encode
from schemas.ids import Code, Role
from tests.carrying import Carrier
from tests.formed import compact, unb64
from tests.paper import PaperLedger, trust_in
from tests.world import LABEL, NOTICE, denying, make_world

MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point", "uz/police", "tj/police")
SENDER = "kz/customs"
HOLD = denying("not-now", article="3(1)")


@pytest.fixture(scope="module")
def world():
    return make_world(MEMBERS)


@pytest.fixture(scope="module")
def later():
    """The same network under a law that keeps seizures from one State: only its rules are used."""
    return make_world(MEMBERS, laws={"tj": HOLD})


def published(world, to, **changes):
    """Return an accepted notice, the log that has its leaf, and what the broker knows of its inclusion."""
    signed = world.envelope(SENDER, to, **changes)
    outcome = PaperLedger(world).publish(signed)
    carrier = Carrier(world)
    carrier.fill(4)
    index = carrier.add(signed)
    carrier.fill(7)
    said = carrier.delivery(signed, index, SENDER)["inclusion"]
    inclusion = Inclusion(
        said["received_at"],
        said["index"],
        said["size"],
        tuple(map(unb64, said["path"])),
        unb64(said["checkpoint"]),
    )
    return signed, outcome, carrier, inclusion


def deliver(record, body, inclusion, recipient, kids, trust):
    """Return one delivery as a page has it."""
    made = deliver_parts(SharedNotice(record, body), recipient, kids, trust)
    if not isinstance(made, tuple):
        return made
    return whole(made, inclusion_part(inclusion), b64encode(inclusion.checkpoint).encode())


def kids(world, who):
    return frozenset(kid for record in world.directory.participants[who].keys for kid in record.kids)


@settings(max_examples=20)
@given(to=st.sets(st.sampled_from(MEMBERS[1:]), min_size=1))
def test_each_recipient_opens_its_own_and_nobody_elses(world, to):
    signed, outcome, carrier, inclusion = published(world, to)
    trust = world.trust()
    for who in MEMBERS:
        made = deliver(outcome.record, outcome.body, inclusion, who, kids(world, who), trust)
        if who not in {SENDER, *to}:
            assert made is None
            continue
        by_hand = carrier.delivery(signed, inclusion.index, who)
        by_hand["inclusion"]["checkpoint"] = orjson.loads(made)["inclusion"]["checkpoint"]
        assert made == compact(by_hand)
        assert carrier.open(made, who).notice == NOTICE
        # There is one stanza in it and no other key's id.
        text = made.decode()
        for other in MEMBERS:
            assert (world.people[other].sealing.kid in text) is (other == who)
            if other != who:
                with pytest.raises(VerificationError):
                    carrier.verify(made, other)
                with pytest.raises(VerificationError):
                    open_notice(carrier.verify(made, who), world.people[other].sealing)


def test_a_stanza_under_an_older_key_is_still_the_recipients(world):
    """All of a participant's keys are looked for, whatever became of them."""
    _, outcome, carrier, inclusion = published(world, ["uz/police"])
    role, kid = Role("uz"), world.people["uz/police"].sealing.kid
    directory = world.directory
    closed = replace(directory, roles={**directory.roles, role: edit.close_key(directory.roles[role], kid, 5)})
    trust = trust_in(world, closed, revoked={kid: 5})
    made = deliver(outcome.record, outcome.body, inclusion, "uz/police", kids(world, "uz/police"), trust)
    assert carrier.open(made, "uz/police").notice == NOTICE
    assert deliver(outcome.record, outcome.body, inclusion, "uz/police", frozenset(), trust) is None


def test_rules_are_asked_again_on_the_way_out(world, later):
    _, outcome, carrier, inclusion = published(world, ["tj/police", "uz/police"])
    rules = trust_in(world, replace(world.directory, laws=later.directory.laws))
    arguments = (outcome.record, outcome.body, inclusion)
    withheld = deliver(*arguments, "tj/police", kids(world, "tj/police"), rules)
    assert isinstance(withheld, Withheld)
    assert (withheld.why.condition, withheld.why.article, withheld.why.state) == ("not-now", "3(1)", "tj")
    # Who has no stanza learns nothing, neither that there is a notice nor what the rules say of it.
    assert deliver(*arguments, "tj/police", frozenset(), rules) is None
    assert carrier.open(deliver(*arguments, "uz/police", kids(world, "uz/police"), rules), "uz/police")
    assert carrier.open(deliver(*arguments, SENDER, kids(world, SENDER), rules), SENDER)


@pytest.mark.parametrize(("role", "lacking"), [("kz", "sender"), ("uz", "recipient")])
def test_a_state_that_has_left_the_directory_is_denied_and_breaks_nothing(world, role, lacking):
    """Its role has expired: whether the rules allow it cannot be said any more, so they do not."""
    _, outcome, _, inclusion = published(world, ["uz/police"])
    directory = world.directory
    roles = {name: state for name, state in directory.roles.items() if name != role}
    trust = trust_in(world, replace(directory, roles=roles))
    withheld = deliver(outcome.record, outcome.body, inclusion, "uz/police", kids(world, "uz/police"), trust)
    assert isinstance(withheld, Withheld)
    assert (withheld.why.condition, withheld.why.state) == ("unevaluable", role)
    assert withheld.why.parameters == {"lacking": lacking}


def test_an_own_copy_is_decided_on_too(world):
    statement = published(world, ["uz/police"])[0].statement
    role = Role("kz")
    directory = world.directory
    suspended = replace(directory, roles={**directory.roles, role: edit.suspend(directory.roles[role], SENDER)})
    assert may_receive(statement, SENDER, trust_in(world)) is None
    assert may_receive(statement, SENDER, trust_in(world, suspended)).condition == "suspended"
    # No law and no handling code stops it.
    excluding = replace(LABEL, handling=(Code("h0"), Code("h2")))
    assert may_receive(replace(statement, label=excluding), SENDER, trust_in(world)) is None


@given(st.integers(0, 2**53 - 1), st.integers(0, 2**53 - 1), st.lists(st.sampled_from([b'{"a":1}', b"{}"]), max_size=4))
def test_a_page_is_its_deliveries(cursor, size, deliveries):
    page = page_bytes(cursor, size, deliveries)
    assert orjson.loads(page) == {"next": cursor, "size": size, "deliveries": [orjson.loads(one) for one in deliveries]}
    assert page.count(b" ") == 0


def test_a_delivery_parses_to_what_it_was_made_of(world):
    signed, outcome, _, inclusion = published(world, ["uz/police", "tj/police"])
    made = deliver(outcome.record, outcome.body, inclusion, "tj/police", kids(world, "tj/police"), world.trust())
    delivery = Delivery.parse(made)
    assert delivery.statement_bytes == signed.statement_bytes
    assert delivery.proof_bytes == signed.proof_bytes
    assert delivery.inclusion == inclusion
    assert len(delivery.sealed.ciphertext) == delivery.statement.sealed.length
    assert len(b64decode(delivery.statement.sealed.recipients_root)) == 32
