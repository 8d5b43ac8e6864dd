"""What the rest of Valise knows of custody: secrets by name."""

from typing import Protocol


class Custody(Protocol):
    """Keep secrets, none of them empty, and give them back. Names are lower-case letters, digits, hyphens and dots."""

    def keep(self, name: str, secret: bytes) -> None:
        """Keep a secret, in place of one of that name; it is durable once this returns."""
        ...

    def open(self, name: str) -> bytes:
        """Return a secret; raise `CustodyError` where there is none or it does not open."""
        ...

    def names(self) -> tuple[str, ...]:
        """Return the names of all secrets, sorted."""
        ...
