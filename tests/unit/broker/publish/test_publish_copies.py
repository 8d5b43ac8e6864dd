"""Publishing, step 7: the copies to focal points that laws oblige to are demanded, as far as they can be given."""

from dataclasses import replace

import orjson
import pytest

from keys.directory import edit
from keys.directory.records import Life
from schemas.encoding import from_seconds
from schemas.ids import Role
from tests.granting import granted
from tests.paper import PaperLedger, trust_in
from tests.unit.broker.publish.letters import about, accepted, refused
from tests.world import denying, make_world

SENDER, POINT, POLICE, OTHER_POINT, FREE = "kz/customs", "kz/focal-point", "uz/police", "uz/focal-point", "tj/police"
COPY = """
[[condition]]
id = "copy"
type = "copy-to-focal-point"
instrument = "Act on Police Co-operation"
article = "8"
parameters = {{ whose = "{whose}" }}
applies_to = {{ direction = "{direction}", kinds = ["seizure"] }}
"""
DUTY = """
[[condition]]
id = "copy"
instrument = "Act on Police Co-operation"
article = "8"
effect = "oblige"
obligation = "copy-to-focal-point"
explanation = { en = "A copy goes to the focal point." }
"""


def copying(whose="recipient", direction="receive"):
    return COPY.format(whose=whose, direction=direction)


def where(**laws):
    return PaperLedger(make_world((SENDER, POINT, POLICE, OTHER_POINT, FREE, "kz/police", "uz/customs"), laws=laws))


@pytest.fixture(scope="module")
def recipients():
    """Uzbekistan's law asks for a copy of what its agencies receive."""
    return where(uz=copying()).world


@pytest.fixture
def ledger(recipients):
    return PaperLedger(recipients)


def lacking(outcome, *points):
    """Demand the refusal that names who lacks a copy, with the condition that obliges, in what is signed and kept."""
    refusal = refused(outcome, "copy-lacking", "/sealed/recipient_count").refusal
    assert [(item.participant, item.condition) for item in refusal.denied] == [(point, "copy") for point in points]
    kept = orjson.loads(outcome.decision)["denied"]
    assert {item["instrument"] for item in kept} == {"Act on Police Co-operation"}
    for point in points:
        assert point in outcome.error.detail


def publish(ledger, to, sender=SENDER, act="issue", trust=None, **changes):
    return ledger.publish(ledger.world.envelope(sender, to, act, **changes), trust)


def test_what_a_recipients_law_asks_for_is_demanded(ledger):
    lacking(publish(ledger, [POLICE]), OTHER_POINT)
    lacking(publish(ledger, [POLICE, FREE, POINT]), OTHER_POINT)
    accepted(publish(ledger, [POLICE, OTHER_POINT]))
    accepted(publish(ledger, [OTHER_POINT]))
    # Of others nothing is asked; nor of what the law is not about; nor is the sender its own recipient.
    accepted(publish(ledger, [FREE]))
    label = replace(ledger.world.statement(SENDER).label, kind="practice")
    accepted(publish(ledger, [POLICE], label=label))
    accepted(publish(ledger, [FREE], sender=POLICE))


@pytest.mark.parametrize(
    ("law", "points"),
    [
        (copying("sender", "send"), (POINT,)),
        (copying("both", "send"), (POINT, OTHER_POINT)),
        (copying("recipient", "send"), (OTHER_POINT,)),
    ],
)
def test_what_the_senders_law_asks_for_is_demanded(law, points):
    ledger = where(kz=law)
    lacking(publish(ledger, [POLICE]), *points)
    accepted(publish(ledger, [POLICE, *points]))
    for given in points[:-1]:
        lacking(publish(ledger, [POLICE, given]), *(point for point in points if point != given))


def test_a_focal_point_has_what_it_sends_itself():
    accepted(publish(where(kz=copying("sender", "send")), [POLICE], sender=POINT))
    # Between agencies of one State its law is read once.
    ledger = where(kz=DUTY)
    lacking(publish(ledger, ["kz/police"]), POINT)
    accepted(publish(ledger, ["kz/police", POINT]))
    lacking(publish(where(uz=DUTY), [POLICE]), OTHER_POINT)


def test_who_may_not_have_it_or_cannot_open_it_lacks_nothing(ledger):
    directory, role = ledger.world.directory, Role("uz")
    state = directory.roles[role]
    suspended = replace(directory, roles={**directory.roles, role: edit.suspend(state, OTHER_POINT)})
    accepted(publish(ledger, [POLICE], trust=trust_in(ledger.world, suspended)))
    point = state.participant(OTHER_POINT)
    coming = Life(from_seconds(ledger.world.now + 100))
    later = tuple(replace(key, life=coming) for key in point.keys)
    one = replace(point, keys=later)
    others = tuple(one if item.id == OTHER_POINT else item for item in state.participants)
    keyless = replace(directory, roles={**directory.roles, role: replace(state, participants=others)})
    accepted(publish(ledger, [POLICE], trust=trust_in(ledger.world, keyless)))
    nobody = replace(directory, roles={**directory.roles, role: replace(state, focal_point=None)})
    accepted(publish(ledger, [POLICE], trust=trust_in(ledger.world, nobody)))


def test_who_is_denied_is_told_so_first():
    ledger = where(uz=copying(), tj=denying(instrument="Illustration", article="7"))
    refused(publish(ledger, [POLICE, FREE]), "denied")


def test_a_correction_owes_them_too(ledger):
    first = ledger.world.envelope(SENDER, [POLICE])
    before = trust_in(ledger.world, replace(ledger.world.directory, laws=where().world.directory.laws))
    accepted(ledger.publish(first, before))
    lacking(publish(ledger, [POLICE], act="correct", **about(first.statement)), OTHER_POINT)
    accepted(publish(ledger, [POLICE, OTHER_POINT], act="correct", **about(first.statement)))


@pytest.mark.parametrize(
    "act", ["recall", "ask_use", "permit", "refuse", "consent", "withdraw", "certify", "acknowledge", "grant"]
)
def test_no_other_act_owes_copies(ledger, act):
    world = ledger.world
    first = world.envelope(SENDER, [POLICE])
    before = trust_in(world, replace(world.directory, laws=where().world.directory.laws))
    accepted(ledger.publish(first, before))
    if act == "grant":
        accepted(ledger.publish(granted(world, first, ["uz/customs"])))
        return
    change = {} if act == "acknowledge" else about(first.statement)
    accepted(publish(ledger, [POLICE], act=act, **change))
