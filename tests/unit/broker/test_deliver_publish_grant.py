"""Whoever may not publish something any more is not heard: what was not yet fetched is held, and comes back with the grant."""

from dataclasses import replace

import orjson
import pytest

from broker.deliver import may_receive
from broker.trust import Trust
from schemas.rules.compile import compile_rules
from tests.world import make_world

SENDER, READER = "kz/customs", "tj/police"


@pytest.fixture(scope="module")
def world():
    return make_world()


def without_publishing(world) -> Trust:
    """Return the trust under network rules in which nobody is granted to publish seizures."""
    directory = world.directory
    network = orjson.loads(directory.network)
    for grant in network["grants"]:
        grant["actions"] = [name for name in grant["actions"] if name != "publish"]
    network["grants"] = [grant for grant in network["grants"] if grant["actions"]]
    changed = replace(directory, network=orjson.dumps(network))
    rules = compile_rules(version=changed.version, boundary=None, network=changed.network, laws=changed.laws)
    return Trust(changed, rules, None, {})


@pytest.mark.parametrize("act", ["issue", "correct", "grant", "permit"])
def test_what_its_sender_may_not_publish_any_more_is_held(world, act):
    statement = world.statement(SENDER, act)
    assert may_receive(statement, READER, world.trust()) is None
    denial = may_receive(statement, READER, without_publishing(world))
    assert (denial.condition, denial.layer) == ("no-grant", "network")
    # What it wrote itself it keeps.
    assert may_receive(statement, SENDER, without_publishing(world)) is None


@pytest.mark.parametrize("act", ["recall", "withdraw", "certify", "acknowledge"])
def test_what_must_never_be_blocked_needs_no_grant_to_publish(world, act):
    statement = world.statement(SENDER, act)
    assert may_receive(statement, READER, without_publishing(world)) is None
