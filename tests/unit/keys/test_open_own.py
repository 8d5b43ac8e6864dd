"""A sender opens what it has published itself, by its own stanza of the whole envelope."""

import pytest

from keys.directory.directory import Moment
from keys.envelope import open_own, verify_envelope
from keys.errors import VerificationError
from keys.seal import SealingKey
from schemas.envelope import Envelope
from tests.granting import granted
from tests.world import make_world

SENDER, READER, OTHER = "kz/customs", "uz/focal-point", "tj/focal-point"


def test_an_envelope_is_opened_by_a_stanza_of_it_alone():
    world = make_world()
    trust = world.trust()

    def verified(signed):
        envelope = Envelope.parse(signed.envelope)
        return verify_envelope(envelope, trust.directory, moment=Moment(0, world.now * 1000), revoked={})

    signed = verified(world.envelope(SENDER, [READER]))
    own = open_own(signed, world.people[SENDER].sealing)
    assert own == open_own(signed, world.people[READER].sealing)
    grant = granted(world, world.envelope(SENDER, [READER]), [OTHER])
    for key in (SealingKey.generate(), world.people[OTHER].sealing):
        with pytest.raises(VerificationError):
            open_own(signed, key)
    # What a grant seals opens the notice's ciphertext, which is not in it.
    with pytest.raises(VerificationError):
        open_own(verified(grant), world.people[OTHER].sealing)
