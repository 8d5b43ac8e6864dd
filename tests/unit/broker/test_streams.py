"""Streams over a feed that is made up: whatever happens between them, each notice comes once, in order, as the rules say.

The made-up source keeps the feed's own promises (`broker.offers`): offers by number, what is withheld is held, what is held
and allowed again has the number of the leaf that changed the rules.
"""

import asyncio
import json
import os
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker import streams
from broker.checkpoints import SignedTree
from broker.offers import Delivered, OffersPage
from broker.streams import Stream, Streams
from schemas.errors import Error
from schemas.ids import matches
from tests.sse import Reader

WHO = ("kz/customs", "uz/police", "tj/police")
TOPICS = ("central-asia.seizures", "balkans.seizures", "central-asia.precursors")
PATTERNS = ("*.*", "central-asia.*", "*.seizures")


@dataclass
class Notice:
    """A notice that stands in for `SharedNotice`: its statement is itself."""

    index: int
    sender: str
    to: frozenset
    topic: str
    filler: str = ""
    act: str = "issue"

    @property
    def statement(self):
        return self

    @property
    def numbers(self):
        return {f"kid of {who}": number for number, who in enumerate(sorted(self.to))}

    def parts(self, number):
        text = json.dumps({"index": self.index, "stanza": number, "filler": self.filler})
        return (text[:-1].encode(), b', "x": {"y": 1')


def _inclusion(signed):
    return b', "size": %d' % signed.size


class Rules:
    """A trust that denies some notices by topic to some participants."""

    def __init__(self, denied=()):
        self.denied = frozenset(denied)
        self.parties = {who: who for who in WHO}
        self.decisions = self

    def about(self, notice, _sender):
        self_ = self

        class About:
            sender = None

            @staticmethod
            def recipient(who):
                return "denied" if (who, notice.topic) in self_.denied else None

        return About


@dataclass
class Source:
    """A feed in memory."""

    trust: Rules = field(default_factory=Rules)
    signed: SignedTree = field(default_factory=lambda: SignedTree(b"note 0", 0))
    leaves: list = field(default_factory=list)
    held: dict = field(default_factory=dict)  # (participant, index) → the number that releases it, or None
    pages: int = 0
    fails: bool = False
    told: int = 0
    told_trust: object = None

    def __post_init__(self):
        self.told_trust = self.trust

    def kids(self, who, _trust):
        return frozenset({f"kid of {who}"})

    def notice(self, index, signed):
        if self.fails:
            raise Error("The store does not answer.", problem="unavailable")
        found = self.leaves[index]
        return None if found is None else (found, found, _inclusion(signed))

    async def page(self, who, after, limit, most, topic):
        self.pages += 1
        if self.fails:
            raise Error("The store does not answer.", problem="unavailable")
        signed, trust = self.signed, self.trust
        offers = sorted(self._offers(who, after, topic, signed.size))
        end = limit
        while end < len(offers) and offers[end][0] == offers[limit - 1][0]:
            end += 1
        full, offers = len(offers) >= limit, offers[:end]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        found, withheld = [], []
        for number, index in offers:
            notice = self.leaves[index]
            if (who, notice.topic) in trust.denied:
                withheld.append(index)
            else:
                found.append(Delivered(number, notice.parts(notice.numbers[f"kid of {who}"]), _inclusion(signed)))
        if withheld:
            await asyncio.sleep(0)
            if self.trust is not trust:
                raise Error("The rules have just changed.", problem="unavailable")
            self.held |= {(who, index): None for index in withheld}
        return OffersPage(offers[-1][0] if full else max(after, signed.size), signed, full, found)

    def _offers(self, who, after, topic, size):
        for index, notice in enumerate(self.leaves[:size]):
            if notice is None or who not in notice.to or who == notice.sender or not matches(topic, notice.topic):
                continue
            number = self.held.get((who, index), index + 1)
            if number is not None and after < number <= size:
                yield number, index

    # What happens

    def publish(self, sender, to, topic, filler=""):
        self.leaves.append(Notice(len(self.leaves), sender, frozenset(to), topic, filler))

    def change(self, denied):
        """Change the law: a leaf, then what is held and allowed by now gets its number, then the new trust."""
        number = len(self.leaves) + 1
        self.leaves.append(None)
        rules = Rules(denied)
        for (who, index), released in list(self.held.items()):
            if released is None and (who, self.leaves[index].topic) not in rules.denied:
                self.held[who, index] = number
        self.trust = rules

    def sign(self, hub, lag=0):
        """Put leaves under a checkpoint, with `lag` all but so many: who signs elsewhere may be behind."""
        size = max(self.signed.size, len(self.leaves) - lag)
        if size == self.signed.size:
            return
        self.signed = signed = SignedTree(b"note %d" % size, size)
        # What is new since the last word, under the checkpoint or not.
        new = self.leaves[self.told :]
        self.told = len(self.leaves)
        anybody, self.told_trust = self.told_trust is not self.trust, self.trust
        kids = frozenset(f"kid of {who}" for item in new if item is not None for who in item.to)
        # As from another thread: it arrives when the loop comes to it.
        asyncio.get_running_loop().call_soon(hub.announce, signed, None if anybody else kids, self.told)


