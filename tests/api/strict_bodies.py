"""The strict-input table of the design: what no body may be, made from a genuine one that would be taken.

Each fault stands in the place of a value, or beside a member, of the genuine body, so that it is the only fault there is.
"""

import bz2
import gzip
import json
import zlib

from schemas.limits import LIMITS
from tests.api.spoiling import compact, found, places

SECONDS = 0.05 * 4
"""The bar for a refusal is 50 ms; a machine that is shared gets four times as much."""

PLACES = 8
WHOLE_SECONDS = 1.0
"""What a megabyte may cost that has to be read through before it can be refused."""

TOO_DEEP = LIMITS.depth + 1
DIGITS = b"9" * 100_000
MARK = b'"@@here@@"'

PREFIX = "urn:valise:problem:"
LINES = "application/x-ndjson"
MARKER = "markeredc7c2b1"
HOLDING = (b'"M"', b'{"M":1}', b'{"M":1,"M":1}', b'["M"]', b"M", b'"\\ud800M"', b"1M", b'"M')
"""What holds the marker M in the place of a value."""

VALUES = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "minus Infinity": b"-Infinity",
    "a number too large for a float": b"1e400",
    "a fraction": b"1.5",
    "a whole number with a point": b"1.0",
    "an exponent": b"1E2",
    "minus nothing": b"-",
    "a leading zero": b"01",
    "a plus sign": b"+1",
    "hexadecimal": b"0x10",
    "10^5 digits": DIGITS,
    "10^5 digits, negative": b"-" + DIGITS,
    "10^5 digits after a point": b"0." + DIGITS,
    "2^53": b"9007199254740992",
    "a high surrogate": b'"\\ud800"',
    "a low surrogate": b'"x\\udfff"',
    "surrogates the wrong way round": b'"\\udc00\\ud800"',
    "a raw surrogate": b'"\xed\xa0\x80"',
    "a raw pair of surrogates": b'"\xed\xa0\xbd\xed\xb8\x80"',
    "depth 33, lists": b"[" * TOO_DEEP + b"]" * TOO_DEEP,
    "depth 33, objects": b'{"a":' * TOO_DEEP + b"1" + b"}" * TOO_DEEP,
    "depth 200,000": b"[" * 200_000,
    "overlong UTF-8": b'"\xc0\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "not UTF-8": b'"\xff"',
    "a control character": b'"\x00"',
    "a line break": b'"a\nb"',
    "an escape that is none": b'"\\x41"',
    "single quotes": b"'x'",
    "a bare word": b"nil",
    "nothing": b"",
}
"""What stands in the place of a value; all of them are `malformed`, but for those in `CODES`."""

CODES = {"2^53": ("malformed", "invalid-form"), "no object": ("malformed", "invalid-form")}
"""Strict JSON, and yet nothing that a body can be."""

BESIDE = {
    "a member twice": lambda name, text: b"%b:%b,%b:%b" % (name, text, name, text),
    "a member twice, once escaped": lambda name, text: b'%b:%b,"\\u%04x%b:%b' % (name, text, name[1], name[2:], text),
    "a member twice, first with null": lambda name, text: b"%b:null,%b:%b" % (name, name, text),
    "a surrogate for a name": lambda name, text: b'%b:%b,"\\ud800":1' % (name, text),
    "a comma too many": lambda name, text: b"%b:%b,,%b:1" % (name, text, name),
    "no colon": lambda name, text: b"%b %b" % (name, text),
    "a comment": lambda name, text: b"/* */%b:%b" % (name, text),
    "a name without quotes": lambda name, text: b"%b:%b" % (name.strip(b'"'), text),
}
"""What stands in the place of a member, its name and its value; all of them are `malformed`."""


def bar(body: bytes) -> float:
    """Return how many seconds a body's refusal may take."""
    return SECONDS if len(body) < LIMITS.body // 2 else WHOLE_SECONDS


