"""Files that are whole or not there: written beside, synchronised, then put in place.

A crash at any point leaves the old file or the new one, and perhaps a `.new` file beside it, which nobody reads. Once
these functions return, the file survives a loss of power.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

UNFINISHED: Final = ".new"
"""Suffix of files that a crash may leave behind."""


def write(path: Path, data: bytes) -> None:
    """Write or replace a file, readable by its owner alone; raise `OSError`, after which the old file still stands."""
    beside = _write_beside(path, data)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink()
        raise
    _synchronise(path.parent)


def create(path: Path, data: bytes) -> None:
    """Write a file that must not exist; raise `FileExistsError`, or another `OSError`."""
    beside = _write_beside(path, data)
    try:
        path.hardlink_to(beside)  # unlike a rename, this does not replace
    finally:
        beside.unlink()
    _synchronise(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, with its parents, for its owner alone."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write_beside(path: Path, data: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=UNFINISHED, dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        Path(name).unlink()
        raise
    return Path(name)


def _synchronise(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
