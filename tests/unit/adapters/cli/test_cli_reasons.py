"""Why a notice cannot be read, or who is denied, in the reader's language."""

import pytest

from adapters.cli.failures import RemoteError, sentences
from adapters.cli.words import why

DENIAL = {
    "participant": "kz/police",
    "condition": "minors",
    "layer": "law",
    "state": "uz",
    "instrument": "Law",
    "article": "7",
    "reason": {"en": "No data on minors.", "de": "Keine Daten über Minderjährige."},
    "evaluated_by": "recipient-gateway",
}


@pytest.mark.parametrize(
    ("lang", "said"), [("de_AT.UTF-8", "Keine Daten über Minderjährige."), ("C", "No data on minors.")]
)
def test_in_the_readers_language(monkeypatch, lang, said):
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", lang)
    item = {"reason": "No data on minors.", "verdict": {"permitted": False, "determining": [DENIAL]}}
    assert why(item) == f"Law, 7: {said}"
    problem = {"type": "urn:valise:problem:denied", "detail": "Not this one.", "denied": [DENIAL]}
    assert sentences(RemoteError(problem))[0] == f"Not this one. kz/police: {said} (Law, 7)"


def test_what_no_law_says_is_said_as_it_was():
    assert why({"reason": "No key of this gateway opens it.", "verdict": None}) == "No key of this gateway opens it."
    assert why({"reason": None, "verdict": {"permitted": True, "determining": [DENIAL]}}) == ""
    assert sentences(RemoteError({"detail": "No.", "denied": "odd"}))[0] == "No."
