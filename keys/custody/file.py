"""Secrets in a folder of sealed files, opened by a passphrase.

`custody.json` says how the passphrase becomes a key (Argon2id, once for each opening) and proves the right one; each
secret is a file `NAME.sealed`, AES-256-GCM under that key, its name authenticated. Files are written durably and are
readable by their owner alone. Not protected: an old file put back in place, and a machine whose memory is read. The
operating system's tools for keys in hardware are another custody's business (PKCS#11, not built yet).
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

from keys.custody import durable
from keys.custody.cells import Cells
from keys.custody.errors import CustodyError, refuse_newer
from keys.custody.passphrase import LANES, MEMORY_KIB, PASSES, Stretching
from schemas import encoding
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError, MalformedError, TooLargeError

VERSION: Final = 1
SUFFIX: Final = ".sealed"
_ABOUT: Final = "custody.json"
_MEMBERS: Final = ("v", "kdf", "check")
_CHECK: Final = b"valise/custody/1"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)*")


class FileCustody:
    """A folder of sealed secrets; it is made where it does not exist.

    The parameters of Argon2id count when the folder is made; later, those that it was made with. Raises `CustodyError`
    for a wrong passphrase or a damaged folder, and a `newer-store` problem where a newer version wrote it.
    """

    def __init__(
        self,
        folder: Path,
        passphrase: bytes,
        *,
        memory_kib: int = MEMORY_KIB,
        passes: int = PASSES,
        lanes: int = LANES,
    ) -> None:
        self._folder = folder
        durable.make_folder(folder)
        about = folder / _ABOUT
        if not about.exists():
            if any(folder.glob(f"*{SUFFIX}")):
                raise CustodyError("The folder has sealed files but no custody.json.")
            # Another process may have made it meanwhile: then its parameters count.
            with suppress(FileExistsError):
                _make(about, passphrase, Stretching.fresh(memory_kib=memory_kib, passes=passes, lanes=lanes))
        self._cells = _open(about.read_bytes(), passphrase)

    def keep(self, name: str, secret: bytes) -> None:
        """Keep a secret, in place of one of that name; durable once this returns. Raises `CustodyError`, `OSError`."""
        path = self._path(name)
        if not secret:
            raise CustodyError("A secret is not empty.")
        durable.write(path, self._cells.seal(secret, _context(name)))

    def open(self, name: str) -> bytes:
        """Return a secret; raise `CustodyError` where there is none or it does not open."""
        try:
            sealed = self._path(name).read_bytes()
        except OSError:
            raise CustodyError(f"There is no secret {name}.") from None
        return self._cells.open(sealed, _context(name))

    def names(self) -> tuple[str, ...]:
        """Return the names of all secrets, sorted."""
        found = (path.name.removesuffix(SUFFIX) for path in self._folder.glob(f"*{SUFFIX}"))
        return tuple(sorted(name for name in found if _NAME.fullmatch(name)))

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise CustodyError("A secret's name is lower-case letters, digits, hyphens and dots.")
        return self._folder / f"{name}{SUFFIX}"


def _context(name: str) -> bytes:
    return b"valise/custody/1\x00" + name.encode()


def _make(about: Path, passphrase: bytes, stretching: Stretching) -> None:
    check = Cells(stretching.key(passphrase)).seal(b"", _CHECK)
    data = encoding.encode({"v": VERSION, "kdf": stretching.to_json(), "check": b64encode(check)})
    durable.create(about, data)


def _open(about: bytes, passphrase: bytes) -> Cells:
    try:
        value = encoding.parse(about)
        refuse_newer(value, VERSION)
        m = Members(value, _MEMBERS)
        m.fixed("v", VERSION)
        stretching = Stretching.from_json(m.value["kdf"], "/kdf")
        check = b64decode(m.binary("check"))
    except (FormError, MalformedError, TooLargeError):
        raise CustodyError("custody.json is damaged.") from None
    cells = Cells(stretching.key(passphrase))
    try:
        cells.open(check, _CHECK)
    except CustodyError:
        raise CustodyError("The passphrase is wrong, or custody.json is damaged.") from None
    return cells
