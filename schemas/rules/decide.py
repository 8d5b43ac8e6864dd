"""Decide: may this participant do this with this label, and what is owed for it (design: access, Rules).

The network's grants, then the law of the States concerned, then the originator's handling codes. Every layer is read to
its end, so that a verdict names all that stands in the way; deny wins, obligations add up, and whatever is unknown or
cannot be evaluated denies. Total: any facts of the right types get a verdict. What only an opened notice shows is for
the gateways: without contents, conditions over them are named as unseen, and nothing is claimed of them.
"""

from dataclasses import replace
from typing import Final, NamedTuple

from schemas.acts import ACTS
from schemas.ids import Role, is_state
from schemas.rules.builtin import (
    ENGINE,
    INSTRUMENT,
    NO_GRANT,
    NO_PROFILE,
    OWN_COPY,
    SUSPENDED,
    UNEVALUABLE,
    UNKNOWN_CODE,
    refusal,
)
from schemas.rules.compile import Rules
from schemas.rules.content import Content
from schemas.rules.facts import Facts, Party
from schemas.rules.originator import read_label
from schemas.rules.tables import GrantRow, LawRow, LawTable, Said, holds
from schemas.rules.verdict import Determination, Effect, Verdict

ANY: Final = "*"

_OWN_COPY: Final = Said(
    Determination(
        condition=OWN_COPY,
        layer="network",
        state=None,
        effect=Effect.PERMIT,
        instrument=INSTRUMENT,
        article=ENGINE[OWN_COPY].article,
        reason=ENGINE[OWN_COPY].reason,
        evaluated_by="",
    )
)


GATEWAYS: Final = "sender-gateway, recipient-gateway"
"""Who evaluates what the evaluator cannot see."""
CARRIES: Final = frozenset(("issue", "correct", "grant"))
"""The acts that bring a notice's content to somebody."""

Unmet = list[tuple[LawRow, Party | None]]
"""Conditions of law that denied, and towards whom."""


def decide(facts: Facts, rules: Rules, *, evaluator: str, unmet: Unmet | None = None) -> Verdict:
    """Return the verdict of the rules on the facts; `evaluator` (`broker`, `sender-gateway`, …) is named in it.

    `unmet` collects the conditions of law that denied, for whoever looks for what would make it lawful.
    """
    action = facts.action
    # To publish is towards nobody yet: each recipient is asked for by a `receive` of its own.
    recipient = None if action == "publish" else facts.recipient
    # What a participant wrote itself travels nowhere when it gets its own copy: no law and no handling code stops it.
    own = action == "receive" and recipient is not None and recipient.id == facts.sender.id
    denials: list[Determination] = []
    obligations: list[Determination] = []
    unseen: list[Determination] = []
    permits = _network(facts, recipient, rules, evaluator, denials, own=own)
    if action == "publish" or action == "receive":  # noqa: PLR1714 - twice as fast as a look-up in a tuple
        told = _Told(facts, evaluator, denials, obligations, unseen, unmet)
        _law(told, recipient, rules, own=own)
        if facts.label is not None:
            read_label(facts.label, None if own else recipient, rules, evaluator, denials, obligations)
    elif action == "subscribe" and facts.act != "unsubscribe":
        _profile(facts.sender.role, rules, evaluator, denials)
        if recipient is not None and recipient.role != facts.sender.role:
            _profile(recipient.role, rules, evaluator, denials)
    return Verdict(
        not denials, tuple(denials or permits), tuple(obligations), rules.version, rules.boundary, tuple(unseen)
    )


def _network(
    facts: Facts, recipient: Party | None, rules: Rules, evaluator: str, denials: list[Determination], *, own: bool
) -> list[Determination]:
    """Return the grants that permit it; add to `denials` what speaks against it, the lack of a grant included."""
    action, topic, sender = facts.action, facts.topic, facts.sender
    receives = action == "receive"
    if (receives or action == "publish") and (lacking := _lacking(facts, recipient)):
        denials.append(refusal(UNEVALUABLE, "network", evaluator, lacking=lacking))
    for name, party in (("sender", sender), ("recipient", recipient)):
        if party is None or (own and name == "recipient"):
            continue
        if party.suspended or party.role in rules.suspended:
            denials.append(refusal(SUSPENDED, "network", evaluator, party.role))
        if party.kind not in rules.known.agency_kinds:
            denials.append(refusal(UNKNOWN_CODE, "network", evaluator, party.role, member=f"/{name}/kind"))
    region: str | None = None
    theme: str | None = None
    if topic is not None or action == "subscribe":
        region, _, theme = (topic or "*.*").partition(".")
        known = rules.known
        if not (
            (region in known.regions or (region == ANY and action == "subscribe"))
            and (theme in known.themes or (theme == ANY and action == "subscribe"))
        ):
            denials.append(refusal(UNKNOWN_CODE, "network", evaluator, member="/topic"))
    if own:
        if sender.role in rules.roles:
            return [_OWN_COPY[evaluator]]
        denials.append(refusal(NO_GRANT, "network", evaluator, sender.role))
        return []
    subject = recipient if receives and recipient is not None else sender
    other = sender if receives else recipient
    if other is None and (action == "subscribe" or action == "administer"):  # noqa: PLR1714 - as above
        other = sender
    permits = _grants(facts, subject, other, region, theme, rules)
    if not permits:
        denials.append(refusal(NO_GRANT, "network", evaluator, subject.role))
    return [row.said[evaluator] for row in permits]


