"""The auditor's commands over a real broker without sockets, and evidence checked with nothing but the file."""

import asyncio
import json
from pathlib import Path

import pytest
from multidict import CIMultiDict

from adapters.cli import broker_access
from adapters.cli.deployment import Deployment
from adapters.client.broker import BrokerClient
from adapters.client.transport import Answer, Request
from tests.api.live import live_broker
from tests.gateway_world import BASE, PASSPHRASE, plant
from tests.world import ORIGIN, make_world

SENDER, READER, AUDITOR = "kz/customs", "uz/focal-point", "audit/court"
NOTICE = {"kind": "practice", "title": {"language": "en", "text": "T"}, "practice": {"language": "en", "text": "P"}}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    world = make_world((SENDER, READER, AUDITOR))
    with live_broker(world, tmp_path_factory.mktemp("broker")) as made:
        signed = world.sign([world.sealed(world.statement(SENDER), [READER], NOTICE)])[0]
        answer = made.publish(signed)
        assert answer.status == 201
        made.notice_id, made.receipt = signed.statement.notice_id, answer.json()["receipt"]
        made.loop.run(made.broker.sequencer.call(made.broker.sequencer._sign))
        yield made


class Bridge:
    """Carries a command's requests to the broker, whose event loop is another one."""

    def __init__(self, live) -> None:
        self.live = live

    async def send(self, request: Request) -> Answer:
        target = request.url.removeprefix(BASE)
        found = await asyncio.to_thread(
            self.live.ask, request.method, target, request.body or b"", {**request.headers, "Host": "broker.test"}
        )
        return Answer(found.status, CIMultiDict(found.headers), found.body)

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def auditor(valise, live, monkeypatch):
    monkeypatch.setattr(broker_access, "open_broker", lambda address, _: BrokerClient(address, transport=Bridge(live)))
    for who in (SENDER, READER, AUDITOR):
        plant(live.world, Path(who.replace("/", "-")), who)
    Path("deployment.json").write_bytes(Deployment(ORIGIN, BASE, live.world.repository.files["1.root.json"]).encode())
    valise.environment.update(
        VALISE_GATEWAY_FOLDER="audit-court", VALISE_PASSPHRASE_FILE=valise.secret("gw", PASSPHRASE.decode())
    )
    return valise


def test_statements_are_listed(auditor, live):
    page = auditor("audit", "statements")
    (row,) = page["statements"]
    assert (row["notice_id"], row["act"], row["sender"], row["body"]) == (live.notice_id, "issue", SENDER, "kept")
    assert row["recipient_count"] == 2
    assert "More: --after" in auditor.run("audit", "statements", "--limit", "1").stderr
    assert auditor.refused("audit", "statements", "--folder", "kz-customs")["exit_code"] == 77


def test_the_log_is_verified(auditor, live):
    report = auditor("audit", "verify", "--statements")
    assert report["verified"] is True
    assert report["sealed_statements"] == 1
    plain = auditor.run("audit", "verify")
    assert "Verified\tyes" in plain.stdout
    auditor.environment["VALISE_GATEWAY_FOLDER"] = None
    nobody = auditor.run("audit", "verify", "--deployment", "deployment.json")
    assert nobody.exit_code == 0
    assert auditor.refused("audit", "verify")["exit_code"] == 78


def test_findings_are_shown_and_counted_as_no(auditor, live, monkeypatch):
    from adapters.audit.verify import Finding, Report
    from adapters.cli import audit

    async def found(*_, **__):
        return Report(1, bytes(32), 0, {"open": 1}, not_demanded=1, findings=[Finding(None, "root", "Another root.")])

    monkeypatch.setattr(audit, "verify_log", found)
    plain = auditor.run("audit", "verify")
    assert plain.exit_code == 1
    assert "\troot\tAnother root." in plain.stdout
    assert "not demanded" in plain.stderr
    as_json = auditor.run("audit", "verify", "--json")
    assert json.loads(as_json.stdout)["findings"] == [{"index": None, "problem": "root", "detail": "Another root."}]


def test_evidence_is_carried_away_and_checked(auditor, live):
    made = auditor("audit", "bundle", live.notice_id)
    assert made["content_released"] is False
    name = f"{live.notice_id}.evidence.json"
    assert made["bundle"] == name
    fingerprint = made["fingerprint"]
    checked = auditor("audit", "check", name, "--root-fingerprint", fingerprint)
    assert checked["sound"] is True
    assert checked["statement"]["sender"] == SENDER
    assert checked["notice"] is None
    plain = auditor.run("audit", "check", name, "--root-fingerprint", fingerprint)
    assert "Sound\tyes" in plain.stdout
    assert auditor.run("audit", "check", name).exit_code == 1
    assert auditor.run("audit", "check", name, "--root-fingerprint", "0" * 64).exit_code == 1
    Path("cut.json").write_bytes(Path(name).read_bytes()[:-10])
    assert auditor.run("audit", "check", "cut.json", "--root-fingerprint", fingerprint).exit_code == 1


def test_whoever_has_the_notice_may_release_it(auditor, live):
    Path("receipt.jws").write_text(live.receipt + "\n")
    for who in (SENDER, READER):
        release = ("--release-content", "--folder", who.replace("/", "-"), "--receipt-file", "receipt.jws")
        made = auditor("audit", "bundle", live.notice_id, *release, "--out", "released.json")
        assert made["content_released"] is True
        checked = auditor("audit", "check", "released.json", "--root-fingerprint", made["fingerprint"])
        assert checked["notice"] == NOTICE
    # An auditor has nothing to open.
    assert auditor.refused("audit", "bundle", live.notice_id, "--release-content")["exit_code"] == 1


def test_evidence_that_does_not_hold_is_not_written(auditor, live):
    Path("receipt.jws").write_text(live.receipt[:-6] + "AAAAAA")
    result = auditor.run("audit", "bundle", live.notice_id, "--receipt-file", "receipt.jws", "--out", "e.json")
    assert result.exit_code == 1
    assert "receipt\tfailed" in result.stdout
    assert not Path("e.json").exists()


def test_who_asks(auditor, live):
    auditor.environment["VALISE_GATEWAY_FOLDER"] = "nowhere"
    assert auditor.refused("audit", "statements")["type"].endswith("enrolment")
    auditor.environment["VALISE_GATEWAY_FOLDER"] = None
    assert auditor.refused("audit", "statements")["exit_code"] == 78
    plant(live.world, Path("both"), SENDER, AUDITOR)
    several = auditor.refused("audit", "statements", "--folder", "both")
    assert "audit/court, kz/customs" in several["hint"]
    assert auditor("audit", "statements", "--folder", "both", "--participant", AUDITOR)["statements"]
    assert auditor.refused("audit", "bundle", "x", "--folder", "both", "--participant", AUDITOR)["exit_code"] == 65


LAW = """form = "law/1"
state = "uz"
version = "2"

[[condition]]
id = "purposes"
type = "purpose"
instrument = "Act"
article = "3"
parameters = { purposes = ["border-security"] }
"""


def test_a_change_of_law_is_simulated_over_the_log_as_an_auditor_reads_it(auditor):
    Path("uz.toml").write_text(LAW)
    found = auditor("law", "simulate", "uz.toml", "--log", "--deployment", "deployment.json")
    assert (found["notices"], found["in_full"], found["changed"]) == (1, 0, ["uz"])
    assert found["old"]["directory"] > 0
