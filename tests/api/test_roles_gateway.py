"""Every route of the gateway × every token × one's own or another's: the status, and that nothing else is shown.

The routes come from the OpenAPI document: one without an entry fails, and so does an entry without all roles.
"""

import pytest

from tests.api.conformance import GATEWAY
from tests.api.genuine_gateway import MEMBERS, READER, SENDER, Life
from tests.api.genuine_gateway import TABLE as ROWS
from tests.api.live import live_gateway
from tests.api.spoiling import compact
from tests.world import make_world

POINT, AWAY = "kz/focal-point", "tj/focal-point"
STRANGERS = (
    *("no token", "no scheme", "another scheme", "two tokens", "an unknown token", "a token of wrong form"),
    *("a revoked token", "a token of somebody who is not served"),
)
ROLES = (*STRANGERS, "sender", "recipient", "another")
ASKING = {"sender": SENDER, "recipient": READER, "another": POINT}


def served(sender, recipient, another):
    """Return an entry of a route that wants a token: nobody gets in without one that counts."""
    return {**dict.fromkeys(STRANGERS, 401), "sender": sender, "recipient": recipient, "another": another}


TABLE = {
    "sendNotice": served(202, 202, 202),
    "previewNotice": served(200, 200, 200),
    "listNotices": served(200, 200, 200),
    "getNotice": served(200, 404, 404),
    "correctNotice": served(202, 409, 409),
    "recallNotice": served(202, 409, 409),
    "listInbox": served(200, 200, 200),
    "streamInbox": served(200, 200, 200),
    "getInboxItem": served(404, 200, 404),
    "acknowledgeNotice": served(404, 200, 404),
    "acknowledgeNotices": served(200, 200, 200),
    "askAccess": served(202, 422, 202),
    "grantNotice": served(202, 409, 409),
    "askUse": served(404, 202, 404),
    "grantAsked": served(404, 409, 404),
    "permitUse": served(404, 409, 404),
    "refuseAsked": served(404, 202, 404),
    "consentTo": served(404, 202, 404),
    "withdrawConsent": served(404, 202, 404),
    "deleteText": served(404, 200, 404),
    "listDuties": served(200, 200, 200),
    "listDelegations": served(200, 200, 200),
    "delegate": served(403, 202, 422),
    "listSubscriptions": served(200, 200, 200),
    "setSubscriptions": served(200, 200, 200),
    "endSubscription": served(404, 200, 404),
    "importTable": served(200, 200, 200),
    "doctor": served(200, 200, 200),
    "live": dict.fromkeys(ROLES, 200),
    "ready": dict.fromkeys(ROLES, 200),
}
OWN = {("grantAsked", "recipient"), ("permitUse", "recipient")}
"""What is there for one, and not to be answered so."""

OPERATIONS = {
    operation["operationId"]: (method.upper(), path, operation)
    for path, item in GATEWAY["paths"].items()
    for method, operation in item.items()
}
JSON = {"Content-Type": "application/json"}
UNKNOWN = "019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11"


class Scene:
    """A gateway of three participants; one has sent notices to another."""

    def __init__(self, live):
        self.live = live
        self.life = Life(live)
        gone, self.revoked = live.stored.new(SENDER, "gone")
        live.stored.revoke(gone.id)
        self.foreign = live.stored.new(AWAY, "elsewhere")[1]

    def ask(self, name, role, notice=None):
        """Do what an operation does, about a notice that the sender has sent to the recipient."""
        method, path, _ = OPERATIONS[name]
        if name == "endSubscription":
            self.life.put("/v1/subscriptions", {"patterns": ["*.*"]}, READER)
        # A recalled notice can be neither recalled nor corrected: each request has one of its own.
        fresh = name in ("recallNotice", "correctNotice") and role == "sender" and notice is None
        notice = notice or (self.life.published() if fresh else self.life.corrected)
        address = path.replace("{id}", notice).replace("{pattern}", "*.*")
        body, headers = b"", {}
        if name == "importTable":
            address, body, headers = f"{address}?dry_run=true", ROWS, {"Content-Type": "text/csv"}
        elif name in self.life.bodies:
            value = self.life.bodies[name][2]
            # Nobody names itself.
            to = {"to": [SENDER]} if isinstance(value.get("to"), list) and role == "recipient" else {}
            body, headers = compact({**value, **to}), JSON
        return self.live.ask(method, address, body, [*headers.items(), *self.fields(role)])

    def fields(self, role):
        tokens = self.live.tokens
        if role in ASKING:
            return [("Authorization", f"Bearer {tokens[ASKING[role]]}")]
        return {
            "no token": [],
            "no scheme": [("Authorization", tokens[SENDER])],
            "another scheme": [("Authorization", f"Basic {tokens[SENDER]}")],
            "two tokens": [
                ("Authorization", f"Bearer {tokens[SENDER]}"),
                ("Authorization", f"Bearer {tokens[READER]}"),
            ],
            "an unknown token": [("Authorization", f"Bearer {tokens[SENDER][:-8]}AAAAAAAA")],
            "a token of wrong form": [("Authorization", f"Bearer {tokens[SENDER]}A")],
            "a revoked token": [("Authorization", f"Bearer {self.revoked}")],
            "a token of somebody who is not served": [("Authorization", f"Bearer {self.foreign}")],
        }[role]


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    world = make_world((*MEMBERS, AWAY))
    with live_gateway(world, tmp_path_factory.mktemp("gateway"), SENDER, READER, POINT) as live:
        yield Scene(live)


def test_every_route_has_an_entry_and_every_entry_all_roles():
    assert TABLE.keys() == OPERATIONS.keys()
    assert all(entry.keys() == set(ROLES) for entry in TABLE.values())


def test_the_document_says_which_routes_want_a_token():
    for name, entry in TABLE.items():
        security = OPERATIONS[name][2].get("security", [])
        assert security == ([{"token": []}] if entry["no token"] == 401 else [])


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", TABLE)
def test_who_gets_what(scene, name, role):
    answer = scene.ask(name, role)
    assert answer.status == TABLE[name][role], answer.body
    assert str(answer.status) in OPERATIONS[name][2]["responses"]
    if answer.status == 401:
        assert answer.headers["www-authenticate"] == 'Bearer realm="valise gateway"'
        assert answer.json()["type"].endswith(":unauthenticated")
        assert not any(token in answer.body.decode() for token in (*scene.live.tokens.values(), scene.revoked))


@pytest.mark.parametrize("role", ROLES)
def test_what_is_another_s_is_as_if_it_were_not_there(scene, role):
    for name, entry in TABLE.items():
        if "{id}" in OPERATIONS[name][1] and entry[role] >= 400 and (name, role) not in OWN:
            there, nowhere = scene.ask(name, role), scene.ask(name, role, UNKNOWN)
            assert (there.status, there.json()) == (nowhere.status, nowhere.json())


def test_lists_are_one_s_own(scene):
    def listed(name, member, role):
        return {one["id"] for one in scene.ask(name, role).json()[member]}

    sent = {scene.life.corrected, scene.life.recalled}
    assert sent <= listed("listNotices", "notices", "sender")
    assert not sent & (listed("listNotices", "notices", "recipient") | listed("listNotices", "notices", "another"))
    assert sent <= listed("listInbox", "items", "recipient")
    assert not sent & (listed("listInbox", "items", "sender") | listed("listInbox", "items", "another"))
    (mine,) = scene.ask("acknowledgeNotices", "another").json().values()
    assert mine == []
