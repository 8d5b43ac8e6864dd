"""Hypothesis strategies for envelopes and deliveries of the right form, built as JSON from the specification alone.

No signature in them holds and no digest fits: form is all they have, which is what `schemas` looks at.
"""

import base64
import json
from typing import Any

from hypothesis import strategies as st

from schemas.acts import ACTS, Act
from schemas.statement import Statement
from tests import strategies as wire

Object = dict[str, Any]
SEALED = [act for act in ACTS.values() if not act.open]
OPEN = [act for act in ACTS.values() if act.open]
PLAIN = [act for act in SEALED if act.name != "grant"]


def compact(value: Object) -> bytes:
    """Write an object as the wire does, in the standard library's words."""
    return json.dumps(value, separators=(",", ":")).encode()


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def binaries(length: int) -> st.SearchStrategy[str]:
    """Return base64url of some bytes; long ones repeat few, for drawing each byte is slow."""
    return st.binary(min_size=4, max_size=4).map(lambda seed: b64((seed * (length // 4 + 1))[:length]))


@st.composite
def stanzas(draw: st.DrawFn, kid: st.SearchStrategy[str] = wire.kids) -> Object:
    return {
        "header": {"alg": "HPKE-9-KE", "kid": draw(kid), "ek": draw(binaries(1120))},
        "encrypted_key": draw(binaries(48)),
    }


def recipients(most: int = 4) -> st.SearchStrategy[list[Object]]:
    return st.lists(stanzas(), min_size=1, max_size=most, unique_by=lambda one: one["header"]["kid"]).map(
        lambda found: sorted(found, key=lambda one: one["header"]["kid"])
    )


paths = st.lists(binaries(32), max_size=5)


@st.composite
def heads(draw: st.DrawFn, origin: str, size: int) -> Object:
    payload = {
        "typ": "valise-batch/1",
        "origin": origin,
        "signer": draw(wire.participants),
        "size": size,
        "root": draw(binaries(32)),
        "issued_at": draw(wire.times),
    }
    signatures = [
        {
            "protected": b64(compact({"alg": alg, "kid": draw(wire.kids), "typ": "valise-batch+json"})),
            "signature": draw(binaries(length)),
        }
        for alg, length in (("Ed25519", 64), ("ML-DSA-65", 3309))
    ]
    return {"payload": b64(compact(payload)), "signatures": signatures}


@st.composite
def proofs(draw: st.DrawFn, origin: str) -> Object:
    size = draw(st.integers(1, 1024))
    index = draw(st.integers(0, size - 1))
    return {"index": index, "size": size, "path": draw(paths), "head": draw(heads(origin, size))}


protected = st.builds(
    lambda binding, commitment: b64(
        compact(
            {
                "enc": "A256GCM",
                "typ": "valise-sealed+jwe",
                "cty": "application/valise-notice+json",
                "binding": binding,
                "key_commitment": commitment,
            }
        )
    ),
    binaries(32),
    binaries(32),
)
ciphertexts = st.binary(min_size=1, max_size=60).map(b64)


@st.composite
def sealed_notices(draw: st.DrawFn) -> Object:
    return {
        "protected": draw(protected),
        "recipients": draw(recipients()),
        "iv": draw(binaries(12)),
        "ciphertext": draw(ciphertexts),
        "tag": draw(binaries(16)),
    }


@st.composite
def envelopes(
    draw: st.DrawFn, acts: st.SearchStrategy[Act] = st.sampled_from(list(ACTS.values()))
) -> tuple[Statement, Object]:
    """Return a statement and its envelope as an object."""
    statement = draw(wire.statements(acts))
    sealed = None
    if statement.act == "grant":
        sealed = {"recipients": draw(recipients())}
    elif not statement.form.open:
        sealed = draw(sealed_notices())
    proof = draw(proofs(statement.origin))
    return statement, {"statement": b64(statement.encode()), "proof": proof, "sealed": sealed}


@st.composite
def inclusions(draw: st.DrawFn) -> Object:
    size = draw(st.integers(1, 2**53 - 1))
    return {
        "received_at": draw(wire.integers),
        "index": draw(st.integers(0, size - 1)),
        "size": size,
        "path": draw(paths),
        "checkpoint": draw(ciphertexts),
    }


@st.composite
def grants(draw: st.DrawFn) -> Object:
    statement = draw(wire.statements(st.just(ACTS["grant"])))
    return {
        "statement": b64(statement.encode()),
        "proof": draw(proofs(statement.origin)),
        "inclusion": draw(inclusions()),
    }


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[Statement, Object]:
    """Return a statement and a delivery of it as an object."""
    statement = draw(wire.statements(st.sampled_from(PLAIN)))
    size = draw(st.integers(1, 300))
    return statement, {
        "statement": b64(statement.encode()),
        "proof": draw(proofs(statement.origin)),
        "sealed": {
            "protected": draw(protected),
            **draw(stanzas()),
            "iv": draw(binaries(12)),
            "ciphertext": draw(ciphertexts),
            "tag": draw(binaries(16)),
        },
        "recipient": {"index": draw(st.integers(0, size - 1)), "size": size, "path": draw(paths)},
        "grant": draw(st.none() | grants()),
        "inclusion": draw(inclusions()),
    }