@dataclass
class Client:
    """A reader of one stream that may be slow, and may be cut off anywhere."""

    hub: Streams
    source: Source
    who: str
    topic: str
    reader: Reader = field(default_factory=Reader)
    stream: Stream | None = None
    reading: asyncio.Task | None = None
    demand: object = staticmethod(lambda: None)

    def _begin(self):
        if self.stream is None:
            self.stream = self.hub.open(self.who, self.reader.cursor, self.topic, self.demand)
        if self.reading is None:
            self.reading = asyncio.ensure_future(self._next(self.stream))

    async def _next(self, stream):
        """Return the next events; nothing leaves the house that the rules of this moment withhold."""
        parts = await stream.next()
        denied = self.source.trust.denied
        for line in b"".join(parts or ()).split(b"\n"):
            if line.startswith(b'data: {"index"'):
                assert (self.who, self.source.leaves[json.loads(line[6:])["index"]].topic) not in denied
        return parts

    async def read(self, cut=None, patience=20):
        """Read what there is now, if there is something; with `cut` lose the connection after a part of it."""
        self._begin()
        for _ in range(patience):
            await asyncio.sleep(0)
            if self.reading.done():
                break
        else:
            return False
        reading, self.reading = self.reading, None
        try:
            parts = reading.result()
        except Error:
            self.lose()
            return False
        if parts is None:
            self.lose()
            return False
        data = b"".join(parts)
        if cut is None:
            self.reader.feed(data)
        else:
            self.reader.feed(data[: cut % (len(data) + 1)])
            self.lose()
        return True

    def lose(self):
        if self.reading is not None:
            self.reading.cancel()
            self.reading = None
        if self.stream is not None:
            self.stream.close()
            self.stream = None
        self.reader.cut()

    @property
    def indexes(self):
        return [event.json()["index"] for event, _ in self.reader.deliveries]


PUBLISH = st.tuples(
    st.just("publish"),
    st.sampled_from(WHO),
    st.sets(st.sampled_from(WHO), min_size=1),
    st.sampled_from(TOPICS),
    st.sampled_from(["", "x" * 300]),
)
READ = st.tuples(st.just("read"), st.integers(0, 3), st.none() | st.integers(0, 5000), st.integers(1, 20))
CHANGE = st.tuples(st.just("change"), st.sets(st.tuples(st.sampled_from(WHO), st.sampled_from(TOPICS)), max_size=3))
SIGN = st.tuples(st.just("sign"), st.sampled_from([0, 0, 0, 1, 2, 5]))
STEPS = st.lists(
    st.one_of(PUBLISH, PUBLISH, READ, READ, READ, CHANGE, SIGN, st.just(("turns",))),
    min_size=20,
    max_size=60,
)


@settings(max_examples=int(os.environ.get("VALISE_STREAM_EXAMPLES", "200")), deadline=None)
@given(STEPS, st.sampled_from([2, 100]), st.sampled_from([400, 1 << 18]))
def test_every_delivery_comes_exactly_once_whatever_happens(steps, page, buffer):
    asyncio.run(_live(steps, page, buffer))


