"""What is refused although somebody signed it: wrong identities, keys out of force, a sender who lies, a broker who does.

Nothing here is a broken signature (those are in `test_envelope_tampering`): every statement is signed as its case says.
"""

import json
import os
from dataclasses import replace

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import digests, seal
from keys import heads as heads_module
from keys.batch import Unsigned, sign_batch
from keys.directory import edit
from keys.directory.directory import Directory, Moment
from keys.directory.records import Life, SigningRecord
from keys.envelope import check_clock, open_act, recipients_root, seal_notice, verify_envelope
from keys.errors import RevokedKeyError, UnknownKeyError, VerificationError
from keys.heads import HeadMemory
from keys.log.note import LogSigner
from keys.sign import SigningKeys
from schemas.encoding import b64decode, b64encode, encode, from_seconds
from schemas.envelope import Envelope, GrantedKeys, SealedHeader, SealedNotice, Stanza
from schemas.errors import Error
from schemas.ids import Origin, ParticipantId, Role
from schemas.statement import SealedDigests, SubscriptionBody
from tests.carrying import Carrier, entry, path, resealed
from tests.formed import b64, compact, unb64
from tests.world import NOTICE, ORIGIN, Person, make_world, new_person, put_role

MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point")
SENDER, OTHER = "kz/customs", "uz/focal-point"


@pytest.fixture(scope="module")
def world():
    return make_world(MEMBERS)


def subscription(world, who=SENDER):
    return open_act(world.statement(who, "subscribe", body=SubscriptionBody(ParticipantId(who), ("*.*",))))


def signed(world, unsigned, keys=None, signer=SENDER, origin=ORIGIN):
    keys = keys or world.people[SENDER].signing
    (one,) = sign_batch([unsigned], keys, origin=origin, signer=ParticipantId(signer), at=from_seconds(world.now))
    return one


def verify(world, one, *, moment=None, revoked=None, directory=None):
    envelope = Envelope.parse(one.envelope)
    return verify_envelope(
        envelope, directory or world.directory, moment=moment or world.moment(), revoked=revoked or {}
    )


# Step 3: the signing identity


def test_an_identity_that_the_directory_lacks_is_unknown_whatever_it_signed(world):
    stranger = SigningKeys.generate()
    one = signed(world, subscription(world), stranger)
    envelope = json.loads(one.envelope)
    for signature in envelope["proof"]["head"]["signatures"]:
        signature["signature"] = b64(bytes(len(unb64(signature["signature"]))))
    for data in (one.envelope, compact(envelope)):
        with pytest.raises(UnknownKeyError) as caught:
            verify_envelope(Envelope.parse(data), world.directory, moment=world.moment(), revoked={})
        assert caught.value.status == 401


def halves(world, first, second):
    one, two = (world.people[who].signing for who in (first, second))
    return SigningKeys(one._ed25519, two._mldsa65)


@pytest.mark.parametrize("pair", [(SENDER, OTHER), (OTHER, SENDER), (SENDER, "kz/focal-point")])
def test_a_pair_of_two_identities_is_none_although_both_keys_are_known(world, pair):
    one = signed(world, subscription(world), halves(world, *pair))
    with pytest.raises(UnknownKeyError):
        verify(world, one)


def test_two_gateways_of_one_participant_do_not_mix(world):
    """A second identity of the same participant counts, and half of it with half of the first does not."""
    second = SigningKeys.generate()
    directory = with_identity(world, second, Life(from_seconds(world.now)))
    verify(world, signed(world, subscription(world), second), directory=directory)
    mixed = SigningKeys(second._ed25519, world.people[SENDER].signing._mldsa65)
    with pytest.raises(UnknownKeyError):
        verify(world, signed(world, subscription(world), mixed), directory=directory)


@pytest.mark.parametrize(
    ("keys_of", "signer"), [(OTHER, OTHER), (OTHER, SENDER), (SENDER, OTHER), ("kz/focal-point", "kz/focal-point")]
)
def test_only_the_sender_signs_as_the_sender(world, keys_of, signer):
    one = signed(world, subscription(world), world.people[keys_of].signing, signer)
    with pytest.raises(VerificationError) as caught:
        verify(world, one)
    assert caught.value.detail == "The signing identity is not the sender's."


