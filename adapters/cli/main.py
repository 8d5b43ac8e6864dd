"""The root of the command `valise`: finds each noun when it is asked for, and turns every failure into words.

Nouns of this side are in a table; those of other packages (the broker's) are entry points of the group
`valise.commands`. `--json` may stand anywhere before `--`. Exit codes are in `adapters.cli.failures`.
"""

import sys
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from adapters.cli import failures
from adapters.cli.terminal import CURRENT, Terminal, terminal

GROUP: Final = "valise.commands"
NOUNS: Final = {
    "gateway": "adapters.gateway.command:app",
    "directory": "adapters.cli.directory:app",
    "key": "adapters.cli.key:app",
    "law": "adapters.cli.law:app",
    "notice": "adapters.cli.notice:app",
    "inbox": "adapters.cli.inbox:app",
    "subscribe": "adapters.cli.subscribe:app",
    "delegate": "adapters.cli.delegate:app",
    "import": "adapters.cli.importing:app",
    "audit": "adapters.cli.audit:app",
    "doctor": "adapters.cli.doctor:app",
    "demo": "adapters.demo.command:app",
}


_COMPLETION: Final = ("install_completion", "show_completion")


class Nouns(UserDict[str, Any]):
    """The commands by their noun; each is imported when it is looked at."""

    def __init__(self) -> None:
        super().__init__({**dict.fromkeys(NOUNS), **dict.fromkeys(_others())})

    def __getitem__(self, noun: str) -> Any:
        """Import a noun's command."""
        if self.data[noun] is None:
            if noun in NOUNS:
                module, _, name = NOUNS[noun].partition(":")
                app = getattr(import_module(module), name)
            else:
                app = _others()[noun].load()
            command = get_command(app)
            command.name = noun
            # Completion is the root's: typer gives it to every application that stands alone.
            command.params = [one for one in command.params if one.name not in _COMPLETION]
            self.data[noun] = command
        return self.data[noun]


def _others() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in NOUNS}


class Root(TyperGroup):
    """The root group, which all commands run under."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = Nouns()

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line; print a failure in the command's manner and leave with its exit code."""
        words, as_json = _take_json(sys.argv[1:] if args is None else args)
        token = CURRENT.set(Terminal(as_json=as_json))
        try:
            code = super().main(words, prog_name or "valise", complete_var, False, windows_expand_args, **extra)
        except (Exception, KeyboardInterrupt) as failure:  # noqa: BLE001 - the last place where it can be explained
            _show(failure)
            code = failures.exit_code(failure)
        finally:
            CURRENT.reset(token)
        # A command's own value is not an exit code; only typer's `Exit` comes back as a number.
        number = code if isinstance(code, int) else 0
        if standalone_mode:
            sys.exit(number)
        return number


def _take_json(words: Sequence[str]) -> tuple[list[str], bool]:
    """Take `--json` out of the words before `--`; entry points get theirs as they stand, for they have their own."""
    end = words.index("--") if "--" in words else len(words)
    before, after = list(words[:end]), list(words[end:])
    as_json = "--json" in before
    noun = next((word for word in before if not word.startswith("-")), None)
    if noun is None or noun in NOUNS:
        before = [word for word in before if word != "--json"]
    return before + after, as_json


def _show(failure: BaseException) -> None:
    if isinstance(failure, failures.AnswerIsNoError):
        return
    where = terminal()
    if where.as_json:
        import json

        print(json.dumps(failures.document(failure), ensure_ascii=False), file=sys.stderr)
        return
    detail, hint = failures.sentences(failure)
    if detail:
        where.fail(detail, hint)


app = typer.Typer(
    name="valise",
    cls=Root,
    help="Signed, sealed notices between States, through a broker that cannot read them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        number = version("valise")
        if terminal().as_json:
            terminal().json({"version": number})
        else:
            print(f"valise {number}")
        raise typer.Exit


@app.callback()
def root(
    *,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    _json: Annotated[bool, typer.Option("--json", help="Print JSON; every command takes it, in any place.")] = False,
) -> None:
    """Signed, sealed notices between States, through a broker that cannot read them."""


def main() -> None:
    """Run the command line."""
    app()
