"""The recipient's gateway keeps the verdict that it opened a notice under, or kept it closed under, and shows it."""

import asyncio
from dataclasses import replace

import pytest

from adapters.gateway.status import InboxState
from adapters.gateway.subscribing import NotAllowedError
from schemas.ids import Pattern
from schemas.notice import examples
from tests.gateway_world import arrived, known, scene
from tests.unit.adapters.gateway.test_gateway_receive import MINORS, READER, SENDER, publish
from tests.world import LABEL, make_world

LANGUAGES = {"en", "fr", "de", "it", "ru", "es"}


def about(world, born):
    notice = {**examples("seizure"), "nominal": {"persons": [{"role": {"code": "driver"}, "born": born}]}}
    statement = world.statement(SENDER, label=replace(LABEL, nominal=True, kind="seizure"))
    return world.sign([world.sealed(statement, [READER], notice)])[0]


def test_what_denied_it_is_kept_with_its_article_and_versions(tmp_path):
    async def scenario():
        world = make_world(laws={"uz": MINORS})
        async with scene(tmp_path, SENDER, READER, world=world) as made:
            await publish(made, about(world, "1984-02-29"))
            await publish(made, about(world, "2020-02-29"))
            adult, minor = await arrived(made, READER, 2)
            assert minor.state is InboxState.UNREADABLE
            (why,) = minor.verdict["determining"]
            assert (why["state"], why["evaluated_by"]) == ("uz", "recipient-gateway")
            assert why["article"]
            assert why["instrument"]
            assert why["reason"]["en"] == minor.reason
            assert minor.verdict["directory"] == made[READER].network.directory.version
            # What is owed for a notice that was opened stands there once, and is read from both places.
            assert adult.verdict["permitted"]
            assert adult.verdict["obligations"] == list(adult.obligations)
            assert adult.verdict["determining"][0]["effect"] == "permit"
            assert set(adult.verdict["determining"][0]["reason"]) == LANGUAGES

    asyncio.run(scenario())


def test_who_may_not_subscribe_is_told_by_which_condition(tmp_path):
    async def scenario():
        world = make_world([SENDER], without_law=["kz"])
        async with scene(tmp_path, SENDER, world=world) as made:
            await known(made[SENDER])
            with pytest.raises(NotAllowedError) as told:
                await made[SENDER].subscribe(SENDER, (Pattern("central-asia.seizures"),))
            (denied,) = told.value.denied
            assert denied.participant == SENDER
            assert set(denied.reason) == LANGUAGES

    asyncio.run(scenario())
