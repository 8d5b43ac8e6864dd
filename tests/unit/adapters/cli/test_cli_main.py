"""The command's manners: where output goes, what a failure looks like, and which number it leaves with."""

import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from adapters.cli import main
from adapters.cli.failures import AnswerIsNoError, RemoteError, document, exit_code, sentences
from adapters.cli.terminal import Column, Terminal, clean, terminal
from schemas.errors import Error, FormError
from schemas.problems import PROBLEMS

RUN = CliRunner()


def _failing(failure: BaseException) -> typer.Typer:
    app = typer.Typer(cls=main.Root)

    @app.callback()
    def root() -> None:
        """Nothing."""

    @app.command()
    def fail() -> None:
        raise failure

    return app


@pytest.fixture
def noun(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a command of a test in the place of a noun, and run words through the real root."""

    def place(command: Any, *words: str, **options: Any) -> Any:
        module = type(sys)("noun_under_test")
        app = typer.Typer()
        app.command()(command)
        module.app = app  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "noun_under_test", module)
        monkeypatch.setitem(main.NOUNS, "doctor", "noun_under_test:app")
        return RUN.invoke(main.app, ["doctor", *words], **options)

    return place


def test_version() -> None:
    plain = RUN.invoke(main.app, ["--version"])
    assert (plain.exit_code, plain.stderr) == (0, "")
    assert plain.stdout.startswith("valise ")
    as_json = RUN.invoke(main.app, ["--version", "--json"])
    assert json.loads(as_json.stdout) == {"version": plain.stdout.split()[1]}


def test_json_may_stand_anywhere(noun: Any) -> None:
    def command(name: str) -> None:
        terminal().record({"name": name})

    assert json.loads(noun(command, "x", "--json").stdout) == {"name": "x"}
    assert json.loads(RUN.invoke(main.app, ["--json", "doctor", "x"]).stdout) == {"name": "x"}
    assert noun(command, "--", "--json").stdout == "name\t--json\n"


def test_entry_points_keep_their_own_json() -> None:
    assert main._take_json(["broker", "fsck", "--json"]) == (["broker", "fsck", "--json"], True)
    assert main._take_json(["audit", "verify", "--json"]) == (["audit", "verify"], True)
    assert main._take_json(["doctor", "--", "--json"]) == (["doctor", "--", "--json"], False)


def test_data_goes_out_and_talk_goes_beside(noun: Any) -> None:
    def command() -> None:
        terminal().say("Working.")
        terminal().warn("Careful.")
        terminal().listing("things", [{"a": 1, "b": ["x", "y"]}], [Column("A", "a"), Column("B", "b")], next=5)

    plain = noun(command)
    assert plain.stdout == "A\tB\n1\tx, y\n"
    assert plain.stderr == "Working.\nwarning: Careful.\n"
    as_json = noun(command, "--json")
    assert json.loads(as_json.stdout) == {"things": [{"a": 1, "b": ["x", "y"]}], "next": 5}
    assert as_json.stderr == "warning: Careful.\n"


def test_an_error_says_what_and_what_to_do(noun: Any) -> None:
    def command() -> None:
        raise FormError("Must be a topic.", pointer="/topic", hint="Look at the list.")

    plain = noun(command)
    assert plain.exit_code == 65
    assert plain.stdout == ""
    assert plain.stderr == "error: Must be a topic. (/topic)\nhint: Look at the list.\n"
    as_json = noun(command, "--json")
    assert as_json.exit_code == 65
    assert json.loads(as_json.stderr) == {
        "type": "urn:valise:problem:invalid-form",
        "title": PROBLEMS["invalid-form"].title,
        "status": 422,
        "detail": "Must be a topic.",
        "hint": "Look at the list.",
        "pointer": "/topic",
    }


def test_a_wrong_command_line_is_2(noun: Any) -> None:
    def command(name: str) -> None:
        raise AssertionError(name)

    missing = noun(command)
    assert missing.exit_code == 2
    assert missing.stderr.startswith("error: Missing argument")
    assert "hint: valise doctor --help" in missing.stderr
    unknown = RUN.invoke(main.app, ["docter"])
    assert unknown.exit_code == 2
    assert "Did you mean 'doctor'?" in unknown.stderr


def test_no_is_1_and_prints_nothing_more(noun: Any) -> None:
    def command() -> None:
        terminal().record({"verified": False})
        raise AnswerIsNoError

    result = noun(command)
    assert (result.exit_code, result.stdout, result.stderr) == (1, "verified\tno\n", "")


def test_exit_codes_of_typer_are_kept(noun: Any) -> None:
    def command() -> None:
        raise typer.Exit(3)

    assert noun(command).exit_code == 3


def test_a_value_of_a_command_is_no_exit_code(noun: Any) -> None:
    assert noun(lambda: None).exit_code == 0


def test_nobody_to_ask_is_an_interruption(noun: Any) -> None:
    def command() -> None:
        terminal().ask("Which words?")

    result = noun(command)
    assert result.exit_code == 130
    answered = noun(command, input="eight\n")
    assert answered.exit_code == 0


def test_a_fault_of_the_program_is_70(noun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise ZeroDivisionError

    result = noun(command)
    assert result.exit_code == 70
    assert "ZeroDivisionError at command" in result.stderr
    monkeypatch.setenv("VALISE_DEBUG", "1")
    assert "Traceback" in noun(command).stderr


def test_an_interrupt_is_130(noun: Any) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    assert noun(command).exit_code == 130


def test_the_last_words_of_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["valise", "--version"])
    with pytest.raises(SystemExit) as caught:
        main.main()
    assert caught.value.code == 0


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_problem_has_an_exit_code_of_its_kind(code: str) -> None:
    number = exit_code(Error("No.", problem=code))
    assert number == 1 or 65 <= number <= 78


@pytest.mark.parametrize(
    ("failure", "number"),
    [
        (FileNotFoundError(2, "No such file or directory", "x"), 66),
        (FileExistsError(17, "File exists", "x"), 73),
        (PermissionError(13, "Permission denied", "x"), 77),
        (OSError(5, "Input/output error"), 74),
        (OSError("odd"), 74),
        (typer.Abort(), 130),
        (typer.BadParameter("bad"), 2),
        (AnswerIsNoError(), 1),
        (Error("later", problem="unavailable"), 75),
        (Error("no", problem="denied"), 1),
    ],
)
def test_failures_and_their_numbers(failure: BaseException, number: int) -> None:
    assert exit_code(failure) == number
    detail, _ = sentences(failure)
    assert isinstance(detail, str)
    assert document(failure)["title"]


def test_a_remote_problem_is_the_same_problem_here() -> None:
    error = RemoteError(
        {
            "type": "urn:valise:problem:denied",
            "title": "t",
            "status": 422,
            "detail": "No.",
            "hint": "h",
            "offset": 7,
            "denied": [{"participant": "de/police"}],
        }
    )
    assert (error.code, error.detail, error.hint, error.offset) == ("denied", "No.", "h", 7)
    assert document(error)["denied"] == [{"participant": "de/police"}]
    assert document(error)["offset"] == 7
    assert RemoteError({"type": "urn:valise:problem:from-the-future"}).code == "internal"
    assert RemoteError({"detail": 5, "offset": "x"}).detail == "The service refused."


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (5, "5"),
        (["a", None, 1], "a, , 1"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("two\nlines\t", "two\\nlines\\t"),
        ("\u202eevil", "\\u202eevil"),
        ("\x9b", "\\x9b"),
        ("e\u0301", "\u00e9"),
        ("\ud800", "\\ud800"),
    ],
)
def test_text_for_a_terminal_is_clean(value: object, text: str) -> None:
    assert clean(value) == text


class _Tty:
    """Standard streams that say they are a terminal."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[_Tty, _Tty]]:
    """Make a terminal of the standard streams, once the test itself runs: pytest changes them before."""

    def become() -> tuple[_Tty, _Tty]:
        out, err = _Tty(), _Tty()
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "80")
        monkeypatch.delenv("NO_COLOR", raising=False)
        return out, err

    return become


