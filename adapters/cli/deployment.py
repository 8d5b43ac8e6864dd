"""What every command must know of a deployment: its origin, its broker's address, and the root where trust begins.

A file that the root ceremony writes and that every kit carries too. It holds nothing secret; whoever takes it from a
stranger compares the root's fingerprint by another way first.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from keys.directory.enrolment import KIT_TYP, Kit
from keys.directory.update import root_fingerprint
from schemas import encoding, ids
from schemas.encoding import Members, b64decode, b64encode
from schemas.errors import FormError
from schemas.ids import Origin

TYP: Final = "valise-deployment/1"
_MEMBERS: Final = ("v", "typ", "origin", "broker", "fingerprint", "root")

DeploymentFile = Annotated[
    Path,
    typer.Option(
        "--deployment", envvar="VALISE_DEPLOYMENT", metavar="FILE", help="deployment.json of the ceremony, or a kit."
    ),
]


@dataclass(frozen=True, slots=True)
class Deployment:
    """Origin, broker address without `/v1`, and the first root metadata's bytes."""

    origin: Origin
    broker: str
    root: bytes

    @property
    def fingerprint(self) -> str:
        """Return the root's fingerprint, which is compared out of band."""
        return root_fingerprint(self.root)

    def encode(self) -> bytes:
        """Return the file's bytes."""
        return encoding.encode(
            {
                "v": 1,
                "typ": TYP,
                "origin": self.origin,
                "broker": self.broker,
                "fingerprint": self.fingerprint,
                "root": b64encode(self.root),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> "Deployment":
        """Read a deployment's file, or a kit; raise `MalformedError` or `FormError`."""
        value = encoding.parse(data)
        if value.get("typ") == KIT_TYP:
            kit = Kit.parse(data)
            return cls(kit.origin, kit.broker, kit.root)
        m = Members(value, _MEMBERS)
        m.fixed("v", 1)
        m.fixed("typ", TYP)
        found = cls(m.matching("origin", ids.origin), m.string("broker"), b64decode(m.binary("root")))
        if m.value["fingerprint"] != found.fingerprint:
            raise FormError("Must be the root's fingerprint.", pointer="/fingerprint")
        return found


def cache_folder(deployment: Deployment) -> Path:
    """Return where the last good directory of a deployment is kept for this user: it is what rollback is seen by."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "valise" / "directory" / deployment.fingerprint.replace(" ", "")[:32]
