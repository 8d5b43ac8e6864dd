"""RFC 6962 trees against the RFC's own recursive definitions, and published vectors."""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keys.errors import VerificationError
from keys.log import merkle
from keys.log.merkle import Frontier

VECTORS = Path(__file__).parents[5] / "shared" / "vectors" / "merkle-inclusion.json"
LARGE = 1100
ENTRIES = tuple(b"%d" % index * (1 + index % 5) if index else b"" for index in range(LARGE))
LEAVES = tuple(hashlib.sha256(b"\x00" + entry).digest() for entry in ENTRIES)

sizes = st.integers(0, LARGE)


# The oracle: sections 2.1, 2.1.1 and 2.1.2, word for word


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


@cache
def mth(low, high):
    if low == high:
        return hashlib.sha256(b"").digest()
    if high - low == 1:
        return LEAVES[low]
    k = split(high - low)
    return hashlib.sha256(b"\x01" + mth(low, low + k) + mth(low + k, high)).digest()


def path(m, low, high):
    if high - low == 1:
        return ()
    k = split(high - low)
    if m < k:
        return (*path(m, low, low + k), mth(low + k, high))
    return (*path(m - k, low + k, high), mth(low, low + k))


def subproof(m, low, high, whole):
    if m == high - low:
        return () if whole else (mth(low, high),)
    k = split(high - low)
    if m <= k:
        return (*subproof(m, low, low + k, whole), mth(low + k, high))
    return (*subproof(m - k, low + k, high, False), mth(low, low + k))


def consistency(m, n):
    return () if m in (0, n) else subproof(m, 0, n, True)


class Store:
    """The nodes of a growing tree, as a view keeps them; counts how often it is asked."""

    def __init__(self, size):
        self.nodes = {}
        self.reads = 0
        frontier = Frontier()
        for leaf in LEAVES[:size]:
            frontier, nodes = merkle.append_nodes(frontier, leaf)
            self.nodes.update({(level, n): digest for level, n, digest in nodes})

    def __call__(self, wanted):
        self.reads += 1
        return [self.nodes[node] for node in wanted]


STORE = Store(LARGE)


def test_hashes_are_domain_separated():
    assert merkle.leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.node_hash(b"l" * 32, b"r" * 32) == hashlib.sha256(b"\x01" + b"l" * 32 + b"r" * 32).digest()


@pytest.mark.parametrize("size", [*range(18), 255, 256, 257, 1024, LARGE])
def test_roots_are_the_oracles(size):
    root = mth(0, size)
    assert merkle.root_of(ENTRIES[:size]) == root
    assert merkle.root_of_hashes(LEAVES[:size]) == root
    assert merkle.tree_root(size, STORE) == root
    assert Frontier().extend(LEAVES[:size]).root() == root
    assert merkle.tree_frontier(size, STORE) == Frontier().extend(LEAVES[:size])


@pytest.mark.parametrize("size", [*range(1, 35), 64, 65, 100, 127, 255])
def test_every_inclusion_path_is_the_oracles(size):
    hashes, root = LEAVES[:size], mth(0, size)
    of_all, paths = merkle.all_inclusion_paths(hashes)
    assert of_all == root
    assert len(paths) == size
    for index in range(size):
        expected = path(index, 0, size)
        assert paths[index] == merkle.inclusion_path(hashes, index) == merkle.tree_inclusion(index, size, STORE)
        assert paths[index] == expected
        merkle.verify_inclusion(hashes[index], index, size, expected, root)


@pytest.mark.parametrize("new", [*range(1, 35), 64, 65, 100, 127])
def test_every_consistency_proof_is_the_oracles(new):
    for old in range(new + 1):
        proof = merkle.tree_consistency(old, new, STORE)
        assert proof == consistency(old, new)
        merkle.verify_consistency(old, mth(0, old), new, mth(0, new), proof)


