"""Server-Sent Events as a reader sees them (WHATWG HTML, section 9.2.6), and a reader that resumes where it was cut off."""

import json
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """One event: `id` is None where the block names none, `data` is None where there is none (a comment alone)."""

    id: str | None
    name: str
    data: str | None

    def json(self):
        return json.loads(self.data)


def events(text: bytes):
    """Return the complete events in a part of a stream that begins between two of them."""
    found = []
    blocks = text.decode().split("\n\n")
    for block in blocks[:-1]:
        id_, name, data = None, "message", None
        for line in block.split("\n"):
            if line.startswith(":"):
                continue
            field_, colon, value = line.partition(": ")
            assert colon, line
            if field_ == "id":
                id_ = value
            elif field_ == "event":
                name = value
            elif field_ == "data":
                assert data is None, "the broker writes its data in one line"
                data = value
            else:
                raise AssertionError(line)
        found.append(Event(id_, name, data))
    return found


@dataclass
class Reader:
    """Keeps what has arrived for good: deliveries count once an `id` stands behind them or with them."""

    cursor: int = 0
    deliveries: list = field(default_factory=list)
    checkpoint: dict | None = None
    _text: bytes = b""
    _open: list = field(default_factory=list)

    def feed(self, data: bytes) -> None:
        self._text += data
        end = self._text.rfind(b"\n\n") + 2
        if end < 2:
            return
        for event in events(self._text[:end]):
            self._take(event)
        self._text = self._text[end:]

    def _take(self, event: Event) -> None:
        if event.name == "checkpoint":
            assert event.id is None
            self.checkpoint = event.json()
        elif event.name == "delivery":
            self._open.append((event, self.checkpoint))
        elif event.name == "cursor":
            assert event.json() == {"next": int(event.id)}
        else:
            assert event == Event(None, "message", None)
        if event.id is not None:
            assert int(event.id) >= self.cursor, "cursors never go back"
            self.cursor = int(event.id)
            self.deliveries += self._open
            self._open = []

    def cut(self) -> None:
        """The connection has ended: what was not complete has not been there."""
        self._text, self._open, self.checkpoint = b"", [], None

    def whole(self):
        """Return the deliveries with their checkpoints, as the feed has them, in bytes."""
        return [_whole(event, checkpoint) for event, checkpoint in self.deliveries]


def _whole(event: Event, checkpoint: dict) -> bytes:
    assert event.json()["inclusion"]["size"] == checkpoint["size"]
    assert event.data.endswith("}}")
    return f'{event.data[:-2]},"checkpoint":"{checkpoint["checkpoint"]}"}}}}'.encode()
