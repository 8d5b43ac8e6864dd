"""The commands of people and scripts at a gateway, over a real gateway and broker without sockets."""

import asyncio
import gzip
import http.client
import io
import itertools
import json
import socket
import threading
import time
from pathlib import Path

import pytest

from adapters.cli import gateway_client, inbox
from adapters.cli.gateway_client import Answer, GatewayClient, Request, blocks, exchange
from adapters.cli.words import article, headline, reason, when
from schemas.errors import Error
from schemas.notice import examples
from tests import asgi
from tests.api.live import live_gateway
from tests.unit.adapters.gateway.http.fake import FakeService
from tests.world import make_world

SENDER, READER = "kz/customs", "uz/focal-point"
FORBIDS = """
[[condition]]
id = "no-red"
instrument = "Act on Secrets"
article = "12(3)"
effect = "deny"
applies_to = { direction = "receive", tlp = ["red"] }
[condition.explanation]
en = "What is red may not be kept here."
fr = "Ce qui est rouge ne peut être conservé ici."
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    world = make_world((SENDER, "kz/focal-point", READER), laws={"uz": FORBIDS})
    with live_gateway(world, tmp_path_factory.mktemp("live"), SENDER, READER) as made:
        yield made


@pytest.fixture
def by(valise, live, monkeypatch, tmp_path):
    """Let commands speak to the gateway by somebody's token."""

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
    Path("seizure.json").write_text(json.dumps(examples("seizure")))
    return become


def until(look, seconds: float = 10):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


TOPIC = ("--topic", "central-asia.seizures")


def test_a_notice_goes_and_comes(by):
    valise = by(READER)
    shown = valise("subscribe", "central-asia.*", "*.precursors")
    assert [one["pattern"] for one in shown["subscriptions"]] == ["*.precursors", "central-asia.*"]
    until(lambda: all(one["index"] is not None for one in valise("subscribe")["subscriptions"]))
    assert len(valise("subscribe", "--end", "*.precursors")["subscriptions"]) == 1
    valise("subscribe", "osce.practice")
    assert [one["pattern"] for one in valise("subscribe", "--only", "central-asia.*")["subscriptions"]] == [
        "central-asia.*"
    ]

    valise = by(SENDER)
    preview = valise("notice", "send", "seizure.json", *TOPIC, "--preview")
    assert preview["would_send"] is True
    assert READER in [one["participant"] for one in preview["candidates"]]
    everywhere = valise.run("notice", "send", "seizure.json", *TOPIC, "--preview", "--pattern", "central-asia.*")
    assert f"central-asia.routes\t{READER}\tyes" in everywhere.stdout
    sent = valise("notice", "send", "seizure.json", *TOPIC, "--wait", "10", "--idempotency-key", "case-1")
    assert sent["status"] == "published"
    again = valise("notice", "send", "seizure.json", *TOPIC, "--wait", "0", "--idempotency-key", "case-1")
    assert again["id"] == sent["id"]
    plain = valise.run("notice", "status", sent["id"])
    assert "published" in plain.stdout
    assert f"{READER}\t\tsubscription" in plain.stdout
    assert sent["id"] in valise.run("notice", "status").stdout
    assert [one["id"] for one in valise("notice", "status", "--status", "published")["notices"]].count(sent["id"]) == 1
    assert "More: --after " in valise.run("notice", "status", "--limit", "1").stderr

    valise = by(READER)
    items = until(lambda: [one for one in valise("inbox", "list")["items"] if one["id"] == sent["id"]])
    assert items[0]["status"] == "opened"
    assert "Heroin 12.480 kg" in valise.run("inbox", "list").stdout
    followed = valise.run("inbox", "follow", "--rounds", "1")
    assert sent["id"] in followed.stdout
    assert "Waiting for notices" in followed.stderr
    lines = valise.run("inbox", "follow", "--rounds", "1", "--after", "0", "--json").stdout.splitlines()
    assert sent["id"] in [json.loads(line)["id"] for line in lines]
    shown = valise.run("inbox", "show", sent["id"])
    assert "nominal.persons 1.documents 1.number\tAC0000000" in shown.stdout
    assert valise("inbox", "show", sent["id"])["notice"] == examples("seizure")
    done = valise("inbox", "ack", sent["id"])
    assert done["items"][0]["acknowledged_at"]
    assert sent["id"] not in [one["id"] for one in valise("inbox", "list", "--unacknowledged")["items"]]

    valise = by(SENDER)
    until(lambda: valise("notice", "status", sent["id"])["recipients"][-1]["acknowledged_at"])
    assert valise("notice", "correct", sent["id"], "seizure.json")["act"] == "correct"
    assert valise("notice", "recall", sent["id"], "--text", "Sorry.")["act"] == "recall"
    assert "recalled" in valise.run("notice", "status", sent["id"]).stdout
    assert valise.refused("notice", "correct", sent["id"], "seizure.json")["exit_code"] == 1


