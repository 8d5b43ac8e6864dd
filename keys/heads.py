"""Remember which batch heads have verified: one pair of signatures covers up to 1,024 statements (spec/envelope.md).

A head is known by SHA-256 of the exact bytes that were signed and of both signatures; its key ids are among them. Bounded.
Whether the keys still count is not remembered: that is looked up for each statement.
"""

from hashlib import sha256
from threading import Lock

from keys.sign import SigningPublic, verify_pair
from schemas.envelope import Head


class HeadMemory:
    """The heads that verified last, at most `most`; may be used by several threads."""

    __slots__ = ("_known", "_lock", "_most")

    def __init__(self, most: int = 4096) -> None:
        self._most = most
        self._lock = Lock()
        self._known: dict[bytes, None] = {}  # in the order in which they came; under the lock

    def verify(self, head: Head, public: SigningPublic) -> None:
        """Check both signatures of a head under the keys of its two key ids, once; raise `VerificationError`."""
        inputs = head.signing_inputs()
        first, second = head.signatures
        # Neither input holds a zero byte, and signatures have fixed lengths: nothing can shift.
        name = sha256(b"\x00".join((*inputs, first.value + second.value))).digest()
        with self._lock:
            if name in self._known:
                return
        verify_pair(public, inputs, (first.value, second.value))
        with self._lock:
            self._known[name] = None
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
