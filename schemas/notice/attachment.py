"""References from inside a notice to its attachments, which travel beside it, each sealed with a key of its own."""

from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from schemas.encoding import b64decode
from schemas.errors import MalformedError
from schemas.limits import LIMITS
from schemas.notice.forms import Line, Part, refuse
from schemas.notice.text import Text


def _key(text: str) -> str:
    try:
        length = len(b64decode(text))
    except MalformedError:
        length = 0
    if length != 32:
        refuse("Must be 32 bytes in unpadded base64url.")
    return text


class Attachment(Part):
    """An attachment: its place in the statement's list, the key that opens it, and what it is."""

    index: Annotated[int, Field(ge=0, le=LIMITS.integer)]
    key: Annotated[
        str,
        AfterValidator(_key),
        WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{43}$", "description": "32 bytes, base64url"}),
    ]
    media_type: Line
    caption: Text | None = None


Attachments = Annotated[tuple[Attachment, ...], Field(strict=False)]