def with_identity(world, keys: SigningKeys, life: Life) -> Directory:
    """Return the directory in which the sender has one more identity."""
    directory = world.directory
    role = Role(SENDER[:2])
    record = SigningRecord(ParticipantId(SENDER), "second", life, keys.kids, keys.public)  # type: ignore[arg-type]
    state = edit.enter_keys(directory.roles[role], ParticipantId(SENDER), [record])
    return replace(directory, roles={**directory.roles, role: state})


@settings(max_examples=150)
@given(data=st.data())
def test_a_key_counts_from_its_time_until_its_index_and_no_further(world, data):
    """Against the sentence of the design, at places and times around every edge."""
    keys = world.people[OTHER].signing  # any pair will do: only its record is looked at
    start = data.draw(st.integers(-2, 2))
    closed = data.draw(st.none() | st.integers(0, 6))
    revoked = {kid: index for kid in keys.kids if (index := data.draw(st.none() | st.integers(0, 6))) is not None}
    index = data.draw(st.integers(0, 7))
    received_at = world.now * 1000 + data.draw(st.integers(-3, 3)) * 1000 + data.draw(st.sampled_from([0, 1, 999]))
    life = Life(from_seconds(world.now + start), closed, data.draw(st.sampled_from([None, from_seconds(0)])))
    record = SigningRecord(ParticipantId(OTHER), "gate", life, keys.kids, keys.public)  # type: ignore[arg-type]
    moment = Moment(index, received_at)
    counts = (
        (world.now + start) * 1000 <= received_at
        and (closed is None or index < closed)
        and not any(index > at for at in revoked.values())
    )
    assert Directory.in_force(record, moment, revoked) is counts
    if not counts:
        with pytest.raises(RevokedKeyError):
            Directory.demand_in_force(record, moment, revoked)


def test_an_envelope_counts_as_its_key_does(world):
    keys = SigningKeys.generate()
    directory = with_identity(world, keys, Life(from_seconds(world.now + 1), 5))
    one = signed(world, subscription(world), keys)
    begin = (world.now + 1) * 1000
    verify(world, one, moment=Moment(4, begin), directory=directory)
    # The leaf that revokes is itself signed while the key still counts.
    verify(world, one, moment=Moment(4, begin), revoked={keys.kids[0]: 4}, directory=directory)
    for index, at, revoked in ((4, begin - 1, {}), (5, begin, {}), (4, begin, {keys.kids[1]: 3})):
        with pytest.raises(RevokedKeyError) as caught:
            verify(world, one, moment=Moment(index, at), revoked=revoked, directory=directory)
        assert (caught.value.status, caught.value.code) == (403, "revoked-key")


# Step 5: a sender that signs what is not so


def forged(world, statement, to, *, lies=None, plaintext=None, content_key=None, sealed_key=None, commitment=None):
    """Seal by hand, with one part as a liar would have it."""
    content_key = content_key or os.urandom(32)
    text = plaintext
    if text is None:
        label = None if statement.label is None else statement.label.to_json()
        text = orjson.dumps({"label": label, **NOTICE})
        text = text.ljust(seal.padded_length(len(text)))
    iv = os.urandom(12)
    protected = SealedHeader.encode(
        digests.binding(statement), digests.key_commitment(content_key) if commitment is None else commitment
    )
    ciphertext, tag = seal.encrypt(content_key, iv, text, protected.encode())
    people = sorted((world.people[who].sealing for who in {*to, statement.sender}), key=lambda key: key.kid)
    stanzas = tuple(
        Stanza(key.kid, *seal.seal_key(content_key if sealed_key is None else sealed_key, key.public_key()))
        for key in people
    )
    header = SealedHeader(protected, b"", b"")
    said = {
        "content_digest": b64encode(digests.content(protected, iv, ciphertext, tag)),
        "length": len(ciphertext),
        "recipients_root": b64encode(recipients_root(stanzas)),
        "recipient_count": len(stanzas),
        **(lies or {}),
    }
    statement = replace(statement, sealed=SealedDigests(**said))
    sealed = SealedNotice(header, stanzas, iv, ciphertext, tag)
    return Unsigned(statement, statement.encode(), encode(sealed.to_json()))


def deliver(world, unsigned, who=OTHER):
    one = signed(world, unsigned)
    carrier = Carrier(world)
    carrier.fill(3)
    index = carrier.add(one)
    return carrier, carrier.delivery(one, index, who)


