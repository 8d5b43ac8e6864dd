"""Where the broker is reached: one address, or those of several instances, of which one is in use until it fails.

Any instance takes what any other takes and shows the same log (design: ledger, Two stores). The order of the list is the
order of preference after a start; later nobody goes back by themselves: an instance that fails and returns again and
again would otherwise be felt each time. This module sends nothing.
"""

from collections.abc import Iterator
from typing import Final

from yarl import URL

from schemas.errors import Error

SEPARATOR: Final = ","


class Addresses:
    """The broker's addresses, each without `/v1`; `current` is the one in use."""

    def __init__(self, text: str) -> None:
        """Read an address, or several separated by commas; raise `Error` for what is none, or stands there twice."""
        self._all: Final = tuple(one.strip().rstrip("/") for one in text.split(SEPARATOR))
        if not all(map(_is_address, self._all)):
            raise Error("The broker's address must be http:// or https://.", problem="configuration")
        if len(set(self._all)) < len(self._all):
            raise Error("The broker's addresses must differ.", problem="configuration")
        self._used = 0

    @property
    def current(self) -> str:
        """Return the address in use."""
        return self._all[self._used]

    def leave(self, failed: str) -> None:
        """Use the next address, unless another call has left the one that failed already."""
        if failed == self.current:
            self._used = (self._used + 1) % len(self._all)

    def each(self) -> Iterator[str]:
        """Return every address once, beginning with the one in use."""
        used = self._used
        yield from self._all[used:] + self._all[:used]


def _is_address(text: str) -> bool:
    try:
        address = URL(text)
    except ValueError:
        return False
    return address.scheme in {"http", "https"} and address.host is not None
