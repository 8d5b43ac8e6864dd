"""Server-Sent Events as they arrive (WHATWG HTML, section 9.2.6), as far as a broker writes them, bounded in memory.

The broker writes one line of data an event; lines end with LF. Comments and unknown fields are passed over.
"""

from dataclasses import dataclass
from typing import Final

from adapters.client.errors import AnswerError

MOST: Final = 4 << 20
"""Bytes of one event at most: a delivery's ciphertext, and all that is beside it."""

_END: Final = b"\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its `id` where it has one, its name, and its data."""

    id: bytes | None
    name: bytes
    data: bytes


class EventReader:
    """Takes a stream's bytes as they come and gives its events."""

    def __init__(self) -> None:
        self._text = b""

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes and return the events that they complete; raise `AnswerError` for one that is too large."""
        text = self._text + data
        blocks = text.split(_END)
        self._text = blocks.pop()
        if len(self._text) > MOST:
            raise AnswerError(f"An event of the stream has more than {MOST} bytes.")
        return [event for block in blocks if (event := _event(block)) is not None]


def _event(block: bytes) -> Event | None:
    """Read the lines of one block; return None where they are only comments."""
    fields: dict[bytes, bytes] = {}
    for line in block.split(b"\n"):
        name, colon, value = line.partition(b":")
        if name and colon:
            fields[name] = value.removeprefix(b" ")
    if b"data" not in fields:
        return None
    return Event(fields.get(b"id"), fields.get(b"event", b"message"), fields[b"data"])