async def _live(steps, page, buffer):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "PAGE", page)
        patch.setattr(streams, "BUFFER", buffer)
        patch.setattr(streams, "TURN_SECONDS", -1.0)  # others get their turn behind each notice
        source = Source()
        hub = Streams(source, lambda: None)
        hub.start()
        topics = [*PATTERNS, "*.*"]
        clients = [Client(hub, source, (*WHO, WHO[1])[n], topics[n]) for n in range(4)]
        for step in steps:
            await _do(step, source, hub, clients)
        source.leaves.append(None)  # so that there is something to sign
        source.sign(hub)
        for client in clients:
            for _ in range(400):
                if not await client.read() and client.stream is not None and client.stream.live:
                    break
            else:
                raise AssertionError("it never gets there")
        _check(source, clients)
        for client in clients:
            client.lose()
        assert len(hub) == 0
        assert not hub._by_kid
        assert not hub._keys
        await hub.stop()


async def _do(step, source, hub, clients):
    match step:
        case ("publish", sender, to, topic, filler):
            source.publish(sender, to, topic, filler)
        case ("sign", lag):
            source.sign(hub, lag)
        case ("change", denied):
            source.change(denied)
        case ("read", number, cut, patience):
            await clients[number].read(cut, patience)
        case ("turns",):
            for _ in range(10):
                await asyncio.sleep(0)


def _check(source, clients):
    for client in clients:
        mine = [
            index
            for index, notice in enumerate(source.leaves)
            if notice is not None
            and client.who in notice.to
            and client.who != notice.sender
            and matches(client.topic, notice.topic)
        ]
        kept = [index for index in mine if source.held.get((client.who, index), 0) is None]
        # What one stream had may be withheld from the other of the same participant, and released to both.
        again = {index for (who, index), number in source.held.items() if who == WHO[1] and number is not None}
        counts = Counter(client.indexes)
        assert {index for index in mine if index not in kept} <= counts.keys() <= set(mine)
        assert all(count == 1 or (client.who == WHO[1] and index in again) for index, count in counts.items())
        once = [index for index in client.indexes if source.held.get((client.who, index), index + 1) == index + 1]
        assert once == sorted(once)
        for event, checkpoint in client.reader.deliveries:
            assert event.json()["stanza"] == source.leaves[event.json()["index"]].numbers[f"kid of {client.who}"]
            assert checkpoint["size"] == event.json()["x"]["size"] > event.json()["index"]


def scene(work):
    """Run a scenario with a source and its hub."""

    async def run():
        source = Source()
        hub = Streams(source, lambda: None)
        hub.start()
        try:
            await work(source, hub)
        finally:
            await hub.stop()

    asyncio.run(run())


async def settled(client):
    """Read until the stream is live and has nothing more."""
    for _ in range(200):
        if not await client.read() and (client.stream is None or client.stream.live):
            return
    raise AssertionError("it never gets there")


def test_a_slow_reader_holds_up_nobody_and_gets_everything_from_the_store(monkeypatch):
    monkeypatch.setattr(streams, "BUFFER", 1000)

    async def work(source, hub):
        slow, fast = Client(hub, source, WHO[1], "*.*"), Client(hub, source, WHO[2], "*.*")
        await settled(slow)
        await settled(fast)
        slow.reading.cancel()
        slow.reading = None
        before = source.pages
        for number in range(30):
            source.publish(WHO[0], WHO, TOPICS[0], "x" * 200)
            source.sign(hub)
            await settled(fast)
            assert fast.indexes == list(range(number + 1))
            assert slow.stream._bytes <= 1000
        # The fast one never needed the store, the slow one does.
        assert source.pages == before
        assert not slow.stream.live
        assert 0 < slow.stream._reached < 10
        await settled(slow)
        assert slow.indexes == list(range(30))
        assert source.pages > before

    scene(work)


def test_a_delivery_larger_than_the_buffer_is_handed_out(monkeypatch):
    monkeypatch.setattr(streams, "BUFFER", 100)

    async def work(source, hub):
        client = Client(hub, source, WHO[1], "*.*")
        await settled(client)
        source.publish(WHO[0], WHO, TOPICS[0], "x" * 5000)
        source.sign(hub)
        await settled(client)
        assert client.indexes == [0]

    scene(work)


