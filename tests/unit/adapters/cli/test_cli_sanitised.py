"""Sanitised copies by command: shown before they are sent, and who has which text after it."""

import json
from pathlib import Path

import pytest

from schemas.notice import examples
from tests.api.live import live_gateway
from tests.unit.adapters.cli.test_cli_asking import by
from tests.unit.adapters.cli.test_cli_notices import until
from tests.unit.adapters.gateway.test_gateway_sanitised import NO_PERSONS
from tests.world import make_world

__all__ = ["by"]
SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    world = make_world(laws={"tj": NO_PERSONS})
    with live_gateway(world, tmp_path_factory.mktemp("live"), SENDER, READER, OTHER) as made:
        yield made


def test_a_copy_is_shown_and_sent(by):
    valise = by(SENDER)
    request = {"topic": "central-asia.seizures", "notice": examples("seizure"), "to": [READER, OTHER]}
    Path("request.json").write_text(json.dumps(request))
    offered = valise.run("notice", "send", "request.json", "--preview")
    assert offered.exit_code == 1
    assert f"Without /notice/nominal: {OTHER} would get it with --sanitise." in offered.stderr
    assert "Family" not in offered.stderr
    assert "family_name" not in offered.stderr
    assert "Двойное дно" in offered.stderr
    returned = valise.run("notice", "send", "request.json", "--wait", "10")
    assert returned.exit_code == 1
    assert "Ask for sanitised copies" in returned.stdout + returned.stderr
    preview = valise.run("notice", "send", "request.json", "--preview", "--sanitise")
    assert preview.exit_code == 0
    assert f"{OTHER} gets it." in preview.stderr
    rows = {line.split("\t")[0]: line.split("\t")[-1] for line in preview.stdout.splitlines()}
    assert (rows[READER], rows[OTHER]) == ("full", "sanitised")
    sent = valise("notice", "send", "request.json", "--sanitise", "--wait", "10")
    assert sent["status"] == "published"

    def copied():
        found = valise("notice", "status", sent["id"])["sanitised"]
        return found if found["status"] == "published" else None

    copy = until(copied)
    shown = valise.run("notice", "status", sent["id"]).stdout
    assert f"Sanitised copy\t{copy['id']} (published)" in shown
    assert f"{READER}\t\tnamed\tfull" in shown
    assert f"{OTHER}\t\tnamed\tsanitised" in shown
    assert f"Copy of\t{sent['id']}" in valise.run("notice", "status", copy["id"]).stdout