def test_a_denied_notice_names_the_article(by, monkeypatch):
    monkeypatch.setenv("LANG", "fr_FR.UTF-8")
    valise = by(SENDER)
    Path("red.json").write_text(
        json.dumps(
            {"topic": "central-asia.seizures", "notice": examples("seizure"), "label": {"tlp": "red"}, "to": [READER]}
        )
    )
    preview = valise.run("notice", "send", "red.json", "--preview")
    assert preview.exit_code == 1
    assert "Act on Secrets, 12(3): Ce qui est rouge" in preview.stdout
    sent = valise.run("notice", "send", "red.json", "--wait", "10")
    assert sent.exit_code == 1
    assert f"{READER}\tdenied\tAct on Secrets, 12(3): Ce qui est rouge" in sent.stdout
    as_json = valise.run("notice", "send", "red.json", "--preview", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)["would_send"]) == (1, False)


def test_what_the_gateway_refuses_is_said(by):
    valise = by(SENDER)
    assert valise.refused("notice", "send", "seizure.json", "--topic", "x")["pointer"] == "/topic"
    assert valise.refused("notice", "send", "seizure.json")["exit_code"] == 65
    assert valise.refused("notice", "send", "missing.json", *TOPIC)["exit_code"] == 66
    Path("bad.json").write_text("{")
    assert valise.refused("notice", "send", "bad.json", *TOPIC)["type"].endswith("malformed")
    assert valise.refused("notice", "status", "019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11")["exit_code"] == 1
    assert valise.refused("inbox", "show", "x")["exit_code"] == 1
    valise.input = json.dumps(examples("seizure"))
    assert valise.run("notice", "send", "-", *TOPIC, "--preview").exit_code in (0, 1)
    Path("token").write_text("valise_wrong")
    assert valise.refused("inbox", "list", "--token-file", "token")["exit_code"] == 77


def test_a_table_is_imported(by):
    valise = by(READER)
    valise("subscribe", "central-asia.*")
    until(lambda: all(one["index"] is not None for one in valise("subscribe")["subscriptions"]))
    valise = by(SENDER)
    head = "REGION;SUBREGION;COUNTRY;ADMINISTRATIVE_DIVISION;PLACE;SEIZURE_DATE;DRUG_NAME;AMOUNT;DRUG_UNIT;HIDING_PLACE"
    head += ";INSTALLATION;TRANSPORT;PRODUCING_COUNTRY;DEPARTURE_COUNTRY;DESTINATION_COUNTRY;ROUTING\n"
    row = "Asia;Central Asia;Kazakhstan;;Almaty;2014-03-0{};Heroin;1.5;Kilogram;;;;;;;\n"
    text = head + "".join(row.format(day) for day in range(1, 4)) + "Asia;;;;;;;;;;;;;;;\n"
    Path("t.csv").write_text(text)
    dry = valise.run("import", "t.csv", "--dry-run")
    assert dry.exit_code == 1
    assert "would be imported\t3" in dry.stdout
    Path("t.csv.gz").write_bytes(gzip.compress(text.encode()))
    real = valise.run("import", "t.csv.gz", "--wait", "--routes", "--json")
    assert real.exit_code == 1  # a row was refused
    report = json.loads(real.stdout)
    assert (report["rows_read"], report["rows_imported"], report["rows_refused"]) == (4, 3, 1)
    found = {one["id"]: one["status"] for one in valise("notice", "status", "--limit", "200")["notices"]}
    assert {found[name] for name in report["notices"]} == {"published"}
    assert report["outcomes"] == {"published": 3}
    assert json.loads(valise.run("import", "t.csv.gz", "--json").stdout)["already_known"] == 3
    Path("good.csv").write_text(head + row.format(9))
    assert valise("import", "good.csv")["rows_refused"] == 0
    # Nobody subscribes to Western Europe: the notice comes back.
    Path("other.csv").write_text(head + row.format(8).replace("Kazakhstan", "France"))
    came_back = valise.run("import", "other.csv", "--wait")
    assert came_back.exit_code == 0
    assert "Notices returned\t1" in came_back.stdout
    assert "Why they came back" in came_back.stderr
    assert valise.refused("import", "seizure.json")["exit_code"] == 65
    assert valise.run("import", "nowhere.csv").exit_code == 2


