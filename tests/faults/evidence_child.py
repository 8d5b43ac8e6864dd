"""Checks an evidence file, and the file with single bits flipped, in a process that has no network.

Arguments: the file, the root's fingerprint, a port of this machine that must not be reached, a seed, how many flips.
Prints one JSON object: `network` (whether a connection came about), `sound`, `steps`, `notice`, `flips`, `accepted`.
"""

import base64
import json
import random
import socket
import sys
from pathlib import Path

from adapters.audit.check import check_evidence


class NoSocket(socket.socket):
    """Refuses to exist: a check that needs the network fails."""

    def __init__(self, *_: object, **__: object) -> None:
        raise OSError("there is no network here")


def reached(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def binaries(value, path=()):
    """Yield where binary stands in the file: the path to each member that is base64url, and how often to look there."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from binaries(item, (*path, name))
    elif isinstance(value, str) and path[-1] not in ("typ", "origin", "notice_id", "protected", "receipt"):
        yield path


def at(value, path):
    for name in path:
        value = value[name]
    return value


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def flipped(data: bytes, chance: random.Random):
    """Yield files with one bit flipped: of the file as it stands, or of what a member of it encodes; without an end."""
    value = json.loads(data)
    places = list(binaries(value))
    while True:
        bit = chance.randrange(len(data) * 8)
        yield ("text", bit), flip(data, bit)
        for path in places:
            name = path[-1]
            binary = base64.urlsafe_b64decode(at(value, path) + "==")
            bit = chance.randrange(len(binary) * 8)
            changed = base64.urlsafe_b64encode(flip(binary, bit)).rstrip(b"=").decode()
            copy = json.loads(data)
            at(copy, path[:-1])[name] = changed
            yield (path, bit), json.dumps(copy, separators=(",", ":"), ensure_ascii=False).encode()


def main(file: Path, fingerprint: str, port: int, seed: int, count: int) -> None:
    network = reached(port)
    socket.socket = NoSocket
    data = file.read_bytes()
    checked = check_evidence(data, fingerprint=fingerprint)
    flips = flipped(data, random.Random(seed))
    accepted = []
    for _ in range(count):
        where, changed = next(flips)
        if check_evidence(changed, fingerprint=fingerprint).sound:
            accepted.append(where)
    said = {
        "network": network,
        "sound": checked.sound,
        "steps": [step.name for step in checked.steps],
        "notice": checked.notice,
        "flips": count,
        "accepted": accepted,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
