"""What ends a whole run: it fails for a branch that was not taken, but where this machine cannot take all of them."""

import subprocess
import sys

import pytest

from tests import covered

CODE = """
def half(number):
    if number % 2:
        number -= 1
    return number // 2
"""
SETTINGS = """
[tool.coverage.run]
branch = true
source = ["measured"]
data_file = "data"

[tool.coverage.report]
show_missing = true
"""


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """Return a function that runs numbers through the code above, measured, and then what ends a whole run."""
    (tmp_path / "measured").mkdir()
    (tmp_path / "measured" / "__init__.py").touch()
    (tmp_path / "measured" / "halves.py").write_text(CODE)
    (tmp_path / "pyproject.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)

    def run(*numbers, lack=None):
        calls = "; ".join(f"half({number})" for number in numbers)
        (tmp_path / "run.py").write_text(f"from measured.halves import half; {calls}")
        subprocess.run([sys.executable, "-m", "coverage", "run", "run.py"], check=True)
        monkeypatch.setattr(covered, "lacking", lambda: lack)
        return covered.main()

    return run


def test_a_run_that_took_every_branch_passes(ran, capsys):
    assert ran(3, 4) == 0
    assert "100%" in capsys.readouterr().out


@pytest.mark.parametrize("number", [3, 4])
def test_a_branch_that_was_not_taken_fails_it_and_is_named(ran, capsys, number):
    assert ran(number) == 1
    printed = capsys.readouterr()
    assert "halves.py" in printed.out
    assert ("3->5" if number == 3 else "4") in printed.out
    assert "Not every branch is covered" in printed.err


def test_a_machine_that_cannot_run_everything_says_so_in_a_line(ran, capsys):
    assert ran(3, lack="There is no Java here.") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "That every branch is covered was not demanded: There is no Java here."
    assert printed.err == ""
