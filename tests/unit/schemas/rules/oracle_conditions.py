"""A second evaluator of the conditions of `law/1`, written from schemas/rules/README.md: its table and its sentences.

The table is read from the text itself, so that a reader of the README and the engine cannot disagree. Slow and plain.
"""

import datetime as dt
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from schemas.codes import code_list
from schemas.rules.facts import Facts, Party

README = Path(__file__).parents[4] / "schemas" / "rules" / "README.md"
SECONDS = {"hours": 3600, "days": 86400, "kilograms": 1000, "years": 1}
ALWAYS_NAMED = {"agency-kinds": ("focal-point", "organisation", "auditor")}
SUBSTITUTION = {
    "mandatory": ["complete"],
    "sample": ["partial"],
    "allowed": ["complete", "none", "partial"],
    "forbidden": ["none"],
}
CLASSIFICATIONS = ["restricted", "confidential", "secret", "top-secret"]
ASKS_OTHER_SIDE = {"counterpart", "transfer-basis", "recipient-kind", "clearance", "sources-without-consent"}
CARRYING = ("issue", "correct", "grant")


def table() -> dict[str, dict[str, Any]]:
    found = {}
    for line in README.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 7 and re.fullmatch("`[a-z-]+`", cells[0]):
            parameters = re.findall(r"`([a-z_]+)`(\?)? \(([^()]*)\)", cells[5])
            when, kinds = None, None
            for part in cells[3].split(", "):
                if part in ("nominal", "oral", "reply-asked"):
                    when = part
                elif part != "—":
                    kinds = part.split("/")
            found[cells[0].strip("`")] = {
                "effects": cells[1].split(", "),
                "inputs": cells[2],
                "when": when,
                "kinds": kinds,
                "demands": None if cells[4] == "—" else cells[4],
                "parameters": {name: (bool(optional), form) for name, optional, form in parameters},
                "owes": None if cells[6] == "—" else cells[6],
            }
    return found


TYPES = table()


def seconds(begin: str | None, end: str | None) -> int | None:
    if begin is None or end is None:
        return None
    return int((dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(begin)).total_seconds())


def stated(facts: Facts, code: str) -> set[str]:
    assert facts.label is not None
    return {str(value) for item in facts.label.conditions if item.code == code for value in item.values}


def years(born: str, on: str) -> int:
    year, month, day = map(int, born.split("-"))
    now = dt.date.fromisoformat(on[:10])
    try:
        birthday = dt.date(now.year, month, day)
    except ValueError:
        birthday = dt.date(now.year, 3, 1)
    return max(now.year - year - (now < birthday), 0)


def sources_without_consent(facts: Facts, recipient: Party) -> set[str]:
    if recipient.role == facts.sender.role:
        return set()
    return stated(facts, "received-from") - stated(facts, "consent-of") - {facts.sender.role} - {recipient.role}


def aspect(name: str, facts: Facts, other: Party | None) -> Any:
    """The value of an aspect; None is not known."""
    label, content, recipient = facts.label, facts.content, facts.recipient
    assert label is not None
    of_label: dict[str, Any] = {
        "purpose": {label.purpose},
        "legal-basis": {label.legal_basis},
        "nominal": label.nominal,
        "classification": set() if label.classification is None else {label.classification},
        "handling": set(label.handling),
        "undertakings": {item.code for item in label.conditions},
        "authorised-by": stated(facts, "authorised-by"),
        "sources-without-consent": None if recipient is None else sources_without_consent(facts, recipient),
        "counterpart": None if other is None else {other.role},
        "transfer-basis": None if other is None else {other.role} | stated(facts, "transfer-basis"),
        "recipient-kind": None if recipient is None else {recipient.kind},
        "clearance": None if recipient is None else {recipient.clearance} - {None},
        "kept-for": seconds(facts.issued_at, facts.expires_at),
        "reply-asked": label.reply_due is not None,
        "time-to-reply": seconds(facts.issued_at, label.reply_due),
    }
    if name in of_label:
        return of_label[name]
    assert content is not None
    ages = None
    if content.births is not None and None not in content.births and facts.issued_at is not None:
        ages = min([years(str(born), facts.issued_at) for born in content.births], default=1000)
    lacking = None
    if content.states is not None:
        lacking = set(content.states) - stated(facts, "consent-of") - {facts.sender.role}
    plain = name.replace("-", "_")
    special: dict[str, Any] = {
        "states-without-consent": lacking,
        "youngest": ages,
        "oral-until": seconds(facts.issued_at, content.oral_until),
        "duration": seconds(content.begins, content.ends),
    }
    value = special[name] if name in special else getattr(content, plain)
    if isinstance(value, str):
        return {value}
    return set(value) if isinstance(value, frozenset) else value


