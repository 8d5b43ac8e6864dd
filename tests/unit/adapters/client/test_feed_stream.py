"""A stream read as pages: cut anywhere, in chunks of any size, the same deliveries; everything else is refused."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.client import events as reader
from adapters.client import feed_stream
from adapters.client.errors import AnswerError
from adapters.client.events import Event, EventReader
from adapters.client.feed_stream import FeedStream
from broker import events

NOTE = b"note of size 9"


class Opened:
    """Gives bytes in chunks of some sizes, then the end."""

    def __init__(self, data, sizes=(1 << 20,)):
        self.data, self.sizes, self.closed = data, list(sizes), False
        self.headers = {}

    async def read(self):
        size = self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]
        found, self.data = self.data[:size], self.data[size:]
        return found

    def close(self):
        self.closed = True


def delivery(number, given=None):
    return b"".join(events.delivery(number, (b'{"n":%d,"x":{"a":{' % (given or number), b'"y":1'), b"}"))


def pages(data, after=0, sizes=(1 << 20,)):
    async def read():
        stream, found = FeedStream(Opened(data, sizes), after), []
        while (page := await stream.page()) is not None:
            found.append(page)
        return found

    return asyncio.run(read())


def numbers(found):
    return [item["n"] for page in found for item in page.deliveries]


@given(st.lists(st.integers(1, 700), min_size=1, max_size=40))
def test_pages_do_not_depend_on_how_bytes_come(sizes):
    data = events.checkpoint(9, NOTE) + delivery(3) + delivery(7) + events.BEAT + events.cursor(9) + events.BEAT
    data += events.checkpoint(12, NOTE) + delivery(11) + events.cursor(12)
    found = pages(data, sizes=sizes)
    assert [(page.next, page.size, len(page.deliveries)) for page in found] == [(9, 9, 2), (12, 12, 1)]
    assert numbers(found) == [3, 7, 11]


@given(st.data())
def test_where_a_stream_is_cut_does_not_matter(data):
    """Exactly once: what has come with its cursor is kept, the rest comes again."""
    whole = [(number, number) for number in (2, 3, 5)] + [(None, 6), (None, 7), (8, 8), (9, 9)]

    def stream(after):
        text = events.checkpoint(9, NOTE)
        for at, (number, given_) in enumerate(whole):
            cursor = next(other for other, _ in whole[at:] if other is not None)
            if cursor > after:
                text += delivery(number, given_)
        return text + events.cursor(9)

    position, kept = 0, []
    for _ in range(30):
        text = stream(position)
        cut = data.draw(st.integers(0, len(text)))
        found = pages(text[:cut], position)
        kept += numbers(found)
        position = found[-1].next if found else position
        if position == 9 and cut == len(text):
            break
    else:
        kept += numbers(pages(stream(position), position))
    assert kept == [2, 3, 5, 6, 7, 8, 9]


def test_a_page_has_so_many_deliveries_and_never_parts_what_belongs_together(monkeypatch):
    monkeypatch.setattr(feed_stream, "PAGE", 2)
    data = events.checkpoint(9, NOTE) + delivery(1) + delivery(2) + delivery(3) + delivery(None, 4) + delivery(5)
    data += delivery(6) + events.cursor(9)
    found = pages(data)
    assert [(page.next, len(page.deliveries)) for page in found] == [(2, 2), (5, 3), (9, 1)]


def test_the_checkpoint_is_put_where_the_feed_has_it():
    data = events.checkpoint(9, NOTE) + b'id: 3\nevent: delivery\ndata: {"a":1,"inclusion":{"size":9}}\n\n'
    (page,) = pages(data)
    assert json.dumps(page.deliveries[0], separators=(",", ":")) == (
        '{"a":1,"inclusion":{"size":9,"checkpoint":"bm90ZSBvZiBzaXplIDk"}}'
    )


@pytest.mark.parametrize(
    "data",
    [
        delivery(3),  # without a checkpoint
        events.checkpoint(9, NOTE) + b"id: 3\nevent: delivery\ndata: {} \n\n",
        events.checkpoint(9, NOTE) + b"id: 3\nevent: delivery\ndata: [1]\n\n",
        events.checkpoint(9, NOTE) + delivery(3) + delivery(2),
        events.checkpoint(9, NOTE) + b"id: 03\nevent: cursor\ndata: {}\n\n",
        events.checkpoint(9, NOTE) + b"id: 9007199254740992\nevent: cursor\ndata: {}\n\n",
        b"event: cursor\ndata: {}\n\n",
        b'event: checkpoint\ndata: {"size":-1,"checkpoint":"AA"}\n\n',
        b'event: checkpoint\ndata: {"size":1,"checkpoint":"?"}\n\n',
        b'event: checkpoint\ndata: {"size":1}\n\n',
        b"x" * (reader.MOST + 1),
    ],
)
def test_what_is_no_feed_is_refused(data):
    with pytest.raises(AnswerError):
        pages(data)


def test_deliveries_without_end_and_cursor_are_refused(monkeypatch):
    class Small:
        batch = 100
        integer = 9
        body = 100

    monkeypatch.setattr(feed_stream, "LIMITS", Small)
    with pytest.raises(AnswerError):
        pages(events.checkpoint(9, NOTE) + b"".join(delivery(None, number) for number in range(1, 9)))


def test_events_are_read_as_the_broker_writes_them_and_others_passed_over():
    data = b": hello\n\nid: 1\nevent: later\ndata: x:y\n\nretry: 3\n\nnonsense\ndata:z\n\nevent: cut\ndata"
    assert EventReader().feed(data) == [Event(b"1", b"later", b"x:y"), Event(None, b"message", b"z")]
    assert pages(b"id: 4\nevent: later\ndata: {}\n\n") == []
    opened = Opened(b"")
    FeedStream(opened, 0).close()
    assert opened.closed
