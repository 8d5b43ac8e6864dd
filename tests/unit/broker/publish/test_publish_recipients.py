"""Publishing, step 7: each stanza is for a key that counts, and those are among the recipients who must be."""

from dataclasses import replace

import orjson
import pytest

from keys.batch import Unsigned
from keys.directory import edit
from keys.directory.records import Life, SealingRecord
from keys.envelope import recipients_root, seal_notice
from keys.seal import SealingKey
from schemas.encoding import b64decode, b64encode, from_seconds
from schemas.envelope import Stanza
from schemas.ids import Code, ParticipantId, Role
from tests.paper import trust_in
from tests.unit.broker.publish.letters import BESIDE, OTHER, POINT, SENDER, accepted, refused
from tests.world import LABEL, NOTICE


def to_keys(world, keys, sender=SENDER, **changes):
    """Seal to keys as they are given, whosever they are, and the sender's own."""
    life = Life(from_seconds(world.now))
    records = [
        SealingRecord(ParticipantId("xx/any"), life, key.kid, key.public_key(), key.jwk["pub"])
        for key in [*keys, world.people[sender].sealing]
    ]
    return world.sign([seal_notice(world.statement(sender, **changes), NOTICE, records)])[0]


def with_sealing(world, who, *lives):
    """Return new sealing keys of a participant, and the directory that has them beside the first one."""
    role = Role(who[:2])
    keys = [SealingKey.generate() for _ in lives]
    made = [
        SealingRecord(who, life, key.kid, key.public_key(), key.jwk["pub"])
        for key, life in zip(keys, lives, strict=True)
    ]
    directory = world.directory
    state = edit.enter_keys(directory.roles[role], who, made)
    return keys, replace(directory, roles={**directory.roles, role: state})


def test_each_stanza_is_for_a_newest_key_in_force(world, ledger):
    ledger.fill(5)
    now = world.now
    lives = (Life(from_seconds(now - 50)), Life(from_seconds(now + 1)), Life(from_seconds(now + 2), closed_at=5))
    (older, coming, closed), directory = with_sealing(world, OTHER, *lives)
    trust = trust_in(world, directory)
    current = world.people[OTHER].sealing
    position = {"older": older, "coming": coming, "closed": closed}
    accepted(ledger.publish(to_keys(world, [current]), trust))
    for key in position.values():
        for keys in ([key], [key, current]):
            outcome = refused(ledger.publish(to_keys(world, keys), trust), "recipients")
            assert "newest in force" in outcome.error.detail
            assert outcome.error.pointer.startswith("/sealed/recipients/")
    # A second later the next one counts, and the one before it no longer does.
    later = (now + 1) * 1000
    accepted(ledger.publish(to_keys(world, [coming]), trust, now_ms=later))
    refused(ledger.publish(to_keys(world, [current]), trust, now_ms=later), "recipients")


def test_a_revoked_sealing_key_gives_way_to_the_one_before(world, ledger):
    ledger.fill(5)
    (newer,), directory = with_sealing(world, OTHER, Life(from_seconds(world.now)))
    first = world.people[OTHER].sealing
    newest, other = sorted([newer, first], key=lambda key: key.kid, reverse=True)
    accepted(ledger.publish(to_keys(world, [newest]), trust_in(world, directory)))
    refused(ledger.publish(to_keys(world, [other]), trust_in(world, directory)), "recipients")
    revoked = trust_in(world, directory, revoked={newest.kid: 2})
    accepted(ledger.publish(to_keys(world, [other]), revoked))
    refused(ledger.publish(to_keys(world, [newest]), revoked), "recipients")


def test_a_stanza_for_a_key_that_the_directory_lacks(world, ledger):
    outcome = refused(ledger.publish(to_keys(world, [SealingKey.generate()])), "recipients")
    assert "lacks" in outcome.error.detail


def test_a_stanza_for_a_key_of_another_use(world, ledger):
    """A signing key's id is known, and nobody can be sealed to under it."""
    statement = world.statement(SENDER)
    unsigned = world.sealed(statement, [OTHER])
    value = orjson.loads(unsigned.sealed_bytes)
    own = world.people[SENDER].sealing.kid
    other = next(one for one in value["recipients"] if one["header"]["kid"] != own)
    other["header"]["kid"] = world.people[OTHER].request.kid
    value["recipients"].sort(key=lambda one: one["header"]["kid"])
    body = orjson.dumps(value)
    stanzas = [
        Stanza(one["header"]["kid"], b64decode(one["header"]["ek"]), b64decode(one["encrypted_key"]))
        for one in value["recipients"]
    ]
    sealed = replace(unsigned.statement.sealed, recipients_root=b64encode(recipients_root(stanzas)))
    lying = replace(unsigned.statement, sealed=sealed)
    refused(ledger.publish(world.sign([Unsigned(lying, lying.encode(), body)])[0]), "recipients")


def test_nobody_beside_the_sender(world, ledger):
    refused(ledger.publish(world.envelope(SENDER, [])), "recipients", "/sealed/recipients")


@pytest.mark.parametrize(
    "change", [{"urgency": Code("8h")}, {"urgency": Code("7d")}, {"reply_due": from_seconds(2_000_000_000)}]
)
def test_a_clock_demands_the_focal_points(world, ledger, change):
    label = replace(LABEL, **change)
    for to, complete in (
        ([OTHER], False),  # the sender's own State has one too
        ([POINT, "uz/police"], False),
        ([POINT, "uz/police", OTHER], True),
        ([POINT, BESIDE], True),  # tj has named none
        (["kz/police"], False),
        (["kz/police", POINT], True),
    ):
        outcome = ledger.publish(world.envelope(SENDER, to, label=label))
        accepted(outcome) if complete else refused(outcome, "recipients", "/sealed/recipient_count")
    accepted(ledger.publish(world.envelope(SENDER, [OTHER], label=replace(LABEL, urgency=Code("informative")))))
