"""What people read of a verdict: in their language, without codes, and never more lawful than it is."""

import pytest

from adapters.cli import verdicts, words
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
    names = ("oral", "nominal", "last-resort", "handover", "operators")
    ways = [[{"way": name, "value": "yes"}] for name in names]
    said = verdicts.told(verdict(permitted=False, denied=1), ways)["lawful"]
    assert said.count(" | ") == words.SHOWN
    assert said.endswith("with the point of handover named | …")


def test_ways_that_differ_in_one_value_are_one_phrase():
    def way(language, *more):
        return [{"way": "final-interception", "value": "yes"}, {"way": "languages", "value": language}, *more]

    also = {"way": "purpose", "value": "investigation"}
    ways = [way("de"), way("fr"), way("nl", also), [{"way": "nominal", "value": "no"}]]
    assert verdicts.phrases(ways) == [
        "with seizure at the destination at the latest + in the language de / fr",
        "with seizure at the destination at the latest + in the language nl + for the purpose Criminal investigation",
        "without data on persons",
    ]
    # Two values of one way are both meant, and stay so.
    consents = [[{"way": "consent-of", "value": name} for name in ("it", "at")]]
    assert verdicts.phrases(consents) == ["with the consent of Italy, Austria"]


def test_what_the_rules_permit_and_cannot_be_sealed_is_no():
    assert verdicts.told(verdict(owed=["report-outcome"]), detail="No key.")["answer"] == "no"
    assert verdicts.told(None, detail="Nobody of that name.")["why"] == "Nobody of that name."
    assert verdicts.told(verdict())["answer"] == "yes"


def test_what_was_not_seen_is_named_once():
    assert verdicts.told(verdict(unseen=["b", "a", "b"]))["unseen"] == "nl: a, nl: b"
