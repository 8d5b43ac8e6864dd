r"""The one encoding of statements, envelopes and all else that is signed or hashed.

Compact JSON without final newline, members in a fixed order, all present; strings are non-empty printable ASCII
without `" \\ < > &`; numbers are integers 0…2⁵³−1; binary is unpadded base64url; times are `YYYY-MM-DDTHH:MM:SSZ`.
A reader parses, encodes again and compares bytes (`parse`), then takes objects apart with `Members`, which demands the
exact members in their order.
"""

import binascii
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, NewType, TypeVar

import orjson
from pydantic import ConfigDict, TypeAdapter

from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.limits import LIMITS
from schemas.strict_json import Json

Time = NewType("Time", str)
"""A calendar time `YYYY-MM-DDTHH:MM:SSZ`; times compare as strings."""

B64 = NewType("B64", str)
"""Unpadded base64url with zero trailing bits."""

_T = TypeVar("_T")
_ALLOWED: Final = bytes(c for c in range(0x20, 0x7F) if chr(c) not in "\\<>&")
# The hour is bounded here: newer Pythons read 24:00:00 as the next day's midnight.
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# The standard alphabet's own signs and padding become NUL, which strict decoding refuses.
_FROM_URL: Final = bytes.maketrans(b"-_+/=", b"+/\x00\x00\x00")
_PADDING: Final = (b"", None, b"==", b"=")
# What the last character may be, by length modulo 4, so that the bits beyond the last byte are zero.
_LAST: Final = ("", "", "AQgw", "AEIMQUYcgkosw048")
_URL: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_BETWEEN: Final = b'","'
_MANY: Final = TypeAdapter(list[bytes], config=ConfigDict(val_json_bytes="base64"))


def encode(value: Mapping[str, object]) -> bytes:
    """Encode an object whose strings and numbers are already of the allowed form."""
    return orjson.dumps(value)


def parse(data: bytes, *, limit: int = LIMITS.body) -> dict[str, Json]:
    """Parse an object in the one encoding; raise `TooLargeError` or `MalformedError`.

    Encoding again and comparing bytes is what refuses duplicate members, white space, escapes and NaN; numbers that are
    not integers (orjson makes floats of those beyond 64 bits too) and deep nesting are looked for. What is left
    (members, order, forms, the range of integers) is the caller's, who has `Members`.
    """
    if len(data) > limit:
        raise TooLargeError(f"More than {limit} bytes.")
    if data.translate(None, _ALLOWED):
        raise MalformedError("A byte outside printable ASCII, or one of \\ < > &.")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise MalformedError("Not JSON in the one encoding.", offset=error.pos) from None
    if not isinstance(value, dict):
        raise MalformedError("Not an object.")
    _check_plain(value)
    if orjson.dumps(value) != data:
        raise MalformedError("Not in the one encoding: spaces, escapes, or a member twice.")
    return value


def _check_plain(value: dict[str, Json]) -> None:
    """Refuse floats and more than 32 nested objects and lists; level by level, for deep input must not cost a stack."""
    level: list[dict[str, Json] | list[Json]] = [value]
    for _ in range(LIMITS.depth):
        below: list[dict[str, Json] | list[Json]] = []
        for container in level:
            for item in container.values() if isinstance(container, dict) else container:
                if type(item) is str:  # most are: this keeps a notice to every State cheap
                    continue
                if isinstance(item, (dict, list)):
                    below.append(item)
                elif isinstance(item, float):
                    raise MalformedError("A number is not an integer within 64 bits.")
        if not below:
            return
        level = below
    raise MalformedError(f"Nested deeper than {LIMITS.depth} objects and lists.")


def b64encode(data: bytes) -> B64:
    """Encode bytes as unpadded base64url."""
    return B64(binascii.b2a_base64(data, newline=False).translate(_TO_URL, b"=").decode("ascii"))


def b64decode(text: str) -> bytes:
    """Decode unpadded base64url with zero trailing bits; raise `MalformedError`."""
    raw = text.encode("ascii", "replace")
    rest = len(raw) & 3
    padding = _PADDING[rest]
    if not raw or padding is None or (rest and text[-1] not in _LAST[rest]):
        raise MalformedError("Not canonical unpadded base64url.")
    try:
        return binascii.a2b_base64(raw.translate(_FROM_URL) + padding, strict_mode=True)
    except binascii.Error:
        raise MalformedError("Not canonical unpadded base64url.") from None


def b64decode_all(texts: Sequence[str]) -> list[bytes]:
    """Decode each text as `b64decode` does, at a quarter of its cost; raise `MalformedError` for all where one is wrong."""
    joined = '","'.join(texts).encode("ascii", "replace")
    between = len(texts) - 1
    sound = (
        not joined.translate(None, _URL + _BETWEEN)
        and joined.count(b'"') == 2 * between
        and joined.count(b",") == between
        and all(text and (not (rest := len(text) & 3) or text[-1] in _LAST[rest]) for text in texts)
    )
    if not sound:
        raise MalformedError("Not canonical unpadded base64url.")
    return _MANY.validate_json(b'["%b"]' % joined)


