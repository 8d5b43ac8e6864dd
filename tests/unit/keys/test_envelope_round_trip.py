"""Seal, sign, parse, verify, deliver, open: whatever is sealed arrives, at each recipient and at nobody else."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import digests, seal
from keys.batch import sign_batch
from keys.envelope import encode_plaintext, open_act, open_notice, verify_envelope
from keys.errors import VerificationError
from schemas.encoding import b64decode, from_seconds
from schemas.envelope import Envelope
from schemas.statement import SubscriptionBody
from tests import strategies as wire
from tests.carrying import Carrier, path, root, sha
from tests.formed import unb64
from tests.world import ORIGIN, make_world

MEMBERS = ("kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point", "tj/police", "int/unodc/desk")
notices = st.dictionaries(
    st.text(st.characters(exclude_categories=("Cs",)), max_size=8), wire.json_values, max_size=4
).map(lambda notice: {name: value for name, value in notice.items() if name != "label"})


@pytest.fixture(scope="module")
def world():
    return make_world(MEMBERS)


def others(sender):
    return st.sets(st.sampled_from([who for who in MEMBERS if who != sender]), min_size=1)


@st.composite
def letters(draw, sender):
    """Return one letter's act, recipients and content."""
    return draw(st.sampled_from(["issue", "acknowledge"])), draw(others(sender)), draw(notices)


@settings(max_examples=20)
@given(data=st.data(), sender=st.sampled_from(MEMBERS), count=st.integers(1, 40))
def test_what_is_sealed_is_opened_by_each_recipient_and_nobody_else(world, data, sender, count):
    drawn = data.draw(st.lists(letters(sender), min_size=1, max_size=3))
    written = [drawn[number % len(drawn)] for number in range(count)]
    unsigned = [world.sealed(world.statement(sender, act), to, notice) for act, to, notice in written]
    signed = world.sign(unsigned)
    carrier = Carrier(world)
    carrier.fill(data.draw(st.integers(0, 9)))
    places = [carrier.add(one) for one in signed]
    carrier.fill(len(carrier.leaves) + data.draw(st.integers(0, 3)))
    for number in data.draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=4)):
        _, to, notice = written[number]
        one, index = signed[number], places[number]
        envelope = Envelope.parse(one.envelope)
        verified = verify_envelope(envelope, world.directory, moment=world.moment(index), revoked={})
        assert verified.statement == one.statement
        assert verified.statement_digest == sha(one.statement_bytes)
        assert verified.identity.participant == sender
        digest = sha(b"\x00" + sha(one.statement_bytes) + sha(one.proof_bytes))
        assert digests.statement_leaf(one.statement_bytes, one.proof_bytes) == digest
        assert digests.joined_leaf(sha(one.statement_bytes), sha(one.proof_bytes)) == digest
        for who in MEMBERS:
            key = world.people[who].sealing
            if who not in {sender, *to}:
                assert key.kid not in [stanza.kid for stanza in envelope.sealed.recipients]
                continue
            value = carrier.delivery(one, index, who)
            opened = carrier.open(value, who)
            assert opened.notice == notice
            assert (opened.statement, opened.index) == (one.statement, index)
            assert opened.received_at == world.now * 1000
            commitment = sha(b"valise/key-commitment/1\x00" + opened.content_key)
            assert envelope.sealed.header.key_commitment == commitment
            # Nobody else gets anywhere with it, neither by saying that it is theirs nor by trying their key.
            stranger = data.draw(st.sampled_from([who_else for who_else in MEMBERS if who_else != who]))
            with pytest.raises(VerificationError):
                carrier.verify(value, stranger)
            with pytest.raises(VerificationError):
                open_notice(carrier.verify(value, who), world.people[stranger].sealing)


@pytest.mark.parametrize("count", [1, 2, 3, 1023, 1024])
def test_each_of_a_batch_hangs_on_the_one_head(world, count):
    body = SubscriptionBody("kz/customs", ("*.*",))
    unsigned = [open_act(world.statement("kz/customs", "subscribe", body=body)) for _ in range(count)]
    signed = sign_batch(
        unsigned,
        world.people["kz/customs"].signing,
        origin=ORIGIN,
        signer="kz/customs",
        at=from_seconds(world.now),
    )
    heads = {orjson.dumps(orjson.loads(one.proof_bytes)["head"]) for one in signed}
    assert len(heads) == 1
    entries = [one.statement_bytes for one in signed]
    assert orjson.loads(unb64(orjson.loads(heads.pop())["payload"]))["size"] == count
    for index in {0, 1, count // 2, count - 1} & set(range(count)):
        proof = Envelope.parse(signed[index].envelope).proof
        assert proof.head.root == root(entries)
        assert (proof.index, proof.size, list(proof.path)) == (index, count, path(entries, index))
        verified = verify_envelope(
            Envelope.parse(signed[index].envelope), world.directory, moment=world.moment(), revoked={}
        )
        assert verified.envelope.sealed is None


@settings(max_examples=50)
@given(notice=notices, act=st.sampled_from(["issue", "acknowledge"]))
def test_a_plaintext_begins_with_its_label_and_tells_its_length_only_roughly(world, notice, act):
    statement = world.statement("kz/customs", act)
    plaintext = encode_plaintext(statement, notice)
    text = plaintext.rstrip(b" ")
    label = None if statement.label is None else statement.label.to_json()
    assert orjson.loads(text) == {"label": label, **notice}
    assert text.startswith(b'{"label":')
    assert len(plaintext) == seal.padded_length(len(text))


def test_every_seal_is_fresh(world):
    statement = world.statement("kz/customs")
    one, two = (orjson.loads(world.sealed(statement, ["uz/focal-point"]).sealed_bytes) for _ in range(2))
    for name in ("iv", "ciphertext", "tag", "protected"):
        assert one[name] != two[name]
    assert len({stanza["header"]["ek"] for sealed in (one, two) for stanza in sealed["recipients"]}) == 4


def test_the_binding_is_of_the_bound_members(world):
    signed = world.envelope("kz/customs", ["uz/focal-point"])
    statement = orjson.loads(signed.statement_bytes)
    bound = {name: statement[name] for name in list(statement)[:10]}
    assert list(bound)[-1] == "expires_at"
    header = orjson.loads(unb64(orjson.loads(signed.envelope)["sealed"]["protected"]))
    assert unb64(header["binding"]) == sha(orjson.dumps(bound))
    sealed = orjson.loads(signed.envelope)["sealed"]
    text = sealed["protected"].encode() + b"." + b"".join(unb64(sealed[name]) for name in ("iv", "ciphertext", "tag"))
    assert unb64(statement["sealed"]["content_digest"]) == sha(text)
    assert statement["sealed"]["length"] == len(b64decode(sealed["ciphertext"]))
