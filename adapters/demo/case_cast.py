"""Who takes part in Albania's case: thirteen States, five of them with a gateway here, under laws made of the packs.

Members of the Union have signed `eu.toml`, the other members of the Council of Europe `coe.toml`, below it the conditions of
their own pack where there is one. Kazakhstan, Tajikistan and Uzbekistan have invented laws; Kyrgyzstan has signed none.
"""

import json
import re
from typing import Any, Final

from adapters.demo.ceremony import FOCAL_POINT, PACKS, Cast, law_of, pack
from schemas import strict_json
from schemas.rules.network import default_network

ALBANIA: Final = "al"
GATEWAYS: Final = ("al", "it", "nl", "me", "kz")
AWAY: Final = ("at", "be", "de", "gb", "kg", "rs", "tj", "uz")
ON_THE_WAY: Final = ("it", "at", "de", "nl")
INVENTED: Final = ("kz", "tj", "uz")
_CONDITION: Final = "[[condition]]"
_ID: Final = re.compile(r'^id = "(.*)"$', re.MULTILINE)
_VERSION: Final = re.compile(r"^version = .*$", re.MULTILINE)


def cast() -> Cast:
    """Return everybody, with the laws in force; raise `DemoError` where there is no checkout."""
    states = (*GATEWAYS, *AWAY)
    laws = {state: law_of(text.encode()) for state in states if (text := law_text(state)) is not None}
    return Cast(
        gateways={state: (f"{state}/{FOCAL_POINT}",) for state in GATEWAYS},
        laws={**laws, **{state: pack(state) for state in INVENTED}},
        away=AWAY,
        drafting=(ALBANIA,),
    )


def law_text(state: str) -> str | None:
    """Return what a State has signed, None where it has signed nothing that stands on a baseline."""
    found = json.loads(default_network())["groups"]
    members = {one["id"]: one["members"] for one in found}
    baseline = next((name for name in ("eu", "coe") if state in members[name]), None)
    if baseline is None:
        return None
    head, mark, rest = (PACKS / f"{baseline}.toml").read_text(encoding="utf-8").partition("\nversion")
    own = PACKS / f"{state}.toml"
    below = "" if not own.is_file() else own.read_text(encoding="utf-8").partition(_CONDITION)[2]
    return f'{head}\nstate = "{state}"{mark}{rest}' + (f"\n{_CONDITION}{below}" if below else "")


def draft_text() -> str:
    """Return Albania's draft: its law with the passages of `cases/albania-draft.toml` in their places."""
    text = law_text(ALBANIA)
    assert text is not None  # Albania is a member of the Council of Europe
    head, *passages = (PACKS / "cases" / "albania-draft.toml").read_text(encoding="utf-8").split(_CONDITION)
    new = {_named(one): one for one in passages}
    first, *rest = text.split(_CONDITION)
    version = _VERSION.search(head)
    assert version is not None  # a draft says which version it is
    conditions = [f"{new[name].rstrip()}\n\n" if (name := _named(one)) in new else one for one in rest]
    return _CONDITION.join([_VERSION.sub(lambda _: version[0], first, count=1), *conditions])


def _named(condition: str) -> str:
    found = _ID.search(condition)
    assert found is not None  # conditions have ids
    return found[1]


def request() -> dict[str, Any]:
    """Return Albania's request as it is drafted."""
    return dict(strict_json.parse_object((PACKS / "cases" / "albania.json").read_bytes()))
