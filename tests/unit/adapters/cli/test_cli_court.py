"""What is handed to a court: of a received notice only with its originator's leave, where handling or law asks for that."""

from dataclasses import replace
from pathlib import Path

import pytest

from schemas.encoding import from_seconds
from schemas.ids import Code
from tests.api.live import live_broker
from tests.unit.adapters.cli.test_cli_audit import AUDITOR, NOTICE, READER, SENDER, auditor
from tests.world import LABEL, make_world

__all__ = ["auditor"]


@pytest.fixture
def live(tmp_path):
    (tmp_path / "broker").mkdir()
    with live_broker(make_world((SENDER, READER, AUDITOR)), tmp_path / "broker") as made:
        yield made


def published(live, sender, act, to, said, **changes):
    """Publish a statement and have the log signed over it; return its id."""
    world = live.world
    signed = world.sign([world.sealed(world.statement(sender, act, **changes), to, said)])[0]
    assert live.publish(signed).status == 201
    live.loop.run(live.broker.sequencer.call(live.broker.sequencer._sign))
    return signed.statement


def about(statement):
    return {"ref": statement.notice_id, "thread": statement.thread, "topic": statement.topic}


def test_what_must_not_be_used_in_court_without_leave_is_released_with_it(auditor, live):
    label = replace(LABEL, handling=(Code("h1"),))
    notice = published(live, SENDER, "issue", [READER], NOTICE, label=replace(label, kind=Code("practice")))
    other = published(live, SENDER, "issue", [READER], NOTICE)
    release = ("audit", "bundle", notice.notice_id, "--release-content", "--out", "released.json")

    def released(*permits, folder="uz-focal-point"):
        shown = [option for permit in permits for option in ("--permit", permit.notice_id)]
        result = auditor.run(*release, "--folder", folder, *shown, "--json")
        Path("released.json").unlink(missing_ok=True)
        if result.exit_code:
            assert SENDER in result.stderr
            assert "ask-use" in result.stderr
        return result.exit_code == 0

    assert released(folder="kz-customs")  # one's own
    assert not released()
    now = live.world.now
    later, past = from_seconds(now + 86400), from_seconds(now - 86400)
    question = published(live, READER, "ask_use", [SENDER], {"kind": "ask_use", "use": "court"}, **about(notice))
    stranger = published(live, READER, "ask_use", [SENDER], {"kind": "ask_use", "use": "court"}, **about(other))
    for said, to_what, sender in (
        ({"use": "court"}, notice, READER),  # not the originator's
        ({"use": "action"}, notice, SENDER),
        ({}, notice, SENDER),
        ({"use": "court", "until": past}, notice, SENDER),
        ({"use": "court"}, other, SENDER),
        ({}, stranger, SENDER),
    ):
        reader = READER if sender == SENDER else SENDER
        assert not released(published(live, sender, "permit", [reader], {"kind": "permit", **said}, **about(to_what)))
    assert not released(question)
    for said, to_what in (({"use": "court", "until": later}, notice), ({}, question)):
        permit = published(live, SENDER, "permit", [READER], {"kind": "permit", **said}, **about(to_what))
        assert released(permit)
