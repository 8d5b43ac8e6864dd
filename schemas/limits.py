"""All limits of the wire in one place; the README prints this table."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds, counts as they are."""

    body: int = 1 << 20  # an envelope, a role upload, a plain notice
    batch: int = 32 << 20  # a body of envelopes, one a line
    batch_lines: int = 100
    depth: int = 32  # objects and lists
    batch_statements: int = 1024  # statements under one head
    integer: int = 2**53 - 1
    clock_ahead: int = 300
    clock_behind: int = 14 * 24 * 3600
    receipt_due: int = 24 * 3600
    longest_expiry: int = 3653 * 24 * 3600  # from now to `expires_at`
    request_age: int = 60  # RFC 9421 `created`
    received_at_back: int = 60_000  # milliseconds a leaf may lie behind the greatest so far
    checkpoint_stale: int = 180
    import_file: int = 64 << 20
    import_cell: int = 64 << 10
    quoted_cell: int = 80
    statements_per_second: int = 2000
    headers: int = 16 << 10


LIMITS = Limits()