def is_time(text: str) -> bool:
    """Say whether a text is a real calendar time in exactly the wire's form."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def is_day(text: str) -> bool:
    """Say whether a text is a real calendar day YYYY-MM-DD."""
    return is_time(f"{text}T00:00:00Z")


def to_seconds(time: Time) -> int:
    """Return a time's Unix seconds."""
    return int(datetime.fromisoformat(time).timestamp())


@lru_cache(maxsize=256)  # now and what lies a fixed time from it are asked for over and over
def from_seconds(seconds: int) -> Time:
    """Return the time of some Unix seconds; years beyond 0001…9999 are clamped to the nearest end."""
    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return Time("9999-12-31T23:59:59Z" if seconds > 0 else "0001-01-01T00:00:00Z")
    return Time(f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"))


class Members:
    """Take an object apart whose members must be exactly `names`, in that order.

    Each method reads one member and raises `FormError` with the member's pointer when its form is wrong.
    """

    __slots__ = ("at", "value")

    def __init__(self, value: Json, names: tuple[str, ...], at: str = "") -> None:
        if not isinstance(value, dict):
            raise FormError("Must be an object.", pointer=at)
        if tuple(value) != names:
            odd = next((name for name in names if name not in value), None)
            where = f"{at}/{odd}" if odd else at
            raise FormError(f"Must have exactly the members {', '.join(names)}, in this order.", pointer=where)
        self.value = value
        self.at = at

    def string(self, name: str) -> str:
        """Return a non-empty string."""
        value = self.value[name]
        if not isinstance(value, str) or not value:
            raise FormError("Must be a non-empty string.", pointer=f"{self.at}/{name}")
        return value

    def matching(self, name: str, check: Callable[[str], _T]) -> _T:
        """Return a string as `check` reads it; `check` raises `FormError` or `MalformedError`."""
        value = self.string(name)
        try:
            return check(value)
        except (FormError, MalformedError) as error:
            raise FormError(error.detail, pointer=f"{self.at}/{name}") from None

    def fixed(self, name: str, expected: str | int) -> None:
        """Demand one fixed value."""
        if self.value[name] != expected or type(self.value[name]) is not type(expected):
            raise FormError(f"Must be {expected}.", pointer=f"{self.at}/{name}")

    def integer(self, name: str) -> int:
        """Return an integer of 0…2⁵³−1."""
        value = self.value[name]
        if type(value) is not int or not 0 <= value <= LIMITS.integer:
            raise FormError("Must be an integer from 0 to 2^53-1.", pointer=f"{self.at}/{name}")
        return value

    def boolean(self, name: str) -> bool:
        """Return a boolean."""
        value = self.value[name]
        if not isinstance(value, bool):
            raise FormError("Must be true or false.", pointer=f"{self.at}/{name}")
        return value

    def time(self, name: str) -> Time:
        """Return a calendar time."""
        value = self.string(name)
        if not is_time(value):
            raise FormError("Must be a calendar time YYYY-MM-DDTHH:MM:SSZ.", pointer=f"{self.at}/{name}")
        return Time(value)

    def binary(self, name: str, length: int | None = None) -> B64:
        """Return base64url text, of `length` decoded bytes where one is given."""
        self.decoded(name, length)
        return B64(self.string(name))

    def decoded(self, name: str, length: int | None = None) -> bytes:
        """Return the bytes of base64url text, `length` of them where one is given."""
        try:
            data = b64decode(self.string(name))
        except MalformedError as error:
            raise FormError(error.detail, pointer=f"{self.at}/{name}") from None
        if length is not None and len(data) != length:
            raise FormError(f"Must be {length} bytes in base64url.", pointer=f"{self.at}/{name}")
        return data

    def items(self, name: str) -> list[Json]:
        """Return a list."""
        value = self.value[name]
        if not isinstance(value, list):
            raise FormError("Must be a list.", pointer=f"{self.at}/{name}")
        return value

    def sorted_strings(self, name: str, check: Callable[[str], _T], *, at_least: int = 0) -> tuple[_T, ...]:
        """Return a list of strings that ascends without repeating, each as `check` reads it."""
        values = self.items(name)
        texts = [value for value in values if isinstance(value, str) and value]
        if len(texts) != len(values) or len(texts) < at_least:
            raise FormError(f"Must be a list of at least {at_least} strings.", pointer=f"{self.at}/{name}")
        if any(a >= b for a, b in itertools.pairwise(texts)):
            raise FormError("Must be sorted and without repeats.", pointer=f"{self.at}/{name}")
        try:
            return tuple(check(text) for text in texts)
        except (FormError, MalformedError) as error:
            raise FormError(error.detail, pointer=f"{self.at}/{name}") from None

    def absent(self, name: str) -> bool:
        """Say whether a member is null."""
        return self.value[name] is None

    def null(self, name: str) -> None:
        """Demand null."""
        if self.value[name] is not None:
            raise FormError("Must be null here.", pointer=f"{self.at}/{name}")
