"""Grants: new stanzas for a ciphertext that is in the log, and deliveries that open through them."""

import os
from dataclasses import replace

import pytest

from keys.envelope import ContentKey, grant_notice, grants
from keys.errors import RevokedKeyError, VerificationError
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import new_notice_id
from tests.carrying import Carrier, resealed
from tests.formed import b64
from tests.granting import delivered, granted, unsigned_grant
from tests.world import NOTICE, make_world

SENDER, HOLDER, READER, BESIDE = "kz/customs", "uz/focal-point", "tj/police", "tj/focal-point"


@pytest.fixture(scope="module")
def world():
    return make_world()


@pytest.fixture
def case(world):
    """A notice to one, in the log with a grant of it to two others."""
    signed = world.envelope(SENDER, [HOLDER])
    grant = granted(world, signed, [READER, BESIDE])
    return Case(world, signed, grant)


class Case:
    def __init__(self, world, signed, grant):
        self.world, self.signed, self.grant = world, signed, grant
        self.carrier = Carrier(world)
        self.carrier.fill(3)
        self.index = self.carrier.add(signed)
        self.carrier.fill(6)
        self.at = self.carrier.add(grant)
        self.carrier.fill(11)

    def value(self, who=READER):
        return delivered(self.carrier, self.signed, self.index, self.grant, self.at, who)


def test_who_is_granted_a_notice_opens_the_very_ciphertext(case):
    for who in (READER, BESIDE):
        opened = case.carrier.open(case.value(who), who)
        assert opened.notice == NOTICE
        assert opened.statement == case.signed.statement
        assert opened.index == case.index


def test_a_grant_says_the_same_of_the_ciphertext_and_its_own_of_the_stanzas(world, case):
    notice, grant = case.signed.statement, case.grant.statement
    assert grants(grant, notice)
    assert grant.sealed.content_digest == notice.sealed.content_digest
    assert grant.sealed.recipient_count == 2
    assert grant.sealed.recipients_root != notice.sealed.recipients_root


@pytest.mark.parametrize(
    "change",
    [
        lambda said, world: replace(said, topic="osce.seizures"),
        lambda said, world: replace(said, label=replace(said.label, tlp="green")),
        lambda said, world: replace(said, expires_at=from_seconds(world.now + 86400)),
        lambda said, world: replace(said, thread=new_notice_id(world.now * 1000)),
        lambda said, world: replace(said, ref=new_notice_id(world.now * 1000)),
        lambda said, world: replace(said, sealed=replace(said.sealed, content_digest=b64(bytes(32)))),
        lambda said, world: replace(said, sealed=replace(said.sealed, length=1)),
    ],
)
def test_what_differs_from_the_notice_grants_nothing_of_it(world, case, change):
    unsigned = unsigned_grant(world, case.signed, [READER])
    bent = change(unsigned.statement, world)
    assert not grants(bent, case.signed.statement)
    grant = world.sign([replace(unsigned, statement=bent, statement_bytes=bent.encode())])[0]
    other = Case(world, case.signed, grant)
    with pytest.raises(VerificationError, match="not one of this notice"):
        other.carrier.verify(other.value(), READER)


def test_nobody_but_the_sender_grants(world, case):
    """A holder knows the content key, and its grant is worth nothing."""
    unsigned = unsigned_grant(world, case.signed, [READER], sender=HOLDER)
    other = Case(world, case.signed, world.sign([unsigned], by=HOLDER)[0])
    with pytest.raises(VerificationError, match="not one of this notice"):
        other.carrier.verify(other.value(), READER)
    # Nor one that the sender did not sign.
    unsigned = unsigned_grant(world, case.signed, [READER])
    forged = world.sign([unsigned], by=HOLDER)[0]
    other = Case(world, case.signed, forged)
    with pytest.raises(VerificationError, match="not the sender's"):
        other.carrier.verify(other.value(), READER)


def test_a_notice_without_a_seal_is_not_granted(world, case):
    assert not grants(replace(case.grant.statement, sealed=None), case.signed.statement)
    assert not grants(case.grant.statement, replace(case.signed.statement, sealed=None))


@pytest.mark.parametrize(
    "bend",
    [
        lambda value: value["grant"]["inclusion"].update(path=[b64(os.urandom(32))] * 4),
        lambda value: value["grant"]["inclusion"].update(received_at=value["grant"]["inclusion"]["received_at"] + 1),
        lambda value: value["grant"]["inclusion"].update(size=10),
        lambda value: value["inclusion"].update(received_at=value["inclusion"]["received_at"] + 1),
        lambda value: value["recipient"].update(size=3),
        lambda value: value["recipient"].update(path=[b64(bytes(32))]),
        lambda value: value["sealed"].update(tag=b64(bytes(16))),
    ],
)
def test_what_does_not_hold_is_refused(case, bend):
    with pytest.raises(VerificationError):
        case.carrier.verify(resealed(case.value(), bend), READER)


def test_a_grant_must_have_counted_when_it_was_received(world, case):
    kid = world.people[SENDER].signing.kids[0]
    case.carrier.verify(case.value(), READER, revoked={kid: case.at})
    with pytest.raises(RevokedKeyError):
        case.carrier.verify(case.value(), READER, revoked={kid: case.at - 1})
    late = world.sign([unsigned_grant(world, case.signed, [READER], issued_at=from_seconds(world.now - 15 * 86400))])
    other = Case(world, case.signed, late[0])
    with pytest.raises(Error) as caught:
        other.carrier.verify(other.value(), READER)
    assert caught.value.code == "clock-skew"


def test_a_stanza_of_another_key_opens_nothing(world, case):
    """Whoever seals something else than the content key cannot show the recipient another text."""
    notice = case.signed.statement
    record = world.directory.sealing(world.people[READER].sealing.kid)
    said = replace(unsigned_grant(world, case.signed, [READER]).statement, sealed=None)
    wrong = grant_notice(said, notice.sealed, ContentKey(os.urandom(32)), [record])
    other = Case(world, case.signed, world.sign([wrong])[0])
    with pytest.raises(VerificationError, match="committed"):
        other.carrier.open(other.value(), READER)


def test_the_grants_own_stanza_is_not_a_holders(case):
    with pytest.raises(VerificationError, match="recipient's keys"):
        case.carrier.verify(case.value(BESIDE), READER)
