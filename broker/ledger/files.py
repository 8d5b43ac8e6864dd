"""Small files that must survive: locked, private to their owner, replaced in one step and durable once replaced."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Final

from broker.ledger.port import LedgerUnavailableError, StorageFullError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def explained(error: OSError) -> StorageFullError | LedgerUnavailableError:
    """Return the error that a failed system call is for the caller."""
    if error.errno in _FULL:
        return StorageFullError("There is no space left on the device.")
    return LedgerUnavailableError(
        f"A file of the store cannot be used now ({errno.errorcode.get(error.errno or 0, '?')})."
    )


def make_private(path: Path) -> int:
    """Open a file that only its owner can read and write, making it where it is missing; return its descriptor.

    Raises `StorageFullError` or `LedgerUnavailableError`.
    """
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explained(error) from None


def lock(path: Path) -> int:
    """Lock a file for this process until the descriptor is closed; raise `LedgerUnavailableError` when another has it."""
    descriptor = make_private(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise LedgerUnavailableError("Another process has the store open.") from None
    return descriptor


def read_file(path: Path) -> bytes | None:
    """Return a file's bytes, None where there is none; raise `LedgerUnavailableError`."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explained(error) from None


def replace_file(path: Path, data: bytes) -> None:
    """Replace a file's content: the old or the new, never a part, and durable once this returns.

    Raises `StorageFullError` or `LedgerUnavailableError`; which of the two contents is there is then open, but durably
    so only when the caller tries again.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise explained(error) from None
