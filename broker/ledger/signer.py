"""The signer of checkpoints: never two roots for one size (design: ledger).

It keeps the last size and root that it signed in a folder of its own, apart from the ledger, durably before a note is
handed out. A ledger that ends before that, or whose root at that size differs, is not signed: `SignerError` says which,
and nothing but a person may go on from there. What it trusts: its folder, and that no other signer has a copy of it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from broker.ledger.files import lock, read_file, replace_file
from keys.log.merkle import EMPTY_ROOT
from keys.log.note import LogSigner, sign_checkpoint
from schemas import checkpoint as checkpoints
from schemas.checkpoint import Checkpoint
from schemas.errors import Error

RENEW_S: Final = 60
"""Seconds after which the ML-DSA-44 line is made anew: its time is what freshness is judged by."""

HEAD: Final = "signed-head"
"""The file in the signer's folder; only the signer itself, which has the keys, may open the folder as its own."""


class SignerError(Error):
    """The tree is not one that may be signed: an alarm for the operator. `alarm` is a code that says which."""

    problem: ClassVar[str] = "unavailable"

    def __init__(self, alarm: str, detail: str) -> None:
        super().__init__(detail)
        self.alarm = alarm


class CheckpointSigner:
    """Signs the checkpoints of one log; one instance for each folder, used by one thread.

    Ownership: everything is that thread's. `_head` is what the folder says; `_note` is the last note of this process.
    """

    def __init__(self, signer: LogSigner, folder: Path) -> None:
        """Take over the folder, making it where it is missing; raise `SignerError` or `LedgerUnavailableError`."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._signer: Final = signer
        self._path: Final = folder / HEAD
        self._lock: Final = lock(folder / f"{HEAD}.lock")
        self._note = b""
        self._signed_at = 0
        try:
            self._head: Checkpoint | None = self._read()
        except BaseException:
            self.close()
            raise

    def _read(self) -> Checkpoint | None:
        data = read_file(self._path)
        if data is None:
            return None
        try:
            head = checkpoints.parse(data)
        except Error:
            raise SignerError(
                "head-unreadable", "The last signed head cannot be read; restore it or its log."
            ) from None
        if head.origin != self._signer.origin:
            raise SignerError("head-foreign", "The last signed head is another log's.")
        return head

    @property
    def head(self) -> Checkpoint | None:
        """Return the largest tree that was signed; None before the first."""
        return self._head

    def check(self, size: int, root_of: Callable[[int], bytes]) -> None:
        """Hold a ledger of `size` leaves against the last signed head; `root_of` gives its root at a smaller size.

        Raises `SignerError`. Call it before the first `sign` and after each rebuild of the view.
        """
        head = self._head
        if head is None:
            return
        if size < head.size:
            raise _smaller(size, head.size)
        if root_of(head.size) != head.root:
            raise _other(head.size)

    def sign(self, size: int, root: bytes, now: int) -> bytes:
        """Return the note of a tree, its ML-DSA-44 line at most a minute old at `now` (Unix seconds).

        Raises `SignerError` for a smaller tree or another root of a size that was signed, `StorageFullError` or
        `LedgerUnavailableError` when the head cannot be kept: then nothing was signed.
        """
        head = self._head
        if head is not None:
            if size < head.size:
                raise _smaller(size, head.size)
            if size == head.size and root != head.root:
                raise _other(size)
        if size == 0 and root != EMPTY_ROOT:
            raise _other(size)
        new = Checkpoint(self._signer.origin, size, root)
        if head != new:
            replace_file(self._path, checkpoints.encode(new))
            # --- crash point: kept, not signed. The next start signs this head or a larger one. ---
            self._head = new
            self._note = b""
        if not self._note or self.renewal_due(now):
            self._note = sign_checkpoint(self._signer, size, root, at=now)
            self._signed_at = now
        return self._note

    def renewal_due(self, now: int) -> bool:
        """Say whether the last note's time is a minute old, or ahead of a clock that was set back."""
        return not self._signed_at <= now < self._signed_at + RENEW_S

    def close(self) -> None:
        """Let another signer have the folder."""
        os.close(self._lock)


def _smaller(size: int, signed: int) -> SignerError:
    return SignerError(
        "ledger-shorter",
        f"The ledger has {size} leaves, and a tree of {signed} was signed: it lost some, or is an old copy.",
    )


def _other(size: int) -> SignerError:
    return SignerError(
        "root-differs", f"The ledger's root at {size} leaves is not the one that was signed: it was changed."
    )