def places_of(value, wanted):
    """Return some places of a value, evenly chosen from all that fit."""
    fitting = [at for at in places(value) if at and wanted(at)]
    return fitting[:: max(1, len(fitting) // PLACES)]


def with_value(genuine, at, raw: bytes) -> bytes:
    """Return the genuine body with raw bytes in the place of a value."""
    return compact(_replaced(genuine, at, "@@here@@")).replace(MARK, raw)


def with_member(genuine, at, make) -> bytes:
    """Return the genuine body with raw bytes in the place of a member."""
    name, text = compact(at[-1]), compact(found(genuine, at))
    return with_value(genuine, at, b"@@here@@").replace(name + b":@@here@@", make(name, text), 1)


def _replaced(value, at, new):
    if not at:
        return new
    if isinstance(value, dict):
        return {name: _replaced(member, at[1:], new) if name == at[0] else member for name, member in value.items()}
    return [_replaced(item, at[1:], new) if number == at[0] else item for number, item in enumerate(value)]


def wrong_values(genuine):
    """Yield (name, bodies) for every fault in the place of a value."""
    everywhere = places_of(genuine, lambda _: True)
    members = places_of(genuine, lambda at: isinstance(at[-1], str))
    for name, raw in VALUES.items():
        # A list without its only item is a list still.
        yield name, [with_value(genuine, at, raw) for at in (everywhere if raw else members)]


def wrong_members(genuine):
    """Yield (name, bodies) for every fault beside a member."""
    chosen = places_of(genuine, lambda at: isinstance(at[-1], str))
    for name, make in BESIDE.items():
        yield name, [with_member(genuine, at, make) for at in chosen]


def wrong_wholes(genuine):
    """Yield (name, bodies) for every fault of the body as a whole; all of them are `malformed`."""
    text = compact(genuine)
    yield "cut off", [text[: len(text) * part // 16] for part in range(1, 16)] + [text[:-1]]
    yield "something after it", [text + rest for rest in (b"{}", b"]", b",", b"x", b"\0", text)]
    yield "something before it", [rest + text for rest in (b",", b"\0", b")]}',\n", b"[", b"\xc2\xa0")]
    yield "a byte order mark", [b"\xef\xbb\xbf" + text]
    yield "another encoding", [text.decode().encode(name) for name in ("utf-16", "utf-16-le", "utf-32", "utf-7")][:3]
    yield "no object", [b"null", b"true", b"1", b'"x"', b"[]", b"[" + text + b"]", json.dumps(text.decode()).encode()]
    yield "white space", [b" ", b"\n\n"]
    yield "a million brackets", [b"{" * LIMITS.body, b"[" * LIMITS.body, b'{"":' * (LIMITS.body // 4)]
    yield "a million quotes", [b'"' * LIMITS.body, b"\\" * LIMITS.body, b'{"' + b"\\u" * 500_000]
    yield "compressed, and not said so", [gzip.compress(text), zlib.compress(text), bz2.compress(text)]


def too_large(genuine, limit=LIMITS.body):
    """Yield (name, body in parts, header fields) of one byte beyond a limit: as it is, announced, and in chunks."""
    text = compact(genuine)
    whole = text + b" " * (limit + 1 - len(text))
    yield "in one part", [whole], {"Content-Length": str(len(whole))}
    yield "in chunks", [whole[at : at + 65536] for at in range(0, len(whole), 65536)], {}
    yield "byte by byte at the end", [whole[: limit - 3], *(b" " for _ in range(4))], {}
    yield "announced", [text], {"Content-Length": str(limit + 1)}
    yield "announced, absurdly", [text], {"Content-Length": "9" * 400}
    yield "announced in no number", [text], {"Content-Length": "-1"}


def codings(genuine):
    """Yield (name, body, header fields) of bodies that are compressed, or say so."""
    text = compact(genuine)
    packed = zlib.compressobj(wbits=-15)
    yield "gzip", gzip.compress(text), {"Content-Encoding": "gzip"}
    yield "br", text, {"Content-Encoding": "br"}
    yield "zstd", text, {"Content-Encoding": "zstd"}
    yield "deflate", packed.compress(text) + packed.flush(), {"Content-Encoding": "deflate"}
    yield "twice", gzip.compress(gzip.compress(text)), {"Content-Encoding": "gzip, gzip"}
    yield "a bomb", gzip.compress(b" " * 50_000_000), {"Content-Encoding": "gzip"}
    for value in ("identity", "", "x" * 500):
        yield f"says {value[:8]!r}", text, {"Content-Encoding": value}


TYPES = (
    "text/plain",
    "text/json",
    "application/jsonp",
    "application/problem+json",
    "application/xml",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=utf-16",
    "application/json; charset=latin-1",
    "application/json; charset=utf-8; charset=utf-16",
    "application/json, text/plain",
    "application/json/x",
    "application",
    "*/*",
    "",
    ";",
    "\xff",
    "application/json;" + "a" * 5000,
)
"""Media types that no route for JSON takes."""


def declared(answer, operation):
    """Return a problem's code, having seen that the operation declares it and that nothing of the input is in it.

    Of an answer of lines, each is a problem, and the first one's code is returned.
    """
    if answer.status == 200:
        assert answer.headers["content-type"] == LINES
        assert MARKER not in (answer.body.decode() + repr(answer.headers)).lower()
        codes = [_declared_line(json.loads(line), operation) for line in answer.body.splitlines()]
        return codes[0]
    assert 400 <= answer.status < 500, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    code = found["type"].removeprefix(PREFIX)
    examples = operation["responses"][str(answer.status)]["content"]["application/problem+json"]["examples"]
    assert code in examples
    assert found["status"] == answer.status
    assert MARKER not in (answer.body.decode() + repr(answer.headers)).lower()
    return code


def _declared_line(found, operation):
    code = found["type"].removeprefix(PREFIX)
    example = json.loads(operation["responses"]["200"]["content"][LINES]["examples"][code]["value"])
    assert (400 <= found["status"] < 500, found["status"]) == (True, example["status"])
    return code
