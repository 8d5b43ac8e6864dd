"""What `deploy/packs/README.md` tells a legal officer to run: each command can be given so, and the worked case runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.command_lines import DEPLOY, fault

PACKS = DEPLOY / "packs"
PAGE = (PACKS / "README.md").read_text(encoding="utf-8")
LINES = [
    line.partition(" #")[0].split()
    for block in re.findall(r"(?ms)^```\n(.*?)^```$", PAGE)
    for line in block.splitlines()
    if line.startswith("valise ")
]


@pytest.mark.parametrize("words", LINES, ids=" ".join)
def test_a_command_of_the_page_can_be_given_so(words):
    assert fault(words[1:]) is None


def test_every_pack_stands_in_the_page():
    assert {path.name for path in PACKS.glob("*.toml")} <= set(re.findall(r"`(\w+\.toml)`", PAGE))


def test_the_worked_case_runs(tmp_path):
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = {**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"}
    command = [str(PACKS / "cases" / "albania.sh"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second, third = re.split(r"(?m)^[123]\. .*\n", done.stdout)[1:]
    answers = dict(re.findall(r"(?m)^(\w\w)/focal-point\t(yes-if|no)\t", first))
    assert len(answers) == 67
    denied = {row.split("/")[0] for row in first.splitlines() if len(row.split("\t")) > 2 and row.split("\t")[2]}
    assert {"be", "nl", "kz", "tj", "uz", "us"} <= denied
    assert sum(answers[state] == "yes-if" and state not in denied for state in answers if state != "Who") == 43
    assert answers["us"] == "no"
    assert "0 yes, 8 yes if, 0 no" in second
    assert all(row.split("\t")[2] == "" for row in second.splitlines() if "/focal-point\t" in row)
    assert re.search(r"(?m)^me \(Montenegro\)\t2$", third)
    assert re.search(r'(?m)^simulation = "[0-9a-f]{64}"$', third)
    assert "Traceback" not in done.stdout + done.stderr
