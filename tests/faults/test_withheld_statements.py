"""What stands behind open leaves and is not served as it must be: nothing is sent into that log."""

import asyncio
import json
from dataclasses import replace

import pytest

from adapters.client.transport import Answer
from schemas.encoding import b64encode
from schemas.leaf import LeafType
from tests import gateway_world
from tests.faults.between import OTHER, READER, SENDER, Scene, alarm, goes_out, scene, stays_here
from tests.gateway_world import known


def problem(status: int, code: str):
    """Return what answers with a problem instead."""
    return lambda given: gateway_world.problem(code, status)


def damaged(given: Answer) -> Answer:
    """Change one letter of what stands in base64url behind the first member's name."""
    at = 30
    letter = b"B" if given.body[at : at + 1] == b"A" else b"A"
    return replace(given, body=given.body[:at] + letter + given.body[at + 1 :])


@pytest.mark.parametrize("kind", ["subscription", "directory"])
@pytest.mark.parametrize("how", ["missing", "another", "damaged"])
def test_an_open_leaf_without_its_statement_stops_sending(tmp_path, kind, how):
    async def scenario():
        async with scene(tmp_path) as made:
            await made.subscribe(OTHER, "*.*")
            gateway = await made.gateway(SENDER)
            await known(gateway)
            other = await made.broker.serving.log_object(leaf_digest(made, LeafType.DIRECTORY), None)
            swaps = {
                "missing": problem(404, "not-found"),
                "another": lambda given: replace(given, body=json.dumps({"event": b64encode(other.document)}).encode()),
                "damaged": damaged,
            }
            made.between.wrongs["/log/objects/"] = swaps[how]
            if kind == "subscription":
                await made.subscribe(READER, "*.*")
            else:
                await made.change_law()
            assert await alarm(gateway, "open-statement-withheld")
            assert not gateway.readiness().ready
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)
            assert "open-statement-withheld" not in gateway._alarms.on

    asyncio.run(scenario())


@pytest.mark.parametrize("code", ["unauthenticated", "unknown-key", "revoked-key", "forbidden"])
def test_a_broker_that_does_not_let_read_an_open_statement_gets_nothing_more(tmp_path, code):
    """The same as not serving it: a revocation may stand there."""

    async def scenario():
        async with scene(tmp_path) as made:
            gateway = await made.gateway(SENDER)
            await known(gateway)
            made.between.wrongs["/log/objects/"] = problem(403 if code in ("revoked-key", "forbidden") else 401, code)
            await made.subscribe(READER, "*.*")
            assert await alarm(gateway, "reads-refused")
            assert not gateway.readiness().ready
            kept = await stays_here(made, gateway)
            made.between.wrongs.clear()
            await goes_out(gateway, kept)
            assert "reads-refused" not in gateway._alarms.on

    asyncio.run(scenario())


def leaf_digest(made: Scene, kind: LeafType) -> bytes:
    index, _ = made.broker.view.latest_event(kind)
    return made.broker.view.record(index).leaf.digest
