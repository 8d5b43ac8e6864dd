"""Every route of the broker × everybody who may ask × their own or another's: the status, and that nothing else is shown.

The routes come from the OpenAPI document: one without an entry fails, and so does an entry without all roles.
"""

import json
import time
from dataclasses import dataclass

import pytest
import requests

from keys.directory import edit
from keys.directory.records import StateFile
from schemas.encoding import b64encode
from schemas.leaf import LeafType
from schemas.statement import RevocationBody, SubscriptionBody
from tests.api.conformance import BROKER
from tests.api.genuine import JSON, LINES, target, upload
from tests.api.live import BASE, Signed, live_broker
from tests.api.spoiling import compact, unb64
from tests.sse import Reader
from tests.world import LABEL, make_world, new_person, put_role

SENDER, READER, OUTSIDER, POINT = "kz/customs", "uz/focal-point", "tj/focal-point", "kz/focal-point"
SUSPENDED, REVOKED, CLOSED = "ge/police", "kz/police", "ge/customs"
AUDITOR, OWN_AUDITOR, FOREIGN_AUDITOR = "audit/court", "kz/auditor", "tj/auditor"
MEMBERS = (SENDER, READER, OUTSIDER, POINT, SUSPENDED, REVOKED, CLOSED, AUDITOR, OWN_AUDITOR, FOREIGN_AUDITOR)
ASKING = {
    "sender": SENDER,
    "recipient": READER,
    "outsider": OUTSIDER,
    "auditor of the network": AUDITOR,
    "auditor of the sender's State": OWN_AUDITOR,
    "auditor of another State": FOREIGN_AUDITOR,
    "suspended participant": SUSPENDED,
    "participant whose key is revoked": REVOKED,
    "participant whose key is closed": CLOSED,
}
NOBODY, STRANGER, LATE, ELSEWHERE = "nobody", "stranger", "recipient five minutes ago", "recipient for another log"
ROLES = (NOBODY, STRANGER, LATE, ELSEWHERE, *ASKING)

SIGNATURE = ("Signature-Input", "Signature", "Content-Digest")
UNSIGNED = {
    NOBODY: 401,
    STRANGER: 401,
    ELSEWHERE: 401,
    LATE: 422,
    "suspended participant": 403,
    "participant whose key is revoked": 401,
    "participant whose key is closed": 401,
}
"""Who is not let in by any route that wants a signature."""

SIX = (
    *("sender", "recipient", "outsider"),
    *("auditor of the network", "auditor of the sender's State", "auditor of another State"),
)


def signed(*statuses):
    """Return an entry: what sender, recipient, outsider, and the three auditors get; nobody else gets in."""
    return {**UNSIGNED, **dict(zip(SIX, statuses, strict=True))}


def everybody(status):
    """Return an entry of an open route: a signature, whoever's, changes nothing."""
    return dict.fromkeys(ROLES, status)


TABLE = {
    "notice": signed(200, 200, 404, 404, 404, 404),
    "proof": signed(200, 200, 404, 200, 200, 404),
    "feed": signed(200, 200, 200, 200, 200, 200),
    "feedStream": signed(200, 200, 200, 200, 200, 200),
    "held": signed(200, 200, 200, 200, 200, 200),
    "subscriptions": signed(200, 200, 200, 200, 200, 200),
    "resolveRecipients": signed(200, 200, 200, 200, 200, 200),
    "auditStatements": signed(403, 403, 403, 200, 200, 200),
    "ownStatements": signed(200, 200, 200, 200, 200, 200),
    # Of a sealed notice, of an open act, of an event that needs no signature, but none that does not hold either.
    "logObject sealed": signed(200, 200, 404, 200, 200, 404),
    "logObject open": signed(200, 200, 200, 200, 200, 200),
    "logObject event": {**signed(200, 200, 200, 200, 200, 200), NOBODY: 200},
    "logObject unknown": signed(404, 404, 404, 404, 404, 404),
    "publish": everybody(200),
    "publishMany": everybody(200),
    "uploadRole": everybody(412),
    "directoryMetadata": everybody(200),
    "directoryTarget": everybody(200),
    "checkpoint": everybody(200),
    "tile": everybody(200),
    "entries": everybody(200),
    "livez": everybody(200),
    "readyz": everybody(200),
}
OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in BROKER["paths"].items()
    for method, operation in item.items()
}