def test_the_doctor(by, live, tmp_path):
    valise = by(SENDER)
    well = valise.run("doctor", "--json")
    found = json.loads(well.stdout)
    assert found["checks"][0] == {
        "name": "gateway",
        "state": "ok",
        "detail": "The gateway answers, and knows the token.",
        "hint": None,
    }
    # The gateway of this test sends no practice notice.
    assert (well.exit_code, found["well"]) == (1, False)
    plain = valise.run("doctor")
    assert "error: The missing step: practice kz/customs." in plain.stderr
    nobody = valise.run("doctor", "--token-file", "nowhere", "--json")
    assert (nobody.exit_code, json.loads(nobody.stdout)["checks"][0]["state"]) == (1, "missing")
    closed = valise.run("doctor", "--folder", tmp_path / "none", "--passphrase-file", valise.secret("x"), "--json")
    assert json.loads(closed.stdout)["checks"][0]["name"] == "keys"


def test_alarms_are_told(by, monkeypatch):
    from adapters.cli import doctor

    alarm = {"kind": "fork", "since": "s", "seen": "s", "detail": "Two roots.", "stops": True, "over": None}
    monkeypatch.setattr(doctor, "_asked", lambda *_: ([], [alarm]))
    result = by(SENDER).run("doctor")
    assert result.exit_code == 1
    assert "warning: fork since s: Two roots." in result.stderr


def test_following_goes_on_from_page_to_page_and_comes_back_to_none(by, live, monkeypatch):
    monkeypatch.setattr(inbox, "_PAGE", 1)
    service = FakeService(tuple(live.gateway.participants))
    reader = live.gateway.participants[0]
    read = service.arrive(reader)
    names = [service.arrive(reader) for _ in range(3)]
    late = service.arrive(reader)
    asyncio.run(service.acknowledge(reader, (read, late)))

    def slept(_seconds):
        # What was printed is read meanwhile, and something new arrives.
        asyncio.run(service.acknowledge(reader, tuple(names)))
        names.append(service.arrive(reader))

    monkeypatch.setattr(inbox.time, "sleep", slept)
    from adapters.gateway.http.api import create_api

    app = create_api(service, live.stored)

    def carry(_url, _ca_file):
        def send(request: Request) -> Answer:
            found = asyncio.run(asgi.request(app, request.method, request.target, headers=request.headers))
            return Answer(found.status, found.headers, found.body)

        return send

    valise = by(reader)
    monkeypatch.setattr(gateway_client, "exchange", carry)
    lines = valise.run("inbox", "follow", "--rounds", "3", "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == names
    assert len(names) == 5


# The way there


def test_no_gateway_or_token_is_a_configuration(valise):
    valise.secret("token")
    assert valise.refused("inbox", "list")["exit_code"] == 78
    assert valise.refused("inbox", "list", "--gateway", "http://127.0.0.1:1")["exit_code"] == 78
    for url in (
        "http://example.org",
        "ftp://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1/v1",
        "http://10.0.0.1:80",
    ):
        refused = valise.refused("inbox", "list", "--gateway", url, "--token-file", "token.pass")
        assert refused["type"] == "urn:valise:problem:configuration", url


@pytest.mark.parametrize("text", ["", "\n", "valise_a\nvalise_b", "{\r}", "valise_\u00e9"])
def test_a_file_that_holds_no_token(valise, text):
    Path("token.pass").write_text(text, encoding="utf-8")
    refused = valise.refused("inbox", "list", "--gateway", "http://127.0.0.1:1", "--token-file", "token.pass")
    assert (refused["exit_code"], refused["type"]) == (78, "urn:valise:problem:configuration")


def test_a_gateway_that_is_away(valise, monkeypatch):
    def away(_url, _ca_file):
        def send(_request):
            raise ConnectionRefusedError(111, "Connection refused")

        return send

    valise.secret("token")
    monkeypatch.setattr(gateway_client, "exchange", away)
    refused = valise.refused("inbox", "list", "--gateway", "http://127.0.0.1:1", "--token-file", "token.pass")
    assert (refused["exit_code"], refused["type"]) == (69, "urn:valise:problem:broker-away")


def test_an_answer_that_is_no_gateways(valise):
    client = GatewayClient(lambda _: Answer(502, {"content-type": "text/html"}, b"<h1>"), "t")
    with pytest.raises(Error) as caught:
        client.call("GET", "/v1/inbox")
    assert caught.value.code == "internal"
    assert GatewayClient(lambda _: Answer(204, {}, b""), "t").call("GET", "/") == {}


class _Server(threading.Thread):
    """Answers one connection on a pair of sockets with what it is given, after it has read some bytes."""

    def __init__(self, answer: bytes, *, read: int = 1 << 16) -> None:
        super().__init__()
        self.client, self._server = socket.socketpair()
        self._answer, self._read = answer, read
        self.seen = b""

    def run(self) -> None:
        self.seen = self._server.recv(self._read)
        self._server.sendall(self._answer)
        self._server.close()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8470", "https://gw.example", "unix:/run/valise.sock", "http://[::1]:1"]
)
def test_a_request_as_it_goes_out(url, monkeypatch):
    server = _Server(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    def connect(self) -> None:
        self.sock = server.client

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connect)
    monkeypatch.setattr(http.client.HTTPSConnection, "connect", connect)
    monkeypatch.setattr(gateway_client._UnixConnection, "connect", connect)
    server.start()
    answer = exchange(url, None)(Request("GET", "/v1/inbox?limit=1", {"X": "y"}))
    server.join()
    assert (answer.status, answer.object()) == (200, {})
    assert server.seen.startswith(b"GET /v1/inbox?limit=1 HTTP/1.1\r\n")
    assert b"X: y" in server.seen


