"""Which focal points a notice owes a copy, by the obligations of its verdict."""

import pytest

from schemas.rules.copies import copies_owed
from schemas.rules.verdict import Determination, Effect


def oblige(obligation: str, **parameters: str) -> Determination:
    return Determination(
        condition="c",
        layer="law",
        state="nl",
        effect=Effect.OBLIGE,
        instrument="An act",
        article="1",
        reason={"en": "So it is."},
        evaluated_by="broker",
        obligation=obligation,
        parameters=parameters,
    )


@pytest.mark.parametrize(
    ("whose", "owed"),
    [({}, {"nl"}), ({"whose": "recipient"}, {"nl"}), ({"whose": "sender"}, {"al"}), ({"whose": "both"}, {"al", "nl"})],
)
def test_whose_focal_point_it_is_the_law_says(whose: dict[str, str], owed: set[str]) -> None:
    first, second = oblige("copy-to-focal-point", **whose), oblige("copy-to-focal-point")
    found = copies_owed([oblige("delete"), first, second], "al", "nl")
    assert set(found) >= owed
    assert all(found[role] is first for role in owed)


def test_nothing_else_owes_a_copy() -> None:
    assert copies_owed([oblige("delete")], "al", "nl") == {}
