"""A broker made by hand: a tree of leaves, a checkpoint over it, and deliveries put together from the specification.

It shares no code with `broker`, so that what a recipient checks is held against a second maker of deliveries. Hashes are
its own (RFC 6962 by recursion); only the log's signature comes from `keys.log`.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keys.batch import Signed
from keys.envelope import OpenedNotice, VerifiedDelivery, open_notice, verify_delivery
from keys.heads import HeadMemory
from keys.log.note import sign_checkpoint, verify_checkpoint
from schemas.delivery import Delivery
from tests.formed import b64, compact, unb64
from tests.world import World

Object = dict[str, Any]


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def root(entries: Sequence[bytes]) -> bytes:
    """Return the RFC 6962 root of some entries, by its recursion."""
    if len(entries) < 2:
        return sha(b"\x00" + entries[0]) if entries else sha(b"")
    left = 1 << (len(entries) - 1).bit_length() - 1
    return sha(b"\x01" + root(entries[:left]) + root(entries[left:]))


def path(entries: Sequence[bytes], index: int) -> list[bytes]:
    """Return the RFC 6962 path of an entry, by its recursion."""
    if len(entries) == 1:
        return []
    left = 1 << (len(entries) - 1).bit_length() - 1
    if index < left:
        return [*path(entries[:left], index), root(entries[left:])]
    return [*path(entries[left:], index - left), root(entries[:left])]


def entry(stanza: Object) -> bytes:
    header = stanza["header"]
    return header["kid"].encode() + unb64(header["ek"]) + unb64(stanza["encrypted_key"])


@dataclass
class Carrier:
    """A log of leaves; `received_at` of each is the world's now, or what `add` was told."""

    world: World
    leaves: list[bytes] = field(default_factory=list)

    def add(self, signed: Signed, *, received_at: int | None = None, kind: int = 1) -> int:
        """Append a statement's leaf and return its index."""
        at = self.world.now * 1000 if received_at is None else received_at
        digest = sha(b"\x00" + sha(signed.statement_bytes) + sha(signed.proof_bytes))
        self.leaves.append(bytes([kind]) + at.to_bytes(8, "big") + digest)
        return len(self.leaves) - 1

    def fill(self, size: int) -> None:
        """Append leaves of nothing up to a size."""
        while len(self.leaves) < size:
            self.leaves.append(bytes([7]) + bytes(8) + sha(len(self.leaves).to_bytes(4, "big")))

    def note(self, signer: Any = None) -> bytes:
        return sign_checkpoint(signer or self.world.log, len(self.leaves), root(self.leaves), at=self.world.now)

    def delivery(self, signed: Signed, index: int, who: str) -> Object:
        """Return the delivery of an envelope for a participant, as an object to bend."""
        envelope = json.loads(signed.envelope)
        sealed = envelope["sealed"]
        kid = self.world.people[who].sealing.kid
        place = next(n for n, one in enumerate(sealed["recipients"]) if one["header"]["kid"] == kid)
        entries = [entry(one) for one in sealed["recipients"]]
        return {
            "statement": envelope["statement"],
            "proof": envelope["proof"],
            "sealed": {
                "protected": sealed["protected"],
                **sealed["recipients"][place],
                "iv": sealed["iv"],
                "ciphertext": sealed["ciphertext"],
                "tag": sealed["tag"],
            },
            "recipient": {"index": place, "size": len(entries), "path": [b64(one) for one in path(entries, place)]},
            "grant": None,
            "inclusion": {
                "received_at": int.from_bytes(self.leaves[index][1:9], "big"),
                "index": index,
                "size": len(self.leaves),
                "path": [b64(one) for one in path(self.leaves, index)],
                "checkpoint": b64(self.note()),
            },
        }

    def verify(
        self,
        value: Object | bytes,
        who: str,
        *,
        revoked: dict[str, int] | None = None,
        heads: HeadMemory | None = None,
    ) -> VerifiedDelivery:
        """Verify a delivery as a recipient does, under its own note."""
        delivery = Delivery.parse(value if isinstance(value, bytes) else compact(value))
        directory = self.world.directory
        checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, directory.log.keys)
        own = {self.world.people[who].sealing.kid: None}
        return verify_delivery(delivery, directory, checkpoint, revoked=revoked or {}, own=own, heads=heads)  # type: ignore[arg-type]

    def open(self, value: Object | bytes, who: str) -> OpenedNotice:
        """Verify a delivery and open it."""
        return open_notice(self.verify(value, who), self.world.people[who].sealing)  # type: ignore[index]


def resealed(value: Object, change: Callable[[Object], None]) -> Object:
    """Return a deep copy of an object with a change made to it."""
    copy: Object = json.loads(json.dumps(value))
    change(copy)
    return copy
