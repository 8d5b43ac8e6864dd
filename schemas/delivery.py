"""What one recipient gets: the statement, its proof, the ciphertext, its own stanza, and that the leaf is in the log.

About 12 KB instead of the whole envelope; identities of other recipients are not in it (spec/delivery.md).
"""

from dataclasses import dataclass
from typing import Final

from schemas import encoding
from schemas.encoding import Members, b64encode
from schemas.envelope import Proof, SealedHeader, Stanza, path_from_json, proof_of
from schemas.errors import FormError
from schemas.statement import Statement
from schemas.strict_json import Json

MEMBERS: Final = ("statement", "proof", "sealed", "recipient", "grant", "inclusion")


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That a leaf stands in the log: `received_at` in Unix ms, its path, and the checkpoint's note."""

    received_at: int
    index: int
    size: int
    path: tuple[bytes, ...]
    checkpoint: bytes

    def to_json(self) -> dict[str, Json]:
        """Return the inclusion with its members in order."""
        return {
            "received_at": self.received_at,
            "index": self.index,
            "size": self.size,
            "path": [b64encode(node) for node in self.path],
            "checkpoint": b64encode(self.checkpoint),
        }

    @classmethod
    def from_json(cls, value: Json, at: str = "/inclusion") -> "Inclusion":
        """Read an inclusion; raise `MalformedError` or `FormError`."""
        m = Members(value, ("received_at", "index", "size", "path", "checkpoint"), at)
        index, size = m.integer("index"), m.integer("size")
        if index >= size:
            raise FormError("Must be less than `size`.", pointer=f"{at}/index")
        path = path_from_json(m.items("path"), f"{at}/path")
        return cls(m.integer("received_at"), index, size, path, m.decoded("checkpoint"))


@dataclass(frozen=True, slots=True)
class SealedShare:
    """The ciphertext and one recipient's stanza."""

    header: SealedHeader
    stanza: Stanza
    iv: bytes
    ciphertext: bytes
    tag: bytes

    def to_json(self) -> dict[str, Json]:
        """Return the share with its members in order."""
        return {
            "protected": self.header.protected,
            **self.stanza.to_json(),
            "iv": b64encode(self.iv),
            "ciphertext": b64encode(self.ciphertext),
            "tag": b64encode(self.tag),
        }

    @classmethod
    def from_json(cls, value: Json, at: str = "/sealed") -> "SealedShare":
        """Read a share; raise `MalformedError` or `FormError`."""
        m = Members(value, ("protected", "header", "encrypted_key", "iv", "ciphertext", "tag"), at)
        stanza = {"header": m.value["header"], "encrypted_key": m.value["encrypted_key"]}
        return cls(
            header=SealedHeader.from_json(m.binary("protected"), f"{at}/protected"),
            stanza=Stanza.from_json(stanza, at),
            iv=m.decoded("iv", 12),
            ciphertext=m.decoded("ciphertext"),
            tag=m.decoded("tag", 16),
        )


@dataclass(frozen=True, slots=True)
class RecipientPath:
    """Where one's own stanza hangs under the recipients' root."""

    index: int
    size: int
    path: tuple[bytes, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the path with its members in order."""
        return {"index": self.index, "size": self.size, "path": [b64encode(node) for node in self.path]}

    @classmethod
    def from_json(cls, value: Json, at: str = "/recipient") -> "RecipientPath":
        """Read a path; raise `MalformedError` or `FormError`."""
        m = Members(value, ("index", "size", "path"), at)
        index, size = m.integer("index"), m.integer("size")
        if index >= size:
            raise FormError("Must be less than `size`.", pointer=f"{at}/index")
        return cls(index, size, path_from_json(m.items("path"), f"{at}/path"))


@dataclass(frozen=True, slots=True)
class Grant:
    """The grant that holds the stanza, where the notice was not sealed to this recipient at first."""

    statement_bytes: bytes
    statement: Statement
    proof_bytes: bytes
    proof: Proof
    inclusion: Inclusion

    @classmethod
    def from_json(cls, value: Json, at: str = "/grant") -> "Grant":
        """Read a grant; raise `MalformedError` or `FormError`."""
        m = Members(value, ("statement", "proof", "inclusion"), at)
        data = m.decoded("statement")
        statement = Statement.parse(data)
        if statement.act != "grant":
            raise FormError("Must be a grant's statement.", pointer=f"{at}/statement")
        proof = m.value["proof"]
        if not isinstance(proof, dict):
            raise FormError("Must be an object.", pointer=f"{at}/proof")
        return cls(
            statement_bytes=data,
            statement=statement,
            proof_bytes=encoding.encode(proof),
            proof=proof_of(statement, proof, f"{at}/proof"),
            inclusion=Inclusion.from_json(m.value["inclusion"], f"{at}/inclusion"),
        )


@dataclass(frozen=True, slots=True)
class Delivery:
    """A strictly parsed delivery; nothing in it is trusted yet. Open acts are not delivered: they are in the log."""

    statement_bytes: bytes
    statement: Statement
    proof_bytes: bytes
    proof: Proof
    sealed: SealedShare
    recipient: RecipientPath
    grant: Grant | None
    inclusion: Inclusion

    @classmethod
    def parse(cls, data: bytes) -> "Delivery":
        """Read a delivery in the one encoding; raise `TooLargeError`, `MalformedError` or `FormError`."""
        return cls.from_json(encoding.parse(data))

    @classmethod
    def from_json(cls, value: Json) -> "Delivery":
        """Read a delivery from an object that was parsed in the one encoding; raise as `parse` does."""
        m = Members(value, MEMBERS)
        data = m.decoded("statement")
        statement = Statement.parse(data)
        if statement.sealed is None or statement.act == "grant":
            raise FormError("Must be a sealed statement.", pointer="/statement")
        proof = m.value["proof"]
        if not isinstance(proof, dict):
            raise FormError("Must be an object.", pointer="/proof")
        return cls(
            statement_bytes=data,
            statement=statement,
            proof_bytes=encoding.encode(proof),
            proof=proof_of(statement, proof),
            sealed=SealedShare.from_json(m.value["sealed"]),
            recipient=RecipientPath.from_json(m.value["recipient"]),
            grant=None if m.absent("grant") else Grant.from_json(m.value["grant"]),
            inclusion=Inclusion.from_json(m.value["inclusion"]),
        )


def delivery_bytes(
    statement: bytes, proof: bytes, share: SealedShare, recipient: RecipientPath, inclusion: Inclusion
) -> bytes:
    """Join the encoded parts of a delivery that needs no grant."""
    return b'{"statement":"%b","proof":%b,"sealed":%b,"recipient":%b,"grant":null,"inclusion":%b}' % (
        b64encode(statement).encode(),
        proof,
        encoding.encode(share.to_json()),
        encoding.encode(recipient.to_json()),
        encoding.encode(inclusion.to_json()),
    )
