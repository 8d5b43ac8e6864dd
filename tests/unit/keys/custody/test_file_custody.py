"""Secrets in sealed files: what is kept comes back, and nothing else opens."""

import json
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys.custody.backup import make_backup, restore_backup
from keys.custody.errors import CustodyError
from keys.custody.file import FileCustody
from keys.custody.port import Custody
from schemas.errors import Error

WEAK = {"memory_kib": 8, "passes": 1, "lanes": 1}
PASSPHRASE = b"correct horse battery staple"

_names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,10}(\.[a-z0-9-]{1,5})?", fullmatch=True)
_secrets = st.dictionaries(_names, st.binary(min_size=1, max_size=200), max_size=4)


def opened(folder: Path, passphrase: bytes = PASSPHRASE) -> FileCustody:
    return FileCustody(folder, passphrase, **WEAK)


@pytest.fixture
def custody(tmp_path) -> FileCustody:
    return opened(tmp_path / "keys")


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secrets=_secrets)
def test_what_is_kept_comes_back(tmp_path_factory, secrets):
    folder = tmp_path_factory.mktemp("custody")
    custody: Custody = opened(folder)
    for name, secret in secrets.items():
        custody.keep(name, b"before")
        custody.keep(name, secret)
    again = opened(folder)
    assert again.names() == tuple(sorted(secrets))
    assert {name: again.open(name) for name in again.names()} == secrets


def test_files_are_for_their_owner_and_hold_no_secret(custody, tmp_path):
    custody.keep("signing", b"a secret of some length")
    folder = tmp_path / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert b"a secret of some length" not in path.read_bytes()
        assert PASSPHRASE not in path.read_bytes()


def test_a_wrong_passphrase_says_so(custody, tmp_path):
    with pytest.raises(CustodyError, match="passphrase is wrong") as caught:
        opened(tmp_path / "keys", b"incorrect")
    assert caught.value.code == "custody"
    assert "incorrect" not in str(caught.value)
    with pytest.raises(CustodyError, match="empty"):
        opened(tmp_path / "keys", b"")


def test_the_parameters_are_those_that_it_was_made_with(custody, tmp_path):
    custody.keep("a", b"b")
    again = FileCustody(tmp_path / "keys", PASSPHRASE)
    assert again.open("a") == b"b"
    about = json.loads((tmp_path / "keys" / "custody.json").read_bytes())
    assert (about["kdf"]["memory_kib"], about["kdf"]["passes"], about["kdf"]["lanes"]) == (8, 1, 1)


def test_the_default_parameters_are_strong(tmp_path):
    FileCustody(tmp_path, PASSPHRASE)
    kdf = json.loads((tmp_path / "custody.json").read_bytes())["kdf"]
    assert kdf["name"] == "argon2id"
    assert kdf["memory_kib"] >= 64 * 1024
    assert kdf["passes"] >= 3


def test_no_secret_no_name(custody):
    with pytest.raises(CustodyError, match="no secret signing"):
        custody.open("signing")
    for name in ("", "../a", "A", "a/b", ".a", "a..b", "a.", "a\n", "ä"):
        with pytest.raises(CustodyError, match="name"):
            custody.open(name)
        with pytest.raises(CustodyError, match="name"):
            custody.keep(name, b"secret")
    with pytest.raises(CustodyError, match="not empty"):
        custody.keep("a", b"")


def test_a_file_under_another_name_does_not_open(custody, tmp_path):
    custody.keep("one", b"1")
    folder = tmp_path / "keys"
    (folder / "two.sealed").write_bytes((folder / "one.sealed").read_bytes())
    assert custody.names() == ("one", "two")
    with pytest.raises(CustodyError):
        custody.open("two")


def test_damage_is_noticed(custody, tmp_path):
    custody.keep("one", b"secret")
    path = tmp_path / "keys" / "one.sealed"
    good = path.read_bytes()
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 1
        path.write_bytes(bytes(bad))
        with pytest.raises(CustodyError):
            custody.open("one")
        path.write_bytes(good[:at])
        with pytest.raises(CustodyError):
            custody.open("one")


def test_strange_files_are_no_secrets(custody, tmp_path):
    (tmp_path / "keys" / "Foreign File.sealed").write_bytes(b"")
    (tmp_path / "keys" / ".a.sealed.123.new").write_bytes(b"")
    assert custody.names() == ()


