"""The envelope's verbs where the vectors do not reach: batches, plaintexts, and types that only look verified."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.batch import sign_batch
from keys.directory.directory import Moment
from keys.envelope import open_act, seal_notice, verify_delivery, verify_envelope
from keys.errors import VerificationError
from keys.log.note import verify_checkpoint
from schemas.delivery import Delivery
from schemas.envelope import Envelope, GrantedKeys
from schemas.errors import Error, FormError, MalformedError
from schemas.statement import Statement
from tests.vectors import workshop
from tests.vectors.bending import SUBSCRIPTION, grant
from tests.vectors.ours import directory

MOMENT = Moment(workshop.INDEX, workshop.RECEIVED_AT)


def act(number: int) -> Statement:
    said = workshop.statement("subscribe", body=SUBSCRIPTION, notice_id=workshop.identifier(number))
    return Statement.parse(workshop.dumps(said))


def sign(count: int) -> list[bytes]:
    keys = workshop.identity("fr/customs/one")
    made = sign_batch(
        [open_act(act(number)) for number in range(count)],
        keys,
        origin=workshop.ORIGIN,  # type: ignore[arg-type]
        signer="fr/customs",  # type: ignore[arg-type]
        at=workshop.ISSUED,  # type: ignore[arg-type]
    )
    return [one.envelope for one in made]


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 40), st.data())
def test_each_of_a_batch_stands_alone_and_only_in_its_place(count: int, data: st.DataObject) -> None:
    envelopes = sign(count)
    one, other = (data.draw(st.integers(0, count - 1)) for _ in range(2))
    verify_envelope(Envelope.parse(envelopes[one]), directory(), moment=MOMENT, revoked={})
    value = json.loads(envelopes[one])
    value["proof"] = json.loads(envelopes[other])["proof"]
    mixed = Envelope.parse(workshop.dumps(value))
    if one == other:
        verify_envelope(mixed, directory(), moment=MOMENT, revoked={})
    else:
        with pytest.raises(VerificationError):
            verify_envelope(mixed, directory(), moment=MOMENT, revoked={})


@pytest.mark.parametrize("count", [0, 1025])
def test_a_batch_has_its_limits(count: int) -> None:
    with pytest.raises(ValueError, match="1 to 1024"):
        sign(count)


@pytest.mark.parametrize("notice", [{"mass": 1.5}, {"n": 2**53}, {"deep": json.loads("[" * 40 + "]" * 40)}])
def test_a_plaintext_that_is_not_strict_is_not_sealed(notice: dict[str, object]) -> None:
    statement = replace(Statement.parse(workshop.dumps(workshop.issue().said)), sealed=None)
    with pytest.raises(MalformedError):
        seal_notice(statement, notice, [directory().sealing(workshop.sealing("fr/customs").kid)])  # type: ignore[arg-type]


def test_a_notice_cannot_bring_its_own_label() -> None:
    statement = replace(Statement.parse(workshop.dumps(workshop.issue().said)), sealed=None)
    with pytest.raises(FormError):
        seal_notice(statement, {"label": None}, [directory().sealing(workshop.sealing("fr/customs").kid)])  # type: ignore[arg-type]


def test_an_envelope_put_together_without_its_seal_is_refused() -> None:
    """Parsing would have refused it; whoever builds the value otherwise gets no verified one."""
    envelope = replace(Envelope.parse(workshop.issue().bytes()), sealed=None)
    with pytest.raises(VerificationError):
        verify_envelope(envelope, directory(), moment=MOMENT, revoked={})


def test_a_delivery_of_another_log_is_refused() -> None:
    value = workshop.delivery(workshop.issue())
    delivery = Delivery.parse(workshop.dumps(value))
    checkpoint = verify_checkpoint(delivery.inclusion.checkpoint, directory().log.keys)
    other = replace(checkpoint, origin="test.invalid/other")  # type: ignore[arg-type]
    with pytest.raises(Error) as refused:
        verify_delivery(delivery, directory(), other, revoked={}, own={workshop.sealing("kz/focal-point").kid: 1})  # type: ignore[dict-item]
    assert refused.value.code == "wrong-origin"


def test_what_is_parsed_is_written_the_same() -> None:
    granted = grant()
    parsed = Envelope.parse(granted.bytes()).sealed
    assert isinstance(parsed, GrantedKeys)
    assert workshop.dumps(parsed.to_json()) == workshop.dumps(granted.sealed)
    parts = workshop.issue()
    envelope = Envelope.parse(parts.bytes())
    assert envelope.sealed is not None
    assert workshop.dumps(envelope.sealed.to_json()) == workshop.dumps(parts.sealed) == envelope.sealed_bytes
    value = workshop.delivery(parts)
    delivery = Delivery.parse(workshop.dumps(value))
    for name in ("sealed", "recipient", "inclusion"):
        assert workshop.dumps(getattr(delivery, name).to_json()) == workshop.dumps(value[name])
