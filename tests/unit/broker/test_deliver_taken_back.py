"""What takes something back is withheld from a suspended participant only, whatever its law says."""

from dataclasses import replace

import pytest

from broker.deliver import may_receive
from broker.trust import Trust
from keys.directory import edit
from schemas.ids import Role
from schemas.rules.compile import compile_rules
from tests.world import denying, make_world

SENDER, READER = "kz/customs", "tj/police"


@pytest.fixture(scope="module")
def denied():
    return make_world(laws={"tj": denying()})


def suspending(world) -> Trust:
    directory = world.directory
    roles = {**directory.roles, Role("tj"): edit.suspend(directory.roles[Role("tj")], READER)}
    changed = replace(directory, roles=roles)
    rules = compile_rules(version=changed.version, boundary=None, network=changed.network, laws=changed.laws)
    return Trust(changed, rules, None, {})


@pytest.mark.parametrize("act", ["recall", "stop", "withdraw"])
def test_what_takes_back_is_held_from_the_suspended_only(denied, act):
    statement = denied.statement(SENDER, act, ref=denied.statement(SENDER).notice_id)
    assert may_receive(statement, READER, denied.trust()) is None
    assert may_receive(statement, READER, suspending(denied)).condition == "suspended"


@pytest.mark.parametrize("act", ["issue", "correct", "certify", "consent"])
def test_everything_else_is_held_by_a_law_that_denies_it(denied, act):
    statement = denied.statement(SENDER, act, ref=denied.statement(SENDER).notice_id)
    assert may_receive(statement, READER, denied.trust()).condition == "no-seizures"
