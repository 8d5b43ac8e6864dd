"""Roles that nobody renewed: which end alone, which freeze everything, and the warnings before."""

from dataclasses import replace

from keys.directory.update import expiry_warnings
from tests.unit.keys.directory.lying import CUSTOMS, DAY, PATH, YEAR, aged_world, lie, load, refused, root


def test_a_frozen_directory_is_refused(world, follow):
    now = [world.now]
    client, broker = follow(world, now=lambda: now[0])
    known = client.refresh()
    now[0] += 6 * 3600 - 1
    assert client.refresh() is known
    now[0] += 1
    refused("directory-frozen", client.refresh)
    assert client.stored() is known
    broker.serve(world.with_files(world.repository.renew_timestamp(now[0])))
    assert client.refresh() is known
    now[0] = world.now + 7 * DAY
    broker.serve(world.with_files(world.repository.renew_timestamp(now[0])))
    refused("directory-frozen", client.refresh)


def test_a_role_that_expired_cannot_come_back_altered(world, follow):
    """A year of silence does not make a client forget what it knew."""
    late = world.now + YEAR
    now = [world.now]
    client, broker = follow(world, now=lambda: now[0])
    client.refresh()
    aged = aged_world(world, late)
    now[0] = late
    broker.serve(aged)
    without = client.refresh()
    assert without.unreadable == {"fr", "fr-law"}
    assert without.roles.keys() == {"de"}
    assert CUSTOMS not in without.participants
    assert client.refresh() is without
    emptied = replace(world.state("fr"), participants=(), focal_point=None)
    targets = {PATH: emptied.encode()}
    again, other = follow(aged, now=lambda: now[0])
    assert again.stored().last_good.keys() == {"fr", "de"}
    other.serve(lie(aged, {"fr": aged.next_role("fr", targets, now=late)}, targets, now=late))
    refused("directory-append-only", again.refresh, "participant was removed")
    broker.serve(lie(aged, {"fr": aged.next_role("fr", targets, now=late)}, targets, now=late))
    refused("directory-append-only", client.refresh, "participant was removed")
    broker.serve(lie(aged, {"fr": aged.next_role("fr", {}, now=late)}, now=late))
    assert CUSTOMS in client.refresh().participants


def test_an_expired_role_leaves_the_others(world):
    late = world.now + YEAR
    directory = load(aged_world(world, late), late)
    assert directory.unreadable == {"fr", "fr-law"}
    assert directory.laws.keys() == {"de"}
    assert directory.valid_until == late + 7 * DAY


def test_expired_root_and_targets_are_frozen(world):
    late = world.now + YEAR
    aged = aged_world(world, late)
    refused("directory-frozen", lambda: load(lie(world, now=late), late))
    refused(
        "directory-frozen",
        lambda: load(lie(world.with_files({"2.root.json": root(world, 2, now=late - 1)}), now=late), late),
    )
    assert load(aged, late).version == 6


def test_a_role_that_expires_meanwhile_is_noticed(world, follow):
    """Nothing changes at the broker, and yet a State becomes unreadable."""
    now = [world.now]
    client, broker = follow(world, now=lambda: now[0])
    known = client.refresh()
    assert known.valid_until == world.now + 7 * DAY
    late = world.now + YEAR
    just_before = aged_world(world, late - 10)
    now[0] = late - 10
    broker.serve(just_before)
    known = client.refresh()
    assert known.unreadable == frozenset()
    assert known.valid_until == late
    assert client.refresh() is known
    now[0] = late
    assert client.refresh().unreadable == {"fr", "fr-law"}


def test_expiry_warnings(world):
    files = world.repository.files
    assert expiry_warnings(files, world.now) == ()
    ends = world.now + YEAR
    for days, within in ((61, None), (60, 60), (31, 60), (30, 30), (8, 30), (7, 7), (1, 7), (0, 0), (-3, 0)):
        warnings = expiry_warnings(files, ends - days * DAY)
        if within is None:
            assert warnings == ()
            continue
        assert [warning.name for warning in warnings] == ["de", "de-law", "fr", "fr-law", "root", "targets"]
        assert {(warning.days, warning.within) for warning in warnings} == {(days, within)}
    renewed = world.publish("fr", world.state("fr"), now=world.now + 5)
    warnings = expiry_warnings(renewed.repository.files, ends - 60 * DAY)
    assert [warning.name for warning in warnings] == ["de", "de-law", "fr-law", "root", "targets"]
    assert warnings[0].expires == "2028-01-15T08:00:00Z"
