"""Genuine bodies for the broker: an envelope of every served act, and uploads of a State's file and of its law."""

import json
from dataclasses import replace

from keys.directory import edit
from keys.envelope import open_act
from schemas.encoding import from_seconds
from schemas.ids import ParticipantId
from schemas.statement import DelegationBody, RevocationBody, SubscriptionBody
from tests.api.spoiling import b64, compact
from tests.granting import unsigned_grant
from tests.world import LABEL, World, denying

SENDER, POINT, READER, OTHER = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"
LOSER, UPLOADING = "ge/police", "mn"
"""Who revokes its keys, and the State whose files change: nobody else needs them."""

MEMBERS = (SENDER, POINT, READER, OTHER, "audit/court", LOSER, "mn/focal-point")
SERVED = (
    *("issue", "correct", "acknowledge", "subscribe", "unsubscribe", "revoke_key"),
    *("ask_access", "ask_use", "permit", "refuse", "certify", "consent", "withdraw", "delegate", "grant", "recall"),
)
"""In an order in which each can be published after those before it."""

JSON = {"Content-Type": "application/json"}
LINES = {"Content-Type": "application/x-ndjson"}
DENY = denying()


def unsigned(world: World, act: str, first):
    """Return the parts of an envelope that a broker would take; `first` is a published notice of the sender's."""
    if act == "issue":
        return world.sealed(world.statement(SENDER), [READER])
    if act in ("correct", "recall"):
        about = {"ref": first.statement.notice_id, "thread": first.statement.thread}
        # The one who is granted it has it as well.
        return world.sealed(world.statement(SENDER, act, **about), [READER, POINT])
    about = {"ref": first.statement.notice_id, "thread": first.statement.thread} if first is not None else {}
    if act == "ask_access":
        return world.sealed(world.statement(LOSER, act, **about), [SENDER], {"kind": act})
    if act in ("ask_use", "permit", "refuse", "certify", "consent", "withdraw"):
        return world.sealed(world.statement(READER, act, **about), [SENDER], {"kind": act, "reason": "example"})
    if act == "grant":
        return unsigned_grant(world, first, [POINT])
    if act == "delegate":
        until = from_seconds(world.now + 3600)
        return open_act(world.statement(POINT, act, body=DelegationBody(SENDER, from_seconds(world.now), until)))
    if act == "acknowledge":
        told = {"notice_id": first.statement.notice_id, "statement_digest": b64(bytes(32))}
        return world.sealed(world.statement(READER, act), [SENDER], {"notices": [told]})
    if act == "revoke_key":
        body = RevocationBody(ParticipantId(LOSER), (world.people[LOSER].request.kid,), "lost")
        return open_act(world.statement(LOSER, act, body=body))
    return open_act(world.statement(READER, act, body=SubscriptionBody(ParticipantId(READER), ("*.precursors",))))


def upload(world: World, role: str, version: int, data: bytes | None = None, *, law=False) -> dict:
    """Return the upload of a role's next version: its file as it is, or other bytes in its place."""
    name = f"{role}-law" if law else role
    path = f"{role}/{'law' if law else 'directory'}.json"
    data = data or target(world, name, path)
    present = world.repository.files[f"{world.repository.version_of(name)}.{name}.json"]
    metadata = json.loads(edit.set_target(edit.renew(present, now=world.now), path, data))
    metadata["signed"]["version"] = version + 1
    signed = compact(metadata)
    for key in world.law_keys[role] if law else (world.state_keys[role],):
        signed = edit.sign_role(signed, key)
    return {"metadata": b64(signed), "targets": {path: b64(data)}}


def target(world: World, name: str, path: str) -> bytes:
    """Return a role's file as it is in the world."""
    files = world.repository.files
    signed = json.loads(files[f"{world.repository.version_of(name)}.{name}.json"])["signed"]
    folder, _, file = path.rpartition("/")
    return files[f"targets/{folder}/{signed['targets'][path]['hashes']['sha256']}.{file}"]


def put(live, role: str, version: int, body, headers=JSON):
    """Upload a role whose newest version is `version`."""
    return live.ask("PUT", f"/v1/directory/roles/{role}", compact(body), {**dict(headers), "If-Match": f'"{version}"'})


class Life:
    """What a broker has seen by now: notices between some participants, subscriptions, one law that has changed."""

    def __init__(self, live):
        self.live, self.world = live, live.world
        self.notice = self.published(self.world.envelope(SENDER, [READER]))
        self.held = self.published(self.world.envelope(SENDER, [OTHER], label=replace(LABEL, kind="seizure")))
        self.subscribed = self.published(self.world.sign([unsigned(self.world, "subscribe", None)])[0])
        law = upload(self.world, "tj", 1, self.world.law("tj", DENY), law=True)
        assert put(live, "tj-law", 1, law).status == 201
        live.settle()
        for who in (READER, OTHER):
            assert live.signed(who, "GET", "/v1/feed").status == 200

    def published(self, signed):
        answer = self.live.publish(signed)
        assert answer.status == 201, answer.body
        return signed
