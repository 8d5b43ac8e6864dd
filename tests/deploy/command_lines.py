"""Whether a command line is one that `valise` takes: its nouns, verbs, options and arguments, without running anything."""

from functools import cache
from pathlib import Path

import typer
from typer.main import get_command

from adapters.cli.main import app

DEPLOY = Path(__file__).parents[2] / "deploy"
HELP = ("-h", "--help")


@cache
def root():
    return get_command(app)


def fault(words: list[str]) -> str | None:
    """Return what is wrong with a command line that begins behind `valise`; None where it can be given so."""
    command, rest = root(), [word for word in words if word != "--json"]
    while (verbs := getattr(command, "commands", None)) is not None:
        if not rest:
            return "no command"
        if rest[0] in HELP or rest[0] == "--version":
            return None
        if rest[0] not in verbs:
            return f"no such command: {rest[0]}"
        command, rest = verbs[rest[0]], rest[1:]
    if rest and rest[0] in HELP:
        return None
    try:
        given, left, _ = command.make_parser(command.context_class(command, info_name="valise")).parse_args(rest)
    except typer.TyperException as error:
        return error.format_message()
    if left:
        return f"too much: {left}"
    lacking = [one.opts[0] for one in command.params if one.required and not one.envvar and given.get(one.name) is None]
    return f"lacks {lacking}" if lacking else None


def read_unit(text: str) -> dict[str, list[tuple[str, str]]]:
    """Read a systemd unit: sections with their settings in order; raise `ValueError` for what is no unit."""
    sections: dict[str, list[tuple[str, str]]] = {}
    settings = None
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            settings = sections.setdefault(line.strip("[]"), [])
            continue
        name, equals, value = line.partition("=")
        if settings is None or not equals or not name.isalnum():
            raise ValueError(line)
        settings.append((name, value))
    return sections
