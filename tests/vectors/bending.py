"""How vectors are written down, and how a part of one is bent."""

import copy
from collections.abc import Callable
from typing import Any

from tests.vectors import workshop as w

KEYS_OF_KZ = ("kz/focal-point", "kz/focal-point old")

Vector = dict[str, Any]
Bend = Callable[[Any], Any]


def vector(
    name: str, description: str, outcome: str, data: bytes | dict[str, Any], *, kind: str = "envelope", **more: Any
) -> Vector:
    """Return one vector; `more` may give pointer, revoked, moment, pad, opens and notice."""
    text = data if isinstance(data, bytes) else w.dumps(data)
    value: Vector = {
        "name": name,
        "kind": kind,
        "description": description,
        "directory": "../directory.json",
        "origin": w.ORIGIN,
        "revoked": more.get("revoked", {}),
    }
    if kind == "envelope":
        value["moment"] = more.get("moment", {"index": w.INDEX, "received_at": w.RECEIVED_AT})
    else:
        owned = more.get("opens", KEYS_OF_KZ)
        value["seeds"] = {w.sealing(one).kid: w.b64(w.seed(f"{one} sealing")) for one in owned}
    try:
        value["input"] = text.decode("utf-8")
    except UnicodeDecodeError:
        value["input_b64u"] = w.b64(text)
    if "pad" in more:
        value["pad"] = more["pad"]
    value["expected"] = {"outcome": outcome}
    if "pointer" in more:
        value["expected"]["pointer"] = more["pointer"]
    if "notice" in more:
        value["expected"]["notice"] = more["notice"]
    return value


def bent(value: Any, bend: Bend) -> Any:
    """Return a deep copy after `bend` changed it, or what `bend` returned."""
    changed = copy.deepcopy(value)
    result = bend(changed)
    return changed if result is None else result


def put(*path: str | int, to: Any) -> Bend:
    """Return a function that sets one member."""

    def bend(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return bend


def drop(*path: str | int) -> Bend:
    """Return a function that removes one member."""

    def bend(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        del value[path[-1]]

    return bend


def flipped(text: str, at: int = 0) -> str:
    """Return base64url with one bit of one byte flipped."""
    data = bytearray(w.unb64(text))
    data[at] ^= 1
    return w.b64(bytes(data))


SUBSCRIPTION = {"participant": "fr/customs", "patterns": ["*.precursors", "central-asia.*"]}


def grant(**changes: Any) -> w.Parts:
    """Return a grant that holds: stanzas for two who did not hold the notice."""
    granted = w.issue().said["sealed"]
    said = w.statement("grant", **changes)
    stanzas = w.by_kid([w.stanza(name) for name in ("int/unodc/desk", "de/police")])
    root = w.b64(w.merkle.root_of([w.entry(item) for item in stanzas]))
    said["sealed"] = {**granted, "recipients_root": root, "recipient_count": 2}
    return w.Parts(said, w.proof(said), {"recipients": stanzas})


def acknowledgement() -> w.Parts:
    """Return an acknowledgement that holds."""
    said = w.statement("acknowledge")
    body = w.sealed(said, w.plaintext(said, ACKNOWLEDGED), to=("fr/customs", "kz/focal-point"))
    said = w.digest(said, body)
    return w.Parts(said, w.proof(said), body)


ACKNOWLEDGED = {"notices": [{"notice_id": w.identifier(2), "statement_digest": w.b64(w.sha256(b"a statement"))}]}


def other_origin() -> w.Parts:
    said = w.statement(origin="test.invalid/other")
    jwe = w.sealed(said)
    said = w.digest(said, jwe)
    return w.Parts(said, w.proof(said, origin="test.invalid/other"), jwe)
