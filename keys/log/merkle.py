"""Merkle trees as RFC 6962 section 2.1 hashes them, with SHA-256; proofs as RFC 9162 section 2.1 checks them.

Hashes are 32 bytes. A *node* is a complete subtree, named `(level, n)`: the hash over the leaves from n·2^level up to
(n+1)·2^level. A tree is read through a function that returns the hashes of nodes, so that stores decide how; this module
does no I/O, reads no clock, and does not know what a leaf means.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from keys.errors import VerificationError

HASH_SIZE: Final = 32
EMPTY_ROOT: Final = sha256().digest()
"""The root of a tree without leaves: SHA-256 of nothing."""

Nodes = Callable[[list[tuple[int, int]]], list[bytes]]
"""Reads the hashes of nodes `(level, n)` in one go, in the order asked for; raises when one is missing."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash a log entry into a leaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees into the one above them (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


# Whole trees in memory: batches and lists of recipients


def root_of(entries: Iterable[bytes]) -> bytes:
    """Return the root of the tree whose entries these are."""
    return root_of_hashes([leaf_hash(entry) for entry in entries])


def root_of_hashes(hashes: Sequence[bytes]) -> bytes:
    """Return the root of the tree whose leaf hashes these are."""
    return tree(hashes)[-1][0] if hashes else EMPTY_ROOT


def inclusion_path(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the path of one of these leaf hashes, nearest sibling first, in time linear in their number.

    Raises `IndexError` when there is no such leaf.
    """
    if not 0 <= index < len(hashes):
        raise IndexError("The tree has no such leaf.")
    return _path(tree(hashes), index)


def all_inclusion_paths(hashes: Sequence[bytes]) -> tuple[bytes, list[tuple[bytes, ...]]]:
    """Return the root of these leaf hashes and the path of each, hashing each node once."""
    if not hashes:
        return EMPTY_ROOT, []
    levels = tree(hashes)
    return levels[-1][0], [_path(levels, index) for index in range(len(hashes))]


def tree(hashes: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Return the levels of the tree over these leaf hashes, at least one: they, then each above, the root last."""
    # A last one without a sibling rises as it is: this gives RFC 6962's tree, whose left half is the largest power of 2.
    levels = [hashes]
    while len(hashes) > 1:
        above = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=False)]
        if len(hashes) % 2:
            above.append(hashes[-1])
        levels.append(hashes := above)
    return levels


def _path(levels: list[Sequence[bytes]], index: int) -> tuple[bytes, ...]:
    siblings = ((level, index >> height ^ 1) for height, level in enumerate(levels[:-1]))
    return tuple(level[sibling] for level, sibling in siblings if sibling < len(level))


# Proofs


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a leaf hash and its path lead to (RFC 9162 section 2.1.3.2).

    Raises `VerificationError` when the path cannot be that of `index` in a tree of `size` leaves.
    """
    if not 0 <= index < size:
        raise VerificationError("The proof's index lies outside the tree.")
    _check_hashes(leaf, *path)
    node, last, root = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise VerificationError("The inclusion path is too long.")
        if node & 1 or node == last:
            root = node_hash(sibling, root)
            while not node & 1 and node:  # rose here without a sibling
                node >>= 1
                last >>= 1
        else:
            root = node_hash(root, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("The inclusion path is too short.")
    return root


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash is at `index` in the tree of `size` leaves with this root; raise `VerificationError`."""
    if root_from_path(leaf, index, size, path) != root:
        raise VerificationError("The inclusion path does not lead to the root.")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that a tree grew from an older one by appending only (RFC 9162 section 2.1.4.2).

    Every tree grew from the empty one and from itself; both have an empty proof. Raises `VerificationError`.
    """
    if not 0 <= old_size <= new_size:
        raise VerificationError("The older tree is larger than the newer one.")
    _check_hashes(old_root, new_root, *proof)
    if old_size in (0, new_size):
        if proof:
            raise VerificationError("The consistency proof must be empty.")
        if old_root != (new_root if old_size == new_size else EMPTY_ROOT):
            raise VerificationError("The older root is not that of a tree of its size.")
        return
    # The older root stands for itself where its tree is a node of the newer one.
    hashes = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not hashes:
        raise VerificationError("The consistency proof is too short.")
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node >>= 1
        last >>= 1
    old = new = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise VerificationError("The consistency proof is too long.")
        if node & 1 or node == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        node >>= 1
        last >>= 1
    if last != 0:
        raise VerificationError("The consistency proof is too short.")
    if old != old_root or new != new_root:
        raise VerificationError("The consistency proof does not lead to both roots.")


def _check_hashes(*hashes: bytes) -> None:
    if any(len(item) != HASH_SIZE for item in hashes):
        raise VerificationError("A hash of the proof is not 32 bytes.")


# A growing tree


@dataclass(frozen=True, slots=True)
class Frontier:
    """What appending needs to know of a tree: its size and its largest complete subtrees, left to right.

    Raises `ValueError` when there are not as many hashes as the size has one bits.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.hashes) != self.size.bit_count():
            raise ValueError("A frontier has one hash for each one bit of its size.")

    def append(self, leaf: bytes) -> "Frontier":
        """Return the frontier of the tree with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """Return the frontier of the tree with these leaf hashes after the others."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            node, root = size, leaf
            while node & 1:
                root = node_hash(hashes.pop(), root)
                node >>= 1
            hashes.append(root)
            size += 1
        return Frontier(size, tuple(hashes))

    def root(self) -> bytes:
        """Return the tree's root."""
        return _join(self.hashes) if self.hashes else EMPTY_ROOT