@given(st.data())
def test_large_trees_prove_what_the_oracle_proves(data):
    size = data.draw(st.integers(1, LARGE))
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(0, size))
    assert merkle.tree_inclusion(index, size, STORE) == path(index, 0, size)
    assert merkle.tree_consistency(old, size, STORE) == consistency(old, size)
    merkle.verify_inclusion(LEAVES[index], index, size, path(index, 0, size), mth(0, size))
    merkle.verify_consistency(old, mth(0, old), size, mth(0, size), consistency(old, size))


def test_a_store_is_read_once_a_proof():
    store = Store(300)
    for call in (
        lambda: merkle.tree_root(299, store),
        lambda: merkle.tree_inclusion(5, 299, store),
        lambda: merkle.tree_consistency(5, 299, store),
    ):
        store.reads = 0
        call()
        assert store.reads == 1


# What grows


@given(sizes, sizes)
def test_a_frontier_grows_leaf_by_leaf_as_at_once(first, second):
    begin, end = sorted((first, second))
    frontier = Frontier().extend(LEAVES[:begin])
    grown = frontier.extend(LEAVES[begin:end])
    assert frontier == merkle.tree_frontier(begin, STORE)
    assert (grown.size, grown.root()) == (end, mth(0, end))
    if end < LARGE:
        appended, nodes = merkle.append_nodes(grown, LEAVES[end])
        assert appended == grown.append(LEAVES[end]) == Frontier().extend(LEAVES[: end + 1])
        assert nodes == [(level, n, mth(n << level, n + 1 << level)) for level, n, _ in nodes]
        assert [level for level, _, _ in nodes] == list(range(len(nodes)))
        assert {n + 1 << level for level, n, _ in nodes} == {end + 1}
        assert (end + 1) % (1 << len(nodes)) != 0  # nothing that became complete is left out


def test_every_node_of_a_tree_is_told_once():
    wanted = {(level, n) for level in range(11) for n in range(LARGE >> level)}
    assert set(STORE.nodes) == wanted


def test_an_empty_frontier_extends_by_nothing():
    assert Frontier().extend([]) == Frontier()
    assert Frontier().root() == merkle.EMPTY_ROOT


@pytest.mark.parametrize(("size", "count"), [(0, 1), (1, 0), (3, 1), (4, 2), (-1, 1)])
def test_a_frontier_has_a_hash_for_each_bit(size, count):
    with pytest.raises(ValueError, match="one bit"):
        Frontier(size, LEAVES[:count])


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0)])
def test_there_is_no_path_outside_the_tree(index, size):
    with pytest.raises(IndexError):
        merkle.inclusion_path(LEAVES[:size], index)
    with pytest.raises(IndexError):
        merkle.tree_inclusion(index, size, STORE)


@pytest.mark.parametrize(("old", "new"), [(-1, 4), (5, 4)])
def test_there_is_no_consistency_with_the_future(old, new):
    with pytest.raises(IndexError):
        merkle.tree_consistency(old, new, STORE)


def test_no_entries_have_no_paths():
    assert merkle.all_inclusion_paths([]) == (merkle.EMPTY_ROOT, [])


@pytest.mark.parametrize("call", [merkle.tree_inclusion, merkle.tree_consistency])
def test_a_store_that_answers_short_is_noticed(call):
    with pytest.raises(RuntimeError, match="store"):
        call(3, 7, lambda wanted: STORE(wanted)[:-1])


# What is refused


@st.composite
def wrong_paths(draw):
    size = draw(st.integers(1, 80))
    index = draw(st.integers(0, size - 1))
    good = list(path(index, 0, size))
    bad = list(good)
    kind = draw(st.sampled_from(["flip", "drop", "add", "swap", "short hash"]))
    if kind == "add" or not good:
        bad.insert(draw(st.integers(0, len(good))), draw(st.binary(min_size=32, max_size=32)))
    else:
        at = draw(st.integers(0, len(good) - 1))
        if kind == "flip":
            bit = draw(st.integers(0, 255))
            bad[at] = (int.from_bytes(bad[at], "big") ^ 1 << bit).to_bytes(32, "big")
        elif kind == "drop":
            del bad[at]
        elif kind == "swap":
            bad[at - 1], bad[at] = bad[at], bad[at - 1]
        else:
            bad[at] = bad[at][:31]
    return index, size, good, bad


