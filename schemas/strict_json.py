"""Strict JSON (RFC 8259 narrowed): what every body that a stranger sends is read with, before anything else.

Refused: a byte order mark, invalid UTF-8, duplicate members, NaN and Infinity, floats and exponents, integers
beyond ±(2⁵³−1), negative zero, lone surrogates, more than 32 nested objects and lists, trailing data. This module does
not know what the members mean.
"""

import json
import re
from itertools import accumulate
from typing import Final, NoReturn

from schemas.errors import MalformedError, TooLargeError
from schemas.limits import LIMITS

Json = dict[str, "Json"] | list["Json"] | str | int | bool | None

_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and -1 as signed bytes
_NEITHER_BRACKET_NOR_QUOTE: Final = bytes(c for c in range(256) if c not in b'[]{}"')


class _RefusalError(ValueError):
    """A sentence about the input, raised inside the standard library's decoder."""


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RefusalError("an object has a member twice")
    return members


def _integer(text: str) -> int:
    # The length is looked at first: turning 10⁵ digits into an integer costs time quadratic in them.
    if len(text) > 17 or text == "-0" or abs(number := int(text)) > LIMITS.integer:
        raise _RefusalError("a number lies outside the integers from -(2^53-1) to 2^53-1")
    return number


def _float(_: str) -> NoReturn:
    raise _RefusalError("a number has a fraction or an exponent; quantities are decimal strings")


def _constant(_: str) -> NoReturn:
    raise _RefusalError("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_float, parse_constant=_constant, strict=True
)


def _check_depth(data: bytes) -> None:
    """Refuse more than 32 nested objects and lists before the decoder, which would take a stack frame for each.

    Whole passes over the bytes rather than a loop over tokens: a megabyte of quotation marks or brackets is cheap too.
    """
    # Pairs of backslashes first, or the second of one would seem to escape the quotation mark that ends a string.
    # What this makes of a backslash outside a string does not matter: the decoder stops there.
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    marks = data.translate(None, _NEITHER_BRACKET_NOR_QUOTE).replace(b'""', b"")
    outside = b"".join(marks.split(b'"')[::2])
    if max(accumulate(memoryview(outside.translate(_STEPS)).cast("b")), default=0) > LIMITS.depth:
        raise MalformedError(f"Nested deeper than {LIMITS.depth} objects and lists.")


def parse(data: bytes, *, limit: int = LIMITS.body) -> Json:
    """Parse strict JSON and return its value; objects keep the order of their members.

    `limit` is in bytes. Raises `TooLargeError`, and `MalformedError` with the character's offset where one is known.
    """
    if len(data) > limit:
        raise TooLargeError(f"More than {limit} bytes.")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError("Not UTF-8.", offset=error.start) from None
    if text.startswith("\ufeff"):
        raise MalformedError("Begins with a byte order mark.", offset=0)
    _check_depth(data)
    try:
        value: Json = _DECODER.decode(text)
    except _RefusalError as error:
        raise MalformedError(f"Not strict JSON: {error}.") from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"Not JSON: {error.msg}.", offset=error.pos) from None
    # Only an escape can make a surrogate: the decoder above has refused raw ones.
    if "\\u" in text and _has_surrogate(value):
        raise MalformedError("A string holds a lone surrogate.")
    return value


def parse_object(data: bytes, *, limit: int = LIMITS.body) -> dict[str, Json]:
    """Parse strict JSON that must be an object; raise as `parse` does."""
    value = parse(data, limit=limit)
    if not isinstance(value, dict):
        raise MalformedError("The value must be an object.", offset=0)
    return value


def _has_surrogate(value: Json) -> bool:
    if isinstance(value, str):
        return _SURROGATE.search(value) is not None
    if isinstance(value, dict):
        return any(_has_surrogate(name) or _has_surrogate(member) for name, member in value.items())
    if isinstance(value, list):
        return any(map(_has_surrogate, value))
    return False