def test_the_forger_can_be_honest(world):
    carrier, value = deliver(world, forged(world, world.statement(SENDER), [OTHER]))
    assert carrier.open(value, OTHER).notice == NOTICE


@pytest.mark.parametrize(
    ("lie", "detail"),
    [
        ({"length": 1}, "The ciphertext's length differs from the statement's."),
        ({"content_digest": b64(bytes(32))}, "The ciphertext is not the signed one."),
        ({"recipient_count": 3}, "The number of recipients differs from the statement's."),
        ({"recipients_root": b64(bytes(32))}, "The recipients are not the signed ones."),
    ],
)
def test_a_statement_that_does_not_fit_its_seal(world, lie, detail):
    unsigned = forged(world, world.statement(SENDER), [OTHER], lies=lie)
    with pytest.raises(VerificationError) as caught:
        verify(world, signed(world, unsigned))
    assert caught.value.detail == detail


def test_a_seal_of_another_statement(world):
    """The same ciphertext under another topic: signed by the sender itself, and refused."""
    unsigned = world.sealed(world.statement(SENDER), [OTHER])
    for change in ({"topic": "south-east-europe.seizures"}, {"expires_at": from_seconds(world.now + 9)}):
        moved = replace(unsigned.statement, **change)
        with pytest.raises(VerificationError) as caught:
            verify(world, signed(world, Unsigned(moved, moved.encode(), unsigned.sealed_bytes)))
        assert caught.value.detail == "The seal is bound to another statement."
        carrier, value = deliver(world, Unsigned(moved, moved.encode(), unsigned.sealed_bytes))
        with pytest.raises(VerificationError):
            carrier.verify(value, OTHER)


def test_the_senders_own_stanza_must_be_there(world):
    directory = world.directory
    for to in ([OTHER], [OTHER, "tj/focal-point"]):
        records = [directory.sealing(world.people[who].sealing.kid) for who in to]
        unsigned = seal_notice(world.statement(SENDER), NOTICE, records)
        with pytest.raises(VerificationError) as caught:
            verify(world, signed(world, unsigned))
        assert caught.value.detail.startswith("The sender's own stanza must be among the recipients")


def granting(world, to, sender=SENDER):
    """Return a grant with stanzas to some participants, of a notice that does not matter here."""
    content_key = os.urandom(32)
    people = sorted((world.people[who].sealing for who in to), key=lambda key: key.kid)
    stanzas = tuple(Stanza(key.kid, *seal.seal_key(content_key, key.public_key())) for key in people)
    sealed = SealedDigests(b64(bytes(32)), 7, b64encode(recipients_root(stanzas)), len(stanzas))
    ref = world.statement(sender).notice_id
    statement = world.statement(sender, "grant", ref=ref, thread=ref, sealed=sealed)
    return Unsigned(statement, statement.encode(), encode(GrantedKeys(stanzas).to_json()))


def test_a_grant_has_stanzas_for_others_only(world):
    verified = verify(world, signed(world, granting(world, [OTHER])))
    assert isinstance(verified.envelope.sealed, GrantedKeys)
    with pytest.raises(VerificationError) as caught:
        verify(world, signed(world, granting(world, [OTHER, SENDER])))
    assert caught.value.detail.endswith("not in a grant.")
    one = granting(world, [OTHER])
    lying = replace(one.statement, sealed=replace(one.statement.sealed, recipients_root=b64(bytes(32))))
    with pytest.raises(VerificationError):
        verify(world, signed(world, Unsigned(lying, lying.encode(), one.sealed_bytes)))


# Step 6: the clock


@pytest.mark.parametrize(
    ("issued", "expires", "code"),
    [
        (300, 30, None),
        (301, 30, "clock-skew"),
        (-14 * 86400, 30, None),
        (-14 * 86400 - 1, 30, "clock-skew"),
        (0, 1, None),
        (0, 0, "expired"),
        (0, -1, "expired"),
    ],
)
def test_times_are_held_against_now(world, issued, expires, code):
    times = {"issued_at": from_seconds(world.now + issued), "expires_at": from_seconds(world.now + expires)}
    statement = world.statement(SENDER, **times)
    if code is None:
        check_clock(statement, world.now)
    else:
        with pytest.raises(Error) as caught:
            check_clock(statement, world.now)
        assert caught.value.code == code
    # A recipient holds them against the leaf, years later too.
    carrier = Carrier(world)
    one = signed(world, world.sealed(statement, [OTHER]))
    index = carrier.add(one, received_at=world.now * 1000 + 999)
    if code is None:
        carrier.open(carrier.delivery(one, index, OTHER), OTHER)
    else:
        with pytest.raises(Error) as caught:
            carrier.verify(carrier.delivery(one, index, OTHER), OTHER)
        assert caught.value.code == code


