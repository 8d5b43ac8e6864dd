"""Tile coordinates and entry bundles as C2SP tlog-tiles gives them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.log import tiles
from keys.log.tiles import Tile
from schemas.errors import FormError, MalformedError
from schemas.limits import LIMITS


@st.composite
def any_tile(draw):
    level = draw(st.integers(0, 63))
    index = draw(st.integers(0, LIMITS.integer >> 8 * (level + 1)))
    return Tile(level, index, draw(st.integers(1, 256)))


def test_known_paths():
    assert Tile(0, 1234067).path() == "tile/0/x001/x234/067"
    assert Tile(0, 1234, 5).path() == "tile/0/x001/234.p/5"
    assert Tile(1, 0, 17).path() == "tile/1/000.p/17"
    assert Tile(0, 999).entries_path() == "tile/entries/999"
    assert Tile(0, 1000, 255).entries_path() == "tile/entries/x001/000.p/255"


@given(any_tile())
def test_a_path_reads_back(tile):
    assert tiles.parse_tile_path(tile.path()) == tile
    if tile.level == 0:
        assert tiles.parse_entries_path(tile.entries_path()) == tile


def test_only_level_0_has_entries():
    with pytest.raises(ValueError, match="level 0"):
        Tile(1, 0).entries_path()


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "0",
        "00",
        "0000",
        "x001",
        "x000/001",
        "x000/x001/001",
        "001/002",
        "x001/x002",
        "x01/002",
        "000.p/0",
        "000.p/256",
        "000.p/999",
        "000.p/05",
        "000.p/",
        "000.p/1 ",
        "000/",
        "-01",
        "000\n",
        "٠٠٠",
        "x035/x184/x372/x088/832",  # the first whose leaves no tree has
        "x999/x999/x999/x999/x999/999",
        "x001/x000/x000/x000/x000/x000/000",
    ],
)
def test_other_paths_are_refused(rest):
    with pytest.raises(FormError):
        tiles.parse_tile_path(f"tile/0/{rest}")
    with pytest.raises(FormError):
        tiles.parse_entries_path(f"tile/entries/{rest}")


@pytest.mark.parametrize("path", ["tile/64/000", "tile/00/000", "tile/-1/000", "/tile/0/000", "tile/entries/000"])
def test_other_levels_are_refused(path):
    with pytest.raises(FormError):
        tiles.parse_tile_path(path)


@given(st.from_regex(r"tile/[0-9]{1,2}/(x[0-9]{3}/){0,3}[0-9]{3}(\.p/[0-9]{1,3})?", fullmatch=True))
def test_what_parses_is_its_own_path(text):
    try:
        tile = tiles.parse_tile_path(text)
    except FormError:
        return
    assert tile.path() == text


@pytest.mark.parametrize(("level", "index", "width"), [(-1, 0, 1), (64, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257)])
def test_coordinates_have_bounds(level, index, width):
    with pytest.raises(FormError):
        Tile(level, index, width)


def test_nodes_of_a_tile():
    assert tiles.tile_nodes(Tile(1, 2, 3)) == [(8, 512), (8, 513), (8, 514)]
    assert len(tiles.tile_nodes(Tile(0, 7))) == 256


# Bundles


@given(st.lists(st.binary(max_size=50), max_size=256))
def test_a_bundle_reads_back(entries):
    assert tiles.parse_bundle(tiles.encode_bundle(entries)) == entries


def test_a_bundle_is_lengths_and_entries():
    assert tiles.encode_bundle([b"ab", b"", b"c" * 258]) == b"\x00\x02ab\x00\x00\x01\x02" + b"c" * 258


def test_an_entry_has_at_most_65535_bytes():
    assert tiles.parse_bundle(tiles.encode_bundle([bytes(65_535)])) == [bytes(65_535)]
    with pytest.raises(OverflowError):
        tiles.encode_bundle([bytes(65_536)])


@given(st.lists(st.binary(max_size=20), min_size=1, max_size=6), st.data())
def test_a_truncated_bundle_is_refused_or_ends_between_entries(entries, data):
    whole = tiles.encode_bundle(entries)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    try:
        found = tiles.parse_bundle(cut)
    except MalformedError:
        return
    assert found == entries[: len(found)]
    assert len(found) < len(entries)


@pytest.mark.parametrize("data", [b"\x00", b"\x00\x01", b"\x00\x01a\x00", b"\xff\xff" + bytes(100)])
def test_a_cut_bundle_is_malformed(data):
    with pytest.raises(MalformedError, match="short"):
        tiles.parse_bundle(data)


def test_a_bundle_has_at_most_256_entries():
    with pytest.raises(MalformedError, match="256"):
        tiles.parse_bundle(bytes(2 * 257))
