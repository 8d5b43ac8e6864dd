"""Remembered heads change nothing but the time it takes: with and without the memory every envelope comes out the same."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.publish import examine
from keys import heads as module
from keys.directory import edit
from keys.directory.directory import Moment
from keys.heads import HeadMemory
from schemas.ids import Role
from tests.api.spoiling import changed, compact, packed, places, unpacked
from tests.paper import trust_in
from tests.unit.broker.publish.letters import OTHER, SENDER
from tests.world import ORIGIN, new_person


@pytest.fixture(scope="module")
def letters(world):
    """Envelopes that have heads in common, and some that have one of their own."""
    made = []
    for sender, to, size in ((SENDER, OTHER, 5), (SENDER, OTHER, 3), (OTHER, SENDER, 2), (SENDER, OTHER, 1)):
        made += world.sign([world.sealed(world.statement(sender), [to]) for _ in range(size)])
    return [json.loads(one.envelope) for one in made]


@pytest.fixture(scope="module")
def trusts(world):
    """The same network with the sender's key in force, revoked, closed, and replaced under its name."""
    directory, role, identity = world.directory, Role("kz"), world.people[SENDER].signing
    closed = {**directory.roles, role: edit.close_key(directory.roles[role], identity.kids[1], 4)}
    record = directory.signing(identity.kids)
    other = replace(record, public=new_person(SENDER).signing.public)

    class Forged:
        """A directory that has other keys under the same names; everything else is the real one's."""

        def signing(self, kids):
            return other if kids == identity.kids else directory.signing(kids)

        def __getattr__(self, name):
            return getattr(directory, name)

    return [
        world.trust(),
        replace(world.trust(), revoked={identity.kids[0]: 2}),
        trust_in(world, replace(directory, roles=closed)),
        replace(world.trust(), directory=Forged()),
    ]


def said(data, trust, heads, moment):
    """Return all that an examination says."""
    found = examine(data, None, ORIGIN, trust, moment, heads)
    error = found.error
    told = None if error is None else (type(error), error.code, error.detail, error.pointer, error.offset)
    return found.envelope, None if found.verified is None else found.verified.statement_digest, told


@st.composite
def attempts(draw, letters):
    """Return an envelope that is genuine, has parts of another's proof, or another value somewhere in its proof."""
    value = draw(st.sampled_from(letters))
    kind = draw(st.sampled_from(["genuine", "genuine", "part", "part", "letter"]))
    if kind == "part":
        other = draw(st.sampled_from(letters))
        part = draw(st.sampled_from([("head",), ("path",), ("index",), ("head", "payload"), ("head", "signatures")]))
        at = ("proof", *part)
        found = other
        for step in at:
            found = found[step]
        value = changed(value, at, found)
    elif kind == "letter":
        whole = unpacked(value)
        at = draw(st.sampled_from([at for at in places(whole) if at[:2] == ("proof", "head")]))
        found = whole
        for step in at:
            found = found.value if step is None else found[step]
        if isinstance(found, str):
            place = draw(st.integers(0, len(found) - 1))
            found = found[:place] + draw(st.sampled_from("AaQ0-_")) + found[place + 1 :]
        value = packed(changed(whole, at, found))
    return compact(value)


@settings(max_examples=60)
@given(data=st.data())
def test_with_and_without_the_memory_there_is_no_difference(letters, trusts, world, data):
    memory = HeadMemory(most=data.draw(st.sampled_from([1, 2, 4096])))
    for _ in range(data.draw(st.integers(1, 12))):
        envelope = data.draw(attempts(letters))
        trust = data.draw(st.sampled_from([trusts[0], *trusts]))
        moment = Moment(data.draw(st.sampled_from([1, 9])), world.now * 1000)
        assert said(envelope, trust, memory, moment) == said(envelope, trust, None, moment)


def test_a_key_that_is_revoked_or_closed_is_refused_although_its_head_is_remembered(
    letters, trusts, world, monkeypatch
):
    checked = []
    real = module.verify_pair
    monkeypatch.setattr(module, "verify_pair", lambda *given: (checked.append(1), real(*given)))
    memory, moment = HeadMemory(), Moment(9, world.now * 1000)
    good, revoked, closed, _ = trusts
    batch = [compact(one) for one in letters[:5]]
    for one in batch:
        assert examine(one, None, ORIGIN, good, moment, memory).verified is not None
    assert checked == [1]
    for trust in (revoked, closed):
        for one in batch:
            found = examine(one, None, ORIGIN, trust, moment, memory)
            assert (found.verified, found.error.code) == (None, "revoked-key")
    assert checked == [1]


@pytest.mark.parametrize("which", [0, 1])
def test_a_signature_that_was_tampered_with_is_refused_under_a_remembered_payload(letters, trusts, world, which):
    memory, moment = HeadMemory(), Moment(9, world.now * 1000)
    assert examine(compact(letters[0]), None, ORIGIN, trusts[0], moment, memory).verified is not None
    signature = letters[1]["proof"]["head"]["signatures"][which]["signature"]
    bad = changed(
        letters[1],
        ("proof", "head", "signatures", which, "signature"),
        ("B" if signature[0] == "A" else "A") + signature[1:],
    )
    assert examine(compact(bad), None, ORIGIN, trusts[0], moment, memory).error.code == "unverified"
    assert len(memory) == 1
