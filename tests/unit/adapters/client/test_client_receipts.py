"""A receipt or refusal counts only for exactly what was sent, under the log's receipt key."""

from dataclasses import replace

import pytest

from adapters.client.errors import AnswerError
from adapters.client.receipts import check_receipt, check_refusal
from keys import digests
from keys.sign import Ed25519Signer
from schemas.encoding import b64encode
from schemas.leaf import Leaf, LeafType
from schemas.receipt import Receipt, Refusal
from tests.world import ORIGIN, make_world

STATEMENT, PROOF = b"statement", b"proof"
OTHER = b64encode(bytes(32))


@pytest.fixture(scope="module")
def world():
    return make_world(("kz/customs",))


def receipt() -> Receipt:
    return Receipt(
        origin=ORIGIN,
        index=7,
        leaf=Leaf(LeafType.SEALED, 1_700_000_000_999, digests.statement_leaf(STATEMENT, PROOF)),
        statement=b64encode(digests.sha256(STATEMENT)),
        proof=b64encode(digests.sha256(PROOF)),
        directory=3,
        boundary=None,
        due="2023-11-15T22:13:20Z",
    )


def test_the_receipt_of_exactly_that(world):
    token = world.receipts.receipt(receipt())
    verified = check_receipt(token, world.directory.log, STATEMENT, PROOF, sealed=True)
    assert (verified.receipt, verified.token) == (receipt(), token)


@pytest.mark.parametrize(
    "changes",
    [
        {"origin": "test.invalid/other"},
        {"statement": OTHER},
        {"proof": OTHER},
        {"leaf": Leaf(LeafType.SEALED, 1_700_000_000_999, bytes(32))},
        {"leaf": Leaf(LeafType.OPEN, 1_700_000_000_999, digests.statement_leaf(STATEMENT, PROOF))},
        {"due": "2023-11-15T22:13:21Z"},
    ],
)
def test_a_receipt_for_something_else(world, changes):
    token = world.receipts.receipt(replace(receipt(), **changes))
    with pytest.raises(AnswerError):
        check_receipt(token, world.directory.log, STATEMENT, PROOF, sealed=True)


def test_a_receipt_of_somebody_else(world):
    for token in (Ed25519Signer.generate().receipt(receipt()), "a.b.c", ""):
        with pytest.raises(AnswerError):
            check_receipt(token, world.directory.log, STATEMENT, PROOF, sealed=True)


def refusal(**changes) -> Refusal:
    given = {
        "origin": ORIGIN,
        "statement": b64encode(digests.sha256(STATEMENT)),
        "reason": "denied",
        "denied": (),
        "at": "2026-01-01T00:00:00Z",
    }
    return Refusal(**{**given, **changes})


def test_a_refusal_counts_for_its_own_statement_alone(world):
    log = world.directory.log
    token = world.receipts.refusal(refusal())
    assert check_refusal(token, log, STATEMENT).refusal == refusal()
    bad = [
        world.receipts.refusal(refusal(statement=OTHER)),
        world.receipts.refusal(refusal(origin="test.invalid/other")),
        Ed25519Signer.generate().refusal(refusal()),
        world.receipts.receipt(receipt()),
    ]
    for token in bad:
        with pytest.raises(AnswerError):
            check_refusal(token, log, STATEMENT)
