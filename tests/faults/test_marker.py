"""A random marker that stood in notices is nowhere at the broker: not in its files, logs, metrics, nor in its memory.

Each search is shown to find what is there: in what a recipient opens, in files that hold the marker in other guises, and
in the memory of the same processes once somebody has sent them the marker in clear.
"""

import json
import secrets
import shutil
import socket
import sqlite3
import subprocess
import time
from base64 import b64encode, urlsafe_b64encode
from contextlib import closing as closing_file
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.demo import search
from broker.init import LEDGER
from tests.faults.deployment import BrokerService, GatewayService, ask, closing, notice, until
from tests.faults.test_gateway_kill import table
from tests.world import make_world

SENDER, READER = "kz/customs", "uz/focal-point"
NUMBER = 12


def new_marker() -> str:
    return search.new_marker(secrets.token_bytes(16))


# The search itself


GUISES = {
    "plain": lambda text: text,
    "utf-16": lambda text: text.decode().encode("utf-16-le"),
    "hexadecimal": lambda text: text.hex().encode(),
    "upper hexadecimal": lambda text: text.hex().upper().encode(),
    "base64": b64encode,
    "base64url": urlsafe_b64encode,
    "base64url in base64": lambda text: b64encode(text) + b"." + urlsafe_b64encode(text),
}


@pytest.mark.parametrize("guise", GUISES)
def test_a_marker_is_found_in_every_guise_and_alignment(tmp_path, guise):
    marker = new_marker()
    for before in range(7):
        for behind in range(4):
            data = GUISES[guise](b"?" * before + marker.encode() + b"~" * behind)
            (tmp_path / "file").write_bytes(b"x" * 100 + data + b"y" * 100)
            hits, size = search.hits_in(tmp_path, marker)
            assert hits >= 1, (before, behind)
            assert size == 200 + len(data)
            assert search.hits_in_bytes(data, marker) == hits
            assert search.hits_in_bytes(data, new_marker()) == 0


@given(
    pieces=st.lists(
        st.one_of(st.binary(max_size=90), st.sampled_from(sorted(GUISES)).map(lambda name: (name,))), max_size=8
    ),
    block=st.integers(1, 300),
)
def test_block_borders_hide_and_double_nothing(tmp_path_factory, pieces, block):
    marker = search.new_marker(bytes(range(16)))
    data = b"".join(
        piece if isinstance(piece, bytes) else b" " + GUISES[piece[0]](marker.encode()) + b" " for piece in pieces
    )
    folder = tmp_path_factory.mktemp("blocks")
    (folder / "file").write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "_BLOCK", block)
        assert search.hits_in(folder, marker) == (search.hits_in_bytes(data, marker), len(data))


def test_every_file_below_a_folder_is_searched_once(tmp_path):
    marker = new_marker()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / ".hidden").write_text(marker)
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b" / ".hidden")
    assert search.hits_in(tmp_path, marker) == (1, len(marker))


def test_markers_differ():
    assert len({new_marker() for _ in range(100)}) == 100


# A deployment that has carried the marker


@contextmanager
def carried(folder, marker):
    """Yield broker and gateways that have carried the marker: posted, imported, corrected, recalled, acknowledged."""
    world = make_world([SENDER, "kz/focal-point", READER])
    broker = BrokerService(world, folder / "broker")
    with broker.config.open("a") as config:
        config.write('log_level = "debug"\n')
    broker.start()
    sender = GatewayService(world, folder / "sender", SENDER, broker=broker.address)
    reader = GatewayService(world, folder / "reader", READER, broker=broker.address, acknowledge_seconds=0.2)
    with closing(broker, sender, reader):
        sender.start()
        reader.start()
        patterns = {"patterns": ["*.*"]}
        assert reader.call(READER, "/v1/subscriptions", "PUT", patterns).status < 300
        until(lambda: candidates(sender) == {READER})
        for number in range(NUMBER):
            answer = sender.send(SENDER, notice(f"{marker}-{number}"), 20)
            assert answer.status == 201, answer.body
        headers = sender.headers(SENDER, Content_Type="text/csv")
        rows = table([f"{marker}-row-{number}" for number in range(NUMBER)])
        report = ask(f"{sender.address}/v1/imports?name={marker}.csv", "POST", rows, headers)
        assert report.json()["rows_imported"] == NUMBER
        changed = answer.json()["id"]
        text = {"notice": notice(f"{marker}-corrected")["notice"]}
        answer = sender.call(SENDER, f"/v1/notices/{changed}/correct", "POST", text, Prefer="wait=20")
        assert answer.status == 201, answer.body
        reason = {"reason": "withdrawn", "text": f"It was {marker}."}
        gone = sender.listed(SENDER, "notices")[0]["id"]
        answer = sender.call(SENDER, f"/v1/notices/{gone}/recall", "POST", reason, Prefer="wait=20")
        assert answer.status == 201, answer.body
        items = until(lambda: enough(reader.listed(READER, "inbox")))
        # The marker was there to be found: the recipient has opened it.
        opened = [item for item in items if marker in json.dumps(item["notice"])]
        assert len(opened) >= 2 * NUMBER
        for item in items[:5]:
            assert reader.call(READER, f"/v1/inbox/{item['id']}/acknowledge", "POST").status == 200
        until(lambda: any(acknowledged(one) for one in sender.listed(SENDER, "notices")), 30)
        yield broker, sender, reader