def append_nodes(frontier: Frontier, leaf: bytes) -> tuple[Frontier, list[tuple[int, int, bytes]]]:
    """Append a leaf hash and return the new frontier, and each node that became complete: level, n and hash.

    The first is the leaf itself, at level 0; each following one is a level higher.
    """
    hashes = list(frontier.hashes)
    level, node = 0, frontier.size
    nodes = [(0, node, leaf)]
    while node & 1:
        leaf = node_hash(hashes.pop(), leaf)
        level += 1
        node >>= 1
        nodes.append((level, node, leaf))
    hashes.append(leaf)
    return Frontier(frontier.size + 1, tuple(hashes)), nodes


def _join(subtrees: Sequence[bytes]) -> bytes:
    root = subtrees[-1]
    for left in subtrees[-2::-1]:
        root = node_hash(left, root)
    return root


# A tree in a store: ranges of leaves that RFC 6962's recursions name, each read as a few nodes


def tree_frontier(size: int, read: Nodes) -> Frontier:
    """Return the frontier of the stored tree's first `size` leaves; `read` is called once."""
    return Frontier(size, tuple(read(_nodes(0, size))))


def tree_root(size: int, read: Nodes) -> bytes:
    """Return the root of the stored tree's first `size` leaves; `read` is called once."""
    return tree_frontier(size, read).root()


def tree_inclusion(index: int, size: int, read: Nodes) -> tuple[bytes, ...]:
    """Return the inclusion path of a leaf in the stored tree's first `size` leaves (RFC 6962 section 2.1.1).

    `read` is called once, for at most 2·log₂(size) nodes. Raises `IndexError` when there is no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError("The tree has no such leaf.")
    low, high = 0, size
    ranges: list[tuple[int, int]] = []
    while high - low > 1:
        middle = low + _left(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return _hashes(ranges, read)


def tree_consistency(old: int, new: int, read: Nodes) -> tuple[bytes, ...]:
    """Return the proof that the stored tree's first `new` leaves begin with its first `old` (RFC 6962 section 2.1.2).

    `read` is called once, for at most 2·log₂(new) nodes. Raises `IndexError` unless 0 ≤ old ≤ new.
    """
    if not 0 <= old <= new:
        raise IndexError("The tree has no such older size.")
    if old in (0, new):
        return ()
    low, high = 0, new
    ranges: list[tuple[int, int]] = []
    while old < high:
        middle = low + _left(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low:  # else the older root itself, which the verifier has
        ranges.append((low, high))
    return _hashes(ranges, read)


def _left(size: int) -> int:
    """Return the largest power of two below a size of at least 2: how many leaves stand on the left."""
    return 1 << (size - 1).bit_length() - 1


def _nodes(low: int, high: int) -> list[tuple[int, int]]:
    """Return the largest nodes that make up one of the recursions' ranges, whose begin is always aligned."""
    nodes: list[tuple[int, int]] = []
    while low < high:
        level = (high - low).bit_length() - 1
        nodes.append((level, low >> level))
        low += 1 << level
    return nodes


def _hashes(ranges: list[tuple[int, int]], read: Nodes) -> tuple[bytes, ...]:
    """Read the hashes of ranges, which stand from the root down; return them from the leaf up, as proofs want them."""
    wanted = [_nodes(low, high) for low, high in reversed(ranges)]
    stored = read([node for nodes in wanted for node in nodes])
    if len(stored) != sum(map(len, wanted)):
        raise RuntimeError("The store must return the nodes it was asked for, or raise.")
    proof: list[bytes] = []
    at = 0
    for nodes in wanted:
        proof.append(_join(stored[at : at + len(nodes)]))
        at += len(nodes)
    return tuple(proof)
