"""A command line in a folder of its own: no variables of the machine, cheap Argon2id, nobody at the terminal."""

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from adapters.cli import main
from keys.custody import backup
from keys.custody.file import FileCustody

CHEAP = {"memory_kib": 64, "passes": 1, "lanes": 1}


@pytest.fixture(autouse=True)
def cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileCustody.__init__, "__kwdefaults__", CHEAP)
    monkeypatch.setattr(backup.make_backup, "__kwdefaults__", CHEAP)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep the services' log lines out of what a command prints: here they are one process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level


class Valise:
    """Runs command lines as a person or a program would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}
        self.input: str | None = None

    def secret(self, name: str, text: str | None = None) -> str:
        """Write a passphrase file and return its name."""
        path = self.folder / f"{name}.pass"
        path.write_text(text or f"passphrase of {name}\n")
        path.chmod(0o600)
        return str(path)

    def run(self, *words: object):
        """Run a command line and return typer's result."""
        return CliRunner(env=self.environment).invoke(main.app, [str(word) for word in words], input=self.input)

    def __call__(self, *words: object):
        """Run a command line that must succeed, and return what it prints as JSON."""
        result = self.run(*words, "--json")
        assert result.exit_code == 0, (result.stdout, result.stderr, result.exception)
        return json.loads(result.stdout) if result.stdout else None

    def refused(self, *words: object) -> dict:
        """Run a command line that must fail with a problem, and return it with its exit code."""
        result = self.run(*words, "--json")
        assert result.exit_code != 0, result.stdout
        return {**json.loads(result.stderr.splitlines()[-1]), "exit_code": result.exit_code}


@pytest.fixture
def valise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Valise:
    for name in list(os.environ):
        if name.startswith(("VALISE_", "CREDENTIALS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    monkeypatch.chdir(tmp_path)
    return Valise(tmp_path)
