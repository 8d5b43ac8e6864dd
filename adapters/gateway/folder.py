"""The gateway's folder: where its keys, its store, its directory and what it was enrolled with lie.

`gateway.json` says which deployment, broker and gateway it is; `root.json` is the root of trust that was installed at
enrolment and never replaced. Both are public. Nothing here opens keys.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keys.custody import durable
from keys.custody.errors import refuse_newer
from schemas import encoding, ids
from schemas.encoding import Members
from schemas.errors import Error, FormError, MalformedError
from schemas.ids import Code, Origin

VERSION: Final = 1
_MEMBERS: Final = ("v", "origin", "broker", "gateway", "backup")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a gateway was enrolled with. `backup` says whether a key backup was made (or declined, in so many words)."""

    origin: Origin
    broker: str
    gateway: Code
    backup: bool

    def encode(self) -> bytes:
        """Return the bytes of `gateway.json`."""
        return encoding.encode(
            {
                "v": VERSION,
                "origin": self.origin,
                "broker": self.broker,
                "gateway": self.gateway,
                "backup": self.backup,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Enrolled":
        """Read `gateway.json`; raise `Error`."""
        try:
            value = encoding.parse(data)
            refuse_newer(value, VERSION)
            m = Members(value, _MEMBERS)
            m.fixed("v", VERSION)
            return cls(
                m.matching("origin", ids.origin),
                m.string("broker"),
                m.matching("gateway", ids.code),
                m.boolean("backup"),
            )
        except (FormError, MalformedError):
            raise Error("gateway.json is damaged.", problem="configuration") from None


@dataclass(frozen=True, slots=True)
class Folder:
    """The paths in a gateway's folder."""

    path: Path

    @property
    def keys(self) -> Path:
        """Return the folder of sealed keys."""
        return self.path / "keys"

    @property
    def directory(self) -> Path:
        """Return the folder of the last good directory."""
        return self.path / "directory"

    @property
    def store(self) -> Path:
        """Return the store's file."""
        return self.path / "gateway.db"

    def enrolled(self) -> Enrolled | None:
        """Return what the gateway was enrolled with, None before that."""
        path = self.path / "gateway.json"
        return Enrolled.parse(path.read_bytes()) if path.exists() else None

    def root(self) -> bytes:
        """Return the root of trust; raise `Error` where it is missing."""
        try:
            return (self.path / "root.json").read_bytes()
        except FileNotFoundError:
            raise Error(
                "The root of trust is missing.", problem="enrolment", hint="Run `valise gateway init --kit FILE`."
            ) from None

    def write(self, enrolled: Enrolled, root: bytes) -> None:
        """Write both files durably; `gateway.json` goes last, for by it the folder counts as enrolled."""
        durable.make_folder(self.path)
        durable.write(self.path / "root.json", root)
        durable.write(self.path / "gateway.json", enrolled.encode())
