"""Names of objects that came by their topic: each is said once, and not before all of them could be read."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from broker.ledger.kafka.store import KafkaLedger
from broker.ledger.port import LedgerUnavailableError


def test_names_are_kept_until_they_could_be_read():
    follower = SimpleNamespace(changed=["held/a/1", "own", "uploads/b"])
    failing = [True]

    def is_own(name):
        if name == "uploads/b" and failing.pop():
            follower.changed.append("came meanwhile")
            failing.append(False)
            raise LedgerUnavailableError("The mirror cannot be read.")
        return name == "own"

    store = SimpleNamespace(
        _parts=lambda: (follower, None), _mirror=SimpleNamespace(lock=nullcontext()), _is_own=is_own
    )
    with pytest.raises(LedgerUnavailableError):
        KafkaLedger.changed(store)
    assert KafkaLedger.changed(store) == ["held/a/1", "uploads/b", "came meanwhile"]
    assert KafkaLedger.changed(store) == []