def _lacking(facts: Facts, recipient: Party | None) -> str | None:
    """Return which fact is lacking that the act must have, or that is no act at all."""
    act = ACTS.get(facts.act)
    if act is None:
        return "act"
    if act.about_notice and facts.topic is None:
        return "topic"
    if act.about_notice and facts.label is None:
        return "label"
    return "recipient" if facts.action == "receive" and recipient is None else None


def _grants(
    facts: Facts, subject: Party, other: Party | None, region: str | None, theme: str | None, rules: Rules
) -> list[GrantRow]:
    """Return the first grant that matches, or for a pattern those that together cover every topic under it."""
    by_role = rules.grants.get(facts.action)
    by_act = None if by_role is None else by_role.get(subject.role)
    if by_act is None:
        return []
    kind = None if facts.label is None else facts.label.kind
    rows = by_act.named.get(facts.act, by_act.other)
    if region != ANY and theme != ANY:  # noqa: PLR1714 - as above
        row = _first(rows, (region, theme, subject.kind, kind), subject, other)
        return [] if row is None else [row]
    # A pattern stands for all its topics, also those of which no notice was seen yet: none may be without a grant.
    used: dict[int, GrantRow] = {}
    for one_region in sorted(rules.known.regions) if region == ANY else (region,):
        for one_theme in sorted(rules.known.themes) if theme == ANY else (theme,):
            row = _first(rows, (one_region, one_theme, subject.kind, kind), subject, other)
            if row is None:
                return []
            used[id(row)] = row
    return list(used.values())


def _first(
    rows: tuple[GrantRow, ...], codes: tuple[object, ...], subject: Party, other: Party | None
) -> GrantRow | None:
    for row in rows:
        if row.within != "any" and (
            other is None or (other.role != subject.role if row.within == "own-role" else other.id != subject.id)
        ):
            continue
        if holds(row.tests, codes) and (row.roles is None or not row.roles.isdisjoint(subject.roles)):
            return row
    return None


def _profile(role: Role, rules: Rules, evaluator: str, denials: list[Determination]) -> LawTable | None:
    """Return a State's table; None for organisations and auditors, and for a State that takes no part."""
    table = rules.laws.get(role)
    if table is None and is_state(role):
        if role in rules.unreadable:
            denials.append(refusal(UNEVALUABLE, "law", evaluator, role, lacking="profile"))
        else:
            denials.append(refusal(NO_PROFILE, "law", evaluator, role))
    return table


class _Told(NamedTuple):
    """A question, and what the law has said of it so far."""

    facts: Facts
    evaluator: str
    denials: list[Determination]
    obligations: list[Determination]
    unseen: list[Determination]
    unmet: Unmet | None


def _law(told: _Told, recipient: Party | None, rules: Rules, *, own: bool) -> None:
    """Read the law of the sender's State, then of the recipient's, and of one State once."""
    facts = told.facts
    label, topic, sender = facts.label, facts.topic, facts.sender
    home = sender.role
    table = _profile(home, rules, told.evaluator, told.denials)
    away = None if recipient is None or recipient.role == home else recipient.role
    far_table = None if away is None else _profile(away, rules, told.evaluator, told.denials)
    if own or label is None or topic is None:
        return
    region, _, theme = topic.partition(".")
    codes = (region, theme, label.nominal, label.tlp, label.purpose, label.classification)
    kind = label.kind
    if table is not None:
        by_kind = table.publish if recipient is None else table.domestic if away is None else table.send
        rows = by_kind.named.get(kind, by_kind.other)
        _apply(rows, (*codes, home if away is None else away), recipient, told)
    if far_table is not None:
        rows = far_table.receive.named.get(kind, far_table.receive.other)
        _apply(rows, (*codes, home), sender, told)


def _apply(rows: tuple[LawRow, ...], codes: tuple[object, ...], other: Party | None, told: _Told) -> None:
    facts, evaluator, denials, obligations, unseen, unmet = told
    for row in rows:
        tests, when, check, denies, said_met, said, unclear, content, _ = row
        if not holds(tests, codes):
            continue
        if content and facts.act not in CARRIES:
            continue
        # What the label says already (no data on persons) needs no content to be seen.
        applies = True if when is None else when(facts, other)
        if applies is False:
            continue
        if content and facts.content is None:
            unseen.append(said[GATEWAYS])
            continue
        met: bool | None = False
        if check is not None:
            value = check.read(facts, other)
            met = None if value is None else check.holds(value, check.operand)
        if applies is None or met is None:
            said, denies = unclear, True
        elif met:
            if said_met is not None:
                obligations.append(said_met[evaluator])
            continue
        if denies:
            told_of = said[evaluator]
            denials.append(
                told_of if said is not unclear or facts.content is None else _missing(told_of, facts.content)
            )
            if unmet is not None:
                unmet.append((row, other))
        else:
            obligations.append(said[evaluator])


def _missing(said: Determination, content: Content) -> Determination:
    """Return what is said of something unknown with the member of the notice that would tell it, where there is one."""
    field = content.lacks(str(said.parameters.get("lacking", "")))
    return said if field is None else replace(said, parameters={**said.parameters, "field": field})
