"""What every kind of notice is: a strict object that begins with its kind and can be told in one line.

The plaintext that is sealed is this object with the label before it (`label`, `kind`, the kind's members); the label
is the gateway's business, not this package's.
"""

import unicodedata
from abc import ABC, abstractmethod
from typing import Final

from schemas.notice.forms import Line, Part

LONGEST_HEADLINE: Final = 200


class Notice(Part, ABC):
    """A notice of some kind. `reference` is the sender's own number for the matter."""

    kind: str
    reference: Line | None = None

    @abstractmethod
    def headline(self) -> str:
        """Return what the notice says in a few English words; it may hold any character that the notice holds."""


def one_line(text: str) -> str:
    """Make a text fit for a list on any screen: one line, no control or direction characters, cut at 200."""
    # A stranger's text must not move the cursor, colour the terminal or turn the reading direction.
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    line = " ".join(kept.split())
    return line if len(line) <= LONGEST_HEADLINE else f"{line[: LONGEST_HEADLINE - 1]}…"
