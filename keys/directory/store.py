"""Where a client keeps the last good directory: one file, replaced whole, so that a crash leaves the old or the new one.

The file is a ZIP without compression whose entries are the files of the static directory and `store.json`. It holds
public data; that it is authentic is checked again on every load.
"""

import io
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keys.custody import durable
from keys.custody.errors import refuse_newer
from keys.directory.errors import DirectoryError
from keys.directory.records import StateFile
from schemas import encoding
from schemas.encoding import Members
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Role

VERSION: Final = 1
_ABOUT: Final = "store.json"
_LAST_GOOD: Final = "last_good/"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file

# What zipfile raises over damaged bytes: its own error, and those of the features and compressions that a bit turns on.
_DAMAGE: Final = (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError, zlib.error, lzma.LZMAError)


@dataclass(frozen=True, slots=True)
class Stored:
    """Files of one verified directory by name, and the Unix seconds at which they were verified.

    `last_good` has the newest accepted file of each role that had expired by then: its records are not forgotten.
    """

    verified_at: int
    files: Mapping[str, bytes]
    last_good: Mapping[Role, StateFile] = field(default_factory=dict)


class DirectoryStore:
    """A folder with the last good directory in it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "directory.zip"

    def write(self, stored: Stored) -> None:
        """Replace what is kept, durably; raise `OSError`."""
        about = encoding.encode({"v": VERSION, "verified_at": stored.verified_at})
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            beside = {f"{_LAST_GOOD}{role}": state.encode() for role, state in stored.last_good.items()}
            for name, data in ((_ABOUT, about), *sorted({**stored.files, **beside}.items())):
                archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)
        durable.make_folder(self._path.parent)
        durable.write(self._path, buffer.getvalue())

    def read(self) -> Stored | None:
        """Return what is kept, or None; raise `DirectoryError` for a damaged file, `newer-store` for a later version's."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            files = _entries(data)
            about = encoding.parse(files.pop(_ABOUT))
            refuse_newer(about, VERSION)
            m = Members(about, ("v", "verified_at"))
            m.fixed("v", VERSION)
            last_good = {
                role: StateFile.parse(files.pop(name), role)
                for name in tuple(files)
                if name.startswith(_LAST_GOOD)
                for role in (Role(name.removeprefix(_LAST_GOOD)),)
            }
            return Stored(m.integer("verified_at"), files, last_good)
        except (*_DAMAGE, KeyError, FormError, MalformedError, TooLargeError):
            raise DirectoryError(
                "The stored directory is damaged.",
                hint="Remove directory.zip; it is fetched again from the installed root.",
            ) from None


def _entries(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
