"""`valise law resolve` over a real broker without sockets: the same table as at the desk, and contents stay there."""

import asyncio
import json
from pathlib import Path

import pytest
from multidict import CIMultiDict

from adapters.cli import broker_access
from adapters.client.broker import BrokerClient
from adapters.client.transport import Answer, Request
from schemas.notice import examples
from tests.api.live import live_broker
from tests.gateway_world import BASE, PASSPHRASE, plant
from tests.world import make_world

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"
LAW = """
[[condition]]
id = "seizure-at-the-end"
type = "cd-final-interception"
instrument = "An act"
article = "1"

[[condition]]
id = "not-red"
type = "not-permitted"
instrument = "An act"
article = "2"
applies_to = { tlp = ["red"] }
"""
MARKER = "a-text-that-stays-at-the-desk"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    world = make_world((SENDER, READER, OTHER, "kz/focal-point"), laws={"uz": LAW})
    with live_broker(world, tmp_path_factory.mktemp("broker")) as made:
        yield made


class Bridge:
    """Carries a command's requests to the broker, whose event loop is another one, and keeps what they said."""

    def __init__(self, live, said) -> None:
        self.live, self.said = live, said

    async def send(self, request: Request) -> Answer:
        self.said.append(request.body or b"")
        target = request.url.removeprefix(BASE)
        found = await asyncio.to_thread(
            self.live.ask, request.method, target, request.body or b"", {**request.headers, "Host": "broker.test"}
        )
        return Answer(found.status, CIMultiDict(found.headers), found.body)

    async def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def desk(valise, live, monkeypatch):
    valise.said = []
    bridge = Bridge(live, valise.said)
    monkeypatch.setattr(broker_access, "open_broker", lambda address, _: BrokerClient(address, transport=bridge))
    plant(live.world, Path("kz"), SENDER)
    valise.environment.update(
        VALISE_GATEWAY_FOLDER="kz", VALISE_PASSPHRASE_FILE=valise.secret("gw", PASSPHRASE.decode())
    )
    made = examples("controlled-delivery")
    made["reference"] = MARKER
    request = {"topic": "central-asia.controlled-deliveries", "notice": made, "label": {}}
    Path("notice.json").write_text(json.dumps(request), encoding="utf-8")
    return valise


def test_the_broker_says_who_may_get_it_and_names_what_it_does_not_see(desk):
    found = desk("law", "resolve", "notice.json", "--to", READER, "--to", OTHER)
    assert (found["sender"], found["evaluator"]) == (SENDER, "broker")
    assert [(one["participant"], one["action"]) for one in found["answers"]] == [
        (SENDER, "publish"),
        (OTHER, "receive"),
        (READER, "receive"),
    ]
    plain = desk.run("law", "resolve", "notice.json", "--to", READER)
    assert plain.exit_code == 0
    assert "uz: seizure-at-the-end" in plain.stdout
    assert "It did not see the contents" in plain.stderr
    assert desk.said
    assert not any(MARKER.encode() in body for body in desk.said)


def test_without_anybody_named_all_states_are_asked_about(desk):
    found = desk("law", "resolve", "notice.json")
    assert {one["participant"] for one in found["answers"]} == {SENDER, "kz/focal-point", READER, OTHER}
    pattern = desk("law", "resolve", "notice.json", "--to", OTHER, "--topic", "central-asia.*")
    assert len({one["topic"] for one in pattern["answers"]}) > 3


def test_nobody_may_is_no(desk):
    request = json.loads(Path("notice.json").read_text())
    request["label"] = {"tlp": "red"}
    Path("notice.json").write_text(json.dumps(request), encoding="utf-8")
    told = desk.run("law", "resolve", "notice.json", "--to", READER)
    assert told.exit_code == 1
    assert "\tno\t" in told.stdout
    assert desk.refused("law", "resolve", "notice.json", "--to", "uz/nobody")["exit_code"] == 65
