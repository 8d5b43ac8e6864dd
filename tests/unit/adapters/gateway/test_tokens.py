"""Tokens: stored hashed, one owner each, gone when revoked, and seen by a gateway that runs."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.gateway.tokens import FILE, TokenError, Tokens
from schemas.errors import Error, FormError
from schemas.ids import ParticipantId

FR = ParticipantId("fr/customs")
DE = ParticipantId("de/police")


class Clock:
    def __init__(self, at: int = 1_800_000_000) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def test_a_token_names_its_participant_and_is_nowhere_in_the_folder(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    record, text = tokens.new(FR, "case system")
    assert text.startswith("valise_")
    assert len(text) == len("valise_") + 43
    assert tokens.owner(text) == FR
    assert tokens.list()[0].id == record.id
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert text.encode() not in everything
    assert text.removeprefix("valise_").encode() not in everything
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_each_token_has_its_own_owner(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    texts = {tokens.new(who, "system")[1]: who for who in (FR, DE, FR)}
    assert len(texts) == 3
    assert {text: tokens.owner(text) for text in texts} == texts


def test_a_revoked_token_is_refused_and_the_others_are_not(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    gone, gone_text = tokens.new(FR, "old")
    _, kept_text = tokens.new(FR, "new")
    assert tokens.revoke(gone.id) == gone
    with pytest.raises(TokenError) as caught:
        tokens.owner(gone_text)
    assert caught.value.status == 401
    assert tokens.owner(kept_text) == FR
    with pytest.raises(TokenError) as missing:
        tokens.revoke(gone.id)
    assert missing.value.code == "not-found"


def test_a_running_gateway_sees_what_the_command_line_does(tmp_path: Path) -> None:
    running, command = Tokens(tmp_path), Tokens(tmp_path)
    record, text = command.new(DE, "system")
    assert running.owner(text) == DE
    command.revoke(record.id)
    with pytest.raises(TokenError):
        running.owner(text)


def test_marking_the_use_does_not_bring_a_revoked_token_back(tmp_path: Path) -> None:
    clock = Clock()
    running, command = Tokens(tmp_path, now=clock), Tokens(tmp_path, now=clock)
    kept, kept_text = command.new(FR, "kept")
    gone, _ = command.new(FR, "gone")
    running.list()
    command.revoke(gone.id)
    assert running.owner(kept_text) == FR
    assert [token.id for token in command.list()] == [kept.id]


def test_the_day_of_use_is_written_once_a_day(tmp_path: Path) -> None:
    clock = Clock()
    tokens = Tokens(tmp_path, now=clock)
    _, text = tokens.new(FR, "system")
    assert tokens.list()[0].last_used is None
    tokens.owner(text)
    first = (tmp_path / FILE).stat()
    assert tokens.list()[0].last_used == "2027-01-15"
    clock.at += 3600
    tokens.owner(text)
    assert (tmp_path / FILE).stat().st_mtime_ns == first.st_mtime_ns
    clock.at += 24 * 3600
    tokens.owner(text)
    assert tokens.list()[0].last_used == "2027-01-16"


def test_a_use_that_cannot_be_marked_is_a_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path)
    _, text = tokens.new(FR, "system")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokens, "_write", full)
    assert tokens.owner(text) == FR


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: Tokens(tmp_path).new(FR, f"system {n}")[0].id, range(24)))
    assert sorted(token.id for token in Tokens(tmp_path).list()) == sorted(made)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=60), st.from_regex(r"valise_[A-Za-z0-9_-]{43}", fullmatch=True)))
def test_no_other_text_is_a_token(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    tokens = Tokens(folder)
    _, real = tokens.new(FR, "system")
    if text != real:
        with pytest.raises(TokenError):
            tokens.owner(text)


@given(st.integers(0, 49), st.characters(codec="ascii"))
def test_one_changed_character_is_another_token(
    tmp_path_factory: pytest.TempPathFactory, place: int, character: str
) -> None:
    tokens = Tokens(tmp_path_factory.mktemp("tokens"))
    _, real = tokens.new(FR, "system")
    changed = real[:place] + character + real[place + 1 :]
    if changed != real:
        with pytest.raises(TokenError):
            tokens.owner(changed)


@pytest.mark.parametrize("label", ["", "x" * 81, "two\nlines", "\x1b[31m", "\x9b"])
def test_labels_have_a_form(tmp_path: Path, label: str) -> None:
    with pytest.raises(FormError):
        Tokens(tmp_path).new(FR, label)


@pytest.mark.parametrize("who", ["", "fr", "FR/customs", "fr/customs\n"])
def test_a_token_belongs_to_a_participant(tmp_path: Path, who: str) -> None:
    with pytest.raises(FormError):
        Tokens(tmp_path).new(ParticipantId(who), "system")


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: {"v": 0, "tokens": []},
        lambda value: {"v": "2", "tokens": []},
        lambda value: [],
        lambda value: {"v": 1},
        lambda value: {"v": 1, "tokens": {}},
        lambda value: {"v": 1, "tokens": [{**value["tokens"][0], "sha256": ""}]},
        lambda value: {"v": 1, "tokens": [{**value["tokens"][0], "sha256": "0" * 63}]},
        lambda value: {"v": 1, "tokens": [{**value["tokens"][0], "id": "x"}]},
        lambda value: {"v": 1, "tokens": [{**value["tokens"][0], "label": "\x00"}]},
        lambda value: {"v": 1, "tokens": [{**value["tokens"][0], "participant": "nobody"}]},
        lambda value: {"v": 1, "tokens": [{**value["tokens"][0], "more": 1}]},
    ],
)
def test_a_damaged_file_lets_nobody_in(tmp_path: Path, damage: object) -> None:
    _, text = Tokens(tmp_path).new(FR, "system")
    path = tmp_path / FILE
    assert callable(damage)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(Error) as caught:
        Tokens(tmp_path).owner(text)
    assert caught.value.code == "configuration"


def test_a_file_of_a_newer_version_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"v":2,"tokens":[],"groups":[]}')
    with pytest.raises(Error) as caught:
        Tokens(tmp_path).list()
    assert caught.value.code == "newer-store"
