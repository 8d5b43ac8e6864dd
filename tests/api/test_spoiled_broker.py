"""Almost right requests to the broker: genuine bodies with faults, signed again by those who may, and every known address.

Whatever a participant signs, the broker's answer is one that its OpenAPI document declares, and reading goes on.
"""

import json
from dataclasses import fields, replace

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from keys.batch import Unsigned
from keys.directory import edit
from keys.envelope import open_act
from schemas.acts import ACTS
from schemas.codes import code_list
from schemas.encoding import b64encode, from_seconds
from schemas.label import Label
from schemas.leaf import EVENTS
from schemas.statement import SubscriptionBody
from tests import strategies
from tests.api.conformance import BROKER, CHECKS, EXAMPLES, SEED, loaded
from tests.api.genuine import (
    JSON,
    LINES,
    MEMBERS,
    OTHER,
    POINT,
    READER,
    SENDER,
    SERVED,
    UPLOADING,
    Life,
    target,
    unsigned,
    upload,
)
from tests.api.live import BASE, Signed, live_broker
from tests.api.spoiling import Hidden, compact, packed, spoiled, unb64, unpacked
from tests.world import EMPTY, ORIGIN, make_world

SCHEMA = loaded(BROKER)
READING = (SENDER, POINT, READER, OTHER, "audit/court")
often = settings(max_examples=EXAMPLES, database=None, print_blob=False)


@pytest.fixture(scope="module")
def world():
    return make_world(MEMBERS)


@pytest.fixture(scope="module")
def live(world, tmp_path_factory):
    with live_broker(world, tmp_path_factory.mktemp("broker")) as live:
        yield live


@pytest.fixture(scope="module")
def session(live):
    with live.session() as session:
        yield session


@pytest.fixture(scope="module")
def send(session):
    """Send a request that is held against an operation of the document."""

    def sending(method, route, *, body=None, headers=(), by=None, query=None, **parameters):
        case = SCHEMA[route][method].Case(path_parameters=parameters, query=query or {})
        fields = {**(JSON if body is not None else {}), **dict(headers)}
        given = {} if body is None else {"data": body}
        answer = case.call_and_validate(
            BASE, session, headers=fields, checks=CHECKS, auth=None if by is None else Signed(by), **given
        )
        return answer.status_code, json.loads(answer.content) if "json" in answer.headers["content-type"][0] else None

    return sending


@pytest.fixture(scope="module")
def life(live, send):
    made = Life(live)
    yield made
    # Whatever was accepted meanwhile, all of it can be read.
    read_everything(send, made)


@pytest.fixture(scope="module")
def publish(send, life):
    def publishing(body, notice_id=None):
        notice_id = notice_id or life.notice.statement.notice_id
        return send("PUT", "/v1/notices/{notice_id}", body=body, notice_id=notice_id)

    return publishing


def read_everything(send, life):
    """Read every address that there is, as everybody who may; return how many answers of each status came."""
    world, view = life.world, life.live.broker.view
    life.live.settle()
    for person in (world.people[who] for who in READING):
        for query in ({"limit": "200"}, {"limit": "1"}, {"after": "3", "topic": "central-asia.*"}):
            assert send("GET", "/v1/feed", query=query, by=person)[0] == 200
        assert send("GET", "/v1/feed/held", by=person)[0] == 200
        assert send("GET", "/v1/subscriptions", by=person)[0] == 200
        send("GET", "/v1/audit/statements", query={"limit": "200"}, by=person)
        for one in (life.notice, life.held, life.subscribed):
            send("GET", "/v1/notices/{notice_id}", notice_id=one.statement.notice_id, by=person)
            send("GET", "/v1/notices/{notice_id}/proof", notice_id=one.statement.notice_id, by=person)
    for index in range(view.size):
        leaf = life.live.loop.run(_record(life.live, index)).leaf
        person = None if leaf.type in EVENTS else world.people["audit/court"]
        assert send("GET", "/v1/log/objects/{digest}", digest=b64encode(leaf.digest), by=person)[0] == 200
    width = min(view.size, 255)
    for path in ("/v1/log/tile/entries/{number}", "/v1/log/tile/{level}/{number}"):
        level = {"level": "0"} if "{level}" in path else {}
        assert send("GET", path, number=f"000.p/{width}", **level)[0] == 200
    for name in ("timestamp.json", "1.root.json", "1.kz.json", "1.targets.json"):
        assert send("GET", "/v1/directory/metadata/{file}", file=name)[0] == 200
    for name in world.repository.files:
        if name.startswith("targets/"):
            path = name.removeprefix("targets/")
            assert send("GET", "/v1/directory/targets/{path}", path=path)[0] == 200
    for path in ("/livez", "/readyz", "/v1/log/checkpoint"):
        assert send("GET", path)[0] == 200


