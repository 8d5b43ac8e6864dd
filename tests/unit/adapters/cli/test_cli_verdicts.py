"""What people read of a verdict: in their language, without codes, and never more lawful than it is."""

import pytest

from adapters.cli import verdicts
from schemas.codes import LANGUAGES, code_list


def verdict(*, permitted=True, owed=(), denied=0, unseen=()):
    reason = {"en": "Not so.", "de": "So nicht."}
    why = {"condition": "c", "state": "nl", "instrument": "An act", "article": "3", "reason": reason}
    return {
        "permitted": permitted,
        "determining": [why] * denied,
        "obligations": [{**why, "obligation": code} for code in owed],
        "unseen": [{**why, "condition": name} for name in unseen],
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_owed_is_a_sentence_in_the_readers_language(monkeypatch, language):
    monkeypatch.setenv("LC_ALL", f"{language}_XX.UTF-8")
    row = verdicts.told(verdict(owed=["report-outcome", "certify-deletion", "report-outcome"]))
    names = [code_list("obligations").entries[code].name(language) for code in ("certify-deletion", "report-outcome")]
    assert (row["answer"], row["owed"]) == ("yes-if", "; ".join(names))


def test_an_obligation_that_no_list_knows_keeps_its_code():
    assert verdicts.told(verdict(owed=["dance"]))["owed"] == "dance"


def test_a_denial_is_named_with_how_many_more_and_what_would_do(monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_AT.UTF-8")
    ways = [[{"way": "purpose", "value": "investigation"}], [{"way": "consent-of", "value": "it"}]]
    row = verdicts.told(verdict(permitted=False, denied=3, owed=["reply-in-time"]), ways)
    assert (row["answer"], row["why"]) == ("yes-if", "An act, 3: So nicht. (+2)")
    assert row["lawful"] == "zum Zweck Strafrechtliche Ermittlung | mit Zustimmung von Italien"
    assert row["owed"] == "Fristgerecht antworten"
    assert verdicts.told(verdict(permitted=False, denied=1))["answer"] == "no"


def test_more_ways_than_a_row_holds_are_said_to_be_there():
    ways = [[{"way": "consent-of", "value": name}] for name in ("it", "at", "de", "nl", "be")]
    assert verdicts.told(verdict(permitted=False, denied=1), ways)["lawful"].endswith("Netherlands | …")


def test_what_the_rules_permit_and_cannot_be_sealed_is_no():
    assert verdicts.told(verdict(owed=["report-outcome"]), detail="No key.")["answer"] == "no"
    assert verdicts.told(None, detail="Nobody of that name.")["why"] == "Nobody of that name."
    assert verdicts.told(verdict())["answer"] == "yes"


def test_what_was_not_seen_is_named_once():
    assert verdicts.told(verdict(unseen=["b", "a", "b"]))["unseen"] == "nl: a, nl: b"
