"""Sealed cells: short pieces of a store, each under one key and tied to its place (AES-256-GCM, SP 800-38D).

A cell is nonce (12) ‖ ciphertext ‖ tag (16). The context, such as table, column and row, is authenticated and not
stored: a cell that was moved does not open. An old cell put back into its own place does; a store that must notice this
keeps a version in the context. Nonces are random: seal at most 2³² cells under one key.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.custody.errors import CustodyError

KEY_LENGTH: Final = 32
OVERHEAD: Final = 12 + 16
_NONCE: Final = 12


class Cells:
    """Seal and open cells under one key of 32 bytes."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_LENGTH:
            raise CustodyError(f"The key of a store has {KEY_LENGTH} bytes.")
        self._aead = AESGCM(key)

    @staticmethod
    def new_key() -> bytes:
        """Return a new key, for custody."""
        return os.urandom(KEY_LENGTH)

    def seal(self, plaintext: bytes, context: bytes) -> bytes:
        """Return a cell that opens in this context alone; it is `OVERHEAD` bytes longer."""
        nonce = os.urandom(_NONCE)
        return nonce + self._aead.encrypt(nonce, plaintext, context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what a cell holds; raise `CustodyError` for another key, another context or a damaged cell."""
        if len(sealed) < OVERHEAD:
            raise CustodyError("The cell is too short.")
        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], context)
        except InvalidTag:
            raise CustodyError("The cell does not open: another key, another place, or damage.") from None