async def _record(live, index):
    return live.broker.serving._view_of_loop.record(index)


def test_every_known_address(send, life):
    read_everything(send, life)
    (held,) = send("GET", "/v1/feed/held", by=life.world.people[OTHER])[1]["held"]
    assert (held["notice_id"], held["article"]) == (life.held.statement.notice_id, "12(3)")


@seed(SEED)
@often
@given(data=st.data(), act=st.sampled_from(SERVED))
def test_an_envelope_with_faults(publish, life, world, data, act):
    genuine = world.sign([unsigned(world, act, life.notice)])[0]
    whole = unpacked(json.loads(genuine.envelope))
    body = compact(packed(data.draw(spoiled(whole))))
    status, _ = publish(body, genuine.statement.notice_id)
    assert 400 <= status < 500 or body == genuine.envelope


@pytest.fixture(scope="module")
def genuine_of(world, life):
    """Return an envelope of every served act, each published: a line that is left as it is gets its receipt."""
    first = life.published(world.envelope(SENDER, [READER]))
    return {act: life.published(world.sign([unsigned(world, act, first)])[0]).envelope for act in SERVED}


@seed(SEED)
@settings(often, max_examples=max(10, EXAMPLES // 5))
@given(data=st.data(), acts=st.lists(st.sampled_from(SERVED), min_size=1, max_size=5))
def test_lines_with_faults(session, genuine_of, data, acts):
    """Each line is answered as if it had come alone, whatever its neighbours are like."""
    genuine = [genuine_of[act] for act in acts]
    wrong = [data.draw(spoiled(unpacked(json.loads(one)))) if data.draw(st.booleans()) else None for one in genuine]
    lines = [one if bad is None else compact(packed(bad)) for one, bad in zip(genuine, wrong, strict=True)]
    case = SCHEMA["/v1/notices"]["POST"].Case()
    answer = case.call_and_validate(BASE, session, headers=LINES, checks=CHECKS, data=b"\n".join(lines))
    found = [json.loads(line) for line in answer.content.splitlines()]
    assert len(found) == len(lines)
    for line, good, result in zip(lines, genuine, found, strict=True):
        assert "receipt" in result if line == good else result["status"] < 500


@seed(SEED)
@often
@given(data=st.data(), act=st.sampled_from(SERVED))
def test_bytes_with_faults(publish, life, world, data, act):
    genuine = world.sign([unsigned(world, act, life.notice)])[0]
    body = bytearray(genuine.envelope)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        body[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    status, _ = publish(bytes(body), genuine.statement.notice_id)
    assert 400 <= status < 500 or bytes(body) == genuine.envelope


@seed(SEED)
@often
@given(data=st.data(), act=st.sampled_from(SERVED))
def test_a_statement_with_faults_that_its_sender_signs(publish, life, world, data, act):
    genuine = unsigned(world, act, life.notice)
    statement = data.draw(spoiled(json.loads(genuine.statement_bytes)))
    sealed = None if genuine.sealed_bytes is None else json.loads(genuine.sealed_bytes)
    if data.draw(st.booleans()):
        sealed = data.draw(spoiled(unpacked(sealed)))
    wrong = Unsigned(genuine.statement, compact(statement), None if sealed is None else compact(packed(sealed)))
    publish(world.sign([wrong])[0].envelope, genuine.statement.notice_id)


@seed(SEED)
@often
@given(data=st.data(), act=st.sampled_from(SERVED))
def test_a_head_with_faults_that_its_sender_signs(publish, life, world, data, act):
    genuine = world.sign([unsigned(world, act, life.notice)])[0]
    whole = json.loads(genuine.envelope)
    payload = data.draw(spoiled(json.loads(unb64(whole["proof"]["head"]["payload"]))))
    whole["proof"]["head"] = world.people[genuine.statement.sender].signing.sign_head(compact(payload))
    body = compact(whole)
    publish(body, genuine.statement.notice_id)


acts = st.sampled_from([ACTS[name] for name in SERVED] * 3 + list(ACTS.values()))
mostly = st.sampled_from([True] * 9 + [False])


def codes(name):
    return st.sampled_from([entry.code for entry in code_list(name).entries.values()])


@st.composite
def labels(draw, usual):
    """Return the usual label with some members taken from a strange one, or with codes from the lists."""
    strange = draw(strategies.labels)
    names = draw(st.sets(st.sampled_from([one.name for one in fields(Label)]), max_size=3))
    label = replace(usual, **{name: getattr(strange, name) for name in names})
    if draw(mostly):
        label = replace(label, kind=draw(codes("kinds")), tlp=draw(codes("tlp")), pap=draw(codes("pap")))
    return label


@seed(SEED)
@often
@given(data=st.data(), statement=strategies.statements(acts))
def test_a_strange_statement_in_perfect_form(publish, life, world, data, statement):
    sender = data.draw(st.sampled_from((SENDER, READER, OTHER)))
    usual = world.statement(sender, "issue")
    to = data.draw(st.sets(st.sampled_from(MEMBERS), min_size=1))
    expected = {
        "origin": ORIGIN,
        "sender": sender,
        "issued_at": usual.issued_at,
        "checkpoint": EMPTY,
        "attachments": (),
    }
    if statement.expires_at is not None:
        expected["expires_at"] = from_seconds(world.now + 86400)
    if statement.label is not None:
        expected["topic"] = usual.topic
        expected["label"] = data.draw(labels(usual.label))
    if statement.ref is not None:
        expected |= {"ref": life.notice.statement.notice_id, "thread": life.notice.statement.thread}
    if isinstance(statement.body, SubscriptionBody):
        expected["body"] = replace(statement.body, participant=sender)
    statement = replace(statement, **{name: value for name, value in expected.items() if data.draw(mostly)})
    parts = open_act(statement) if statement.sealed is None else world.sealed(replace(statement, sender=sender), to)
    publish(world.sign([parts], by=sender)[0].envelope, statement.notice_id)


# Uploads


@pytest.fixture(scope="module")
def versions():
    """The newest version of each role at the broker, as far as it has changed."""
    return {}


def uploaded(send, versions, name, body):
    version = versions.get(name, 1)
    headers = {"If-Match": f'"{version}"'}
    status, _ = send("PUT", "/v1/directory/roles/{role}", body=body, headers=headers, role=name)
    if status == 201:
        versions[name] = version + 1
    return status


@pytest.mark.parametrize("law", [False, True])
def test_an_upload_as_it_should_be(send, life, world, versions, law):
    name = f"{UPLOADING}-law" if law else UPLOADING
    body = compact(upload(world, UPLOADING, versions.get(name, 1), law=law))
    assert uploaded(send, versions, name, body) == 201


@seed(SEED)
@often
@given(data=st.data(), law=st.booleans())
def test_an_upload_with_faults(send, life, world, versions, data, law):
    name = f"{UPLOADING}-law" if law else UPLOADING
    whole = unpacked(upload(world, UPLOADING, versions.get(name, 1), law=law))
    uploaded(send, versions, name, compact(packed(data.draw(spoiled(whole)))))


@seed(SEED)
@often
@given(data=st.data(), law=st.booleans())
def test_metadata_with_faults_that_its_holder_signs(send, life, world, versions, data, law):
    name = f"{UPLOADING}-law" if law else UPLOADING
    whole = unpacked(upload(world, UPLOADING, versions.get(name, 1), law=law))
    metadata = whole["metadata"].value
    metadata["signed"] = data.draw(spoiled(metadata["signed"]))
    text = json.dumps(metadata["signed"], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    keys = world.law_keys[UPLOADING] if law else (world.state_keys[UPLOADING],)
    metadata["signatures"] = [{"keyid": key.keyid, "sig": key.signer().sign(text.encode()).signature} for key in keys]
    uploaded(send, versions, name, compact(packed({**whole, "metadata": Hidden(metadata)})))


@seed(SEED)
@often
@given(data=st.data(), law=st.booleans())
def test_a_file_with_faults_that_its_holder_signs(send, life, world, versions, data, law):
    name = f"{UPLOADING}-law" if law else UPLOADING
    file = f"{UPLOADING}/{'law' if law else 'directory'}.json"
    wrong = compact(data.draw(spoiled(json.loads(target(world, name, file)))))
    try:
        body = upload(world, UPLOADING, versions.get(name, 1), wrong, law=law)
    except edit.DirectoryError:
        return
    uploaded(send, versions, name, compact(body))
    assert send("GET", "/v1/feed", by=world.people[READER])[0] == 200
