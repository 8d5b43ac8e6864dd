"""Almost right bodies: genuine JSON with a few faults in it, also inside of JSON that travels in base64url.

A `Hidden` is an object that the wire carries as the base64url of its bytes; faults reach into it, `packed` puts it back.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

STRANGE = (
    *(None, True, False, 0, 1, -1, 1.5, 2**53 - 1, 2**53, 10**30),
    *("", "x", "A" * 43, "é", "\0", "*.*", "9" * 400, "../..", "2024-02-30T00:00:00Z"),
    *([], {}, [[]], [None], {"": 0}, [0] * 70),
)


@dataclass
class Hidden:
    """JSON inside of a string."""

    value: Any


def compact(value) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def unpacked(value):
    """Return a JSON value with every string that holds an object turned into `Hidden`."""
    if isinstance(value, dict):
        return {name: unpacked(member) for name, member in value.items()}
    if isinstance(value, list):
        return [unpacked(item) for item in value]
    if isinstance(value, str) and value.startswith("ey"):
        try:
            return Hidden(unpacked(json.loads(unb64(value))))
        except (ValueError, binascii.Error):
            return value
    return value


def packed(value):
    """Return a JSON value as it travels."""
    if isinstance(value, dict):
        return {name: packed(member) for name, member in value.items()}
    if isinstance(value, list):
        return [packed(item) for item in value]
    return b64(compact(packed(value.value))) if isinstance(value, Hidden) else value


def places(value, at=()):
    """Return the path of every value inside of a value, its own first."""
    if isinstance(value, Hidden):
        return [at, *places(value.value, (*at, None))]
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for step, inner in steps for place in places(inner, (*at, step)))]


def found(value, at):
    """Return what stands at a path."""
    for step in at:
        value = value.value if step is None else value[step]
    return value


def changed(value, at, new):
    """Return a copy with another value at a path."""
    if not at:
        return new
    step, rest = at[0], at[1:]
    if step is None:
        return Hidden(changed(value.value, rest, new))
    if isinstance(value, dict):
        return {name: changed(member, rest, new) if name == step else member for name, member in value.items()}
    return [changed(item, rest, new) if number == step else item for number, item in enumerate(value)]


@st.composite
def spoiled(draw, value):
    """Return a genuine value with one to three faults."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.sampled_from(places(value)))
        value = changed(value, at, draw(_fault(found(value, at), value)))
    return value


@st.composite
def _fault(draw, here, whole):
    kinds = ["replace", "move"]
    if isinstance(here, (dict, list)) and here:
        kinds += ["drop", "add", "turn", "twice"] * 2
    if isinstance(here, str) and here:
        kinds += ["cut", "letter"] * 2
    kind = draw(st.sampled_from(kinds))
    if kind == "replace":
        return draw(st.sampled_from(STRANGE))
    if kind == "move":
        return found(whole, draw(st.sampled_from(places(whole))))
    if kind == "cut":
        return here[: draw(st.integers(0, len(here) - 1))]
    if kind == "letter":
        place = draw(st.integers(0, len(here) - 1))
        return here[:place] + draw(st.sampled_from('A a0-_=\u0085"\\\n')) + here[place + 1 :]
    return _rearranged(kind, here, draw(st.integers(0, len(here) - 1)), draw(st.sampled_from(STRANGE)))


def _rearranged(kind, here, place, strange):
    """Return an object or a list with a member dropped, added, moved to the end, or repeated."""
    items = list(here.items()) if isinstance(here, dict) else list(here)
    if kind == "drop":
        del items[place]
    elif kind == "add":
        items.insert(place, (f"x{place}", strange) if isinstance(here, dict) else strange)
    elif kind == "turn":
        items.append(items.pop(place))
    elif isinstance(here, dict):
        name, member = items[place]
        items.insert(place, (f"{name} ", member))
    else:
        items.insert(place, items[place])
    return dict(items) if isinstance(here, dict) else items