@given(wrong_paths())
def test_an_altered_path_is_refused(case):
    index, size, good, bad = case
    assume(good != bad)  # a swap in a path of one
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(LEAVES[index], index, size, bad, mth(0, size))


@given(st.integers(2, 80), st.data())
def test_a_path_is_of_one_leaf_and_index(size, data):
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1).filter(lambda n: n != index))
    good = path(index, 0, size)
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(LEAVES[other], index, size, good, mth(0, size))
    with pytest.raises(VerificationError):
        merkle.verify_inclusion(LEAVES[index], other, size, good, mth(0, size))


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1, 1), (0, 0), (0, -1)])
def test_an_index_outside_the_tree_is_refused(index, size):
    with pytest.raises(VerificationError, match="index"):
        merkle.root_from_path(LEAVES[0], index, size, [])


def test_a_leaf_hash_has_32_bytes():
    with pytest.raises(VerificationError, match="32"):
        merkle.verify_inclusion(LEAVES[0] + b"\x00", 0, 1, [], LEAVES[0] + b"\x00")


@given(st.data())
def test_an_altered_consistency_proof_is_refused(data):
    new = data.draw(st.integers(2, 80))
    old = data.draw(st.integers(1, new - 1))
    bad = list(consistency(old, new))
    at = data.draw(st.integers(0, len(bad) - 1))
    kind = data.draw(st.sampled_from(["flip", "drop", "add", "short hash"]))
    if kind == "flip":
        bad[at] = (int.from_bytes(bad[at], "big") ^ 1 << data.draw(st.integers(0, 255))).to_bytes(32, "big")
    elif kind == "drop":
        del bad[at]
    elif kind == "add":
        bad.insert(at, data.draw(st.binary(min_size=32, max_size=32)))
    else:
        bad[at] = bad[at][1:]
    with pytest.raises(VerificationError):
        merkle.verify_consistency(old, mth(0, old), new, mth(0, new), bad)


@given(st.integers(1, 80), st.data())
def test_consistency_is_of_two_roots(new, data):
    old = data.draw(st.integers(1, new))
    proof = consistency(old, new)
    for old_root, new_root in ((LEAVES[99], mth(0, new)), (mth(0, old), LEAVES[99])):
        with pytest.raises(VerificationError):
            merkle.verify_consistency(old, old_root, new, new_root, proof)


@pytest.mark.parametrize(
    ("old", "new", "old_root", "proof", "why"),
    [
        (5, 4, None, (), "larger"),
        (-1, 4, None, (), "larger"),
        (4, 4, None, (LEAVES[0],), "empty"),
        (0, 4, None, (LEAVES[0],), "empty"),
        (0, 4, LEAVES[0], (), "older root"),
        (0, 0, LEAVES[0], (), "older root"),
        (3, 4, None, (), "short"),
        (4, 8, None, (), "short"),
        (2, 3, None, (LEAVES[2], LEAVES[3]), "long"),
        (2, 3, None, (LEAVES[2][1:],), "32"),
        (0, 3, b"", (), "32"),
    ],
)
def test_a_consistency_proof_is_refused_for_its_reason(old, new, old_root, proof, why):
    with pytest.raises(VerificationError, match=why):
        merkle.verify_consistency(old, mth(0, max(old, 0)) if old_root is None else old_root, new, mth(0, new), proof)


def test_published_inclusion_vectors():
    if not VECTORS.exists():
        pytest.skip("../shared/vectors is missing")
    vectors = json.loads(VECTORS.read_text())
    assert len(vectors) == 98
    for vector in vectors:
        leaf, root = (base64.b64decode(vector[name] or "") for name in ("leafHash", "root"))
        proof = [base64.b64decode(item) for item in vector["proof"] or []]
        arguments = leaf, vector["leafIdx"], vector["treeSize"], proof, root
        if vector["wantErr"]:
            with pytest.raises(VerificationError):
                merkle.verify_inclusion(*arguments)
        else:
            merkle.verify_inclusion(*arguments)
