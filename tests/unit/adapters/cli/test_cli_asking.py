"""What people ask and answer about notices by commands, over a real gateway and broker without sockets."""

import json
import time
from pathlib import Path

import pytest

from adapters.cli import gateway_client
from adapters.cli.gateway_client import Answer, Request
from schemas.encoding import from_seconds
from schemas.notice import examples
from tests.api.live import live_gateway
from tests.unit.adapters.cli.test_cli_notices import until
from tests.world import make_world

SENDER, POINT, READER, OTHER = "kz/customs", "kz/focal-point", "uz/focal-point", "tj/focal-point"
TOPIC = "central-asia.seizures"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    world = make_world((SENDER, POINT, READER, OTHER))
    with live_gateway(world, tmp_path_factory.mktemp("live"), SENDER, POINT, READER, OTHER) as made:
        yield made


@pytest.fixture
def by(valise, live, monkeypatch, tmp_path):
    def become(who: str):
        path = tmp_path / f"{who.replace('/', '-')}.token"
        path.write_text(live.tokens[who] + "\n")
        valise.environment.update(VALISE_GATEWAY="http://127.0.0.1:1", VALISE_TOKEN_FILE=str(path))
        return valise

    def carry(_url, _ca_file):
        def send(request: Request) -> Answer:
            body = request.body if isinstance(request.body, bytes) else b"".join(request.body or ())
            found = live.ask(request.method, request.target, body, list(request.headers.items()))
            return Answer(found.status, found.headers, found.body)

        return send

    monkeypatch.setattr(gateway_client, "exchange", carry)
    return become


def send(valise, *, handling="h0", urgency=None):
    request = {
        "topic": TOPIC,
        "notice": examples("seizure"),
        "label": {"handling": [handling], "urgency": urgency},
        "to": [READER],
    }
    Path("request.json").write_text(json.dumps(request))
    sent = valise("notice", "send", "request.json", "--wait", "10")
    assert sent["status"] == "published", sent
    return sent["id"]


def item(valise, act, ref=None):
    return until(
        lambda: next(
            (
                one
                for one in valise("inbox", "list", "--limit", "200")["items"]
                if one["act"] == act and ref in (None, one["ref"])
            ),
            None,
        )
    )


def there(valise, notice):
    """Wait for a notice in an inbox and return it."""
    return until(
        lambda: next((one for one in valise("inbox", "list", "--limit", "200")["items"] if one["id"] == notice), None)
    )


def test_access_is_asked_for_and_granted(by):
    notice = send(by(SENDER))
    ask = by(OTHER)("notice", "ask", notice, "--from", SENDER, "--topic", TOPIC, "--text", "Our case, too.")
    assert (ask["act"], ask["status"]) == ("ask_access", "published")
    question = item(by(SENDER), "ask_access", notice)
    shown = by(SENDER).run("inbox", "show", question["id"])
    assert "Our case, too." in shown.stdout
    grant = by(SENDER)("inbox", "grant", question["id"])
    assert (grant["act"], grant["status"]) == ("grant", "published")
    assert there(by(OTHER), notice)["granted_by"] == grant["notice_id"]
    plain = by(SENDER).run("notice", "status", notice).stdout
    assert "ask_access" in plain
    assert f"{OTHER}\t\tgrant" in plain
    # One's own, unasked.
    assert by(SENDER)("notice", "grant", send(by(SENDER)), "--to", POINT)["status"] == "published"
    assert by(SENDER).refused("notice", "grant", notice)["exit_code"] == 65


def test_a_use_is_asked_for_permitted_and_refused(by):
    notice = send(by(SENDER), handling="h1")
    there(by(READER), notice)
    asked = by(READER)("inbox", "ask", notice, "--use", "court", "--text", "Trial in May.")
    assert asked["status"] == "published"
    question = item(by(SENDER), "ask_use", notice)
    assert (
        by(SENDER)("inbox", "permit", question["id"], "--until", from_seconds(int(time.time()) + 86400))["act"]
        == "permit"
    )
    found = until(
        lambda: [
            one for one in by(READER)("inbox", "duties", "--state", "permitted")["duties"] if one["notice_id"] == notice
        ]
    )
    assert found[0]["code"] == "ask-before-court"
    assert by(SENDER)("inbox", "refuse", question["id"], "--reason", "source-at-risk")["act"] == "refuse"
    until(lambda: "refuse" in by(READER).run("inbox", "show", notice).stdout)
    assert "ask-before-court" in by(READER).run("inbox", "show", notice).stdout
    assert by(READER).refused("inbox", "ask", notice, "--use", "pleasure")["exit_code"] == 65


def test_an_answer_has_a_clock_and_a_text_is_deleted(by):
    notice = send(by(SENDER), urgency="8h")
    assert there(by(READER), notice)["duties"]
    plain = by(READER).run("inbox", "duties", "--state", "open").stdout
    assert "reply\topen\t" in plain
    assert notice in plain
    assert by(READER)("inbox", "consent", notice, "--text", "Agreed.")["status"] == "published"
    until(lambda: "met" in [one["state"] for one in by(READER)("inbox", "show", notice)["duties"]])
    assert by(READER)("inbox", "withdraw", notice)["status"] == "published"
    assert by(READER)("inbox", "delete", notice, "--reason", "case-closed")["status"] == "deleted"
    assert item(by(SENDER), "certify", notice)["notice"]["reason"] == "case-closed"


def test_a_focal_point_has_somebody_stand_in(by):
    since, end = from_seconds(int(time.time()) - 60), from_seconds(int(time.time()) + 3600)
    by(POINT)("delegate", SENDER, "--from", since, "--until", end)
    (one,) = until(lambda: by(SENDER)("delegate")["delegations"])
    assert (one["by"], one["to"], one["until"]) == (POINT, SENDER, end)
    assert SENDER in by(SENDER).run("delegate").stdout
    assert by(POINT).refused("delegate", SENDER)["exit_code"] != 0
    assert by(SENDER).refused("delegate", POINT, "--from", since, "--until", end)["exit_code"] != 0