Become = Callable[[], tuple[_Tty, _Tty]]


def test_on_a_terminal_there_are_tables_and_colour(tty: Become, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = tty()
    where = Terminal(as_json=False)
    where.listing("n", [{"a": "denied", "b": "[bold]x\x1b[2J"}], [Column("A", "a", whole=True), Column("B", "b")])
    assert "\x1b[1;31mdenied" in out.text
    assert "[bold]x\\x1b[2J" in out.text
    where.fail("No.", "Try.")
    assert "error: No." in err.text
    assert "hint: Try." in err.text
    monkeypatch.setenv("NO_COLOR", "1")
    out.text = ""
    where.record({"a": "denied", "b": None, "c": []}, shown=[("State", "a"), ("B", "b"), ("C", "c")])
    assert "\x1b[1;31m" not in out.text
    assert "denied" in out.text
    assert "B" not in out.text


WIDE = [
    Column("When", "when"),
    Column("Id", "id", whole=True),
    Column("Topic", "topic"),
    Column("State", "state", whole=True),
]
ROW = {"when": "2026-11-24", "id": "019ac0de-5e4d-7c1a-9b7e-0d3c5a9f2b11", "topic": "", "state": "published"}


def test_a_narrow_terminal_gets_two_lines_a_row(tty: Become, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = tty()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    Terminal(as_json=False).listing("n", [ROW, {**ROW, "topic": "osce.practice"}], WIDE)
    plain = re.sub("\x1b\\[[0-9;]*m", "", out.text)
    lines = [line.rstrip() for line in plain.splitlines()]
    assert lines == [
        f"{ROW['id']}  published",
        "    2026-11-24",
        f"{ROW['id']}  published",
        "    2026-11-24 · osce.practice",
    ]
    monkeypatch.setenv("COLUMNS", "100")
    out.text = ""
    Terminal(as_json=False).listing("n", [ROW], WIDE)
    assert "Topic" not in out.text  # nothing stands in that column
    Terminal(as_json=False).listing("n", [], WIDE)
    assert "Nothing to list." in err.text


def test_json_on_a_terminal_is_indented(tty: Become) -> None:
    out, _ = tty()
    Terminal(as_json=True).json({"a": [1]})
    assert out.text == '{\n  "a": [\n    1\n  ]\n}\n'


def test_progress_is_shown_to_people_only(tty: Become) -> None:
    _, err = tty()
    with Terminal(as_json=True).progress("Reading", 10) as done:
        done(5)
    assert err.text == ""
    with Terminal(as_json=False).progress("Reading", 10) as done:
        done(10)
    assert "Reading" in err.text


def test_what_is_told_while_a_bar_is_shown_stands_above_it(tty: Become) -> None:
    _, err = tty()
    where = Terminal(as_json=False)
    with where.progress("Reading", 10) as done:
        done(3)
        where.step("half \x1b of it")
        done(4)
    said = err.text.index("• half \\x1b of it\n")
    # The bar's line is taken back before anything else is written.
    assert err.text[:said].endswith(("\r\x1b[2K", "\r\x1b[2K\x1b[?25l"))


def test_a_step_hangs_from_its_point(tty: Become) -> None:
    _, err = tty()
    Terminal(as_json=False).step("word " * 30)
    lines = err.text.rstrip("\n").split("\n")
    assert len(lines) > 1
    assert [line[:3] for line in lines] == ["• w", *["  w"] * (len(lines) - 1)]
    Terminal(as_json=True).step("nothing")
    assert err.text.count("•") == 1


def test_a_step_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(as_json=False).step("so far")
    assert capsys.readouterr().err == "• so far\n"


def test_items_of_a_stream(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal(as_json=False).item({"a": 1}, "one\x07")
    Terminal(as_json=True).item({"a": "é"}, "one")
    assert capsys.readouterr().out == 'one\\x07\n{"a": "é"}\n'
