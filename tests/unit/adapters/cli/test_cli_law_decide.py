"""`valise law decide`: what the table says where a search was cut, and where nobody may publish."""

import orjson

from schemas.notice import examples
from tests.unit.schemas.rules.laws import law, law_condition
from tests.unit.schemas.rules.test_answer_cut import BASES, BROAD, PURPOSES


def put(valise, name, value):
    path = valise.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps(value))
    return path


def test_a_search_that_was_cut_still_shows_one_way_and_that_there_may_be_others(valise):
    quiet = law_condition("x", "not-permitted", "deny", applies_to={"kinds": ["event"]})
    folder = put(valise, "laws/al.json", law("al", BROAD)).parent
    put(valise, "laws/it.json", law("it", [quiet]))
    label = {"purpose": PURPOSES[-1], "legal_basis": BASES[-1]}
    request = {"topic": "south-eastern-europe.routes", "notice": examples("route"), "label": label}
    asked = ("law", "decide", put(valise, "notice.json", request), "--from", "al", "--to", "it", "--laws", folder)
    (row,) = valise(*asked)["answers"]
    assert (row["answer"], row["complete"]) == ("yes-if", False)
    assert len(row["changes"]) >= 1
    assert row["lawful"].endswith("(there may be others)")
    assert "may be others" in " ".join(valise.run(*asked).stdout.split())


def test_who_may_not_publish_at_all_is_told_no_whatever_the_recipient_would_ask(valise):
    purpose = law_condition("a", "purpose", "require", {"purposes": ["investigation"]}, applies_to={})
    folder = put(valise, "laws/al.json", law("al", [purpose])).parent
    put(valise, "laws/it.json", law("it", [purpose]))
    request = {"topic": "south-eastern-europe.routes", "notice": examples("route"), "label": {"purpose": "prevention"}}
    notice = put(valise, "notice.json", request)
    for sender, conditions in (("al/auditor", ["no-grant", "a"]), ("al/police", ["a", "a"])):
        asked = valise.run("law", "decide", notice, "--from", sender, "--to", "it", "--laws", folder, "--json")
        (row,) = orjson.loads(asked.stdout)["answers"]
        assert row["answer"] == ("no" if sender == "al/auditor" else "yes-if")
        assert [item["condition"] for item in row["verdict"]["determining"]] == conditions


def test_as_of_a_time_takes_utc_only(valise):
    turn = "2026-07-01T00:00:00Z"
    ends = law_condition("a", "not-permitted", "deny", valid_to=turn)
    folder = put(valise, "laws/al.json", law("al", [ends])).parent
    put(
        valise,
        "laws/it.json",
        law("it", [law_condition("x", "not-permitted", "deny", applies_to={"kinds": ["event"]})]),
    )
    request = {"topic": "south-eastern-europe.routes", "notice": examples("route"), "label": {}}
    asked = ("law", "decide", put(valise, "notice.json", request), "--from", "al", "--to", "it", "--laws", folder)
    assert valise(*asked, "--at", turn)["boundary"] == turn
    for wrong in ("2026-07-01T02:00:00+02:00", "2026-07-01T00:00:00", "2026-07-01", "nonsense", "2026-07-32T00:00:00Z"):
        problem = valise.refused(*asked, "--at", wrong)
        assert (problem["pointer"], problem["exit_code"]) == ("/at", 65)
