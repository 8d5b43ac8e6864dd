"""The public keys of a State, an organisation or the auditors, as they are handed to the root holders.

A file in the one encoding: `{v, typ, role, threshold, keys [JWK], law [JWK, JWK] or null}`. A State's law has two keys of
its own, the legal officer's and the focal point's.
"""

from typing import Final

from keys.directory.ceremony import RoleKeys, TufPublic
from schemas import encoding
from schemas.encoding import Members
from schemas.errors import FormError
from schemas.ids import Role
from schemas.strict_json import Json

TYP: Final = "valise-role-keys/1"
_MEMBERS: Final = ("v", "typ", "role", "threshold", "keys", "law")


def encode(keys: RoleKeys) -> bytes:
    """Return the file's bytes."""
    return encoding.encode(
        {
            "v": 1,
            "typ": TYP,
            "role": keys.role,
            "threshold": keys.threshold,
            "keys": [dict(key.jwk) for key in keys.keys],
            "law": None if keys.law is None else [dict(key.jwk) for key in keys.law],
        }
    )


def parse(data: bytes) -> RoleKeys:
    """Read a file; raise `MalformedError`, `FormError`, or `DirectoryError` for keys that cannot be a role's."""
    m = Members(encoding.parse(data), _MEMBERS)
    m.fixed("v", 1)
    m.fixed("typ", TYP)
    law = None if m.absent("law") else tuple(_public(item, "/law") for item in m.items("law"))
    if law is not None and len(law) != 2:
        raise FormError("Must be exactly two keys.", pointer="/law")
    return RoleKeys(
        role=Role(m.string("role")),
        keys=tuple(_public(item, "/keys") for item in m.items("keys")),
        law=None if law is None else (law[0], law[1]),
        threshold=m.integer("threshold"),
    )


def _public(value: Json, at: str) -> TufPublic:
    if not isinstance(value, dict):
        raise FormError("Must be a list of keys.", pointer=at)
    return TufPublic.parse(encoding.encode(value))