def test_an_early_answer_is_heard_and_nonsense_is_an_error(monkeypatch):
    early = _Server(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", read=100)
    nonsense = _Server(b"SSH-2.0\r\n\r\n")
    for server in (early, nonsense):
        monkeypatch.setattr(
            http.client.HTTPConnection, "connect", lambda self, server=server: setattr(self, "sock", server.client)
        )
        server.start()
        if server is early:
            body = itertools.repeat(b"x" * 65536, 400)
            request = Request("POST", "/", {"Content-Length": str(400 * 65536)}, iter(body))
            assert exchange("http://localhost:1", None)(request).status == 413
        else:
            with pytest.raises(ConnectionError):
                exchange("http://localhost:1", None)(Request("GET", "/", {}))
        server.join()


def test_a_file_goes_out_in_blocks():
    told: list[int] = []
    data = b"x" * 150_000
    assert b"".join(blocks(io.BytesIO(data), told.append)) == data
    assert told[-1] == len(data)


def test_words(monkeypatch):
    assert when("2026-11-24T12:00:59Z") == "2026-11-24 12:00"
    assert (when(None), reason(None), reason({}), headline(None)) == ("", "", "", "")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    assert reason({"en": "No.", "de": "Nein."}) == "Nein."
    monkeypatch.setenv("LC_ALL", "C")
    assert reason({"en": "No.", "de": "Nein."}) == "No."
    assert article({"instrument": "Act", "article": ""}) == "Act"
    assert headline({"kind": "unheard-of"}) == "unheard-of"


def test_a_change_of_law_is_simulated_over_the_gateways_own_boxes(by):
    """What it sent is there with its recipients, and what it sent and received with its content."""
    valise = by(SENDER)
    sent = valise("notice", "send", "seizure.json", *TOPIC, "--to", READER, "--wait", "20")
    head = 'form = "law/1"\nstate = "{}"\nversion = "1"\n\n[[condition]]\nid = "c"\ninstrument = "A"\narticle = "1"\n'
    Path("laws").mkdir()
    for state in ("kz", "uz"):
        quiet = 'type = "not-permitted"\napplies_to = { kinds = ["event"] }\n'
        Path(f"laws/{state}.toml").write_text(head.format(state) + quiet)
    Path("uz.toml").write_text(
        head.format("uz") + 'type = "purpose"\nparameters = { purposes = ["border-security"] }\n'
    )
    mine = valise("law", "simulate", "uz.toml", "--laws", "laws")
    assert sent["id"] in [one["notice_id"] for one in mine["refused"]["listed"]]
    assert mine["refused"]["listed"][0]["condition"]["article"] == "1"
    assert mine["in_full"] >= 1
    reading = by(READER)
    until(lambda: any(one["id"] == sent["id"] for one in reading("inbox", "list")["items"]))
    theirs = reading("law", "simulate", "uz.toml", "--laws", "laws")
    assert theirs["in_full"] >= 1
    assert {"state": "uz", "notices": theirs["loses"][0]["notices"]} == theirs["loses"][0]
