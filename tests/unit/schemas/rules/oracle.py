"""A second evaluator of the rules, written from the design alone: raw JSON, one straight reading, no tables.

It shares no code with `schemas.rules` but the types of its input and the code lists' files. Slow and plain on purpose.
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from schemas.codes import code_list
from schemas.rules.facts import Facts, Party
from tests.unit.schemas.rules import oracle_conditions as conditions

Finding = tuple[str, str, str | None, str, str | None, str]
"""Condition, layer, State, effect, obligation, parameters as JSON."""

NOTICE_ACTS = [
    *("issue", "correct", "recall", "ask_access", "grant", "ask_use", "permit", "certify", "refuse"),
    *("consent", "withdraw", "handover", "heartbeat", "stop", "outcome", "close"),
]
OTHER_ACTS = ["acknowledge", "subscribe", "unsubscribe", "revoke_key", "delegate"]
MEANINGS = {"h0": "only-against-crime", "h1": "ask-before-court", "h2": "ask-before-sharing"}
FLAGS = {
    "intelligence-only",
    "ask-before-action",
    "no-death-penalty-use",
    "no-administrative-use",
    "sanitise-before-sharing",
}
LAW_OBLIGATIONS = {
    "certify-deletion",
    "copy-to-focal-point",
    "disclose-to-court",
    "keep-within-retention",
    "leave-of-judge-or-prosecutor",
    "protect-special-categories",
    "report-outcome",
    "delete-by",
    *MEANINGS.values(),
    *FLAGS,
    *(kind["owes"] for name, kind in conditions.TYPES.items() if name != "duty" and kind["owes"]),
}
STATED = {"authorised-by": "authorities", "transfer-basis": "transfer-basis", "consent-of": "", "received-from": ""}


def finding(
    condition: str,
    layer: str,
    state: str | None = None,
    effect: str = "deny",
    obligation: str | None = None,
    /,
    **parameters: Any,
) -> Finding:
    return (condition, layer, state, effect, obligation, json.dumps(parameters, sort_keys=True))


def known(name: str) -> set[str]:
    return {str(code) for code in code_list(name).entries}


def kinds_of_participants() -> set[str]:
    return known("agencies") | {"focal-point", "organisation", "auditor"}


def in_force(item: Mapping[str, Any], boundary: str | None) -> bool:
    if boundary is None:
        return item["valid_from"] is None
    return (item["valid_from"] or "") <= boundary < (item["valid_to"] or "9999-99")


def allows(codes: list[str] | None, code: str | None) -> bool:
    return codes is None or code in codes


def group(network: Mapping[str, Any], name: str) -> set[str] | None:
    """Who a name of the network stands for."""
    for one in network["groups"]:
        if one["id"] == name:
            return set(one["members"])
    return {name} if name in [one["role"] for one in network["participants"]] else None


def members(network: Mapping[str, Any], name: str) -> set[str]:
    return group(network, name) or set()


def evaluate(
    facts: Facts,
    network: Mapping[str, Any],
    laws: Mapping[str, Mapping[str, Any] | None],
    boundary: str | None,
    unseen: list[Finding] | None = None,
) -> tuple[bool, list[Finding], list[Finding]]:
    """Return whether it is permitted, what determined that, and the obligations. A law that is None is unreadable.

    `unseen` collects what is left to those who see the content.
    """
    permits: list[Finding] = []
    denials: list[Finding] = []
    owed: list[Finding] = []
    action, label, sender = facts.action, facts.label, facts.sender
    travelling = action in ("publish", "receive")
    recipient = None if action == "publish" else facts.recipient
    own = action == "receive" and recipient is not None and recipient.id == sender.id

    # 1 network
    if travelling:
        if facts.act not in NOTICE_ACTS + OTHER_ACTS:
            denials.append(finding("unevaluable", "network", lacking="act"))
        elif facts.act in NOTICE_ACTS and facts.topic is None:
            denials.append(finding("unevaluable", "network", lacking="topic"))
        elif facts.act in NOTICE_ACTS and label is None:
            denials.append(finding("unevaluable", "network", lacking="label"))
        elif action == "receive" and recipient is None:
            denials.append(finding("unevaluable", "network", lacking="recipient"))
    everybody = [("sender", sender)] + ([("recipient", recipient)] if recipient is not None and not own else [])
    for name, party in everybody:
        if party.suspended or {"role": party.role, "suspended": True} in network["participants"]:
            denials.append(finding("suspended", "network", party.role))
        if party.kind not in kinds_of_participants():
            denials.append(finding("unknown-code", "network", party.role, member=f"/{name}/kind"))
    where = facts.topic if facts.topic is not None or action != "subscribe" else "*.*"
    if where is not None:
        region, _, theme = where.partition(".")
        star = {"*"} if action == "subscribe" else set()
        if region not in known("regions") | star or theme not in known("themes") | star:
            denials.append(finding("unknown-code", "network", member="/topic"))
    if own:
        if sender.role in [one["role"] for one in network["participants"]]:
            permits.append(finding("own-copy", "network", None, "permit"))
        else:
            denials.append(finding("no-grant", "network", sender.role))
    else:
        subject = recipient if action == "receive" and recipient is not None else sender
        found = granted(facts, subject, where, network, boundary)
        if found is None:
            denials.append(finding("no-grant", "network", subject.role))
        else:
            permits += [finding(name, "network", None, "permit") for name in found]

    # 2 law
    concerned = []
    if travelling or (action == "subscribe" and facts.act != "unsubscribe"):
        roles = [sender.role] + ([recipient.role] if recipient is not None else [])
        for role in dict.fromkeys(roles):
            if len(role) != 2:
                continue
            if role not in laws:
                denials.append(finding("no-profile", "law", role))
            elif laws[role] is None:
                denials.append(finding("unevaluable", "law", role, lacking="profile"))
            else:
                concerned.append(role)
    if travelling and not own and label is not None and facts.topic is not None:
        for role in concerned:
            law = laws[role]
            assert law is not None
            for item in law["conditions"]:
                if in_force(item, boundary) and (
                    (role == sender.role and applies(item, "send", facts, recipient, network))
                    or (
                        recipient is not None
                        and role == recipient.role
                        and applies(item, "receive", facts, sender, network)
                    )
                ):
                    if law["form"] == "law/1":
                        other = recipient if role == sender.role else sender
                        one = law_1(item, role, facts, other, network, [] if unseen is None else unseen)
                        if one is not None:
                            (owed if one[3] == "oblige" else denials).append(one)
                    elif unsound(item, network):
                        denials.append(finding("unevaluable", "law", role, condition=item["id"]))
                    elif item["effect"] == "deny":
                        denials.append(finding(item["id"], "law", role))
                    else:
                        owed.append(finding(item["id"], "law", role, "oblige", item["obligation"]))

    # 3 originator
    if travelling and label is not None:
        said = originator(facts, None if own else recipient, network)
        denials += [one for one in said if one[3] == "deny"]
        owed += [one for one in said if one[3] == "oblige"]
    return not denials, denials or permits, owed


def law_1(
    item: Mapping[str, Any],
    role: str,
    facts: Facts,
    other: Party | None,
    network: Mapping[str, Any],
    unseen: list[Finding],
) -> Finding | None:
    """What a condition of law/1 says where it applies; None where it says nothing, or nobody here can see it."""
    assert facts.label is not None
    kind = conditions.TYPES.get(item["type"])
    if kind is not None and kind["kinds"] is not None and facts.label.kind not in kind["kinds"]:
        return None
    if other is None and conditions.asks_other_side(item):
        return None
    groups = {one["id"]: set(one["members"]) for one in network["groups"]}
    groups |= {one["role"]: {one["role"]} for one in network["participants"]}
    about = item["applies_to"]
    counterparts = (about["counterparts"] or []) + (about["counterparts_except"] or [])
    if (
        kind is None
        or any(name not in groups for name in counterparts)
        or not conditions.sound(item, LAW_OBLIGATIONS)
        or conditions.unknown_name(item, groups)
    ):
        return finding("unevaluable", "law", role, condition=item["id"])
    given = {name: str(value) if isinstance(value, int) else value for name, value in item["parameters"].items()}
    owes = given.get(kind["owes"], kind["owes"])
    if kind["inputs"] == "content" and facts.act not in conditions.CARRYING:
        return None
    if kind["inputs"] == "content" and facts.content is None:
        if kind["when"] != "nominal" or facts.label.nominal:
            effect = item["effect"]
            unseen.append(finding(item["id"], "law", role, effect, owes if effect == "oblige" else None, **given))
        return None
    applies_ = True if kind["when"] is None else conditions.aspect(kind["when"], facts, other)
    if applies_ is False:
        return None
    held = conditions.holds(item, facts, other, groups)
    if applies_ is None or held is None:
        name = (kind["demands"] or kind["when"]).split(" ")[0]
        fields = dict(facts.content.missing) if kind["inputs"] == "content" and facts.content is not None else {}
        told = {"field": fields[name]} if name in fields else {}
        return finding("unevaluable", "law", role, condition=item["id"], lacking=name, **told)
    if held:
        limited = item["effect"] == "limit" and kind["owes"]
        return finding(item["id"], "law", role, "oblige", owes, **given) if limited else None
    effect = item["effect"]
    return finding(item["id"], "law", role, effect, owes if effect == "oblige" else None, **given)


def granted(
    facts: Facts, subject: Party, where: str | None, network: Mapping[str, Any], boundary: str | None
) -> list[str] | None:
    """The ids of the grants that cover every topic meant; None where one is not covered."""
    if where is None:
        topics: list[tuple[str | None, str | None]] = [(None, None)]
    else:
        region, _, theme = where.partition(".")
        topics = [
            (a, b)
            for a in (sorted(known("regions")) if region == "*" else [region])
            for b in (sorted(known("themes")) if theme == "*" else [theme])
        ]
    used: list[str] = []
    for region_, theme_ in topics:
        for grant in network["grants"]:
            if (
                in_force(grant, boundary)
                and facts.action in grant["actions"]
                and any(subject.role in members(network, name) for name in grant["to"])
                and allows(grant["acts"], facts.act)
                and allows(grant["agency_kinds"], subject.kind)
                and (grant["roles"] is None or set(grant["roles"]) & set(subject.roles))
                and allows(grant["kinds"], None if facts.label is None else facts.label.kind)
                and allows(grant["regions"], region_)
                and allows(grant["themes"], theme_)
                and towards(grant["within"], facts)
            ):
                used += [grant["id"]] if grant["id"] not in used else []
                break
        else:
            return None
    return used


def towards(within: str, facts: Facts) -> bool:
    if within == "any":
        return True
    other = facts.recipient
    if facts.action == "publish":
        other = None
    elif other is None and facts.action in ("subscribe", "administer"):
        other = facts.sender
    if other is None:
        # `receive` without a recipient: the sender stands on both sides.
        return facts.action == "receive"
    return other.id == facts.sender.id if within == "self" else other.role == facts.sender.role


def applies(
    item: Mapping[str, Any], direction: str, facts: Facts, other: Party | None, network: Mapping[str, Any]
) -> bool:
    about, label = item["applies_to"], facts.label
    assert label is not None
    assert facts.topic is not None
    region, _, theme = facts.topic.partition(".")
    if about["direction"] not in (direction, "both"):
        return False
    for codes, code in (
        (about["kinds"], label.kind),
        (about["themes"], theme),
        (about["regions"], region),
        (about["tlp"], label.tlp),
        (about["purpose"], label.purpose),
        (about["classification"], label.classification),
    ):
        if not allows(codes, code):
            return False
    if about["nominal"] is not None and about["nominal"] != label.nominal:
        return False
    if about["counterparts"] is None and about["counterparts_except"] is None:
        return True
    if other is None:
        return False
    inside, outside = about["counterparts"], about["counterparts_except"]
    # A list in which a name is unknown may mean anybody.
    if inside is not None and not any(
        group(network, name) is None or other.role in members(network, name) for name in inside
    ):
        return False
    unclear = outside is not None and any(group(network, name) is None for name in outside)
    return outside is None or unclear or not any(other.role in members(network, name) for name in outside)


def unsound(item: Mapping[str, Any], network: Mapping[str, Any]) -> bool:
    about = item["applies_to"]
    names = (about["counterparts"] or []) + (about["counterparts_except"] or [])
    if any(group(network, name) is None for name in names):
        return True
    return item["obligation"] is not None and item["obligation"] not in LAW_OBLIGATIONS


def originator(facts: Facts, recipient: Party | None, network: Mapping[str, Any]) -> list[Finding]:
    label = facts.label
    assert label is not None
    said = []
    for member, code, name in (
        ("kind", label.kind, "kinds"),
        ("tlp", label.tlp, "tlp"),
        ("pap", label.pap, "pap"),
        ("classification", label.classification, "classification"),
        ("urgency", label.urgency, "urgency"),
        ("purpose", label.purpose, "purpose"),
        ("legal_basis", label.legal_basis, "legal-basis"),
    ):
        if code is not None and code not in known(name):
            said.append(finding("unknown-code", "originator", member=f"/label/{member}"))
    for place, code in enumerate(label.handling):
        if code not in known("handling"):
            said.append(finding("unknown-code", "originator", member=f"/label/handling/{place}"))
    for code in label.handling:
        if code in MEANINGS:
            if recipient is not None:
                said.append(finding(code, "originator", None, "oblige", MEANINGS[code]))
        elif code != "h3" or not label.conditions:
            said.append(finding("unevaluable", "originator", condition=code))
    for condition in label.conditions:
        said += restriction(condition.code, list(condition.values), recipient, network)
    if recipient is not None and label.classification is not None:
        levels = ["restricted", "confidential", "secret", "top-secret"]
        reach = levels.index(recipient.clearance) if recipient.clearance in levels else -1
        if label.classification not in levels or levels.index(label.classification) > reach:
            said.append(finding("clearance", "originator", recipient.role))
    return said


def restriction(code: str, values: list[str], recipient: Party | None, network: Mapping[str, Any]) -> list[Finding]:
    if code in STATED:
        roles = {one["role"] for one in network["participants"]} | {name.lower() for name in known("countries")}
        allowed = known(STATED[code]) if STATED[code] else roles
        if not values:
            return [finding("unevaluable", "originator", condition=code)]
        return [] if set(values) <= allowed else [finding("unknown-code", "originator", condition=code)]
    if code == "answers" and not values:
        return []
    if code not in FLAGS | {"excluded-states", "excluded-agencies", "delete-by"}:
        return [finding("unknown-code", "originator", member="/label/conditions")]
    nonsense = [finding("unevaluable", "originator", condition=code)]
    unknown = [finding("unknown-code", "originator", condition=code)]
    parameters = {"values": values} if values else {}
    if code in FLAGS and values:
        return unknown
    if code == "delete-by":
        try:
            dt.date.fromisoformat(values[0])
        except (ValueError, IndexError):
            return nonsense
        if len(values) != 1 or len(values[0]) != 10:
            return nonsense
    if code.startswith("excluded-"):
        if not values:
            return nonsense
        roles = [one["role"] for one in network["participants"]]
        for value in values:
            if code == "excluded-states" and group(network, value) is None and value not in known("states"):
                return unknown
            agency = value in kinds_of_participants() or any(value.startswith(f"{name}-") for name in roles)
            if code == "excluded-agencies" and not agency:
                return unknown
        if recipient is None:
            return []
        if code == "excluded-states":
            hit = any(recipient.role == value or recipient.role in (group(network, value) or ()) for value in values)
        else:
            hit = recipient.kind in values or recipient.id.replace("/", "-") in values
        return [finding(code, "originator", recipient.role, **parameters)] if hit else []
    return [] if recipient is None else [finding(code, "originator", None, "oblige", code, **parameters)]
