"""Files are whole or not there, whatever fails on the way."""

import errno
import os
import stat
from pathlib import Path

import pytest

from keys.custody import durable


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a"
    durable.write(path, b"one")
    durable.write(path, b"two")
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert left(tmp_path) == {"a"}


def test_a_file_is_created_once(tmp_path):
    path = tmp_path / "a"
    durable.create(path, b"one")
    with pytest.raises(FileExistsError):
        durable.create(path, b"two")
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert left(tmp_path) == {"a"}


def test_folders_are_for_their_owner(tmp_path):
    durable.make_folder(tmp_path / "a" / "b")
    durable.make_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "a"
    durable.write(path, b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        if call == "write":
            patch.setattr(os, "fdopen", _full)
        elif call == "replace":
            patch.setattr(Path, "replace", fail)
        else:
            patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="full"):
            durable.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert left(tmp_path) == {"a"}


class _Full:
    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def write(self, _: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor


def _full(descriptor: int, _: str) -> _Full:
    return _Full(descriptor)


def test_a_folder_that_cannot_be_synchronised_is_reported(tmp_path, monkeypatch):
    calls = []
    real = os.fsync

    def second_fails(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.EIO, "bad disk")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", second_fails)
    with pytest.raises(OSError, match="bad disk"):
        durable.write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"  # failed but perhaps persisted: the caller may not go on
