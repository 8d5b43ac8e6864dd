"""A law that cannot be evaluated is an alarm at each gateway, until it can be."""

import asyncio

import orjson

from schemas.ids import Role
from tests.gateway_world import scene, until, upload
from tests.unit.schemas.rules.laws import law, law_condition
from tests.world import make_world, put_law

SENDER, READER = "kz/customs", "uz/focal-point"
SOUND = law_condition("sound", "not-permitted", "deny", applies_to={"kinds": ["event"]})
NEWER = law_condition("newer", "of-a-later-vocabulary", "deny")


def test_a_condition_that_cannot_be_evaluated_is_named_until_it_is_gone(tmp_path):
    async def scenario():
        world = make_world([SENDER, READER])
        put_law(world, Role("uz"), orjson.dumps(law("uz", [NEWER, SOUND])))
        async with scene(tmp_path, SENDER, world=world) as made:
            await until(lambda: "law" in made[SENDER]._alarms.on)
            assert "newer of uz cannot be evaluated" in made[SENDER]._alarms.on["law"]
            assert made[SENDER].readiness().ready
            before = world.repository
            data = orjson.dumps({**law("uz", [SOUND]), "version": "2"})
            put_law(world, Role("uz"), data)
            await upload(made.broker, world, "uz-law", "uz/law.json", before)
            await until(lambda: "law" not in made[SENDER]._alarms.on)

    asyncio.run(scenario())
