"""The label of a notice to send: what the caller says, what the participant's defaults add, what the notice itself says.

A code that no list knows is refused here, at the field, because everywhere else it would only deny.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from adapters.gateway.draft import Draft
from adapters.gateway.request import ConditionRequest, LabelRequest
from schemas.errors import FormError
from schemas.ids import Code, Role
from schemas.label import Condition, Label
from schemas.notice import Notice, is_nominal
from schemas.rules.builtin import ANSWERS
from schemas.rules.vocabulary import Vocabulary, vocabulary

RECEIVED_FROM: Final = Code("received-from")
_PURPOSE: Final = Code("prevention")
_LEGAL_BASIS: Final = Code("osce-decision-1048")
_HANDLING: Final = (Code("h0"),)
_AMBER: Final = Code("amber")


@dataclass(frozen=True, slots=True)
class LabelDefaults:
    """What a participant's notices say where the caller leaves it out; `days` is how long a notice lives."""

    purpose: Code = _PURPOSE
    legal_basis: Code = _LEGAL_BASIS
    handling: tuple[Code, ...] = _HANDLING
    tlp: Code = _AMBER
    pap: Code = _AMBER
    days: int = 90


def complete(request: LabelRequest, notice: Notice, defaults: LabelDefaults, known: Vocabulary | None = None) -> Label:
    """Return the complete label of a notice; raise `FormError` with a pointer into the request.

    `known` spares putting the vocabulary together where there are many notices.
    """
    label = Label(
        kind=Code(notice.kind),
        handling=_handling(defaults.handling if request.handling is None else request.handling),
        tlp=request.tlp or defaults.tlp,
        pap=request.pap or defaults.pap,
        classification=request.classification,
        urgency=request.urgency,
        purpose=request.purpose or defaults.purpose,
        legal_basis=request.legal_basis or defaults.legal_basis,
        nominal=is_nominal(notice),
        exercise=request.exercise,
        reply_due=request.reply_due,
        conditions=_conditions(request.conditions),
    )
    check(label, vocabulary() if known is None else known)
    return label


def answering(draft: Draft) -> Draft:
    """Return a draft whose label states that it answers what it refers to: its sender's colleagues rest on that."""
    return _stating(draft, ANSWERS, ())


def passing_on(draft: Draft, sources: Collection[Role]) -> Draft:
    """Return a draft whose label states which States sent what it passes on: laws ask for their consent."""
    return _stating(draft, RECEIVED_FROM, sources) if sources else draft


def sources(label: Label | None) -> frozenset[Code]:
    """Return the States that a label says sent what the notice holds."""
    found = (item.values for item in (() if label is None else label.conditions) if item.code == RECEIVED_FROM)
    return frozenset(value for values in found for value in values)


def _stating(draft: Draft, code: Code, values: Collection[str]) -> Draft:
    label = draft.label
    assert label is not None  # a notice has one
    said = {item.code: item for item in label.conditions}
    before = said[code].values if code in said else ()
    said[code] = Condition(code, tuple(sorted({*before, *(Code(value) for value in values)})))
    return replace(draft, label=replace(label, conditions=tuple(said[name] for name in sorted(said))))


def check(label: Label, known: Vocabulary) -> None:
    """Refuse codes that no list knows; raise `FormError`."""
    for pointer, codes, allowed in _members(label, known):
        if not set(codes) <= set(allowed):
            raise FormError(f"Must be one of: {', '.join(sorted(allowed))}.", pointer=f"/label/{pointer}")


def _members(label: Label, known: Vocabulary) -> Iterator[tuple[str, tuple[Code, ...], Collection[str]]]:
    yield "tlp", (label.tlp,), known.tlp
    yield "pap", (label.pap,), known.pap
    yield "handling", label.handling, known.handling
    yield "purpose", (label.purpose,), known.purposes
    yield "legal_basis", (label.legal_basis,), known.legal_bases
    yield "urgency", () if label.urgency is None else (label.urgency,), known.urgencies
    yield "classification", () if label.classification is None else (label.classification,), known.classifications
    yield "conditions", tuple(item.code for item in label.conditions), known.conditions


def _handling(codes: tuple[Code, ...]) -> tuple[Code, ...]:
    if len(set(codes)) != len(codes):
        raise FormError("Must name each code once.", pointer="/label/handling")
    return tuple(sorted(codes))


def _conditions(requests: tuple[ConditionRequest, ...]) -> tuple[Condition, ...]:
    if len({item.code for item in requests}) != len(requests):
        raise FormError("Must name each condition once.", pointer="/label/conditions")
    return tuple(
        Condition(item.code, tuple(sorted(set(item.values)))) for item in sorted(requests, key=lambda item: item.code)
    )
