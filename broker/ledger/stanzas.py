"""The key ids in a sealed body, read where they stand: a stanza has a fixed length (spec/envelope.md).

Parsing 57 stanzas costs more than all else that the ledger does with a record. The body's form was checked when it was
accepted; here it is only held against the fixed parts.
"""

from typing import Final

from schemas.envelope import SEAL_ALG
from schemas.errors import FormError
from schemas.ids import Kid

KID_LENGTH: Final = 43

_LIST: Final = b'"recipients":['
_BEFORE: Final = b'{"header":{"alg":"%b","kid":"' % SEAL_ALG.encode()
_AFTER: Final = b'","ek":"'
_KID: Final = len(_BEFORE)
_STANZA: Final = _KID + KID_LENGTH + len(_AFTER) + 1494 + len('"},"encrypted_key":"') + 64 + len('"}')


def stanza_kids(body: bytes) -> tuple[Kid, ...]:
    """Return the key ids that a sealed body's stanzas are for, in their order; raise `FormError` for another form.

    No string of the one encoding holds a quotation mark, so the list is found by its member's name.
    """
    at = body.find(_LIST) + len(_LIST)
    if at < len(_LIST):
        raise FormError("Must have a list of recipients.", pointer="/sealed")
    kids = []
    while True:
        kid = at + _KID
        end = kid + KID_LENGTH
        if body[at:kid] != _BEFORE or body[end : end + len(_AFTER)] != _AFTER:
            raise FormError("Must be stanzas of their fixed length.", pointer="/sealed/recipients")
        kids.append(Kid(body[kid:end].decode("ascii", "replace")))
        at += _STANZA
        if body[at : at + 1] != b",":
            break
        at += 1
    if body[at : at + 1] != b"]":
        raise FormError("Must be stanzas of their fixed length.", pointer="/sealed/recipients")
    return tuple(kids)
