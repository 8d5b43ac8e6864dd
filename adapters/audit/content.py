"""Open a notice with its released content key, as a court would: the key is committed to, the ciphertext is signed.

No sealing key is involved. The plaintext's checks are those of step 8 in spec/envelope.md.
"""

from adapters.audit.evidence import Content
from keys import digests, seal
from keys.envelope import read_plaintext
from keys.errors import VerificationError
from schemas.encoding import b64decode
from schemas.envelope import SealedHeader
from schemas.statement import Statement
from schemas.strict_json import Json


def open_content(statement: Statement, content: Content) -> dict[str, Json]:
    """Return the notice that a statement is about, in clear and without its label; raise `VerificationError`."""
    sealed = statement.sealed
    if sealed is None:
        raise VerificationError("The statement seals nothing.")
    header = SealedHeader.from_json(content.protected, "/content/protected")
    if header.binding != digests.binding(statement):
        raise VerificationError("The seal is bound to another statement.")
    if b64decode(sealed.content_digest) != digests.content(
        content.protected, content.iv, content.ciphertext, content.tag
    ):
        raise VerificationError("The ciphertext is not the signed one.")
    if digests.key_commitment(content.content_key) != header.key_commitment:
        raise VerificationError("The content key is not the committed one.")
    aad = content.protected.encode("ascii")
    plaintext = seal.decrypt(content.content_key, content.iv, content.ciphertext, content.tag, aad)
    return read_plaintext(statement, plaintext)