@dataclass
class Scene:
    """A broker with one sealed notice, and what there is to ask for."""

    live: object
    notice: object
    requests: dict

    def ask(self, entry, role):
        """Ask for what an entry of the table is about, in a role."""
        method, address, body, headers = self.requests[entry]
        # Only what asks a question signs its body: publishing and uploading carry signatures of their own.
        signed_body = body if entry == "resolveRecipients" else None
        prepared = requests.Request(method, BASE + address, data=signed_body).prepare()
        if (auth := self._auth(role)) is not None:
            prepared = auth(prepared)
        fields = {name: prepared.headers[name] for name in SIGNATURE if name in prepared.headers}
        return self.live.ask(method, address, body, {**headers, **fields})

    def _auth(self, role):
        people = self.live.world.people
        if role == NOBODY:
            return None
        if role == STRANGER:
            return Signed(new_person(READER))
        if role == LATE:
            return Signed(people[READER], at=int(time.time()) - 300)
        if role == ELSEWHERE:
            return Signed(people[READER], origin="test.invalid/elsewhere")
        return Signed(people[ASKING[role]])


def the_world():
    world = make_world(MEMBERS)
    state = StateFile.parse(target(world, "ge", "ge/directory.json"), "ge")
    state = edit.suspend(state, SUSPENDED)
    state = edit.close_key(state, world.people[CLOSED].request.kid, 0)
    put_role(world, "ge", state.encode())
    return world


def question():
    """Return a question about whom a notice may go to."""
    label = LABEL.to_json()
    asked = {"topic": "*.seizures", "label": label, "recipients": [READER], "states": True, "expires_at": None}
    return compact(asked)


async def leaves(live):
    view = live.broker.serving._view_of_loop
    return [view.record(index).leaf for index in range(live.broker.view.size)]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    world = the_world()
    with live_broker(world, tmp_path_factory.mktemp("broker")) as live:
        revocation = RevocationBody(REVOKED, (world.people[REVOKED].request.kid,), "lost")
        subscription = SubscriptionBody(READER, ("*.*",))
        notice = world.envelope(SENDER, [READER])
        for one in (
            world.open_envelope(REVOKED, "revoke_key", revocation),
            world.open_envelope(READER, "subscribe", subscription),
            notice,
        ):
            assert live.publish(one).status == 201
        live.settle()
        found = live.loop.run(leaves(live))
        address = f"/v1/notices/{notice.statement.notice_id}"
        made = {
            "notice": ("GET", address),
            "proof": ("GET", f"{address}/proof"),
            "feed": ("GET", "/v1/feed"),
            "feedStream": ("GET", "/v1/feed/stream"),
            "held": ("GET", "/v1/feed/held"),
            "subscriptions": ("GET", "/v1/subscriptions"),
            "auditStatements": ("GET", "/v1/audit/statements"),
            "ownStatements": ("GET", "/v1/statements"),
            "resolveRecipients": ("POST", "/v1/recipients/resolve", question(), JSON),
            "publish": ("PUT", address, notice.envelope, JSON),
            "publishMany": ("POST", "/v1/notices", notice.envelope, LINES),
            "uploadRole": (
                "PUT",
                "/v1/directory/roles/kz",
                compact(upload(world, "kz", 6)),
                {**JSON, "If-Match": '"6"'},
            ),
            "directoryMetadata": ("GET", "/v1/directory/metadata/1.kz.json"),
            "directoryTarget": (
                "GET",
                "/v1/directory/" + next(name for name in world.repository.files if name.startswith("targets/kz/")),
            ),
            "checkpoint": ("GET", "/v1/log/checkpoint"),
            "tile": ("GET", f"/v1/log/tile/0/000.p/{len(found)}"),
            "entries": ("GET", f"/v1/log/tile/entries/000.p/{len(found)}"),
            "livez": ("GET", "/livez"),
            "readyz": ("GET", "/readyz"),
            "logObject unknown": ("GET", f"/v1/log/objects/{b64encode(bytes(32))}"),
        }
        for name, kind in (("sealed", LeafType.SEALED), ("open", LeafType.OPEN), ("event", LeafType.DIRECTORY)):
            digest = next(leaf.digest for leaf in found if leaf.type is kind)
            made[f"logObject {name}"] = ("GET", f"/v1/log/objects/{b64encode(digest)}")
        yield Scene(live, notice, {name: (*parts, b"", {})[:4] for name, parts in made.items()})


