"""Where a command's passphrase comes from: a named file, the service manager's credentials, or a person at a terminal.

Never the command line, never a variable that holds the passphrase itself.
"""

import getpass
import os
import stat
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli.terminal import terminal
from keys.custody.errors import CustodyError
from keys.custody.passphrase import passphrase_from

CREDENTIAL: Final = "valise-passphrase"

PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", envvar="VALISE_PASSPHRASE_FILE", metavar="FILE", help="File that holds the passphrase."
    ),
]


def passphrase(file: Path | None, question: str = "Passphrase", *, new: bool = False) -> bytes:
    """Return the passphrase: from `file`, else from `$CREDENTIALS_DIRECTORY`, else asked for, twice where it is `new`.

    Raises `CustodyError` where there is none.
    """
    if file is not None:
        _warn_if_open(file)
        return passphrase_from(file=file)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is not None and Path(folder, CREDENTIAL).exists():
        return passphrase_from(credential=(Path(folder), CREDENTIAL))
    if not sys.stdin.isatty():
        raise CustodyError("There is no passphrase.", hint="Give --passphrase-file FILE (VALISE_PASSPHRASE_FILE).")
    return passphrase_from(prompt=lambda: _ask(question, new=new))


def _ask(question: str, *, new: bool) -> str:
    first = getpass.getpass(f"{question}: ")
    if new and getpass.getpass(f"{question}, once more: ") != first:
        raise CustodyError("The two passphrases differ.")
    return first


def _warn_if_open(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except OSError:
        return  # reading it will say so
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        terminal().warn(f"{file} can be read by others; chmod 600 it.")
