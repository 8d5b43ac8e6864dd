"""Every example in schemas/spec is computed again: a page that is wrong fails here."""

import hashlib
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from broker.http import problems
from keys import digests, seal
from keys.directory.directory import Directory, Moment
from keys.directory.records import read_record
from keys.envelope import recipients_root
from keys.http_signature import sign_request
from keys.jwk import ed25519_jwk, thumbprint
from keys.log import merkle
from keys.log.note import LogSigner, cosigned_message
from keys.log.tiles import Tile
from keys.log.vkey import b64encode as note_base64
from keys.seal import SealingKey
from keys.sign import Ed25519Signer
from schemas import checkpoint as checkpoints
from schemas import encoding
from schemas.acts import ACTS, Ref
from schemas.checkpoint import Checkpoint
from schemas.encoding import b64decode, b64encode
from schemas.envelope import Envelope, Stanza, batch_payload
from schemas.errors import FormError, MalformedError
from schemas.event import Event
from schemas.ids import Origin
from schemas.leaf import Leaf, LeafType
from schemas.limits import LIMITS
from schemas.receipt import Receipt, Refusal
from schemas.statement import Statement

SPEC = Path(__file__).resolve().parents[2] / "schemas" / "spec"
ORIGIN = Origin("test.invalid/spec")


@cache
def page(name: str) -> str:
    return (SPEC / f"{name}.md").read_text(encoding="utf-8")


def block(name: str, start: str) -> bytes:
    """Return the indented line of a page that begins so."""
    lines = [line[4:] for line in page(name).splitlines() if line.startswith(f"    {start}")]
    assert len(lines) == 1
    return lines[0].encode()


def statement() -> bytes:
    return block("statement", '{"v":1,"origin":"test.invalid/spec","notice_id":"0192d3c0-5a00-7000-8000-000000000001"')


def leaf() -> Leaf:
    return Leaf(LeafType.OPEN, 1767323045678, digests.statement_leaf(statement(), b'{"index":0}'))


def test_every_page_is_in_the_index_and_has_an_example() -> None:
    names = {path.stem for path in SPEC.glob("*.md")}
    assert set(re.findall(r"\]\(([a-z]+)\.md\)", page("README").split("## Notation")[0])) == names - {"README"}
    assert all("## Example" in page(name) or "Example:" in page(name) for name in names - {"README"})


def test_encoding() -> None:
    data = b'{"typ":"boundary","n":7}'
    assert encoding.encode(encoding.parse(data)) == data
    assert len(data) == 24
    assert f"`{data.hex()}`" in page("encoding")
    for bad in (b'{"typ": "boundary","n":7}', b'{"typ":"boundary","n":7,"n":7}', b'{"typ":"bound\\u0061ry","n":7}'):
        assert f"`{bad.decode()}`" in page("encoding")
        with pytest.raises(MalformedError):
            encoding.parse(bad)
    assert b64encode(bytes.fromhex("001083")) == "ABCD"
    assert b64decode("AA") == b"\x00"
    key, kid = re.findall(
        r"Ed25519 key `([0-9a-f]{64})` \(RFC 8037 appendix A\) has the\nkid `([^`]+)`", page("encoding")
    )[0]
    assert thumbprint(ed25519_jwk(bytes.fromhex(key))) == kid
    for limit in (LIMITS.body, LIMITS.batch_statements):
        assert f"{limit:,}" in page("encoding")


def test_statement() -> None:
    text = statement()
    parsed = Statement.parse(text)
    assert parsed.encode() == text
    assert len(text) == 453
    assert digests.sha256(text).hex() in page("statement")
    bound = block("statement", '{"v":1,"origin":"test.invalid/spec","notice_id":"0192d3c0-5a00-7000-8000-000000000002"')
    assert encoding.encode(encoding.parse(bound)) == bound
    assert digests.sha256(bound).hex() in page("statement")


def test_every_act_stands_once_in_the_table_of_forms() -> None:
    rows = [row for row in page("acts").split("## What")[0].splitlines() if row.startswith("| `")]
    named = {act: row.split("|")[2:] for row in rows for act in re.findall("`([a-z_]+)`", row.split("|")[1])}
    assert set(named) == set(ACTS)
    for name, (ref, thread, expiry, body, sealed, attachments, leaf_type, _) in named.items():
        form = ACTS[name]
        assert (ref.strip() == "—") is (form.ref is Ref.NONE)
        assert ("may be null" in ref) is (form.ref is Ref.OPTIONAL)
        assert ("present" in thread) is form.about_notice
        assert (expiry.strip() == "—", body.strip() != "—", sealed.strip() == "—") == (form.open,) * 3
        assert ("any" in attachments) is (form.about_notice and name != "grant")
        assert leaf_type.strip() == ("2" if form.open else "1")
    served = page("acts").split("broker serves")[1].split("and no attachments")[0]
    assert set(re.findall("`([a-z_]+)`", served)) == {name for name, form in ACTS.items() if form.served}
    unblockable = re.findall("`([a-z_]+)`", page("acts").split("are never refused")[0].rsplit("\n\n", 1)[-1])
    assert set(unblockable) == {name for name, form in ACTS.items() if form.unblockable}
    assert b'{"label":null,"notices":[{'.hex() in page("acts")


