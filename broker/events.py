"""The events of a feed's stream, as Server-Sent Events (WHATWG HTML, section 9.2): their bytes, and nothing else.

`checkpoint` goes ahead of the deliveries that are under it, `delivery` is a delivery whose inclusion lacks `checkpoint`,
`cursor` says that everything up to its `id` has been there. An `id` is the feed's cursor behind the event. Deliveries that
share an offer number stand together and only the last of them has the `id`: who is cut off in between gets them again.
"""

from typing import Final

from broker.deliver import Parts
from schemas.encoding import b64encode

BEAT: Final = b":\n\n"
"""A comment: the connection is alive."""

_DELIVERY: Final = b"event: delivery\ndata: "
_END: Final = b"}}\n\n"


def checkpoint(size: int, note: bytes) -> bytes:
    """Return the event that brings a checkpoint: its size and its note."""
    return b'event: checkpoint\ndata: {"size":%d,"checkpoint":"%b"}\n\n' % (size, b64encode(note).encode())


def cursor(position: int) -> bytes:
    """Return the event that says up to where everything has been there."""
    return b'id: %d\nevent: cursor\ndata: {"next":%d}\n\n' % (position, position)


def opening(number: int | None) -> bytes:
    """Return the begin of a delivery's event, with the offer number unless the next delivery shares it."""
    return _DELIVERY if number is None else b"id: %d\n%b" % (number, _DELIVERY)


def closing(inclusion: bytes) -> bytes:
    """Return the end of a delivery's event."""
    return inclusion + _END


def delivery(number: int | None, parts: Parts, inclusion: bytes) -> Parts:
    """Return a delivery's event in parts."""
    return (opening(number), *parts, closing(inclusion))