def test_every_route_has_an_entry_and_every_entry_all_roles(scene):
    assert {name.split()[0] for name in TABLE} == OPERATIONS.keys()
    assert scene.requests.keys() == TABLE.keys()
    assert all(entry.keys() == set(ROLES) for entry in TABLE.values())


def test_the_document_says_which_routes_want_a_signature():
    for name, entry in TABLE.items():
        security = OPERATIONS[name.split()[0]][2].get("security", [])
        wanted = [{"signature": [], "signatureInput": []}]
        if entry[NOBODY] == 401 and not name.startswith("logObject"):
            assert security == wanted
        else:
            assert security in ([], [{}, *wanted])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("entry", TABLE)
def test_who_gets_what(scene, entry, role):
    answer = scene.ask(entry, role)
    assert answer.status == TABLE[entry][role], answer.body
    assert str(answer.status) in OPERATIONS[entry.split()[0]][2]["responses"]
    if answer.status == 401:
        assert answer.json()["type"].endswith(":unauthenticated")
    if answer.status >= 400:
        assert scene.notice.statement.notice_id not in answer.body.decode()


def kids(world, who):
    return {world.people[who].sealing.kid, world.people[who].request.kid, *world.people[who].signing.kids}


@pytest.mark.parametrize("role", ROLES)
def test_what_is_refused_is_refused_alike(scene, role):
    """Nobody learns from an answer whether a notice exists that is not for them."""
    method, _, body, headers = scene.requests["notice"]
    unknown = "/v1/notices/019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11"
    for entry, address in (("notice", unknown), ("proof", f"{unknown}/proof")):
        if TABLE[entry][role] >= 400:
            given = Scene(scene.live, scene.notice, {entry: (method, address, body, headers)}).ask(entry, role)
            there = scene.ask(entry, role)
            assert (given.status, given.json()) == (there.status, there.json())


def test_each_gets_its_own_stanza_and_nobody_elses(scene):
    for role, who, other in (("sender", SENDER, READER), ("recipient", READER, SENDER)):
        delivery = scene.ask("notice", role).json()
        assert delivery["sealed"]["header"]["kid"] == scene.live.world.people[who].sealing.kid
        assert scene.live.world.people[other].sealing.kid not in json.dumps(delivery)
    (delivered,) = scene.ask("feed", "recipient").json()["deliveries"]
    assert delivered == scene.ask("notice", "recipient").json()
    for role in SIX:
        if role != "recipient":
            assert scene.ask("feed", role).json()["deliveries"] == []
    for role in SIX:
        reader = Reader()
        reader.feed(scene.ask("feedStream", role).body)
        streamed = [json.loads(data) for data in reader.whole()]
        assert streamed == ([delivered] if role == "recipient" else [])


def test_auditors_see_statements_of_their_mandate_and_no_contents(scene):
    expected = {
        "auditor of the network": {"issue", "revoke_key", "subscribe"},
        "auditor of the sender's State": {"issue", "revoke_key"},
        "auditor of another State": set(),
    }
    hidden = {scene.live.world.people[who].sealing.kid for who in (SENDER, READER)}
    for role, acts in expected.items():
        page = scene.ask("auditStatements", role)
        assert {act for act in acts if act} == {_act(item) for item in page.json()["statements"]}
        assert not any(kid in page.body.decode() for kid in hidden)


def _act(item):

    return json.loads(unb64(item["statement"]))["act"]
