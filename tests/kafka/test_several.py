"""Two instances side by side: a State's role, a law, one notice sent to both, rules that change meanwhile, rolling restarts."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from keys.log.note import verify_checkpoint
from schemas.encoding import b64encode
from tests.cluster import clear
from tests.faults.deployment import ask, closing, start_all, until
from tests.kafka.instances import instances
from tests.kafka.load import Load, letters, reconcile
from tests.world import denying, make_world, put_law

pytestmark = pytest.mark.timeout(180)
SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"


@pytest.fixture
def world():
    return make_world([SENDER, "kz/focal-point", READER, OTHER])


@pytest.fixture
def pair(world, kafka, tmp_path):
    """Two instances that run, the first of which signs."""
    pair = instances(world, tmp_path, kafka, 2)
    with closing(*pair):
        start_all(pair)
        yield pair
    asyncio.run(clear(kafka))


def upload_law(world, instance, state, conditions):
    """Upload a State's law to an instance, as the world has it from now on."""
    data = world.law(state, conditions)
    put_law(world, state, data)
    version = world.repository.version_of(f"{state}-law")
    metadata = world.repository.files[f"{version}.{state}-law.json"]
    body = json.dumps({"metadata": b64encode(metadata), "targets": {f"{state}/law.json": b64encode(data)}}).encode()
    headers = {"Content-Type": "application/json", "If-Match": f'"{version - 1}"'}
    return ask(f"{instance.address}/v1/directory/roles/{state}-law", "PUT", body, headers)


def checkpoint(world, instance):
    note = ask(f"{instance.address}/v1/log/checkpoint").body
    found = verify_checkpoint(note, world.directory.log.keys)
    return found.size, found.root


def same_checkpoint(world, pair):
    return until(lambda: len(found := {checkpoint(world, one) for one in pair}) == 1 and found.pop())


def test_roles_laws_doubles_and_what_is_decided_again(world, pair):
    signer, other = pair

    # A role that is uploaded to the one that does not sign is in force at both once it is answered.
    answer = upload_law(world, other, "tj", denying())
    assert answer.status == 201, answer.body
    uploaded = answer.json()
    for one in pair:
        until(lambda one=one: checkpoint(world, one)[0] > uploaded["index"])
        stamp = ask(f"{one.address}/v1/directory/metadata/{uploaded['version']}.snapshot.json")
        assert stamp.status == 200
    assert len({ask(f"{one.address}/v1/directory/metadata/timestamp.json").body for one in pair}) == 1
    assert upload_law(world, other, "tj", denying("again")).status == 201  # over its own, as any other
    refused = ask(
        f"{other.address}/v1/directory/roles/tj-law",
        "PUT",
        b'{"metadata":"e30","targets":{}}',
        {"Content-Type": "application/json", "If-Match": '"1"'},
    )
    assert 400 <= refused.status < 500, refused.body

    # Both obey it: what tj may not have is refused or withheld there, whoever is asked.
    for one in pair:
        signed = world.envelope(SENDER, [READER, OTHER])
        assert one.publish(signed).status in (201, 422)
        assert one.signed(OTHER, f"/v1/notices/{signed.statement.notice_id}").status in (403, 404)

    # A law that changes at one is obeyed by the other at its very next publish.
    assert upload_law(world, signer, "uz", denying("now")).status == 201
    signed = world.envelope(SENDER, [READER])
    answer = other.publish(signed)
    receipt = answer.json().get("receipt")
    assert receipt is None or signed.statement.notice_id not in {item[1] for item in other.notices(READER)}
    last = upload_law(world, signer, "uz", "").json()["index"]

    # One notice sent to both at once has one leaf, and one receipt.
    size = until(lambda: (found := same_checkpoint(world, pair)[0]) > last and found)
    twins = letters(world, 20, SENDER, [READER])
    with ThreadPoolExecutor(2) as threads:
        for twin in twins:
            answers = list(threads.map(lambda one, twin=twin: until(lambda: answered(one, twin)), pair))
            assert {answer.status for answer in answers} <= {200, 201}
            assert len({answer.body for answer in answers}) == 1
            assert sum(answer.status == 201 for answer in answers) == 1
    until(lambda: same_checkpoint(world, pair)[0] == size + len(twins))

    # What one decides while the other is given one law after another is decided again, and nobody notices.
    envelopes = letters(world, 120, SENDER, [READER])
    stopped = []

    def publish():
        return [other.publish(one).status for one in envelopes if not stopped]

    with ThreadPoolExecutor(1) as threads:
        publishing = threads.submit(publish)
        for number in range(6):
            assert upload_law(world, signer, "tj", denying(f"law-{number}")).status == 201
        stopped.append(True)
        statuses = publishing.result()
    assert set(statuses) == {201}
    print(f"{len(statuses)} published under 6 laws")
    same_checkpoint(world, pair)


def answered(instance, signed):
    answer = instance.publish(signed)
    return None if answer.status == 503 else answer


def test_a_rolling_restart_loses_no_request(world, pair, tmp_path):
    load = Load(pair, letters(world, 2000, SENDER, [READER]), pause=0.1)

    async def restart():
        task = asyncio.create_task(load.run())
        for one in (pair[1], pair[0]):
            await asyncio.sleep(0.5)
            assert await asyncio.to_thread(one.end) == 0
            await asyncio.to_thread(one.start_again)
        await asyncio.sleep(0.5)
        load.over = True
        await task

    asyncio.run(restart())
    reconcile(world, pair, load, tmp_path, "each instance restarted in turn")
