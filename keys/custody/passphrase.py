"""From a passphrase to a key (Argon2id, RFC 9106), and where a passphrase comes from. It never comes from argv."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.custody.errors import CustodyError
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError
from schemas.strict_json import Json

MEMORY_KIB: Final = 64 << 10
PASSES: Final = 3
LANES: Final = 4
"""RFC 9106 section 4, the second recommended option: 64 MiB, 3 passes, 4 lanes."""

_ONE_BY_ONE: Final = threading.Lock()
"""OpenSSL's threads for the lanes are shared: two derivations at once can wait for each other for ever."""

_SALT: Final = 16
_MOST_KIB: Final = 4 << 20
_MOST_PASSES: Final = 1 << 10
_MOST_LANES: Final = 1 << 8
_MEMBERS: Final = ("name", "salt", "memory_kib", "passes", "lanes")


@dataclass(frozen=True, slots=True)
class Stretching:
    """The parameters of Argon2id for one store, and its salt of 16 bytes. Weaker ones are for tests only."""

    salt: bytes
    memory_kib: int = MEMORY_KIB
    passes: int = PASSES
    lanes: int = LANES

    @classmethod
    def fresh(cls, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES, lanes: int = LANES) -> "Stretching":
        """Return parameters with a new salt."""
        return cls(os.urandom(_SALT), memory_kib, passes, lanes)

    def key(self, passphrase: bytes) -> bytes:
        """Return a key of 32 bytes; raise `CustodyError` for an empty passphrase."""
        if not passphrase:
            raise CustodyError("The passphrase is empty.")
        kdf = Argon2id(salt=self.salt, length=32, iterations=self.passes, lanes=self.lanes, memory_cost=self.memory_kib)
        with _ONE_BY_ONE:
            return kdf.derive(passphrase)

    def to_json(self) -> dict[str, Json]:
        """Return the parameters with their members in order."""
        return {
            "name": "argon2id",
            "salt": b64encode(self.salt),
            "memory_kib": self.memory_kib,
            "passes": self.passes,
            "lanes": self.lanes,
        }

    @classmethod
    def from_json(cls, value: Json, at: str) -> "Stretching":
        """Read the parameters; raise `FormError`, also for those that would exhaust the machine or mean nothing."""
        m = Members(value, _MEMBERS, at)
        m.fixed("name", "argon2id")
        lanes = _within(m, "lanes", 1, _MOST_LANES)
        return cls(
            b64decode(m.binary("salt", _SALT)),
            _within(m, "memory_kib", 8 * lanes, _MOST_KIB),
            _within(m, "passes", 1, _MOST_PASSES),
            lanes,
        )


def passphrase_from(
    *,
    file: Path | None = None,
    credential: tuple[Path, str] | None = None,
    prompt: Callable[[], str] | None = None,
) -> bytes:
    """Return the passphrase from exactly one source, without one final line break.

    `file` is read; `credential` is the service manager's folder (systemd's `$CREDENTIALS_DIRECTORY`) and a name in it;
    `prompt` asks a person. Raises `CustodyError` where it is empty or cannot be read.
    """
    if sum(source is not None for source in (file, credential, prompt)) != 1:
        raise CustodyError("Name one source of the passphrase: a file, a credential, or a prompt.")
    if prompt is not None:
        passphrase = prompt().encode()
    else:
        path = file if credential is None else credential[0] / credential[1]
        assert path is not None  # one of the three is given
        try:
            passphrase = path.read_bytes()
        except OSError:
            raise CustodyError("The file with the passphrase cannot be read.") from None
    passphrase = passphrase.removesuffix(b"\n").removesuffix(b"\r")
    if not passphrase:
        raise CustodyError("The passphrase is empty.")
    return passphrase


def _within(m: Members, name: str, least: int, most: int) -> int:
    value = m.integer(name)
    if not least <= value <= most:
        raise FormError(f"Must be an integer from {least} to {most}.", pointer=f"{m.at}/{name}")
    return value
