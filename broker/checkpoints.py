"""Where an instance's checkpoints come from: the one signer's own, or, beside it, those that the signer has published.

Whoever takes another's checkpoint over holds it against its own tree first: each instance folds the same records, so a
root that differs means that one of them was shown another ledger.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from broker.clock import boot_seconds
from broker.ledger.port import Ledger, LedgerUnavailableError, Shared
from broker.ledger.signer import CheckpointSigner, SignerError
from broker.view.store import View
from keys.log.note import LogKeys, VerifiedCheckpoint, verify_checkpoint

CONFIRM_S: Final = 1.0
"""Seconds for which the store's word holds that everything was read."""

BEGIN_S: Final = 10.0
"""Seconds within which a ledger must be found to have what was signed."""

Roots = Callable[[int], bytes]
"""Gives the root of the first so many leaves of the instance's own tree."""


@dataclass(frozen=True, slots=True)
class SignedTree:
    """The newest checkpoint's note (None before the first) and the size that it is for."""

    note: bytes | None
    size: int


class CheckpointSource(Protocol):
    """Gives the ledger thread its checkpoints."""

    def prepare(self) -> None:
        """Do what must come before the instance reads on, and then asks for the newest."""
        ...

    def due(self, now: int) -> bool:
        """Say whether there may be a newer one although no leaf was added (`now` in Unix seconds)."""
        ...

    def newest(self, size: int, root: Roots, now: int) -> SignedTree | None:
        """Return the newest checkpoint over at most `size` leaves; None where it is the one of before.

        Raises `SignerError` where the ledger is not the one that was signed: then nothing may be signed or published.
        """
        ...


class OwnCheckpoints:
    """Sign them: the only broker of an embedded ledger."""

    def __init__(self, signer: CheckpointSigner) -> None:
        """Take over the signer."""
        self._signer = signer

    def prepare(self) -> None:
        """Do nothing: nobody else appends."""

    def due(self, now: int) -> bool:
        """Say whether the last note's time is old."""
        return self._signer.renewal_due(now)

    def newest(self, size: int, root: Roots, now: int) -> SignedTree:
        """Sign the tree."""
        return SignedTree(self._signer.sign(size, root(size), now), size)


class PublishedCheckpoints:
    """Sign them for all instances, and publish them where the others take them from.

    Nothing is signed before the store has confirmed that it has nothing newer: an instance that comes back after a long
    pause would otherwise put a fresh time on an old tree. Nothing is signed after another has signed, either.
    """

    def __init__(self, signer: CheckpointSigner, ledger: Ledger, shared: Shared, keys: LogKeys) -> None:
        """Take over the signer; `keys` are the log's."""
        self._own = OwnCheckpoints(signer)
        self._ledger = ledger
        self._shared = shared
        self._keys = keys
        self._begun_over: bytes | None = None  # another's note, which this signer went on from
        self._signed = False
        self._ahead: bytes | None = None
        self._confirmed = 0.0  # seconds of a clock that goes on while process and machine stand still

    def prepare(self) -> None:
        """Have the store confirm that all of it can be read here."""
        if boot_seconds() - self._confirmed >= CONFIRM_S:
            self._ledger.refresh()
            self._confirmed = boot_seconds()

    def due(self, now: int) -> bool:
        """Say whether the last note's time is old."""
        return self._own.due(now)

    def newest(self, size: int, root: Roots, now: int) -> SignedTree | None:
        """Look at what was published and at the store, sign, publish."""
        told = self._shared.told()
        if told is not None and not told.own and told.note != self._begun_over:
            if self._signed:
                raise SignerError("second-signer", "Another instance has signed a checkpoint since this one began to.")
            other = verify_checkpoint(told.note, self._keys)
            if other.size > size and self._ahead != told.note:
                self._ahead = told.note  # it may have come while this instance read on
                return None
            _compare(other, size, root)
            self._begun_over = told.note
        if troubles := self._shared.troubles():
            raise LedgerUnavailableError(f"Nothing can be signed now: {troubles[0]}.")
        signed = self._own.newest(size, root, now)
        if signed.note is not None:
            self._shared.tell(signed.note)
            self._signed = True
        return signed


class TakenCheckpoints:
    """Take over those that the signer has published, each held against the instance's own tree."""

    def __init__(self, shared: Shared, keys: LogKeys) -> None:
        """Read from `shared`; `keys` are the log's."""
        self._shared = shared
        self._keys = keys
        self._waiting: VerifiedCheckpoint | None = None
        self._taken = (0, 0)  # size and time of the newest that was taken over
        self._note = b""

    def prepare(self) -> None:
        """Do nothing: the tree is the instance's own, however far it has read."""

    def due(self, now: int) -> bool:  # noqa: ARG002 - the signer has looked at the clock
        """Say whether there is one that was not looked at, or that the tree has not reached."""
        told = self._shared.told()
        return self._waiting is not None or (told is not None and told.note != self._note)

    def newest(self, size: int, root: Roots, now: int) -> SignedTree | None:  # noqa: ARG002 - see `due`
        """Return the newest that the own tree has reached."""
        told = self._shared.told()
        if told is not None and told.note != self._note:
            newer = verify_checkpoint(told.note, self._keys)
            self._note = told.note
            if (newer.size, newer.at) > self._taken:
                self._waiting = newer
            else:  # of a signer that stood still: what was shown is not taken back
                _compare(newer, size, root)
        found = self._waiting
        if found is None or found.size > size:
            return None
        _compare(found, size, root)
        self._waiting = None
        self._taken = (found.size, found.at)
        return SignedTree(found.note, found.size)


def demand_signed(ledger: Ledger, view: View, shared: Shared, keys: LogKeys, *, within: float = BEGIN_S) -> None:
    """Demand that the ledger has as much as an instance has signed, as far as that is known; raise `SignerError`.

    Whoever starts with nothing of its own on a ledger from an old backup would otherwise publish into it. A node that stood
    still may say what was: it is asked for some seconds. Raises `LedgerUnavailableError`.
    """
    told = shared.told()
    if told is None:
        return
    signed, end = verify_checkpoint(told.note, keys), time.monotonic() + within
    while view.size < signed.size and time.monotonic() < end:
        time.sleep(within / 20)
        ledger.refresh()
        view.keep_up()
    _compare(signed, view.size, view.root)


def _compare(found: VerifiedCheckpoint, size: int, root: Roots) -> None:
    if found.size > size:
        raise SignerError(
            "ledger-shorter",
            f"The ledger has {size} leaves, and another instance signed {found.size}: it is an old copy.",
        )
    if root(found.size) != found.root:
        raise SignerError("root-differs", f"Another instance signed another root for {found.size} leaves.")
