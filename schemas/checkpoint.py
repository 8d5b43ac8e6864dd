"""The text of a checkpoint (C2SP tlog-checkpoint): which root a log of which size has.

Three lines: origin, size, root in padded base64. Extension lines are refused: this log writes none, and the ML-DSA-44
line of its notes would not cover them. Signatures are not looked at here: see `keys.log.note`.
"""

import binascii
import re
from dataclasses import dataclass
from typing import Final

from schemas import ids
from schemas.errors import FormError, MalformedError
from schemas.ids import Origin
from schemas.limits import LIMITS

ROOT_SIZE: Final = 32

# The root's 32 bytes are 43 characters and one of padding; the last character carries two bits that must be zero.
_TEXT: Final = re.compile(rb"([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)\n")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's origin, its size in leaves, and the 32 bytes of its RFC 6962 root at that size.

    Raises `FormError` when one of them cannot stand in a checkpoint.
    """

    origin: Origin
    size: int
    root: bytes

    def __post_init__(self) -> None:
        ids.origin(self.origin)
        if not 0 <= self.size <= LIMITS.integer:
            raise FormError("A checkpoint's size must be an integer from 0 to 2^53-1.")
        if len(self.root) != ROOT_SIZE:
            raise FormError("A checkpoint's root must be 32 bytes.")


def parse(text: bytes) -> Checkpoint:
    """Parse a checkpoint's text, final newline included; `encode` of the result is `text` again.

    Raises `MalformedError` when it is not three lines of the exact form, `FormError` for an origin or size beyond it.
    """
    lines = _TEXT.fullmatch(text)
    if lines is None:
        raise MalformedError("A checkpoint is three lines: origin, size, and root in base64.")
    origin, size, root = lines.groups()
    return Checkpoint(ids.origin(origin.decode("utf-8", "replace")), int(size), binascii.a2b_base64(root))


def encode(checkpoint: Checkpoint) -> bytes:
    """Encode a checkpoint as the text that a log signs, final newline included."""
    root = binascii.b2a_base64(checkpoint.root)  # ends with the newline
    return f"{checkpoint.origin}\n{checkpoint.size}\n".encode() + root