def test_an_open_act_does_not_expire(world):
    check_clock(subscription(world).statement, world.now)


# Step 8: what a recipient checks


def test_an_old_delivery_outlives_its_keys(world):
    """Keys that were closed or revoked since, at a later place than the leaf's, do not take it back."""
    carrier, value = deliver(world, world.sealed(world.statement(SENDER), [OTHER]))
    index = value["inclusion"]["index"]
    kid = world.people[SENDER].signing.kids[1]
    carrier.verify(value, OTHER, revoked={kid: index})
    with pytest.raises(RevokedKeyError):
        carrier.verify(value, OTHER, revoked={kid: index - 1})


def test_a_remembered_head_spares_its_signatures_and_nothing_else(world, monkeypatch):
    """A batch's head is verified once; path, keys and the rest are looked at each time."""
    letters = world.sign([world.sealed(world.statement(SENDER), [OTHER]) for _ in range(3)])
    carrier = Carrier(world)
    places = [carrier.add(one) for one in letters]
    values = [carrier.delivery(one, index, OTHER) for one, index in zip(letters, places, strict=True)]
    memory, checked = HeadMemory(), []
    real = heads_module.verify_pair
    monkeypatch.setattr(heads_module, "verify_pair", lambda *given: (checked.append(1), real(*given)))
    for value in values:
        carrier.verify(value, OTHER, heads=memory)
    assert len(checked) == 1

    def swapped(v):
        v["proof"]["path"] = values[1]["proof"]["path"]

    def forged(v):
        v["proof"]["head"]["signatures"][1]["signature"] = b64(bytes(3309))

    for change in (swapped, forged):
        with pytest.raises(VerificationError):
            carrier.verify(resealed(values[0], change), OTHER, heads=memory)
    with pytest.raises(RevokedKeyError):
        carrier.verify(values[2], OTHER, heads=memory, revoked={world.people[SENDER].signing.kids[0]: 0})
    carrier.verify(values[0], OTHER, heads=memory)


def changes(world):
    """Return a bent delivery's changes, each with what is said of it."""
    stranger = new_person("xx/nobody")
    return {
        "received at another time": (
            lambda v: v["inclusion"].update(received_at=v["inclusion"]["received_at"] + 1),
            "The inclusion path does not lead to the root.",
        ),
        "at another place": (
            lambda v: v["inclusion"].update(index=v["inclusion"]["index"] - 1),
            "The inclusion path does not lead to the root.",
        ),
        "for another size": (
            lambda v: v["inclusion"].update(size=v["inclusion"]["size"] + 1),
            "The inclusion is for another checkpoint.",
        ),
        "to a key of nobody": (
            lambda v: v["sealed"]["header"].update(kid=stranger.sealing.kid),
            "The stanza is not for one of the recipient's keys.",
        ),
        "among more": (
            lambda v: v["recipient"].update(size=v["recipient"]["size"] + 1),
            "The number of recipients differs from the statement's.",
        ),
        "at another recipient's place": (
            lambda v: v["recipient"].update(index=1 - v["recipient"]["index"]),
            "The stanza is not under the signed recipients' root.",
        ),
        "with another encrypted key": (
            lambda v: v["sealed"].update(encrypted_key=b64(bytes(48))),
            "The stanza is not under the signed recipients' root.",
        ),
        "with a shorter path": (lambda v: v["recipient"].update(path=[]), "The inclusion path is too short."),
    }


@pytest.mark.parametrize("name", changes(None))
def test_a_delivery_that_is_not_what_was_published(world, name):
    change, detail = changes(world)[name]
    carrier, value = deliver(world, world.sealed(world.statement(SENDER), [OTHER]))
    carrier.open(value, OTHER)
    with pytest.raises(VerificationError) as caught:
        carrier.verify(resealed(value, change), OTHER)
    assert caught.value.detail == detail


