"""Where a passphrase comes from: one source, one line break less, never nothing."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from keys.custody.errors import CustodyError
from keys.custody.passphrase import Stretching, passphrase_from


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b"secret\n\n", b"secret\n"),
        (b" a ", b" a "),
    ],
)
def test_files_and_credentials(tmp_path, content, expected):
    (tmp_path / "keys").write_bytes(content)
    assert passphrase_from(file=tmp_path / "keys") == expected
    assert passphrase_from(credential=(tmp_path, "keys")) == expected


def test_prompts():
    assert passphrase_from(prompt=lambda: "geheim ä") == "geheim ä".encode()


def test_nothing_is_no_passphrase(tmp_path):
    (tmp_path / "empty").write_bytes(b"\n")
    for source in ({"file": tmp_path / "empty"}, {"credential": (tmp_path, "empty")}, {"prompt": lambda: ""}):
        with pytest.raises(CustodyError, match="empty"):
            passphrase_from(**source)
    for source in ({"file": tmp_path / "none"}, {"credential": (tmp_path, "none")}):
        with pytest.raises(CustodyError, match="cannot be read"):
            passphrase_from(**source)


def test_one_source(tmp_path):
    with pytest.raises(CustodyError, match="one source"):
        passphrase_from()
    with pytest.raises(CustodyError, match="one source"):
        passphrase_from(file=tmp_path, prompt=lambda: "x")


def test_salt_and_passphrase_make_the_key():
    weak = {"memory_kib": 8, "passes": 1, "lanes": 1}
    one, other = Stretching.fresh(**weak), Stretching.fresh(**weak)
    assert one.key(b"a") == one.key(b"a")
    assert len(one.key(b"a")) == 32
    assert len({one.key(b"a"), one.key(b"b"), other.key(b"a")}) == 3
    assert Stretching.from_json(one.to_json(), "") == one


def test_several_threads_at_once_come_to_an_end():
    # Each has more lanes than OpenSSL has threads for all of them together.
    with ThreadPoolExecutor(4) as threads:
        salts = [Stretching.fresh(memory_kib=8 << 10, passes=2) for _ in range(16)]
        keys = list(threads.map(lambda one: one.key(b"a passphrase"), salts, timeout=60))
    assert len(set(keys)) == len(salts)
