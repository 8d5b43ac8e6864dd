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