def candidates(gateway):
    found = gateway.call(SENDER, "/v1/notices/preview", "POST", notice("preview"))
    return (
        {one["participant"] for one in found.json()["candidates"] if one["permitted"]} if found.status == 200 else None
    )


def enough(items):
    return items if len(items) == 2 * NUMBER + 2 else None


def acknowledged(status):
    return any(one["acknowledged_at"] for one in status["recipients"])


def values_of(path):
    """Yield every value of a database as bytes: on the pages a long one is cut in pieces."""
    with closing_file(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        db.text_factory = bytes
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{name.decode()}"'):
                yield from (value if isinstance(value, bytes) else str(value).encode() for value in row)


@contextmanager
def half_sent(address, target, text, headers=()):
    """Hold a request open of whose body half has been sent: the text stays in the receiver's memory meanwhile."""
    where = urlsplit(address)
    fields = {"Host": where.netloc, "Content-Type": "application/json", "Content-Length": "100000", **dict(headers)}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        connection.sendall(f"{target} HTTP/1.1\r\n{head}\r\n".encode() + b'{"notice":"' + text.encode())
        time.sleep(0.5)
        yield


def memory_of(service, folder):
    """Return a file with all memory of a process; skip where that cannot be had."""
    if shutil.which("gcore") is None:
        pytest.skip("gcore is not installed (gdb)")
    done = subprocess.run(
        ["gcore", "-a", "-o", str(folder / "core"), str(service.pid)], capture_output=True, timeout=120, check=False
    )
    core = folder / f"core.{service.pid}"
    if not core.exists():
        assert b"ptrace" in done.stderr or b"not permitted" in done.stderr, done.stderr
        pytest.skip("the memory of another process may not be read here (ptrace)")
    return core


def hits_in_memory(service, folder, *texts):
    """Return how often each text is found in a process's memory."""
    place = folder / "memory"
    place.mkdir()
    try:
        memory_of(service, place)
        return [search.hits_in(place, text)[0] for text in texts]
    finally:
        shutil.rmtree(place)


@pytest.mark.loopback
@pytest.mark.timeout(180)
def test_a_marker_is_nowhere_at_the_broker(tmp_path):
    marker, planted = new_marker(), new_marker()
    with carried(tmp_path, marker) as (broker, sender, reader):
        exposed = broker.metrics
        assert b"valise_publishes_total" in exposed
        assert search.hits_in_bytes(exposed + broker.log.read_bytes(), marker) == 0
        hits, size = search.hits_in(broker.folder, marker)
        assert (hits, size > 100_000) == (0, True)
        values = list(values_of(broker.folder / LEDGER)) + list(values_of(broker.folder / "view.sqlite"))
        assert sum(map(len, values)) > 100_000
        assert search.hits_in_bytes(b"\0".join(values), marker) == 0

        # What the operator does see is found by the same searches: this is what they look at.
        known = sender.listed(SENDER, "notices")[-1]["notice_id"]
        assert search.hits_in(broker.folder, known)[0] > 0
        assert search.hits_in_bytes(b"\0".join(values), known) > 0

        assert hits_in_memory(broker, tmp_path, marker)[0] == 0
        # Would it be found in there? Somebody sends another marker in clear, and it is; the first one still is not.
        target = f"PUT /v1/notices/{known}"
        with half_sent(broker.address, target, planted):
            found, other, seen = hits_in_memory(broker, tmp_path, marker, planted, known)
        assert found == 0
        assert other > 0
        assert seen > 0
        # And in the gateway, which has it in clear.
        token = {"Authorization": f"Bearer {sender.tokens[SENDER]}"}
        with half_sent(sender.address, "POST /v1/notices", f"{planted} {marker}", token):
            assert all(hits_in_memory(sender, tmp_path, marker, planted))

        # The gateways keep nothing of it in clear on their disks, and do not speak of it.
        for gateway in (sender, reader):
            assert search.hits_in_bytes(gateway.log.read_bytes() + gateway.metrics, marker) == 0
            assert search.hits_in(gateway.folder, marker)[0] == 0
        for service in (sender, reader, broker):
            assert service.end() == 0
    # Nor once everything was written that is written at the end.
    assert search.hits_in(broker.folder, marker)[0] == 0
    assert search.hits_in_bytes(broker.log.read_bytes(), marker) == 0
    (broker.folder / "planted").write_bytes(b64encode(b"?" + marker.encode()))
    assert search.hits_in(broker.folder, marker)[0] == 1


@pytest.mark.loopback
def test_what_is_sent_in_clear_by_mistake_is_kept_nowhere(tmp_path):
    """A notice that an agency's system puts to the broker instead of its gateway, in all kinds of ways."""
    marker = new_marker()
    world = make_world([SENDER, "kz/focal-point", READER])
    broker = BrokerService(world, tmp_path / "broker")
    with broker.config.open("a") as config:
        config.write('log_level = "debug"\n')
    with closing(broker):
        broker.start()
        signed = world.envelope(SENDER, [READER])
        plain = json.dumps(notice(marker)).encode()
        envelope = json.loads(signed.envelope)
        name = signed.statement.notice_id
        mistakes = [
            ("PUT", f"/v1/notices/{name}", plain, {}),
            ("PUT", f"/v1/notices/{name}", json.dumps({**envelope, "notice": marker}).encode(), {}),
            ("PUT", f"/v1/notices/{name}", json.dumps({**envelope, marker: 1}).encode(), {}),
            ("PUT", f"/v1/notices/{name}", signed.envelope.replace(b'"proof"', f'"{marker}"'.encode(), 1), {}),
            ("PUT", f"/v1/notices/{marker}", signed.envelope, {}),
            ("PUT", f"/v1/notices/{name}?{marker}={marker}", plain, {"X-Note": marker, "User-Agent": marker}),
            ("POST", "/v1/notices", plain, {}),
            ("POST", f"/v1/{marker}", plain, {"Cookie": marker}),
            ("PUT", f"/v1/directory/roles/{marker}", plain, {"If-Match": f'"{marker}"'}),
            ("PUT", "/v1/directory/roles/kz", json.dumps({"metadata": marker, "targets": {marker: ""}}).encode(), {}),
            ("GET", f"/v1/feed?after={marker}", None, {"Signature": marker, "Signature-Input": marker}),
            ("GET", f"/v1/log/objects/{marker}", None, {}),
            ("GET", f"/v1/directory/targets/{marker}", None, {}),
            (marker[:20].upper(), "/livez", None, {}),
        ]
        for method, target, body, headers in mistakes:
            fields = {"Content-Type": "application/json", **headers} if body else headers
            answer = ask(f"{broker.address}{target}", method, body, fields)
            assert 400 <= answer.status < 500, (method, target, answer)
            assert marker.encode() not in answer.body, (method, target)
            assert search.hits_in_bytes(str(answer.headers).encode(), marker) == 0, (method, target)
        lines = [body for method, _, body, _ in mistakes if method == "PUT" and body != signed.envelope]
        answer = ask(
            f"{broker.address}/v1/notices", "POST", b"\n".join(lines), {"Content-Type": "application/x-ndjson"}
        )
        assert answer.status == 200
        assert [400 <= json.loads(line)["status"] < 500 for line in answer.body.splitlines()] == [True] * len(lines)
        assert search.hits_in_bytes(answer.body + str(answer.headers).encode(), marker) == 0
        assert search.hits_in_bytes(broker.metrics, marker) == 0
        assert broker.end() == 0
    assert search.hits_in_bytes(broker.log.read_bytes(), marker) == 0
    assert search.hits_in(broker.folder, marker)[0] == 0
