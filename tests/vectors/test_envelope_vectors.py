"""The vectors: our implementation and the second reader each give every vector's outcome, and agree on fresh envelopes."""

import ast
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.batch import Signed, sign_batch
from keys.envelope import open_act, seal_notice
from schemas.problems import PROBLEMS
from schemas.statement import Statement
from tests.vectors import reader, reader_forms, workshop
from tests.vectors.ours import HERE, directory, input_of, load, ours, ours_delivery, public

PATHS = sorted((HERE / "envelope").glob("*.json"))
OUTCOMES = {
    "ok",
    "too-large",
    "malformed",
    "invalid-form",
    "wrong-origin",
    "unknown-key",
    "revoked-key",
    "unverified",
    "clock-skew",
    "expired",
    "recipients",
}


# The second reader's


def theirs(vector: dict[str, Any]) -> tuple[str, Any]:
    world = reader.World(public(), vector["revoked"])
    try:
        if vector["kind"] == "envelope":
            moment = vector["moment"]
            reader.read_envelope(input_of(vector), world, moment["index"], moment["received_at"])
            return "ok", None
        seeds = {kid: reader_forms.unbase64(seed) for kid, seed in vector["seeds"].items()}
        return "ok", reader.read_delivery(input_of(vector), world, seeds)
    except reader.Refused as refused:
        return refused.outcome, None


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_our_implementation_gives_the_outcome(path: Path) -> None:
    vector = load(path)
    outcome, pointer, notice = ours(vector)
    expected = vector["expected"]
    assert outcome == expected["outcome"]
    if "pointer" in expected:
        assert pointer == expected["pointer"]
    if vector["kind"] == "delivery" and outcome == "ok":
        assert notice == expected["notice"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_second_reader_gives_the_outcome(path: Path) -> None:
    vector = load(path)
    outcome, notice = theirs(vector)
    assert outcome == vector["expected"]["outcome"]
    if vector["kind"] == "delivery" and outcome == "ok":
        assert notice == vector["expected"]["notice"]


# What the set is worth


def test_there_are_enough_and_every_outcome_is_among_them() -> None:
    outcomes = [load(path)["expected"]["outcome"] for path in PATHS]
    assert len(PATHS) >= 150
    assert set(outcomes) == OUTCOMES
    assert outcomes.count("ok") >= 40


def test_outcomes_are_problems_and_words_of_the_specification() -> None:
    words = (HERE.parents[1] / "schemas" / "spec" / "README.md").read_text(encoding="utf-8")
    table = words[words.index("| outcome |") :]
    rows = [row.partition("|")[2].partition("|")[0] for row in table.splitlines() if row.startswith("|")]
    named = {word for row in rows for word in re.findall(r"`([a-z-]+)`", row)}
    assert named >= OUTCOMES
    assert named - {"ok"} <= set(PROBLEMS)


def test_each_file_is_named_as_its_vector() -> None:
    assert all(load(path)["name"] == path.stem for path in PATHS)


@pytest.mark.parametrize("module", [reader, reader_forms])
def test_the_second_reader_shares_no_code(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    roots = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots |= {name.name.partition(".")[0] for name in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.module is not None
            roots.add(node.module if node.module.startswith("tests") else node.module.partition(".")[0])
    allowed = {"base64", "collections", "cryptography", "datetime", "hashlib", "itertools", "json", "re", "typing"}
    assert roots <= allowed | {"tests.vectors.reader_forms"}


# Envelopes that were never seen before

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)
NOTICES = st.dictionaries(TEXTS.filter(lambda name: name != "label"), JSON, max_size=5)


def sealed_by_us(notice: dict[str, Any], recipients: tuple[str, ...], act: str = "issue") -> Any:
    raw = workshop.issue(act).said
    statement = replace(Statement.parse(workshop.dumps(raw)), sealed=None)
    records = [directory().sealing(workshop.sealing(name).kid) for name in recipients]
    return seal_notice(statement, notice, records)


def signed_by_us(*unsigned: Any) -> list[Signed]:
    keys = workshop.identity("fr/customs/one")
    return sign_batch(unsigned, keys, origin=workshop.ORIGIN, signer="fr/customs", at=workshop.ISSUED)  # type: ignore[arg-type]


def world() -> reader.World:
    return reader.World(public(), {})


@settings(max_examples=25, deadline=None)
@given(NOTICES, st.sampled_from(["issue", "recall", "consent"]), st.integers(0, 4), st.booleans())
def test_the_second_reader_reads_what_we_make(notice: dict[str, Any], act: str, beside: int, many: bool) -> None:
    """Any notice, alone or in a batch: read as an envelope, then as each recipient's delivery, by both."""
    names = workshop.RECIPIENTS if many else workshop.RECIPIENTS[:2]
    others = [
        open_act(
            Statement.parse(
                workshop.dumps(workshop.statement("subscribe", body=BODY, notice_id=workshop.identifier(100 + n)))
            )
        )
        for n in range(beside)
    ]
    made = signed_by_us(*others, sealed_by_us(notice, names, act))
    for one in made:
        read = reader.read_envelope(one.envelope, world(), workshop.INDEX, workshop.RECEIVED_AT)
        assert read.bytes == one.statement_bytes
    value = json.loads(made[-1].envelope)
    parts = workshop.Parts(json.loads(made[-1].statement_bytes), value["proof"], value["sealed"])
    for name in names:
        data = workshop.dumps(workshop.delivery(parts, name))
        seed = workshop.seed(f"{name} sealing")
        assert reader.read_delivery(data, world(), {workshop.sealing(name).kid: seed}) == notice
        seeds = {workshop.sealing(name).kid: workshop.b64(seed)}
        assert ours_delivery(data, {"origin": workshop.ORIGIN, "revoked": {}, "seeds": seeds}) == notice


BODY = {"participant": "fr/customs", "patterns": ["*.*"]}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_both_readers_agree_on_bent_bytes(data: st.DataObject) -> None:
    """Bytes of a good vector replaced, inserted or removed anywhere: refused, and in the same words."""
    path = HERE / "envelope" / f"{data.draw(st.sampled_from(['act-subscribe', 'act-issue', 'delivery-good']))}.json"
    vector = load(path)
    good = vector["input"].encode()
    at = data.draw(st.integers(0, len(good) - 1))
    gone = data.draw(st.integers(0, 3))
    new = data.draw(st.binary(max_size=3) | st.text('{}[]",:0123456789aA-_ ', max_size=3).map(str.encode))
    bad = good[:at] + new + good[at + gone :]
    del vector["input"]
    bent = {**vector, "input_b64u": workshop.b64(bad)}
    outcome, _, _ = ours(bent)
    assert outcome == theirs(bent)[0]
    assert (outcome == "ok") is (bad == good)


ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**53 - 1, 2**53, 2**64, 1.5, "", " ", "a", "a-b", "-a", "A", "*.*", "a.b", "a.*", "fr/customs",
    "int/a/b", "audit/x", "frr/x", "2026-03-01T12:00:00Z", "2026-02-29T00:00:00Z", "2024-02-29T23:59:59Z", "AA", "AB", "A" * 43,
    "A" * 42 + "B", "A" * 86, "019ca8c2-e480-7000-8000-000000000002", "issue", "grant", "acknowledge", "subscribe", "delegate",
    "é", [], {}, [None], ["a", "b"], ["b", "a"], ["a", "a"], {"a": None}, {"size": 0, "root": "A" * 43},
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every member and item."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, item in inner for place in ((*at, name), *places(item, (*at, name)))]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_both_readers_agree_on_bent_members(data: st.DataObject) -> None:
    """One member or item of an envelope, a statement, a payload or a protected header replaced, removed or doubled."""
    name = data.draw(st.sampled_from(["act-subscribe", "act-issue", "act-grant", "act-delegate", "delivery-good"]))
    vector = load(HERE / "envelope" / f"{name}.json")
    whole = json.loads(vector["input"])
    text = data.draw(st.sampled_from([None, ("statement",), ("proof", "head", "payload"), ("sealed", "protected")]))
    holder, last = whole, None
    if text is not None:
        *path, last = text
        for step in path:
            holder = holder[step]
        if holder is None or last not in holder:
            return
    value = whole if last is None else json.loads(workshop.unb64(holder[last]))
    place = data.draw(st.sampled_from(places(value)))
    inner = value
    for step in place[:-1]:
        inner = inner[step]
    change = data.draw(st.sampled_from(["replace", "remove", "double"]))
    if change == "replace":
        inner[place[-1]] = data.draw(st.sampled_from(ODD))
    elif change == "remove":
        del inner[place[-1]]
    elif isinstance(inner, list):
        inner.append(inner[place[-1]])
    else:
        inner["extra"] = inner[place[-1]]
    if last is not None:
        holder[last] = workshop.b64(workshop.dumps(value))
    if text == ("statement",) and vector["kind"] == "envelope":  # so that a good form is seen to the end
        whole["proof"] = workshop.proof(workshop.unb64(whole["statement"]))
    bent = {**vector, "input": workshop.dumps(whole).decode()}
    assert ours(bent)[0] == theirs(bent)[0]
