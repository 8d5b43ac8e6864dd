"""`valise broker …`: make, check, serve and examine a broker. Data goes to standard output, talk to standard error.

Failures are `schemas.errors.Error` or `OSError`; the root command turns them into words and an exit code.
"""

import getpass
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from broker.settings import demand_private, load
from keys.custody.errors import CustodyError
from keys.custody.passphrase import passphrase_from

CREDENTIAL: Final = "valise-passphrase"

app = typer.Typer(help="The central, blind service.", no_args_is_help=True)

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file; the environment goes over it.")
]
State = Annotated[Path, typer.Option("--state", metavar="DIR", help="The broker's folder.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", envvar="VALISE_PASSPHRASE_FILE", metavar="FILE", help="File with the passphrase."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def init(
    state: State,
    origin: Annotated[str, typer.Option("--origin", help="The log's origin: host name and path.")],
    passphrase_file: PassphraseFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a broker's folder with new keys, and the file that the ceremony needs."""
    from broker.init import PUBLIC, init_broker

    public = init_broker(state.absolute(), origin, passphrase(passphrase_file, new=True))
    file = state.absolute() / PUBLIC
    if as_json:
        _json({"state": str(state.absolute()), "public": str(file), **json.loads(public.encode())})
        return
    print(file)
    _say(f"The broker of {public.origin} has its keys. Take {PUBLIC} to the ceremony: `valise directory init`.")


@app.command()
def install(
    files: Annotated[Path, typer.Argument(help="The ceremony's folder: 1.root.json, 1.targets.json, network/.")],
    state: State,
    passphrase_file: PassphraseFile = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Install the directory that the ceremony signed, before the first start."""
    from broker.clock import SystemClock
    from broker.init import install_directory

    found = read_ceremony(files)
    version = install_directory(
        state.absolute(), found, passphrase(passphrase_file), now=SystemClock().now_ms() // 1000
    )
    if as_json:
        _json({"version": version, "files": sorted(found)})
        return
    _say(f"The directory is installed as version {version}.")


def read_ceremony(folder: Path) -> dict[str, bytes]:
    """Return the files of a ceremony's folder that the broker needs, by name; raise `OSError`."""
    names = [
        "1.root.json",
        "1.targets.json",
        *(f"network/{path.name}" for path in sorted((folder / "network").iterdir())),
    ]
    return {name: (folder / name).read_bytes() for name in names}


@app.command("check-config")
def check_config(config: Config = None, *, as_json: AsJson = False) -> None:
    """Explain every setting and where it came from; refuse what is unsafe."""
    loaded = load(config, os.environ)
    rows = [
        {"name": row.name, "value": row.value, "source": row.source, "about": row.about} for row in loaded.explained
    ]
    if as_json:
        _json({"settings": rows})
    elif sys.stdout.isatty():
        _table(rows)
    else:
        for row in rows:
            print("\t".join(row.values()))
    _say("The configuration can be started with.")


@app.command()
def run(config: Config = None, passphrase_file: PassphraseFile = None) -> None:
    """Serve until told to stop."""
    from broker import serve
    from broker.app import open_broker
    from broker.telemetry import configure_logging

    loaded = load(config, os.environ)
    settings = loaded.settings
    configure_logging(level=logging.getLevelNamesMapping()[settings.log_level.upper()])
    if settings.demo:
        _say("This broker is a demonstration: nothing that it holds is meant.")
    broker = open_broker(settings, passphrase(passphrase_file or settings.passphrase_file))
    serve.run(settings, broker, _ready)


def _ready(address: str, metrics: str | None) -> None:
    _say(f"listening on {address}" + ("" if metrics is None else f", metrics on {metrics}"))


@app.command()
def fsck(
    state: State,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Look for bodies without reading them.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check the whole ledger, its bodies, the signer's head and the view, while the broker does not run."""
    from broker.examine import examine

    with _bar(shown=not as_json) as progress:
        report = examine(state.absolute(), full=not quick, progress=progress)
    if as_json:
        _json(report)
    else:
        for finding in report["findings"]:
            print(f"{finding['fault']}\t{finding['where']}")
        _say(f"{report['records']} records, {report['leaves']} leaves, root {report['root']}: {report['verdict']}.")
    if report["findings"]:
        raise typer.Exit(1)


@app.command("migrate")
def migrate_(
    config: Config = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="The ledger to move, or a mirror; default: the embedded ledger."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Move the embedded ledger into the cluster of the configuration; go on where an earlier run was interrupted."""
    from broker.moving import move_ledger
    from broker.telemetry import configure_logging

    settings = load(config, os.environ).settings
    configure_logging(level=logging.WARNING)
    with _bar(shown=not as_json) as progress:
        move = move_ledger(settings, None if file is None else file.absolute(), progress)
    if as_json:
        _json({**asdict(move), "root": move.root.hex()})
        return
    _say(
        f"{move.records} records, {move.leaves} leaves, root {move.root.hex()}: moved, {move.added} of them now, "
        f"with {move.bodies - move.erased} bodies."
    )


@app.command("frame-key")
def frame_key(
    append: Annotated[
        Path | None,
        typer.Option("--append", metavar="FILE", help="Key file to make, or to add the key to as its last line."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make a key with which instances on one cluster know each other's records; print its line, or put it in a file."""
    from keys.frame import FrameKeys, new_frame_key

    line = new_frame_key()
    name = FrameKeys.parse(line).ids[0]
    if append is None:
        if as_json:
            _json({"id": name, "line": line.decode().strip()})
        else:
            print(line.decode(), end="")
        return
    number = _append_frame_key(append.absolute(), line)
    if as_json:
        _json({"id": name, "file": str(append.absolute()), "line": number})
        return
    _say(f"Key {name} is line {number} of {append}. The first line signs; every instance needs all of them.")


def _append_frame_key(file: Path, line: bytes) -> int:
    """Add a line to a key file, in place, so that it stays its owner's; return its number."""
    from keys.frame import FrameKeys

    before = b""
    if file.exists():
        demand_private(file, "/kafka/frame_keys")
        before = file.read_bytes()
    if before:
        FrameKeys.parse(before)  # a damaged file is not made longer
        line = line if before.endswith(b"\n") else b"\n" + line
    file.touch(mode=0o600)
    with file.open("ab") as stream:
        stream.write(line)
        stream.flush()
        os.fsync(stream.fileno())
    return (before + line).count(b"\n")


def passphrase(file: Path | None, *, new: bool = False) -> bytes:
    """Return the passphrase: from `file`, else from `$CREDENTIALS_DIRECTORY`, else asked for, twice where it is `new`.

    Raises `CustodyError` where there is none, `ConfigurationError` where others can read the file.
    """
    if file is not None:
        demand_private(file, "/passphrase_file")
        return passphrase_from(file=file)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is not None and Path(folder, CREDENTIAL).exists():
        return passphrase_from(credential=(Path(folder), CREDENTIAL))
    if not sys.stdin.isatty():
        raise CustodyError("There is no passphrase.", hint="Give --passphrase-file FILE (VALISE_PASSPHRASE_FILE).")
    return passphrase_from(prompt=lambda: _ask(new=new))


def _ask(*, new: bool) -> str:
    first = getpass.getpass("Passphrase of the broker's keys: ")
    if new and getpass.getpass("Once more: ") != first:
        raise CustodyError("The two passphrases differ.")
    return first


@contextmanager
def _bar(*, shown: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal; the value is told how much is done, of how much."""
    if not shown or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("Working", total=None)
        yield lambda done, total: bars.update(bar, completed=done, total=total)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _json(value: Mapping[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def _table(rows: Sequence[Mapping[str, str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("setting", "value", "from", "what it is", box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row.values()))
    Console(highlight=False).print(table)
