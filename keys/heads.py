"""Remember which batch heads have verified: one pair of signatures covers up to 1,024 statements (spec/envelope.md).

A head is known by SHA-256 of all that its verification rests on: both public keys, both signatures, and the exact bytes
that each is over (protected headers with their key ids, and payload). Bounded: the one that was asked for longest ago goes
first. Whether the keys still count is not remembered: that is looked up for each statement.
"""

from collections import OrderedDict
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
        self._known: OrderedDict[bytes, None] = (
            OrderedDict()
        )  # in the order in which they were asked for; under the lock

    def __len__(self) -> int:
        """Return how many heads are remembered."""
        return len(self._known)

    def verify(self, head: Head, public: SigningPublic) -> None:
        """Check both signatures of a head under these keys, once; raise `VerificationError`, which is not remembered."""
        inputs = head.signing_inputs()
        values = (head.signatures[0].value, head.signatures[1].value)
        name = _name(public, inputs, values)
        with self._lock:
            if name in self._known:
                self._known.move_to_end(name)
                return
        verify_pair(public, inputs, values)
        with self._lock:
            self._known[name] = None
            if len(self._known) > self._most:
                self._known.popitem(last=False)


def _name(public: SigningPublic, inputs: tuple[bytes, bytes], values: tuple[bytes, bytes]) -> bytes:
    # Keys and signatures have fixed lengths, which parsing has seen to, and neither input holds a zero byte: nothing shifts.
    keys = public.ed25519.public_bytes_raw() + public.mldsa65.public_bytes_raw()
    return sha256(b"".join((keys, *values, inputs[0], b"\x00", inputs[1]))).digest()