def test_envelope() -> None:
    text = page("envelope")
    assert digests.key_commitment(bytes(range(32))).hex() in text
    assert digests.content("e30", bytes(12), b"\x01\x02\x03", bytes(16)).hex() in text
    first = Stanza("A" * 43, bytes(1120), bytes(48))  # type: ignore[arg-type]
    second = Stanza("B" * 42 + "A", b"\x01" * 1120, b"\x02" * 48)  # type: ignore[arg-type]
    assert len(first.entry()) == 1211
    assert recipients_root([first]).hex() in text
    assert recipients_root([first, second]).hex() in text
    lengths, padded = (
        re.findall(r"[0-9]+", row) for row in text.splitlines() if row.startswith(("| L |", "| padded |"))
    )
    assert [seal.padded_length(int(length)) for length in lengths] == [int(length) for length in padded]
    key = SealingKey(bytes(range(32)))
    assert key.kid in text
    assert b64decode(key.jwk["pub"])[-32:].hex() in text
    assert hashlib.shake_256(bytes(range(32))).digest(96)[64:].hex() in text
    root = merkle.leaf_hash(statement())
    assert root.hex() in text
    payload = block("envelope", '{"typ":"valise-batch/1"')
    assert batch_payload(ORIGIN, "fr/customs", 1, root, "2026-01-02T03:04:05Z") == payload  # type: ignore[arg-type]
    path = page("delivery").split('"path":["')[1].split('"')[0]
    assert b64decode(path) == merkle.leaf_hash(first.entry())


def test_ledger() -> None:
    text = page("ledger")
    for count in (1, 2, 3):
        assert merkle.root_of([bytes([number]) for number in range(count)]).hex() in text
    assert leaf().digest.hex() in text
    assert leaf().encode().hex() in text
    assert merkle.leaf_hash(leaf().encode()).hex() in text
    event = block("ledger", '{"v":1,"typ":"boundary"')
    assert Event.parse(event).encode() == event
    assert digests.event_leaf(event).hex() in text
    signer = LogSigner.from_bytes(b"\x01" * 32 + b"\x02" * 32 + ORIGIN.encode())
    checkpoint = Checkpoint(ORIGIN, 1, merkle.leaf_hash(leaf().encode()))
    note = checkpoints.encode(checkpoint) + b"\n" + signer.sign(checkpoints.encode(checkpoint)).line()
    assert note.decode().replace("\n", "\n    ").rstrip(" ") in text.replace("\n\n    — ", "\n    \n    — ")
    assert signer.keys.ed25519.encode() in text
    assert note_base64(checkpoint.root) in text
    assert signer.keys.mldsa44.key_id.hex() in text
    assert cosigned_message(ORIGIN, checkpoint, 1767323046).hex() in text
    assert Tile(0, 1234067).path() == "tile/0/x001/x234/067"


def test_receipts() -> None:
    payload = block("receipts", '{"typ":"valise-receipt/1"')
    receipt = Receipt.parse(payload)
    assert receipt.encode() == payload
    assert receipt.leaf == leaf()
    assert receipt.statement == b64encode(digests.sha256(statement()))
    assert encoding.to_seconds(receipt.due) == leaf().received_at // 1000 + LIMITS.receipt_due
    key = Ed25519Signer.from_bytes(b"\x03" * 32)
    assert key.kid in page("receipts")
    assert key.receipt(receipt).rpartition(".")[2] in page("receipts")
    refusal = block("receipts", '{"typ":"valise-refusal/1"')
    assert Refusal.parse(refusal).encode() == refusal


def test_batches() -> None:
    receipt = Receipt.parse(block("receipts", '{"typ":"valise-receipt/1"'))
    token = Ed25519Signer.from_bytes(b"\x03" * 32).receipt(receipt)
    assert block("batches", '{"status":201') == encoding.encode({"status": 201, "receipt": token})
    with pytest.raises(FormError) as refused:
        Envelope.parse(b"{}")
    assert block("batches", '{"type"') == problems.document(refused.value)
    assert f"1 to {LIMITS.batch_lines} lines" in page("batches")
    assert (LIMITS.batch, LIMITS.body) == (32 << 20, 1 << 20)
    assert "at most 32 MiB" in page("batches")


def test_directory() -> None:
    text = block("directory", '{"use":"request"')
    record = read_record(encoding.parse(text), "fr/customs", "")  # type: ignore[arg-type]
    assert encoding.encode(record.to_json()) == text
    assert Directory.in_force(record, Moment(6, 1767225600000), {})
    assert not Directory.in_force(record, Moment(7, 1767225600000), {})
    assert not Directory.in_force(record, Moment(6, 1767225599999), {})
    numbers = re.findall(r"`kem` ([0-9]+), `kdf` ([0-9]+), `aead` ([0-9]+)", page("directory"))[0]
    assert tuple(map(int, numbers)) == (seal.KEM_ID, seal.KDF_ID, seal.AEAD_ID)
    flagged = replace(record, life=replace(record.life, suspect_from="2026-01-01T00:00:00Z"))
    assert Directory.in_force(flagged, Moment(6, 1767225600000), {})


def test_requests() -> None:
    text = page("requests")
    lines = text.split('    "@method"', 1)[1].split("\n\n", 1)[0]
    base = ('    "@method"' + lines).replace("\n    ", "\n")[4:]
    assert hashlib.sha256(base.encode()).hexdigest() in text
    key = Ed25519Signer.from_bytes(b"\x03" * 32)
    url = "https://broker.test.invalid/v1/feed?after=0"
    fields = sign_request("GET", url, {}, None, signer=key, origin=ORIGIN, created=1767323045)
    assert f"Signature: {fields['Signature']}" in text
    assert fields["Signature-Input"].removeprefix("valise=") == base.rpartition('"@signature-params": ')[2]
