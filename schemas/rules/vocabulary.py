"""The codes that the rules know, as sets that a decision looks into. Whatever is not in here denies.

The lists are data of `schemas.codes`; three kinds of participant that are no agencies, and the obligations that a law
may ask for, are the rules' own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas.codes import CodeList, code_list
from schemas.rules.builtin import CONDITIONS, HANDLING
from schemas.rules.condition_types import CONDITION_TYPES

# `duty` takes its obligation from a parameter, which is no code.
OBLIGATIONS: Final = frozenset(
    item.obligation for item in CONDITION_TYPES.values() if item.obligation and item.id != "duty"
).union(item.obligation for item in (*HANDLING.values(), *CONDITIONS.values()) if item.obligation)
_LISTS: Final = frozenset(
    parameter.list
    for item in CONDITION_TYPES.values()
    for parameter in item.parameters
    if isinstance(parameter.list, str)
) - {"agency-kinds", "obligations"}
_NO_AGENCIES: Final = frozenset({"auditor", "focal-point", "organisation"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Known codes by the member of label, topic or party that they stand in.

    `classifications` gives each its rank, from 1: a clearance reaches all classifications up to its own. `clocks` are
    the urgencies within which an answer is due. `countries` are all countries as roles are written, `lists` the codes
    that parameters of conditions take, by the name of their list.
    """

    kinds: frozenset[str]
    handling: frozenset[str]
    tlp: frozenset[str]
    pap: frozenset[str]
    classifications: Mapping[str, int]
    urgencies: frozenset[str]
    clocks: frozenset[str]
    purposes: frozenset[str]
    legal_bases: frozenset[str]
    conditions: frozenset[str]
    regions: frozenset[str]
    themes: frozenset[str]
    states: frozenset[str]
    agency_kinds: frozenset[str]
    obligations: frozenset[str]
    countries: frozenset[str] = field(default=frozenset(), repr=False)
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)


def vocabulary() -> Vocabulary:
    """Return the codes of the lists as they are in this process, an operator's own among them."""
    urgency = code_list("urgency")
    return Vocabulary(
        kinds=_codes(code_list("kinds")),
        handling=_codes(code_list("handling")),
        tlp=_codes(code_list("tlp")),
        pap=_codes(code_list("pap")),
        classifications=_ranks(code_list("classification")),
        urgencies=_codes(urgency),
        clocks=frozenset(code for code, entry in urgency.entries.items() if entry.extra.get("clock_seconds")),
        purposes=_codes(code_list("purpose")),
        legal_bases=_codes(code_list("legal-basis")),
        conditions=_codes(code_list("conditions")),
        regions=_codes(code_list("regions")),
        themes=_codes(code_list("themes")),
        states=_codes(code_list("states")),
        agency_kinds=_codes(code_list("agencies")) | _NO_AGENCIES,
        obligations=OBLIGATIONS,
        countries=frozenset(code.lower() for code in code_list("countries").entries),
        lists={name: _codes(code_list(name)) for name in _LISTS}
        | {
            "agency-kinds": _codes(code_list("agencies")) | _NO_AGENCIES,
            "obligations": OBLIGATIONS,
        },
    )


def _codes(codes: CodeList) -> frozenset[str]:
    return frozenset(codes.entries)


def _ranks(codes: CodeList) -> Mapping[str, int]:
    """Return classifications by rank; one without a rank ranks above all, so that no lower clearance reaches it."""
    ranks = {code: entry.extra.get("rank") for code, entry in codes.entries.items()}
    return {code: rank if isinstance(rank, int) else len(ranks) + 1 for code, rank in ranks.items()}
