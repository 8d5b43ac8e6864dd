"""A sealed backup of all secrets in one file, opened by a passphrase of its own.

Argon2id and AES-256-GCM as in the folder. Shares (2 of 3) are not built: a backup has one passphrase.
"""

from typing import Final

from keys.custody.cells import Cells
from keys.custody.errors import CustodyError, refuse_newer
from keys.custody.passphrase import LANES, MEMORY_KIB, PASSES, Stretching
from keys.custody.port import Custody
from schemas import encoding
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError, MalformedError, TooLargeError

VERSION: Final = 1
_TYP: Final = "valise-backup"
_MEMBERS: Final = ("v", "typ", "kdf", "sealed")
_CONTEXT: Final = b"valise/backup/1"


def make_backup(
    custody: Custody,
    passphrase: bytes,
    *,
    memory_kib: int = MEMORY_KIB,
    passes: int = PASSES,
    lanes: int = LANES,
) -> bytes:
    """Return every secret of a custody, sealed under a passphrase; raise `CustodyError`."""
    stretching = Stretching.fresh(memory_kib=memory_kib, passes=passes, lanes=lanes)
    secrets = {name: b64encode(custody.open(name)) for name in custody.names()}
    sealed = Cells(stretching.key(passphrase)).seal(encoding.encode(secrets), _CONTEXT)
    return encoding.encode({"v": VERSION, "typ": _TYP, "kdf": stretching.to_json(), "sealed": b64encode(sealed)})


def restore_backup(backup: bytes, passphrase: bytes, custody: Custody) -> tuple[str, ...]:
    """Put a backup's secrets into a custody and return their names.

    Raises `CustodyError` for a wrong passphrase, a damaged file, or a secret that the custody has with other content
    (then nothing is restored); a `newer-store` problem where a newer version wrote it.
    """
    secrets = _open(backup, passphrase)
    there = set(custody.names())
    if any(custody.open(name) != secret for name, secret in secrets.items() if name in there):
        raise CustodyError("The custody has another secret under a name of the backup.")
    for name, secret in secrets.items():
        custody.keep(name, secret)
    return tuple(secrets)


def _open(backup: bytes, passphrase: bytes) -> dict[str, bytes]:
    try:
        value = encoding.parse(backup)
        refuse_newer(value, VERSION)
        m = Members(value, _MEMBERS)
        m.fixed("v", VERSION)
        m.fixed("typ", _TYP)
        stretching = Stretching.from_json(m.value["kdf"], "/kdf")
        sealed = b64decode(m.binary("sealed"))
    except (FormError, MalformedError, TooLargeError):
        raise CustodyError("The file is not a backup, or damaged.") from None
    try:
        opened = encoding.parse(Cells(stretching.key(passphrase)).open(sealed, _CONTEXT))
    except CustodyError:
        raise CustodyError("The passphrase is wrong, or the backup is damaged.") from None
    return {name: b64decode(str(secret)) for name, secret in opened.items()}
