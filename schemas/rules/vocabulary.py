"""The codes that the rules know, as sets that a decision looks into. Whatever is not in here denies.

The lists are data of `schemas.codes`; three kinds of participant that are no agencies, and the obligations that a law
may ask for, are the rules' own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.codes import CodeList, code_list
from schemas.rules.builtin import CONDITIONS, HANDLING
from schemas.rules.condition import Profile

OBLIGATIONS: Final = frozenset(
    {
        "certify-deletion",
        "copy-to-focal-point",
        "disclose-to-court",
        "keep-within-retention",
        "leave-of-judge-or-prosecutor",
        "protect-special-categories",
        "report-outcome",
    }
).union(item.obligation for item in (*HANDLING.values(), *CONDITIONS.values()) if item.obligation)
_NO_AGENCIES: Final = frozenset({"auditor", "focal-point", "organisation"})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Known codes by the member of label, topic or party that they stand in.

    `classifications` gives each its rank, from 1: a clearance reaches all classifications up to its own. `clocks` are
    the urgencies within which an answer is due.
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
    )


def unknown_codes(profile: Profile, known: Vocabulary) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield where a profile has codes that no list knows: the condition's place, its member, the codes known there.

    Counterparts are left out: they are names of the network, which a profile's author does not sign.
    """
    for number, condition in enumerate(profile.conditions):
        about = condition.applies_to
        for name, codes, allowed in (
            ("kinds", about.kinds, known.kinds),
            ("themes", about.themes, known.themes),
            ("regions", about.regions, known.regions),
            ("tlp", about.tlp, known.tlp),
            ("purpose", about.purpose, known.purposes),
            ("classification", about.classification, known.classifications),
        ):
            if codes is not None and not set(codes) <= set(allowed):
                yield number, f"applies_to/{name}", tuple(sorted(allowed))
        if condition.obligation is not None and condition.obligation not in known.obligations:
            yield number, "obligation", tuple(sorted(known.obligations))


def _codes(codes: CodeList) -> frozenset[str]:
    return frozenset(codes.entries)


def _ranks(codes: CodeList) -> Mapping[str, int]:
    """Return classifications by rank; one without a rank ranks above all, so that no lower clearance reaches it."""
    ranks = {code: entry.extra.get("rank") for code, entry in codes.entries.items()}
    return {code: rank if isinstance(rank, int) else len(ranks) + 1 for code, rank in ranks.items()}