def test_a_byte_shifted_between_ek_and_encrypted_key(world):
    """The root is over fixed lengths: moving the border changes the form, and nothing fits any more."""
    carrier, value = deliver(world, world.sealed(world.statement(SENDER), [OTHER]))

    def shift(v):
        ek, key = unb64(v["sealed"]["header"]["ek"]), unb64(v["sealed"]["encrypted_key"])
        v["sealed"]["header"]["ek"], v["sealed"]["encrypted_key"] = b64(ek + key[:1]), b64(key[1:])

    with pytest.raises(Error) as caught:
        carrier.verify(resealed(value, shift), OTHER)
    assert caught.value.code == "invalid-form"


def test_a_leaf_of_an_open_act_is_not_that_of_a_notice(world):
    one = signed(world, world.sealed(world.statement(SENDER), [OTHER]))
    carrier = Carrier(world)
    index = carrier.add(one, kind=2)
    with pytest.raises(VerificationError):
        carrier.verify(carrier.delivery(one, index, OTHER), OTHER)


def test_another_deployments_notice_does_not_count_here(world):
    elsewhere = Origin("test.invalid/elsewhere")
    one = signed(world, world.sealed(world.statement(SENDER, origin=elsewhere), [OTHER]), origin=elsewhere)
    carrier = Carrier(world)
    index = carrier.add(one)
    with pytest.raises(Error) as caught:
        carrier.verify(carrier.delivery(one, index, OTHER), OTHER)
    assert caught.value.code == "wrong-origin"


def test_another_logs_checkpoint_does_not_count_here(world):
    carrier, value = deliver(world, world.sealed(world.statement(SENDER), [OTHER]))
    value["inclusion"]["checkpoint"] = b64(carrier.note(LogSigner.generate(ORIGIN)))
    with pytest.raises(VerificationError):
        carrier.verify(value, OTHER)


def test_a_stanza_of_a_replaced_key_is_opened_by_that_key_only(world):
    """A recipient that has a newer key since opens what came before with the older one."""
    rolled = make_world(MEMBERS)
    carrier, value = deliver(rolled, rolled.sealed(rolled.statement(SENDER), [OTHER]))
    old = rolled.people[OTHER]
    opened = carrier.open(value, OTHER)
    rolled.people[ParticipantId(OTHER)] = Person(old.id, old.signing, seal.SealingKey.generate(), old.request)
    assert opened.notice == NOTICE
    with pytest.raises(VerificationError):
        carrier.verify(value, OTHER)


# Opening: what only the recipient sees


def padded(text):
    return text.ljust(seal.padded_length(len(text)))


LABELLED = b'{"label":%b,"kind":"seizure"}'
BAD_PLAINTEXTS = {
    "no padding at all": lambda label: padded(LABELLED % label).rstrip(b" "),
    "a space more": lambda label: padded(LABELLED % label) + b" ",
    "padding of other bytes": lambda label: padded(LABELLED % label)[:-1] + b"\0",
    "only spaces": lambda label: b" " * 16,
    "one byte": lambda label: b"1",
    "a float": lambda label: padded(b'{"label":%b,"mass":1.5}' % label),
    "a member twice": lambda label: padded(b'{"label":%b,"label":%b}' % (label, label)),
    "a lone surrogate": lambda label: padded(b'{"label":%b,"x":"\\ud800"}' % label),
    "not UTF-8": lambda label: padded(b'{"label":%b,"x":"\xff"}' % label),
    "no object": lambda label: padded(b"[%b]" % label),
    "an empty object": lambda label: padded(b"{}"),
    "its label second": lambda label: padded(b'{"kind":"seizure","label":%b}' % label),
    "another label": lambda label: padded(LABELLED % label.replace(b'"amber"', b'"green"', 1)),
    "one for true": lambda label: padded(LABELLED % label.replace(b'"exercise":true', b'"exercise":1')),
    "zero for false": lambda label: padded(LABELLED % label.replace(b'"nominal":false', b'"nominal":0')),
    "no label": lambda label: padded(LABELLED % b"null"),
}


