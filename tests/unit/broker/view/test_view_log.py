"""The view as a log: its proofs and tiles hold for strangers who know the leaves only."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.view import log as logs
from broker.view.schema import node_id
from keys.log import merkle
from keys.log.tiles import parse_bundle
from schemas.encoding import from_seconds
from schemas.errors import FormError

SIZE = 700


@pytest.fixture(scope="module")
def grown(made, open_broker):
    """A view of 700 leaves, and their bytes."""
    broker, maker = open_broker(), made.Maker(7)
    entries = [maker.day(from_seconds(86_400 * n)[:10]) for n in range(SIZE)]
    assert [item.index for item in broker.append(*entries)] == list(range(SIZE))
    yield broker, [entry.record for entry in entries]
    broker.close()


@pytest.fixture(params=["writer", "reader"])
def view(request, grown):
    if request.param == "writer":
        yield grown[0].view
        return
    reader = grown[0].view.reader()
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def leaves(grown):
    return [record.leaf.encode() for record in grown[1]]


def test_nodes_are_numbered_as_they_become_complete():
    frontier, numbers = merkle.Frontier(), []
    for _ in range(200):
        frontier, nodes = merkle.append_nodes(frontier, bytes(32))
        numbers += [node_id(level, n) for level, n, _ in nodes]
    assert numbers == list(range(len(numbers)))


@given(size=st.integers(0, SIZE), data=st.data())
@settings(max_examples=60, deadline=None)
def test_proofs_hold(grown, leaves, size, data):
    asked = grown[0].view
    root = merkle.root_of(leaves[:size])
    assert asked.root(size) == root
    old = data.draw(st.integers(0, size))
    merkle.verify_consistency(old, merkle.root_of(leaves[:old]), size, root, asked.consistency(old, size))
    if size:
        index = data.draw(st.integers(0, size - 1))
        merkle.verify_inclusion(merkle.leaf_hash(leaves[index]), index, size, asked.inclusion(index, size), root)


def test_what_the_tree_has_not_is_an_index_error(view):
    for call in (
        lambda: view.root(SIZE + 1),
        lambda: view.inclusion(SIZE, SIZE),
        lambda: view.inclusion(0, SIZE + 324),
        lambda: view.consistency(1, SIZE + 1),
        lambda: view.consistency(3, 2),
    ):
        with pytest.raises(IndexError):
            call()


def test_tiles_hold_the_hashes_of_their_level(view, leaves):
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    assert view.size == SIZE
    assert view.tile(0, 0, 256) == b"".join(hashes[:256])
    assert view.tile(0, 2, 188) == b"".join(hashes[512:])
    assert view.tile(0, 2, 5) == b"".join(hashes[512:517])
    assert view.tile(1, 0, 2) == merkle.root_of(leaves[:256]) + merkle.root_of(leaves[256:512])
    for level, index, width in ((0, 2, 189), (0, 3, 1), (1, 0, 3), (2, 0, 1)):
        assert view.tile(level, index, width) is None
    with pytest.raises(FormError):
        view.tile(64, 0, 1)


def test_bundles_hold_the_entries(view, leaves):
    assert parse_bundle(view.entries(0, 256)) == leaves[:256]
    assert parse_bundle(view.entries(2, 188)) == leaves[512:]
    assert parse_bundle(view.entries(2, 1)) == leaves[512:513]
    assert view.entries(2, 189) is None
    assert view.entries(9, 1) is None
    with pytest.raises(FormError):
        view.entries(0, 257)


def test_a_leaf_is_found_by_its_digest(view, grown):
    records = grown[1]
    for index in (0, 1, 255, SIZE - 1):
        assert view.object(records[index].leaf.digest) == (index, records[index])
    assert view.object(bytes(32)) is None
    assert view.object(records[0].leaf.digest[:8] + bytes(24)) is None


def test_memos_are_bounded_and_change_nothing(grown, leaves, monkeypatch):
    monkeypatch.setattr(logs, "_MEMO", 5)
    reader = grown[0].view.reader()
    for size in range(1, SIZE, 13):
        root = merkle.root_of(leaves[:size])
        assert reader.root(size) == reader.root(size) == root
        merkle.verify_inclusion(merkle.leaf_hash(leaves[0]), 0, size, reader.inclusion(0, size), root)
        assert max(map(len, (reader._low, reader._high, reader._roots))) <= 5
    assert reader.tile(0, 0, 256) == b"".join(merkle.leaf_hash(leaf) for leaf in leaves[:256])
    reader.close()
