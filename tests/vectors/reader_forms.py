"""The second reader's encoding and forms, written from schemas/spec/encoding.md alone (see reader.py)."""

import base64
import datetime as dt
import itertools
import json
import re
from collections.abc import Callable
from typing import Any

MOST = 2**53 - 1
NAME = "[a-z0-9][a-z0-9-]*"


class Refused(Exception):
    """An outcome other than `ok`, by its word in schemas/spec/README.md."""

    def __init__(self, outcome: str, why: str) -> None:
        super().__init__(f"{outcome}: {why}")
        self.outcome = outcome


def need(condition: object, outcome: str, why: str) -> None:
    if not condition:
        raise Refused(outcome, why)


# encoding.md: bytes


def no_float(text: str) -> None:
    raise Refused("malformed", f"{len(text)} characters of a number that is no integer")


def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    need(len({name for name, _ in items}) == len(items), "malformed", "a member twice")
    return dict(items)


def one_encoding(data: bytes) -> dict[str, Any]:
    """Read an object in the one encoding."""
    need(len(data) <= 1 << 20, "too-large", "more than 1 MiB")
    need(all(0x20 <= byte < 0x7F and byte not in b"\\<>&" for byte in data), "malformed", "a forbidden byte")
    depth = deepest = 0
    for sign in re.sub(rb'"[^"]*"', b"", data).decode():
        depth += (sign in "[{") - (sign in "]}")
        deepest = max(deepest, depth)
    need(deepest <= 32, "malformed", "nested too deep")

    def integer(text: str) -> int:
        need(len(text) < 22 and -(2**63) <= int(text) < 2**64, "malformed", "an integer beyond 64 bits")
        return int(text)

    try:
        value = json.loads(
            data, object_pairs_hook=pairs, parse_float=no_float, parse_constant=no_float, parse_int=integer
        )
    except json.JSONDecodeError as error:
        raise Refused("malformed", "not JSON") from error
    need(isinstance(value, dict), "malformed", "not an object")
    need(json.dumps(value, separators=(",", ":")).encode() == data, "malformed", "not in the one encoding")
    return value


def strict_object(data: bytes) -> dict[str, Any]:
    """Read a strict JSON object (a plaintext); every fault is `unverified` here."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("unverified", "not UTF-8") from error
    need(not text.startswith("\ufeff"), "unverified", "a byte order mark")
    depth = deepest = 0
    for sign in re.sub(r'"(?:[^"\\]++|\\.)*+"?', "", text, flags=re.DOTALL):
        depth += (sign in "[{") - (sign in "]}")
        deepest = max(deepest, depth)
    need(deepest <= 32, "unverified", "nested too deep")

    def integer(text: str) -> int:
        need(text != "-0" and len(text) < 20 and abs(int(text)) <= MOST, "unverified", "a number out of range")
        return int(text)

    try:
        value = json.loads(
            text, object_pairs_hook=pairs, parse_float=no_float, parse_constant=no_float, parse_int=integer
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (json.JSONDecodeError, Refused, UnicodeEncodeError) as error:
        raise Refused("unverified", "not strict JSON") from error
    need(isinstance(value, dict), "unverified", "not an object")
    return value


# encoding.md: forms. A form takes a value and returns it as Python holds it best, or refuses.

Form = Callable[[Any], Any]


def form(condition: object, why: str) -> None:
    need(condition, "invalid-form", why)


def string(value: Any) -> str:
    form(isinstance(value, str) and value, "must be a string that is not empty")
    return value


def like(pattern: str) -> Form:
    def check(value: Any) -> str:
        form(re.fullmatch(pattern, string(value)), "must match its pattern")
        return value

    return check


def exactly(expected: Any) -> Form:
    def check(value: Any) -> Any:
        form(type(value) is type(expected) and value == expected, f"must be {expected}")
        return value

    return check


def integer(value: Any) -> int:
    form(type(value) is int and 0 <= value <= MOST, "must be an integer from 0 to 2^53-1")
    return value


def boolean(value: Any) -> bool:
    form(type(value) is bool, "must be a boolean")
    return value


def unbase64(text: str) -> bytes:
    form(re.fullmatch("[A-Za-z0-9_-]+", text) and len(text) % 4 != 1, "must be base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    form(base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text, "must have zero trailing bits")
    return data


def binary(length: int | None = None) -> Form:
    def check(value: Any) -> bytes:
        data = unbase64(string(value))
        form(length in (None, len(data)), f"must be {length} bytes")
        return data

    return check


def time(value: Any) -> str:
    like("[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z")(value)
    try:
        dt.date(int(value[:4]), int(value[5:7]), int(value[8:10]))
    except ValueError as error:
        raise Refused("invalid-form", "no such day") from error
    return value


def seconds(text: str) -> int:
    moment = dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
    return int((moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds())


def optional(inner: Form) -> Form:
    return lambda value: None if value is None else inner(value)


def many(inner: Form, *, least: int = 0, most: int = MOST) -> Form:
    def check(value: Any) -> list[Any]:
        form(isinstance(value, list) and least <= len(value) <= most, f"must be a list of {least} to {most}")
        return [inner(item) for item in value]

    return check


def ascending(inner: Form, *, least: int = 0, key: Callable[[Any], Any] = lambda item: item) -> Form:
    def check(value: Any) -> list[Any]:
        items = many(inner, least=least)(value)
        keys = [key(item) for item in items]
        form(all(a < b for a, b in itertools.pairwise(keys)), "must ascend without repeats")
        return items

    return check


def members(**forms: Form) -> Form:
    """Name the members of an object in order; one trailing underscore keeps clear of Python's own words."""
    names = [name.removesuffix("_") for name in forms]

    def check(value: Any) -> dict[str, Any]:
        form(isinstance(value, dict) and list(value) == names, f"must have exactly the members {names}")
        return {name: inner(value[name]) for name, inner in zip(names, forms.values(), strict=True)}

    return check


def encoded(inner: Form) -> Form:
    """An object in the one encoding inside a binary: its text, and what it says."""
    return lambda value: (value, inner(one_encoding(binary()(value))))


code = like(NAME)
participant = like(f"[a-z]{{2}}/{NAME}|int/{NAME}/{NAME}|audit/{NAME}")
notice_id = like("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
origin = like("[A-Za-z0-9][A-Za-z0-9./_-]{0,199}")
topic = like(rf"{NAME}\.{NAME}")
topic_pattern = like(rf"(\*|{NAME})\.(\*|{NAME})")


def kid(value: Any) -> str:
    binary(32)(value)
    return value
