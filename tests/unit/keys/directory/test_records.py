"""The form of a role's file: what is written is read again, and what is wrong is refused by name."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.directory.records import Life, Names, Participant, StateFile, read_record
from keys.jwk import ed25519_jwk
from schemas.codes import LANGUAGES
from schemas.encoding import from_seconds
from schemas.errors import FormError, MalformedError, TooLargeError
from schemas.ids import Code, ParticipantId, Role

FR = Role("fr")

_times = st.integers(0, 4_000_000_000).map(from_seconds)
_text = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
_names = st.builds(Names, *(_text for _ in LANGUAGES))
_codes = st.from_regex(r"[a-z0-9][a-z0-9-]{0,12}", fullmatch=True).map(Code)


@pytest.fixture(scope="module")
def value(world) -> dict:
    return json.loads(world.state("fr").encode())


def test_world_is_read_again(world):
    state = world.state("fr")
    assert StateFile.parse(state.encode(), FR) == state
    assert state.participant(ParticipantId("fr/customs")).role == "fr"
    assert state.participant(ParticipantId("fr/nobody")) is None


@settings(max_examples=50)
@given(
    names=_names,
    kind=_codes,
    roles=st.sets(_codes, max_size=3),
    clearance=st.none() | _codes,
    suspended=st.booleans(),
    life=st.builds(Life, _times, st.none() | st.integers(0, 2**53 - 1), st.none() | _times),
    languages=st.lists(st.from_regex(r"[a-z]{2}", fullmatch=True), min_size=1, unique=True),
)
def test_what_is_written_is_read(world, names, kind, roles, clearance, suspended, life, languages):
    who = ParticipantId("fr/customs")
    records = tuple(
        read_record({**record.to_json(), **life.to_json()}, who, "") for record in world.agencies[who].records()
    )
    one = Participant(who, kind, names, tuple(sorted(roles)), clearance, suspended, records)
    state = StateFile(names, tuple(languages), who, (one,))
    data = state.encode()
    again = StateFile.parse(data, FR)
    assert again == state
    assert again.encode() == data
    assert {record.life for record in again.participants[0].keys} == {life}


def _edit(path: str, new: object) -> Callable[[dict], None]:
    def change(value: dict) -> None:
        *steps, last = (int(step) if step.isdigit() else step for step in path.strip("/").split("/"))
        for step in steps:
            value = value[step]
        if new is KeyError:
            del value[last]
        else:
            value[last] = new

    return change


KEYS = "/participants/0/keys"


@pytest.mark.parametrize(
    ("path", "new", "pointer"),
    [
        ("/v", 2, "/v"),
        ("/v", True, "/v"),
        ("/names/de", "", "/names/de"),
        ("/names/de", "x" * 201, "/names/de"),
        ("/names/de", "a\u0000b", "/names/de"),
        ("/names/de", "a\u202eb", "/names/de"),
        ("/names/de", KeyError, "/names/de"),
        ("/languages", [], "/languages"),
        ("/languages", ["en", "en"], "/languages"),
        ("/languages", ["EN"], "/languages"),
        ("/languages", ["eng"], "/languages"),
        ("/languages", [1], "/languages"),
        ("/languages", "en", "/languages"),
        ("/focal_point", "de/police", "/focal_point"),
        ("/focal_point", "fr/nobody", "/focal_point"),
        ("/focal_point", 7, "/focal_point"),
        ("/participants/0/id", "de/customs", "/participants/0/id"),
        ("/participants/0/id", "fr/focal-point", "/participants/1/id"),
        ("/participants/0/id", "fr/zoll", "/participants/1/id"),
        ("/participants/0/kind", "Customs", "/participants/0/kind"),
        ("/participants/0/roles", ["b", "a"], "/participants/0/roles"),
        ("/participants/0/clearance", "", "/participants/0/clearance"),
        ("/participants/0/suspended", 0, "/participants/0/suspended"),
        ("/participants/0/keys", None, "/participants/0/keys"),
        (f"{KEYS}/0", [], f"{KEYS}/0/use"),
        (f"{KEYS}/0/use", "encrypt", f"{KEYS}/0/use"),
        (f"{KEYS}/0/gateway", "Gate 1", f"{KEYS}/0/gateway"),
        (f"{KEYS}/0/keys", [], f"{KEYS}/0/keys"),
        (f"{KEYS}/0/keys/0/x", "AA", f"{KEYS}/0/keys/0/x"),
        (f"{KEYS}/0/keys/0", ed25519_jwk(b"\x01" + bytes(31)), f"{KEYS}/0/keys/0/x"),
        (f"{KEYS}/0/keys/1/alg", "ML-DSA-44", f"{KEYS}/0/keys/1/alg"),
        (f"{KEYS}/0/kids", [], f"{KEYS}/0/kids"),
        (f"{KEYS}/0/kids/0", "A" * 43, f"{KEYS}/0/kids"),
        (f"{KEYS}/0/from", "2026-02-30T00:00:00Z", f"{KEYS}/0/from"),
        (f"{KEYS}/0/closed_at", -1, f"{KEYS}/0/closed_at"),
        (f"{KEYS}/0/suspect_from", 1, f"{KEYS}/0/suspect_from"),
        (f"{KEYS}/1/key/alg", "HPKE-0-KE", f"{KEYS}/1/key/alg"),
        (f"{KEYS}/1/kem", 0x20, f"{KEYS}/1/kem"),
        (f"{KEYS}/1/kdf", 1, f"{KEYS}/1/kdf"),
        (f"{KEYS}/1/aead", True, f"{KEYS}/1/aead"),
        (f"{KEYS}/1/kid", "A" * 43, f"{KEYS}/1/kid"),
        (f"{KEYS}/2/kid", None, f"{KEYS}/2/kid"),
        (f"{KEYS}/2/key/crv", "X25519", f"{KEYS}/2/key/crv"),
        (f"{KEYS}/2/gateway", KeyError, f"{KEYS}/2/gateway"),
    ],
)
def test_wrong_forms_are_refused_by_name(value, path, new, pointer):
    changed = json.loads(json.dumps(value))
    _edit(path, new)(changed)
    with pytest.raises(FormError) as caught:
        StateFile.parse(json.dumps(changed).encode(), FR)
    assert caught.value.pointer == pointer


def test_another_roles_file_is_refused(world):
    with pytest.raises(FormError, match="the role's own"):
        StateFile.parse(world.state("fr").encode(), Role("de"))


def test_duplicate_members_and_size_are_refused(world):
    data = world.state("fr").encode()
    with pytest.raises(MalformedError):
        StateFile.parse(data[:-1] + b',"v":1}', FR)
    with pytest.raises(TooLargeError):
        StateFile.parse(b" " * ((8 << 20) + 1), FR)
