"""`valise law` at the desk: write, check, explain, ask, simulate; profiles in a folder, nothing on any network."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from adapters.cli import law_report, law_words
from adapters.cli.law_simulate import entered
from schemas.codes import LANGUAGES
from schemas.errors import FormError
from schemas.notice import examples
from schemas.rules.condition_types import CONDITION_TYPES
from schemas.rules.remarks import SENTENCES

LAW = """form = "law/1"
state = "{state}"
version = "1"
adopted = 2026-01-01
illustration = true
{conditions}
"""
PURPOSES = """
[[condition]]
id = "purposes"
type = "purpose"
instrument = "An <act>"
article = "3"
parameters = {{ purposes = ["{purpose}"] }}
applies_to = {{ direction = "receive" }}
"""
CONSENT = """
[[condition]]
id = "consent"
type = "cd-consent-of-states"
instrument = "Procedure"
article = "294/c"
effect = "require"
applies_to = { direction = "send" }
"""
QUIET = """
[[condition]]
id = "quiet"
type = "not-permitted"
instrument = "An act"
article = "1"
applies_to = { kinds = ["event"] }
"""


@pytest.fixture
def laws(valise):
    """A folder of profiles: Albania asks for consent, Italy for a purpose; Greece asks nothing; others have none."""
    folder = valise.folder / "laws"
    folder.mkdir()
    (folder / "al.toml").write_text(LAW.format(state="al", conditions=CONSENT))
    (folder / "it.toml").write_text(LAW.format(state="it", conditions=PURPOSES.format(purpose="investigation")))
    (folder / "gr.toml").write_text(LAW.format(state="gr", conditions=QUIET))
    (folder / "pack.toml").write_text(LAW.format(state="al", conditions=QUIET).replace('state = "al"\n', ""))
    return folder


@pytest.fixture
def notice(valise):
    """A controlled delivery from Albania through Greece to Italy, as a file."""
    made = examples("controlled-delivery")
    made["entry"], made["exit"] = {"country": "AL"}, {"country": "IT"}
    made["route"] = {"departure": {"country": "AL"}, "transit": [{"country": "GR"}], "destination": {"country": "IT"}}
    path = valise.folder / "notice.json"
    request = {"topic": "south-eastern-europe.controlled-deliveries", "notice": made, "label": {}}
    path.write_text(json.dumps(request), encoding="utf-8")
    return path


def test_a_new_draft_is_a_profile_that_can_be_checked(valise):
    made = valise("law", "new", "--state", "al")
    assert made == {"state": "al", "draft": "al.toml"}
    found = valise("law", "check", "al.toml", "--out", "law.json")
    assert [row["type"] for row in found["conditions"]] == ["nominal-recipients"]
    assert sha256(Path("law.json").read_bytes()).hexdigest() == found["sha256"]
    assert valise("law", "show", "law.json")["sha256"] == found["sha256"]
    assert valise.refused("law", "new", "--state", "al")["exit_code"] == 78
    assert valise.refused("law", "new", "--state", "zz")["exit_code"] == 65


def test_a_pack_is_taken_over(valise, laws):
    valise("law", "new", "--state", "me", "--from", laws / "pack.toml")
    assert valise("law", "check", "me.toml")["state"] == "me"
    valise("law", "new", "--state", "al", "--from", laws / "al.toml", "--out", "mine.toml")
    assert Path("mine.toml").read_text() == (laws / "al.toml").read_text()


def test_check_names_file_line_and_what_is_allowed(valise, laws):
    text = (laws / "it.toml").read_text().replace('"investigation"', '"gossip"')
    Path("bad.toml").write_text(text)
    told = valise.run("law", "check", "bad.toml")
    assert told.exit_code == 65
    assert "bad.toml, line 12: Condition purposes, parameters/purposes: Is not in the code list" in told.stderr
    assert "border-security" in told.stderr
    problem = valise.refused("law", "check", "bad.toml")
    assert problem["type"] == "urn:valise:problem:law-unknown-code"
    assert (problem["pointer"], problem["offset"]) == ("/conditions/0/parameters/purposes", 12)


def test_explain(valise, laws):
    found = valise("law", "explain", laws / "al.toml")
    (row,) = found["conditions"]
    assert row["evaluated_by"] == "sender's gateway before sealing, recipient's gateway after opening"
    assert row["article"] == "Procedure, 294/c"
    assert valise.refused("law", "explain", laws / "al.toml", "no-such")["exit_code"] == 1
    assert "Every State of origin" in valise.run("law", "explain", laws / "al.toml").stdout


def test_the_vocabulary(valise):
    assert [row["type"] for row in valise("law", "vocabulary")["types"]] == list(CONDITION_TYPES)
    for name, kind in CONDITION_TYPES.items():
        found = valise("law", "vocabulary", name)
        assert (found["type"], found["inputs"]) == (name, kind.inputs)
        assert len(found["sentences"]) == 6
        plain = valise.run("law", "vocabulary", name)
        assert plain.exit_code == 0
        assert "Speaks of" in plain.stdout
    assert "cd-substitution" in valise.refused("law", "vocabulary", "no-such")["hint"]


def test_who_may_get_it_and_what_makes_each_no_a_yes(valise, laws, notice):
    asked = ("law", "decide", notice, "--from", "al", "--laws", laws)
    found = valise(*asked, "--to", "it", "--to", "gr")
    italy, greece = found["answers"]
    assert (italy["answer"], greece["answer"]) == ("yes-if", "yes-if")
    consents = [("consent-of", "gr"), ("consent-of", "it")]
    assert [[(one["way"], one["value"]) for one in way] for way in greece["changes"]] == [consents]
    assert [[(one["way"], one["value"]) for one in way] for way in italy["changes"]] == [
        [*consents, ("purpose", "investigation")]
    ]
    assert greece["verdict"]["determining"][0]["evaluated_by"] == "desk"
    assert (
        "with the consent of Greece, Italy + for the purpose Criminal investigation"
        in valise.run(*asked, "--to", "it").stdout
    )
    # Made true, it is a yes.
    request = json.loads(notice.read_text())
    request["label"] = {"purpose": "investigation", "conditions": [{"code": "consent-of", "values": ["gr", "it"]}]}
    notice.write_text(json.dumps(request))
    assert [row["verdict"]["permitted"] for row in valise(*asked, "--to", "it", "--to", "gr")["answers"]] == [
        True,
        True,
    ]


def test_all_states_at_once_and_a_pattern(valise, laws, notice):
    asked = ("law", "decide", notice, "--from", "al", "--laws", laws)
    found = valise(*asked)
    assert len(found["answers"]) > 57
    assert {row["state"] for row in found["answers"] if row["answer"] != "no"} == {"it", "gr"}
    (one,) = valise(*asked, "--to", "gr", "--topic", "south-eastern-europe.*")["answers"]
    assert one["topic"] == "south-eastern-europe.*"
    assert valise.refused(*asked, "--to", "nobody")["exit_code"] == 1
    assert valise.refused(*asked, "--to", "no/body/at/all")["exit_code"] == 1
    # A folder names no participants: whoever is asked about is what its name says.
    (police,) = valise(*asked, "--to", "gr/police")["answers"]
    assert police["participant"] == "gr/police"
    assert valise.refused(*asked, "--topic", "moon.routes")["exit_code"] == 65
    nobody = valise.run(*asked, "--to", "ru", "--json")
    assert (nobody.exit_code, json.loads(nobody.stdout)["answers"][0]["answer"]) == (1, "no")
    draft = laws / "gr.toml"
    Path("gr.toml").write_text(draft.read_text().replace('kinds = ["event"]', 'kinds = ["controlled-delivery"]'))
    (row,) = json.loads(valise.run(*asked, "--to", "gr", "--draft", "gr.toml", "--json").stdout)["answers"]
    assert row["answer"] == "no"
    assert valise.refused("law", "decide", notice, "--from", "al")["exit_code"] == 78


def statement(number: int, sender: str, **label: object) -> dict:
    plain = {"kind": "route", "handling": [], "tlp": "amber", "pap": "amber", "classification": None, "urgency": None}
    plain |= {"purpose": "prevention", "legal_basis": "untoc", "nominal": False, "exercise": False, "reply_due": None}
    return {
        "index": number,
        "act": "issue",
        "sender": sender,
        "topic": "osce.routes",
        "notice_id": f"n{number}",
        "label": {**plain, "conditions": [], **label},
        "issued_at": "2026-03-01T00:00:00Z",
        "expires_at": "2026-03-20T00:00:00Z",
    }


@pytest.fixture
def past(valise):
    rows = [statement(n, "al/focal-point") for n in range(3)]
    rows += [statement(3, "gr/focal-point", purpose="prosecution"), statement(4, "nobody")]
    rows.append({**statement(5, "al/focal-point"), "act": "recall"})
    path = valise.folder / "past.json"
    path.write_text(json.dumps({"statements": rows, "next": 5}))
    return path


def test_a_change_is_simulated_reported_and_entered_in_the_draft(valise, laws, past):
    Path("it.toml").write_text(LAW.format(state="it", conditions=PURPOSES.format(purpose="prosecution")))
    asked = (
        "law",
        "simulate",
        "it.toml",
        "--laws",
        laws,
        "--statements",
        past,
        "--out",
        "report.json",
        "--html",
        "r.html",
    )
    found = valise(*asked, "--enter")
    assert (found["changed"], found["notices"], found["states"] > 57) == (["it"], 4, True)
    assert (found["loses"], found["gains"]) == ([], [{"state": "it", "notices": 1}])
    report = Path("report.json").read_bytes()
    assert sha256(report).hexdigest() == found["sha256"]
    assert f'version = "1"\nsimulation = "{found["sha256"]}"\n' in Path("it.toml").read_text()
    assert valise("law", "check", "it.toml")["state"] == "it"
    # The same again: the digest that stands there is replaced, not added.
    valise(*asked, "--enter")
    assert Path("it.toml").read_text().count("simulation") == 1
    page = Path("r.html").read_text()
    assert "<script" not in page
    assert "Who gains" in page
    plain = valise.run(*asked)
    assert "1 statements are of participants" in plain.stderr
    assert "it (Italy)\t1" in plain.stdout


def test_what_is_lost_is_named_and_escaped(valise, laws, past):
    (laws / "it.toml").write_text(LAW.format(state="it", conditions=QUIET))
    Path("it.toml").write_text(LAW.format(state="it", conditions=PURPOSES.format(purpose="prosecution")))
    valise("law", "simulate", "it.toml", "--laws", laws, "--statements", past, "--html", "r.html")
    page = Path("r.html").read_text()
    assert "An &lt;act&gt;, 3" in page
    assert "<act>" not in page
    assert "Pairs of States in conflict" in page


def test_without_past_notices_nothing_is_simulated(valise, laws):
    assert valise.refused("law", "simulate", laws / "it.toml", "--laws", laws)["exit_code"] == 78


def test_a_draft_without_a_version_has_no_place_for_a_digest():
    with pytest.raises(FormError):
        entered('form = "law/1"\n', "0" * 64)


def test_states_that_no_list_knows_keep_their_letters():
    assert (law_report.state_name("it"), law_report.state_name("zz")) == ("it (Italy)", "zz")


@pytest.mark.parametrize(
    ("language", "word", "name"), [("de", "Wer gewinnt", "it (Italien)"), ("ru", "Кто выигрывает", "it (Италия)")]
)
def test_the_report_is_in_the_readers_language(valise, laws, past, monkeypatch, language, word, name):
    monkeypatch.setenv("LC_ALL", f"{language}.UTF-8")
    Path("it.toml").write_text(LAW.format(state="it", conditions=PURPOSES.format(purpose="prosecution")))
    told = valise.run("law", "simulate", "it.toml", "--laws", laws, "--statements", past, "--html", "r.html")
    page = Path("r.html").read_text(encoding="utf-8")
    assert f'<html lang="{language}">' in page
    assert word in page
    assert name in page
    assert "Who gains" not in page
    assert word in told.stderr
    assert name in told.stdout
    warned = valise.run("law", "check", "it.toml").stderr
    assert SENTENCES["no-explanation"][language].partition("{")[0] in warned


def test_every_word_of_the_report_is_there_in_six_languages():
    assert all(len(set(words.values()) - {""}) >= 2 for words in law_words.WORDS.values())
    assert all(tuple(words) == LANGUAGES for words in law_words.WORDS.values())