def test_secrets_without_their_parameters_are_refused(custody, tmp_path):
    custody.keep("one", b"secret")
    (tmp_path / "keys" / "custody.json").unlink()
    with pytest.raises(CustodyError, match=r"no custody\.json"):
        opened(tmp_path / "keys")


def test_whoever_makes_the_folder_first_counts(tmp_path, monkeypatch):
    """Another process makes the folder between our look and our writing."""
    other = opened(tmp_path)
    other.keep("a", b"theirs")
    looks = iter([False])
    real = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: next(looks, real(path)))
    monkeypatch.setattr(Path, "glob", lambda path, pattern: iter(()))
    assert opened(tmp_path).open("a") == b"theirs"


def _with(member: str, value: object):
    def change(about: dict) -> None:
        target = about
        *steps, last = member.split("/")
        for step in steps:
            target = target[step]
        target[last] = value

    return change


@pytest.mark.parametrize(
    "change",
    [
        _with("v", 0),
        _with("v", "2"),
        _with("check", "A"),
        _with("check", "AAAA"),
        _with("more", 1),
        _with("kdf", None),
        _with("kdf/name", "scrypt"),
        _with("kdf/salt", "AAAA"),
        _with("kdf/memory_kib", 7),
        _with("kdf/memory_kib", 2**40),
        _with("kdf/passes", 0),
        _with("kdf/passes", 2**20),
        _with("kdf/lanes", 0),
        _with("kdf/lanes", 257),
    ],
)
def test_damaged_parameters_are_refused(custody, tmp_path, change):
    path = tmp_path / "keys" / "custody.json"
    about = json.loads(path.read_bytes())
    change(about)
    path.write_bytes(json.dumps(about, separators=(",", ":")).encode())
    with pytest.raises(CustodyError, match="damaged"):
        opened(tmp_path / "keys")


def test_parameters_that_are_no_json_are_refused(custody, tmp_path):
    for bad in (b"{", bytes(2 << 20)):
        (tmp_path / "keys" / "custody.json").write_bytes(bad)
        with pytest.raises(CustodyError, match="damaged"):
            opened(tmp_path / "keys")


def test_a_newer_folder_is_refused(custody, tmp_path):
    (tmp_path / "keys" / "custody.json").write_bytes(b'{"v":2,"other":1}')
    with pytest.raises(Error) as caught:
        opened(tmp_path / "keys")
    assert caught.value.code == "newer-store"


# Backups


def test_a_backup_is_restored_elsewhere(custody, tmp_path):
    custody.keep("signing", b"one")
    custody.keep("request", b"two")
    backup = make_backup(custody, b"other", **WEAK)
    assert b"one" not in backup
    elsewhere = opened(tmp_path / "elsewhere", b"third")
    assert restore_backup(backup, b"other", elsewhere) == ("request", "signing")
    assert elsewhere.open("signing") == b"one"
    assert elsewhere.open("request") == b"two"
    assert restore_backup(backup, b"other", elsewhere) == ("request", "signing")  # twice is once


def test_a_backup_does_not_replace_another_secret(custody, tmp_path):
    custody.keep("a", b"1")
    custody.keep("b", b"2")
    backup = make_backup(custody, b"other", **WEAK)
    elsewhere = opened(tmp_path / "elsewhere")
    elsewhere.keep("b", b"3")
    with pytest.raises(CustodyError, match="another secret"):
        restore_backup(backup, b"other", elsewhere)
    assert elsewhere.names() == ("b",)


def test_backups_that_are_refused(custody):
    custody.keep("a", b"1")
    backup = make_backup(custody, b"other", **WEAK)
    with pytest.raises(CustodyError, match="passphrase is wrong"):
        restore_backup(backup, b"another", custody)
    with pytest.raises(CustodyError, match="empty"):
        make_backup(custody, b"", **WEAK)
    for bad in (
        b"",
        b"{}",
        bytes(2 << 20),
        backup[:-3],
        backup.replace(b"valise-backup", b"valise-locket"),
        b'{"v":1}',
    ):
        with pytest.raises(CustodyError):
            restore_backup(bad, b"other", custody)
    value = json.loads(backup)
    for member, wrong in (("v", 0), ("sealed", "A"), ("sealed", "AAAA"), ("kdf", 1)):
        changed = json.dumps({**value, member: wrong}, separators=(",", ":")).encode()
        with pytest.raises(CustodyError):
            restore_backup(changed, b"other", custody)
    with pytest.raises(Error) as caught:
        restore_backup(b'{"v":2}', b"other", custody)
    assert caught.value.code == "newer-store"