def codes_of(form: str) -> set[str] | None:
    """The codes that a parameter of such a form takes; None where they are no list."""
    if form.startswith("list "):
        name = form[len("list ") :].partition(",")[0]
        if name == "obligations":
            return None
        if name == "agency-kinds":
            return {str(code) for code in code_list("agencies").entries} | set(ALWAYS_NAMED[name])
        return {str(code) for code in code_list(name).entries}
    return {part.strip() for part in form.split("\\|")} if "\\|" in form else None


def sound(item: Mapping[str, Any], obligations: set[str]) -> bool:
    """Whether a condition can be evaluated, names of the network apart."""
    kind = TYPES.get(item["type"])
    if kind is None or item["effect"] not in kind["effects"] or item["inputs"] != kind["inputs"]:
        return False
    if not set(item["parameters"]) <= set(kind["parameters"]):
        return False
    for name, (optional, form) in kind["parameters"].items():
        if name not in item["parameters"]:
            if not optional:
                return False
            continue
        value = item["parameters"][name]
        numbers = re.fullmatch(r"(\d+)–(\d+) [a-z]+", form)
        one = form.endswith(", one") or name in ("rule", "whose")
        if numbers:
            good = isinstance(value, int) and int(numbers[1]) <= value <= int(numbers[2])
        elif one:
            allowed = obligations if "obligations" in form else codes_of(form)
            good = isinstance(value, str) and value in (allowed or set())
        elif form == "States, groups":
            good = isinstance(value, list)
        elif form == "languages":
            good = isinstance(value, list) and all(re.fullmatch("[a-z]{2,3}", code) for code in value)
        else:
            good = isinstance(value, list) and set(value) <= (codes_of(form) or set())
        if not good:
            return False
    return True


def unknown_name(item: Mapping[str, Any], groups: Mapping[str, set[str]]) -> bool:
    kind = TYPES[item["type"]]
    countries = {str(code).lower() for code in code_list("countries").entries}
    return any(
        name not in groups and name not in countries
        for parameter, (_, form) in kind["parameters"].items()
        if form == "States, groups"
        for name in item["parameters"].get(parameter, [])
    )


def holds(item: Mapping[str, Any], facts: Facts, other: Party | None, groups: Mapping[str, set[str]]) -> bool | None:
    """Whether what the type demands is so; None where it is not known."""
    kind = TYPES[item["type"]]
    if kind["demands"] is None:
        return False
    name, check, *rest = kind["demands"].split(" ", 2)
    value = aspect(name, facts, other)
    if value is None:
        return None
    if check == "is":
        if rest == ["empty"]:
            return not value
        return bool(value is (rest == ["yes"]))
    operand: set[str] = set()
    for word in rest[0].split(" + "):
        given = item["parameters"].get(word)
        if word not in kind["parameters"]:
            operand.add(word)
            continue
        form = kind["parameters"][word][1]
        if isinstance(given, int):
            bound = given * SECONDS[form.split(" ")[-1]]
            assert isinstance(value, int | Fraction)
            return value <= bound if check == "at-most" else value >= bound
        several = [given] if isinstance(given, str) else given or []
        for code in several:
            if word == "rule":
                operand |= set(SUBSTITUTION[code])
            elif word == "least":
                operand |= set(CLASSIFICATIONS[CLASSIFICATIONS.index(code) :])
            elif form == "States, groups":
                operand |= groups.get(code, {code})
            else:
                operand.add(code)
    if check == "some-of":
        return bool(value & operand)
    if check == "none-of":
        return not value & operand
    assert check == "only"
    return bool(value <= operand)


def asks_other_side(item: Mapping[str, Any]) -> bool:
    kind = TYPES.get(item["type"])
    return kind is not None and (kind["demands"] or "").split(" ")[0] in ASKS_OTHER_SIDE
