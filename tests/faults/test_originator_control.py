"""Originator control over real processes, each killed with SIGKILL in the midst of it: nothing is lost, nothing doubled.

An agency issues a notice under H2; another State asks for access; the broker is killed; the originator grants; the
gateway of the one who asked is killed before it has fetched, opens the original ciphertext afterwards, and asks to use it in
court; the originator permits and recalls; a gateway is killed before its certificate has gone out.
"""

import pytest

from broker.init import LEDGER
from broker.ledger.fsck import fsck
from broker.ledger.sqlite import SqliteLedger
from schemas.statement import Statement
from tests.faults.deployment import BrokerService, GatewayService, closing, notice, until
from tests.world import ORIGIN, make_world

pytestmark = pytest.mark.loopback
SENDER, READER, ASKER = "kz/customs", "uz/focal-point", "tj/focal-point"
TOPIC = "central-asia.seizures"


def test_a_notice_is_granted_permitted_and_taken_back_through_kills(tmp_path):
    world = make_world([SENDER, "kz/focal-point", READER, ASKER])
    broker = BrokerService(world, tmp_path / "broker")
    broker.start()
    names = {SENDER: "kz", READER: "uz", ASKER: "tj"}
    gateways = {
        who: GatewayService(world, tmp_path / name, who, broker=broker.address, duty_seconds=0.2)
        for who, name in names.items()
    }
    with closing(broker, *gateways.values()):
        for gateway in gateways.values():
            gateway.start()

        def call(who, target, value=None, *, wait=20, method=None):
            fields = {"Prefer": f"wait={wait}"} if wait and value is not None else {}
            done = gateways[who].call(who, target, method or ("GET" if value is None else "POST"), value, **fields)
            assert done.status < 300, done.body
            return done.json()

        def came(who, act, ref=None):
            def look():
                found = gateways[who].listed(who, "inbox")
                return next((one for one in found if one["act"] == act and ref in (None, one["ref"])), None)

            return until(look, 40)

        first = call(SENDER, "/v1/notices", notice("case-h2", READER, label={"handling": ["h1", "h2"]}))
        assert first["status"] == "published", first
        came(READER, "issue")

        broker.kill()
        ask = call(ASKER, f"/v1/notices/{first['id']}/ask-access", {"sender": SENDER, "topic": TOPIC}, wait=0)
        assert ask["status"] == "kept"
        broker.start()
        question = came(SENDER, "ask_access", first["id"])
        gateways[ASKER].kill()
        granted = call(SENDER, f"/v1/inbox/{question['id']}/grant", {})
        assert granted["status"] == "published", granted
        gateways[ASKER].start()
        item = came(ASKER, "issue")
        assert item["id"] == first["id"]
        assert item["notice"]["reference"] == "case-h2"
        original = next(one for one in gateways[READER].listed(READER, "inbox") if one["id"] == first["id"])
        assert (item["statement_digest"], item["notice"]) == (original["statement_digest"], original["notice"])
        assert (item["granted_by"], original["granted_by"]) == (call(SENDER, granted["href"])["notice_id"], None)

        asked = call(ASKER, f"/v1/inbox/{first['id']}/ask-use", {"use": "court", "urgency": "8h"})
        question = came(SENDER, "ask_use")
        assert question["duties"][-1]["code"] == "reply"
        permitted = call(SENDER, f"/v1/inbox/{question['id']}/permit", {"text": "In this case."})
        came(ASKER, "permit", call(ASKER, asked["href"])["notice_id"])
        states = {one["code"]: one["state"] for one in call(ASKER, f"/v1/inbox/{first['id']}")["duties"]}
        assert (states["ask-before-court"], states["ask-before-sharing"]) == ("permitted", "standing")
        duty = until(lambda: _met(call(SENDER, f"/v1/inbox/{question['id']}")))
        assert duty["met_by"] == call(SENDER, permitted["href"])["notice_id"]

        # The recall arrives; the certificate cannot go out before the gateway is dead.
        recalled = call(SENDER, f"/v1/notices/{first['id']}/recall", {"reason": "withdrawn"})
        assert recalled["status"] == "published"
        came(ASKER, "recall")
        gateways[ASKER].kill()
        gateways[ASKER].start()

        def certified():
            found = call(SENDER, f"/v1/notices/{first['id']}")["history"]
            return found if [one["act"] for one in found].count("certify") == 2 else None

        history = until(certified, 40)
        assert {one["participant"] for one in history if one["act"] == "certify"} == {READER, ASKER}
        assert all(one["said"]["reason"] == "recalled" for one in history if one["act"] == "certify")
        for who in (READER, ASKER):
            gone = call(who, f"/v1/inbox/{first['id']}")
            assert (gone["status"], gone["notice"]) == ("recalled", None)
            assert gone["certificate"] is not None
        assert broker.signed(ASKER, f"/v1/notices/{first['id']}").status == 404
        for gateway in gateways.values():
            gateway.end()
        broker.end()
    ledger = SqliteLedger(tmp_path / "broker" / LEDGER, ORIGIN)
    try:
        assert fsck(ledger, now_ms=world.now * 1000 + 600_000).findings == ()
        acts = [Statement.parse(record.document).act for _, record in ledger.read(0, 1000) if record.proof is not None]
    finally:
        ledger.close()
    said = [act for act in acts if act not in ("acknowledge", "subscribe")]
    assert said == ["issue", "ask_access", "grant", "ask_use", "permit", "recall", "certify", "certify"]


def _met(item):
    return next((one for one in item["duties"] if one["code"] == "reply" and one["state"] == "met"), None)
