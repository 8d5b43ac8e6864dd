"""The originator's layer: handling codes H0 to H3 and the structured conditions of a label (design: domain).

All of it is read from the label and the recipient. A code without a meaning here denies, and so does a condition whose
values make no sense. Whether an obligation is met later is not decided here.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from schemas.encoding import is_day
from schemas.ids import Code
from schemas.label import Condition, Label
from schemas.rules.builtin import (
    ANSWERS,
    CLEARANCE,
    CONDITION_INSTRUMENT,
    CONDITIONS,
    DELETE_BY,
    EXCLUDED_AGENCIES,
    EXCLUDED_STATES,
    H3,
    HANDLING,
    HANDLING_INSTRUMENT,
    STATEMENTS,
    UNEVALUABLE,
    UNKNOWN_CODE,
    Builtin,
    refusal,
)
from schemas.rules.compile import Rules
from schemas.rules.facts import Party
from schemas.rules.tables import Said
from schemas.rules.verdict import Determination, Effect
from schemas.rules.vocabulary import Vocabulary


def _template(code: Code, rule: Builtin, instrument: str) -> Determination:
    return Determination(
        condition=code,
        layer="originator",
        state=None,
        effect=Effect.DENY if rule.obligation is None else Effect.OBLIGE,
        instrument=instrument,
        article=rule.article,
        reason=rule.reason,
        evaluated_by="",
        obligation=rule.obligation,
    )


_HANDLING: Final[Mapping[Code, Said]] = {
    code: Said(_template(code, rule, HANDLING_INSTRUMENT)) for code, rule in HANDLING.items()
}


def read_label(
    label: Label,
    recipient: Party | None,
    rules: Rules,
    evaluator: str,
    denials: list[Determination],
    obligations: list[Determination],
) -> None:
    """Add to `denials` and `obligations` what a label asks for; without a recipient only whether it makes sense."""
    known = rules.known
    # One expression for the usual case; which member it was is looked for only when there is one.
    if not (
        label.kind in known.kinds
        and label.tlp in known.tlp
        and label.pap in known.pap
        and label.purpose in known.purposes
        and label.legal_basis in known.legal_bases
        and (label.classification is None or label.classification in known.classifications)
        and (label.urgency is None or label.urgency in known.urgencies)
        and known.handling.issuperset(label.handling)
    ):
        denials += [
            refusal(UNKNOWN_CODE, "originator", evaluator, member=f"/label/{name}") for name in _unknown(label, known)
        ]
    for code in label.handling:
        said = _HANDLING.get(code)
        if said is None:
            # H3 says that there are other restrictions: they must be there. A newer code means nothing here yet.
            if code != H3 or not label.conditions:
                denials.append(refusal(UNEVALUABLE, "originator", evaluator, condition=code))
        elif recipient is not None:
            obligations.append(said[evaluator])
    for condition in label.conditions:
        found = _condition(condition, recipient, rules, evaluator)
        if found is not None:
            (denials if found.effect is Effect.DENY else obligations).append(found)
    if recipient is not None and label.classification is not None:
        # An unknown classification has been refused above; here it ranks above every clearance.
        rank = known.classifications.get(label.classification, len(known.classifications) + 1)
        if known.classifications.get(recipient.clearance or "", 0) < rank:
            denials.append(refusal(CLEARANCE, "originator", evaluator, recipient.role))


def _unknown(label: Label, known: Vocabulary) -> Iterator[str]:
    for name, code, codes in (
        ("kind", label.kind, known.kinds),
        ("tlp", label.tlp, known.tlp),
        ("pap", label.pap, known.pap),
        ("classification", label.classification, known.classifications),
        ("urgency", label.urgency, known.urgencies),
        ("purpose", label.purpose, known.purposes),
        ("legal_basis", label.legal_basis, known.legal_bases),
    ):
        if code is not None and code not in codes:
            yield name
    for number, code in enumerate(label.handling):
        if code not in known.handling:
            yield f"handling/{number}"


def _condition(condition: Condition, recipient: Party | None, rules: Rules, evaluator: str) -> Determination | None:
    """Return what one condition says about a recipient, or why it cannot be evaluated; None where it says nothing."""
    code, values = condition.code, condition.values
    if code in STATEMENTS and code in rules.known.conditions:
        return _stated(code, values, rules, evaluator)
    if code == ANSWERS and not values and code in rules.known.conditions:
        return None
    rule = CONDITIONS.get(code)
    if rule is None or code not in rules.known.conditions:
        return refusal(UNKNOWN_CODE, "originator", evaluator, member="/label/conditions")
    problem, concerned = _values(code, values, recipient, rules)
    if problem is not None:
        return refusal(problem, "originator", evaluator, condition=code)
    if recipient is None or not concerned:
        return None
    return Determination(
        condition=code,
        layer="originator",
        state=recipient.role if rule.obligation is None else None,
        effect=Effect.DENY if rule.obligation is None else Effect.OBLIGE,
        instrument=CONDITION_INSTRUMENT,
        article=rule.article,
        reason=rule.reason,
        evaluated_by=evaluator,
        obligation=rule.obligation,
        parameters={"values": values} if values else {},
    )


def _stated(code: Code, values: tuple[Code, ...], rules: Rules, evaluator: str) -> Determination | None:
    """Return what is wrong with something that the sender states; it restricts nobody by itself."""
    if not values:
        return refusal(UNEVALUABLE, "originator", evaluator, condition=code)
    name = STATEMENTS[code]
    known = rules.known.countries | rules.roles if name == "states" else rules.known.lists.get(name, frozenset())
    return None if known.issuperset(values) else refusal(UNKNOWN_CODE, "originator", evaluator, condition=code)


def _values(code: Code, values: tuple[Code, ...], recipient: Party | None, rules: Rules) -> tuple[Code | None, bool]:
    """Return what is wrong with a condition's values (None: nothing), and whether they concern the recipient."""
    if code == EXCLUDED_STATES:
        known, concerned = _states(values, recipient, rules)
    elif code == EXCLUDED_AGENCIES:
        known, concerned = _agencies(values, recipient, rules)
    elif code == DELETE_BY:
        sound = len(values) == 1 and is_day(values[0])
        return (None if sound else UNEVALUABLE), True
    else:
        return (UNKNOWN_CODE if values else None), True
    # To exclude nobody is a slip of the pen, and guessing whom would be worse than refusing.
    return (UNEVALUABLE if not values else None if known else UNKNOWN_CODE), concerned


def _states(values: tuple[Code, ...], recipient: Party | None, rules: Rules) -> tuple[bool, bool]:
    """Read values as States, organisations or groups of the network."""
    known = all(value in rules.names or value in rules.known.states for value in values)
    role: str | None = None if recipient is None else recipient.role
    concerned = any(role == value or role in rules.names.get(value, ()) for value in values)
    return known, concerned


def _agencies(values: tuple[Code, ...], recipient: Party | None, rules: Rules) -> tuple[bool, bool]:
    """Read values as kinds of agency, or as participants whose slashes are written as hyphens (`fr-customs`)."""
    known = all(
        value in rules.known.agency_kinds or any(value.startswith(f"{role}-") for role in rules.roles)
        for value in values
    )
    concerned = recipient is not None and (recipient.kind in values or recipient.id.replace("/", "-") in values)
    return known, concerned
