"""The kinds of notice: what is sealed, as strict frozen models, a module a kind.

The plaintext is an object: `label` (added at sealing), `kind`, then the kind's members. This package reads and writes
it without the label; it neither seals nor decides who may read.
"""

from schemas.notice.notice import Notice
from schemas.notice.reading import (
    KINDS,
    examples,
    is_nominal,
    json_schema,
    nominal_members,
    parse_notice,
    summary,
    to_json,
    without_nominal,
)

__all__ = [
    "KINDS",
    "Notice",
    "examples",
    "is_nominal",
    "json_schema",
    "nominal_members",
    "parse_notice",
    "summary",
    "to_json",
    "without_nominal",
]
