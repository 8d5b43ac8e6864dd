"""`valise demo --case albania`: every claim of the worked case holds on a running deployment, and nothing runs on behind it."""

import json
import signal
import subprocess
import time

import pytest

from adapters.demo.case_report import Sheet
from adapters.demo.processes import DemoError
from tests.faults.deployment import COMMAND
from tests.kafka.test_demo import demand_ended

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(300)]
CLAIMS = 25


def test_the_case_is_told_to_its_end(tmp_path):
    folder = tmp_path / "case"
    done = subprocess.run(
        [*COMMAND, "demo", "--case", "albania", "--state", str(folder), "--json"],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    claims = [claim for step in told["steps"] for claim in step["claims"]]
    assert [step["step"] for step in told["steps"]] == list(range(1, 10))
    assert len(claims) >= CLAIMS
    assert all(claim["holds"] for claim in claims)
    # The report that enters the draft is the one that is shown as a page.
    report = json.loads((folder / "simulation.json").read_bytes())
    page = (folder / "simulation.html").read_text(encoding="utf-8")
    assert report["withheld"]["listed"][0]["notice_id"] in page
    assert {item.name for item in folder.glob("law-keys-*")} == {"law-keys-al-legal-officer", "law-keys-al-focal-point"}
    demand_ended(folder)


def test_a_claim_that_does_not_hold_ends_it(capsys):
    sheet = Sheet(quiet=False)
    sheet.step("A step")
    sheet.claim("This holds", holds=True)
    with pytest.raises(DemoError, match="Step 1 does not show what it says: That does not"):
        sheet.claim("That does not", holds=False)
    assert [claim["holds"] for claim in sheet.steps[0]["claims"]] == [True, False]
    assert "✗ That does not" in capsys.readouterr().out


def test_the_case_takes_no_rows(tmp_path):
    done = subprocess.run(
        [*COMMAND, "demo", "--case", "albania", "--rows", "3"], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "--case takes" in done.stderr


def test_nothing_runs_on_when_it_is_ended(tmp_path):
    folder = tmp_path / "case"
    running = subprocess.Popen(
        [*COMMAND, "demo", "--case", "albania", "--state", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    )
    until = time.monotonic() + 120
    while not (folder / "gateway-al" / "address").exists():
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)
    running.send_signal(signal.SIGTERM)
    _, errors = running.communicate(timeout=60)
    assert running.returncode != 0
    assert str(folder) in errors
    demand_ended(folder)