def test_a_key_that_stops_counting_ends_its_stream_at_once_and_no_other():
    async def work(source, hub):
        revoked = []

        def demand():
            if revoked:
                raise Error("Revoked.", problem="unauthenticated")

        client, other = Client(hub, source, WHO[1], "*.*", demand=demand), Client(hub, source, WHO[1], "*.*")
        await settled(client)
        await settled(other)
        # What waits for it is not handed out any more.
        client.reading.cancel()
        client.reading = None
        source.publish(WHO[0], WHO, TOPICS[0])
        source.sign(hub)
        for _ in range(10):
            await asyncio.sleep(0)
        assert client.stream._parts
        revoked.append(True)
        stream = client.stream
        with pytest.raises(Error):
            await stream.next()
        await settled(other)
        assert (client.indexes, other.indexes) == ([], [0])
        # An idle one is told by the new trust.
        revoked.clear()
        idle = Client(hub, source, WHO[2], "*.*", demand=demand)
        await settled(idle)
        revoked.append(True)
        source.change(())
        source.sign(hub)
        with pytest.raises(Error):
            await idle.reading

    scene(work)


def test_a_store_that_does_not_answer_ends_streams_that_need_it():
    async def work(source, hub):
        client = Client(hub, source, WHO[1], "*.*")
        await settled(client)
        source.fails = True
        source.publish(WHO[0], WHO, TOPICS[0])
        source.sign(hub)
        with pytest.raises(Error):
            await client.reading
        client.lose()
        source.fails = False
        await settled(client)
        assert client.indexes == [0]

    scene(work)


def test_a_participant_has_so_many_streams_at_most():
    async def work(source, hub):
        opened = [hub.open(WHO[0], 0, "*.*", lambda: None) for _ in range(streams.MOST_A_PARTICIPANT)]
        with pytest.raises(Error) as caught:
            hub.open(WHO[0], 0, "*.*", lambda: None)
        assert caught.value.code == "rate-limited"
        hub.open(WHO[1], 0, "*.*", lambda: None)
        opened[0].close()
        opened[0].close()
        hub.open(WHO[0], 0, "*.*", lambda: None)

    scene(work)


def test_an_idle_stream_says_that_it_lives_and_how_far_it_is_until_its_time_is_over(monkeypatch):
    monkeypatch.setattr(streams, "BEAT_SECONDS", 0.01)
    now = [0.0]

    async def run():
        source, pruned = Source(), []
        hub = Streams(source, lambda: pruned.append(True), lambda: now[0])
        hub.start()
        stream = hub.open(WHO[1], 0, "*.*", lambda: None)
        assert b"".join(await stream.next()).endswith(b'{"next":0}\n\n')
        assert await stream.next() == [b":\n\n"]
        source.publish(WHO[0], {WHO[2]}, TOPICS[0])
        source.sign(hub)
        while (parts := await stream.next()) == [b":\n\n"]:
            pass
        assert parts == [b'id: 1\nevent: cursor\ndata: {"next":1}\n\n']
        assert stream.cursor == 1
        now[0] += streams.LIFE_SECONDS
        while (parts := await stream.next()) is not None:
            assert parts == [b":\n\n"]
        assert pruned
        await hub.stop()

    asyncio.run(run())


def test_what_ends_takes_all_streams_along_and_those_that_come_get_what_is_there():
    async def work(source, hub):
        client = Client(hub, source, WHO[1], "*.*")
        await settled(client)
        source.publish(WHO[0], WHO, TOPICS[0])
        source.sign(hub)
        hub.finish()
        assert await client.reading is None
        late = hub.open(WHO[1], 0, "*.*", lambda: None)
        reader = Reader()
        while (parts := await late.next()) is not None:
            reader.feed(b"".join(parts))
        assert (len(reader.deliveries), reader.cursor) == (1, 1)

    scene(work)


def test_a_mistake_while_handing_out_sends_everybody_to_the_store():
    async def work(source, hub):
        client = Client(hub, source, WHO[1], "*.*")
        await settled(client)
        real, source.notice = source.notice, lambda *_: 1 // 0
        source.publish(WHO[0], WHO, TOPICS[0])
        source.sign(hub)
        await settled(client)
        source.notice = real
        source.publish(WHO[0], WHO, TOPICS[0])
        source.sign(hub)
        await settled(client)
        assert client.indexes == [0, 1]

    scene(work)
