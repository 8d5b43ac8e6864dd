"""Our implementation's verbs, called as broker and gateway call them, for the vectors' directory."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from broker.publish import recipients_of
from broker.trust import Trust
from keys.directory.directory import Directory, Moment
from keys.directory.log_target import LogTarget
from keys.directory.records import StateFile
from keys.envelope import check_clock, open_notice, verify_delivery, verify_envelope
from keys.log.note import verify_checkpoint
from keys.seal import SealingKey
from schemas.delivery import Delivery
from schemas.encoding import b64decode
from schemas.envelope import Envelope
from schemas.errors import Error
from schemas.rules.compile import Rules, compile_rules

HERE = Path(__file__).resolve().parent


def load(path: Path) -> dict[str, Any]:
    """Read a JSON file."""
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value


NETWORK = HERE.parents[1] / "deploy" / "packs" / "network" / "network.json"


@cache
def public() -> dict[str, Any]:
    """Return the public side: the log's keys and the roles' files."""
    return load(HERE / "directory.json")


def input_of(vector: dict[str, Any]) -> bytes:
    """Return a vector's bytes."""
    data = vector["input"].encode() if "input" in vector else b64decode(vector["input_b64u"])
    return data.ljust(vector.get("pad", 0))


@cache
def directory() -> Directory:
    """Return the directory, without the TUF metadata that it would come from."""
    value = public()
    dumps = json.dumps
    return Directory(
        version=1,
        snapshot=bytes(32),
        origin=value["log"]["origin"],
        roles={name: StateFile.parse(dumps(file).encode(), name) for name, file in value["roles"].items()},
        laws={},
        network=b"{}",
        log=LogTarget.parse(dumps(value["log"]).encode()),
        role_versions={},
        unreadable=frozenset(),
        last_good={},
        valid_until=2**40,
    )


@cache
def no_laws() -> Rules:
    """Return the network's rules without any State's law: whom they permit is not asked here."""
    return compile_rules(version=1, boundary=None, network=NETWORK.read_bytes(), laws={})


def ours_envelope(data: bytes, vector: dict[str, Any]) -> None:
    """Check an envelope as the broker does, but for the ledger and the rules; raise `Error`."""
    envelope = Envelope.parse(data)
    if envelope.statement.origin != vector["origin"]:
        raise Error("another deployment's", problem="wrong-origin")
    moment = Moment(vector["moment"]["index"], vector["moment"]["received_at"])
    verified = verify_envelope(envelope, directory(), moment=moment, revoked=vector["revoked"])
    check_clock(verified.statement, moment.received_at // 1000)
    trust = Trust(directory(), no_laws(), None, vector["revoked"])
    recipients_of(verified, trust, moment)


def ours_delivery(data: bytes, vector: dict[str, Any]) -> dict[str, Any]:
    """Check and open a delivery as a gateway does, and return the notice without its label; raise `Error`."""
    delivery = Delivery.parse(data)
    if delivery.statement.origin != vector["origin"]:
        raise Error("another deployment's", problem="wrong-origin")
    checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, directory().log.keys)
    keys = {kid: SealingKey(b64decode(seed)) for kid, seed in vector["seeds"].items()}
    verified = verify_delivery(delivery, directory(), checkpoint, revoked=vector["revoked"], own=keys)
    return dict(open_notice(verified, keys[delivery.sealed.stanza.kid]).notice)


def ours(vector: dict[str, Any]) -> tuple[str, str | None, Any]:
    """Return outcome, pointer, and what was opened."""
    try:
        run = ours_envelope if vector["kind"] == "envelope" else ours_delivery
        return "ok", None, run(input_of(vector), vector)
    except Error as error:
        return error.code, error.pointer, None