@pytest.mark.parametrize("name", BAD_PLAINTEXTS)
def test_a_plaintext_of_another_form(world, name):
    statement = world.statement(SENDER)
    label = orjson.dumps(statement.label.to_json())
    plaintext = BAD_PLAINTEXTS[name](label)
    assert plaintext != padded(LABELLED % label)
    carrier, value = deliver(world, forged(world, statement, [OTHER], plaintext=plaintext))
    with pytest.raises(VerificationError):
        carrier.open(value, OTHER)


def test_a_label_may_stand_in_another_order(world):
    statement = world.statement(SENDER)
    label = orjson.dumps(dict(reversed(statement.label.to_json().items())))
    carrier, value = deliver(world, forged(world, statement, [OTHER], plaintext=padded(LABELLED % label)))
    assert carrier.open(value, OTHER).notice == {"kind": "seizure"}


def test_a_content_key_that_is_not_the_committed_one(world):
    """What makes it impossible to show two recipients two texts."""
    for wrong in ({"commitment": bytes(32)}, {"sealed_key": os.urandom(32)}):
        carrier, value = deliver(world, forged(world, world.statement(SENDER), [OTHER], **wrong))
        with pytest.raises(VerificationError) as caught:
            carrier.open(value, OTHER)
        assert caught.value.detail == "The content key is not the committed one."
    key = os.urandom(32)
    committed = forged(
        world,
        world.statement(SENDER),
        [OTHER],
        sealed_key=key,
        commitment=digests.key_commitment(key),
        content_key=os.urandom(32),
    )
    carrier, value = deliver(world, committed)
    with pytest.raises(VerificationError) as caught:
        carrier.open(value, OTHER)
    assert caught.value.detail == "The ciphertext does not open under the content key."


def test_a_recipient_cannot_alter_the_content_for_the_others(world):
    """It knows the content key, and its new ciphertext opens; the signed digest does not follow."""
    unsigned = world.sealed(world.statement(SENDER), [OTHER, "tj/focal-point"])
    one = signed(world, unsigned)
    carrier = Carrier(world)
    index = carrier.add(one)
    opened = carrier.open(carrier.delivery(one, index, OTHER), OTHER)
    value = carrier.delivery(one, index, "tj/focal-point")
    text = orjson.dumps(
        {"label": unsigned.statement.label.to_json(), **NOTICE, "text": "Nothing was found there at all."}
    )
    protected = value["sealed"]["protected"]
    iv = b64decode(value["sealed"]["iv"])
    ciphertext, tag = seal.encrypt(opened.content_key, iv, padded(text), protected.encode())
    value["sealed"] |= {"ciphertext": b64(ciphertext), "tag": b64(tag)}
    with pytest.raises(VerificationError):
        carrier.verify(value, "tj/focal-point")


def test_stanzas_cannot_be_moved_between_notices(world):
    """A carrier that offers another notice's stanza, under that one's root and path, is found out."""
    first, second = (signed(world, world.sealed(world.statement(SENDER), [OTHER])) for _ in range(2))
    carrier = Carrier(world)
    places = [carrier.add(one) for one in (first, second)]
    value, other = (carrier.delivery(one, index, OTHER) for one, index in zip((first, second), places, strict=True))
    value["sealed"] |= {name: other["sealed"][name] for name in ("header", "encrypted_key")}
    value["recipient"] = other["recipient"]
    with pytest.raises(VerificationError):
        carrier.verify(value, OTHER)
    assert path([entry(one) for one in json.loads(first.envelope)["sealed"]["recipients"]], 0)


def test_the_directory_of_a_later_version_verifies_what_was_signed_before(world):
    """Closing a record at a later index leaves its old signatures standing."""
    later = make_world(MEMBERS)
    carrier, value = deliver(later, later.sealed(later.statement(SENDER), [OTHER]))
    index = value["inclusion"]["index"]
    role = Role(SENDER[:2])
    state = edit.close_key(later.directory.roles[role], later.people[SENDER].signing.kids[0], index + 1)
    put_role(later, role, state.encode())
    assert later.directory.version > world.directory.version
    assert carrier.open(value, OTHER).notice == NOTICE
    closed = edit.close_key(world.directory.roles[role], world.people[SENDER].signing.kids[0], 3)
    directory = replace(world.directory, roles={**world.directory.roles, role: closed})
    one = signed(world, subscription(world))
    verify(world, one, moment=world.moment(2), directory=directory)
    with pytest.raises(RevokedKeyError):
        verify(world, one, moment=world.moment(3), directory=directory)
