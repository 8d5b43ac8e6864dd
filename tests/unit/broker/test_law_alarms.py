"""A law that cannot be evaluated denies, and the operator sees which State's and which condition."""

import orjson
import pytest

from schemas.ids import Role
from tests.broker_world import running
from tests.unit.schemas.rules.laws import law, law_condition
from tests.world import make_world, put_law


@pytest.mark.anyio
async def test_a_condition_of_a_later_vocabulary_is_an_alarm(tmp_path):
    world = make_world(["kz/customs", "uz/police"])
    conditions = [
        law_condition("cd-newer", "of-a-later-vocabulary", "deny"),
        law_condition("elsewhere", "not-permitted", "deny", applies_to={"counterparts": ["no-such-group"]}),
        law_condition("sound", "not-permitted", "deny", applies_to={"kinds": ["event"]}),
    ]
    put_law(world, Role("uz"), orjson.dumps(law("uz", conditions)))
    async with running(world, tmp_path) as broker:
        alarms = broker.serving.figures().alarms
        assert {name for name in alarms if "law" in name} == {
            "unevaluable-law-uz-cd-newer",
            "unevaluable-law-uz-elsewhere",
        }
