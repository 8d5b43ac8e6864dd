"""Who may bring a law into the directory: each way of not being allowed to is a problem of its own."""

import pytest

from keys.directory import metadata as files_of
from keys.directory.tuf_api import Targets
from tests.unit.keys.directory.test_repository import LAW, YEAR, refused, upload

TARGETS = {LAW: b'{"new":1}'}


def signed_by(world, *keys):
    return upload(world, world.next_role("fr-law", TARGETS, keys=keys), TARGETS, role="fr-law")


@pytest.mark.parametrize("which", [0, 1])
def test_one_alone_cannot_change_a_law(world, which):
    refused("law-signatures", signed_by(world, world.law_keys["fr"][which]))


def test_a_law_that_nobody_has_signed(world):
    refused("law-signatures", signed_by(world))


def test_another_states_keys(world):
    refused("law-signer", signed_by(world, *world.law_keys["de"]))
    refused("law-signer", signed_by(world, *world.law_keys["fr"], world.law_keys["de"][0]))


def test_the_focal_points_role_key_cannot_sign_a_law(world):
    refused("law-signer", signed_by(world, world.law_keys["fr"][0], world.role_keys["fr"]))


def test_a_signature_over_another_text(world):
    good = files_of.read(world.next_role("fr-law", TARGETS), Targets)
    other = files_of.read(world.next_role("fr-law", {LAW: b'{"new":2}'}), Targets)
    forged = type(good)(other.signed, good.signatures).to_bytes()
    refused("law-signatures", upload(world, forged, {LAW: b'{"new":2}'}, role="fr-law"))


def test_a_law_whose_metadata_has_expired(world):
    metadata = world.next_role("fr-law", TARGETS)
    refused("directory-frozen", upload(world, metadata, TARGETS, role="fr-law", now=world.now + 2 * YEAR))


def test_a_law_that_was_in_force_before(world):
    old = world.next_role("fr-law", TARGETS)
    newer = world.publish("fr-law", b'{"new":1}').publish("fr-law", b'{"new":2}')
    assert newer.directory().laws["fr"] == b'{"new":2}'
    refused("directory-rollback", upload(newer, old, TARGETS, role="fr-law"))
