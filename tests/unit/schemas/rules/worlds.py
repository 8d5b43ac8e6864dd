"""Random small networks, laws and questions, dense enough that every condition of the rules comes up."""

import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import orjson

from schemas.encoding import Time
from schemas.ids import Code, ParticipantId, Role, Topic, role_of
from schemas.label import Condition, Label
from schemas.rules.condition_types import CONDITION_TYPES
from schemas.rules.content import Content
from schemas.rules.facts import Action, Facts, Party
from schemas.rules.flaws import allowed_codes
from schemas.rules.vocabulary import vocabulary
from tests.unit.schemas.rules.laws import law as law_of
from tests.unit.schemas.rules.laws import law_condition

ROLES = ("af", "audit", "fr", "int-unodc", "kz", "tj", "uz")
STATES = ("af", "fr", "kz", "tj", "uz")
GROUPS = ("coe", "eu", "osce", "partners")
TIMES = tuple(f"2026-0{month}-01T00:00:00Z" for month in range(1, 7))
KINDS = ("precursor", "route", "seizure")
REGIONS = ("central-asia", "osce")
THEMES = ("precursors", "routes", "seizures")
TLP = ("amber", "green", "red")
PURPOSES = ("investigation", "prevention")
LEVELS = ("confidential", "restricted", "secret")
AGENCIES = ("customs", "focal-point", "organisation", "police")
ACTS = ("acknowledge", "issue", "recall", "subscribe", "unsubscribe", "revoke_key")
Law = Mapping[str, Any]
KNOWN = vocabulary()


def some(chance: random.Random, codes: tuple[str, ...], none: float = 0.6) -> list[str] | None:
    if chance.random() < none:
        return None
    return sorted(chance.sample(codes, chance.randint(1, len(codes))))


def validity(chance: random.Random) -> dict[str, str | None]:
    first, last = sorted(chance.sample(TIMES, 2))
    return {
        "valid_from": first if chance.random() < 0.25 else None,
        "valid_to": last if chance.random() < 0.25 else None,
    }


def text(words: str) -> dict[str, str | None]:
    return {"en": words, "fr": None, "de": None, "it": None, "ru": words, "es": None}


def grant(chance: random.Random, number: int) -> dict[str, Any]:
    actions = ("administer", "audit", "publish", "receive", "subscribe")
    chosen = sorted(chance.sample(actions, chance.randint(1, 5)))
    return {
        "id": f"grant-{number}",
        "instrument": "A decision",
        "article": str(number),
        "explanation": text("Because it is so."),
        "to": sorted(chance.sample(ROLES + GROUPS, chance.randint(2, 6))),
        "actions": chosen,
        "acts": some(chance, ACTS),
        "agency_kinds": some(chance, AGENCIES),
        "roles": some(chance, ("duty", "lead"), 0.85),
        "kinds": some(chance, KINDS, 0.85),
        "regions": some(chance, REGIONS, 0.85),
        "themes": some(chance, THEMES, 0.7),
        "within": "any" if "publish" in chosen else chance.choice(("any", "own-role", "self")),
        **validity(chance),
    }


def network(chance: random.Random) -> dict[str, Any]:
    wide = {
        **grant(chance, 0),
        "to": ["audit", "int-unodc", "osce", "partners"],
        "actions": ["administer", "publish", "receive", "subscribe"],
        "within": "any",
        **dict.fromkeys(("acts", "agency_kinds", "roles", "kinds", "regions", "themes", "valid_from", "valid_to")),
    }
    grants = [grant(chance, number) for number in range(1, chance.randint(2, 6))]
    return {
        "v": 1,
        "participants": [{"role": role, "suspended": chance.random() < 0.04} for role in ROLES],
        "groups": [
            {
                "id": name,
                "instrument": "A treaty",
                "as_of": None,
                "members": sorted(chance.sample(STATES, chance.randint(2, 5))),
            }
            for name in GROUPS
        ],
        "grants": ([wide] if chance.random() < 0.7 else []) + grants,
    }


def condition(chance: random.Random, number: int) -> dict[str, Any]:
    effect = chance.choice(("deny", "oblige"))
    known = "copy-to-focal-point" if chance.random() < 0.9 else "sing-a-song"
    names = STATES + GROUPS + ("int-unodc",)
    return {
        "id": f"c{number}",
        "instrument": "An act",
        "article": f"{number}(2)",
        "applies_to": {
            "direction": chance.choice(("send", "receive", "both")),
            "kinds": some(chance, (*KINDS, "method")),
            "themes": some(chance, THEMES),
            "regions": some(chance, REGIONS, 0.8),
            "counterparts": some(chance, names if chance.random() < 0.9 else (*names, "moon"), 0.7),
            "counterparts_except": some(chance, names if chance.random() < 0.9 else (*names, "moon"), 0.8),
            "nominal": chance.choice((None, None, True, False)),
            "tlp": some(chance, TLP),
            "purpose": some(chance, PURPOSES, 0.8),
            "classification": some(chance, LEVELS, 0.8),
        },
        "effect": effect,
        "obligation": None if effect == "deny" else known,
        "explanation": text("The act says so."),
        **validity(chance),
        "inputs": "label",
    }


def parameter(chance: random.Random, form: Any) -> Any:
    if form.form == "number":
        return chance.randint(form.least, min(form.most, 60)) if chance.random() < 0.98 else form.most + 1
    if form.form == "states":
        names = (*STATES, *GROUPS, "int-unodc", "co")
        return sorted(chance.sample(names if chance.random() < 0.97 else (*names, "moon"), chance.randint(1, 4)))
    codes = sorted(allowed_codes(form, KNOWN) or ("de", "en", "fr", "ru"))
    codes += ["xyzzy"] if chance.random() < 0.02 else []
    if form.form in ("code", "level", "choice"):
        return chance.choice(codes)
    return sorted(chance.sample(codes, chance.randint(1, min(4, len(codes)))))


def typed_condition(
    chance: random.Random, number: int, types: tuple[str, ...] = tuple(CONDITION_TYPES)
) -> dict[str, Any]:
    """A condition of law/1, of any type, now and then with a flaw."""
    kind = CONDITION_TYPES[chance.choice(types)]
    about = condition(chance, number)["applies_to"]
    if chance.random() < 0.7:
        about = {**dict.fromkeys(about), "direction": about["direction"]}
    given = {
        one.name: parameter(chance, one) for one in kind.parameters if chance.random() < (0.5 if one.optional else 0.99)
    }
    return law_condition(
        f"c{number}",
        kind.id if chance.random() < 0.98 else "no-such-type",
        chance.choice(kind.effects) if chance.random() < 0.99 else "limit",
        given,
        applies_to=about,
        inputs=kind.inputs,
        explanation=text("The act says so.") if chance.random() < 0.5 else None,
        **validity(chance),
    )


def typed_law(chance: random.Random, state: str) -> Law:
    return law_of(state, [typed_condition(chance, number) for number in range(1, chance.randint(2, 7))])


def moment(chance: random.Random, none: float = 0.1) -> Time | None:
    days = chance.randint(1, 28)
    return None if chance.random() < none else Time(f"2026-0{chance.randint(3, 5)}-{days:02d}T00:00:00Z")


def content(chance: random.Random, kind: str) -> Content:
    def known(value: Any, none: float = 0.12) -> Any:
        return None if chance.random() < none else value

    def codes(*names: str) -> Any:
        return known(frozenset(chance.sample(names, chance.randint(0, len(names)))))

    flag = chance.random() < 0.5
    births = tuple(
        known(day, 0.05) for day in chance.sample(("1984-02-29", "2008-02-29", "2008-03-01", "2010-01-01"), 2)
    )
    return Content(
        kind,
        states=codes("fr", "kz", "tj", "uz", "co"),
        grams=known(Fraction(chance.choice((1, 999, 20_000, 60_000)))),
        births=known(births[: chance.randint(0, 2)]),
        special_categories=codes("health", "genetic"),
        operators=known(flag),
        offences=codes("drug-trafficking", "smuggling"),
        authorities=codes("prosecutor", "court", "ministry"),
        decided_in=codes("entry", "exit", "departure", "destination"),
        assistance=known(chance.choice(("before", "after", "none"))),
        oral=known(chance.random() < 0.5),
        oral_until=moment(chance),
        last_resort=known(chance.random() < 0.5),
        constant_surveillance=known(chance.random() < 0.5),
        final_interception=known(flag),
        foreign_officers=known(flag),
        dangerous_goods=codes("explosives", "toxic"),
        substitution=known(chance.choice(("none", "partial", "complete"))),
        handover=known(flag),
        languages=codes("de", "en", "fr"),
        begins=moment(chance),
        ends=moment(chance),
        missing=tuple(
            (name, f"/{name}")
            for name in ("grams", "states", "youngest", "offences", "duration")
            if chance.random() < 0.5
        ),
    )


def law(chance: random.Random, state: str) -> Law:
    if chance.random() < 0.5:
        return typed_law(chance, state)
    return {
        "v": 1,
        "form": "law/0",
        "state": state,
        "version": "1",
        "adopted": "2026-01-01",
        "illustration": True,
        "baseline": None,
        "conditions": [condition(chance, number) for number in range(1, chance.randint(2, 5))],
    }


def laws(chance: random.Random) -> dict[str, Law | None]:
    """Laws of most States; None for one that cannot be read."""
    return {state: None if chance.random() < 0.04 else law(chance, state) for state in STATES if chance.random() < 0.95}


def written(given: Mapping[str, Law | None]) -> dict[Role, bytes]:
    return {Role(state): b"{}" if one is None else orjson.dumps(one) for state, one in given.items()}


def boundary(chance: random.Random) -> Time | None:
    return None if chance.random() < 0.3 else Time(chance.choice((*TIMES, "2026-03-15T12:00:00Z")))


def party(chance: random.Random) -> Party:
    names = (
        "af/police",
        "audit/one",
        "fr/customs",
        "fr/police",
        "int/unodc/desk",
        "kz/customs",
        "tj/focal",
        "uz/police",
    )
    who = ParticipantId(chance.choice((*names, *names, *names, "eu/customs", "zz/police")))
    return Party(
        id=who,
        role=role_of(who),
        kind=chance.choice((*AGENCIES * 8, "circus")),
        roles=tuple(chance.sample(("duty", "lead"), chance.randint(0, 2))),
        clearance=chance.choice((None, *LEVELS, "cosmic")),
        suspended=chance.random() < 0.04,
    )


def values(chance: random.Random, code: str) -> tuple[Code, ...]:
    choices = {
        "excluded-states": ("fr", "uz", "af", "eu", "jp", "moon"),
        "excluded-agencies": ("customs", "fr-customs", "int-unodc-desk", "moon-base"),
        "delete-by": ("2026-05-01", "2026-02-30", "tomorrow"),
        "authorised-by": ("court", "prosecutor", "ministry", "my-uncle"),
        "consent-of": ("fr", "kz", "tj", "uz", "co", "int-unodc", "moon"),
        "received-from": ("fr", "kz", "tj", "uz", "moon"),
        "transfer-basis": ("safeguards", "vital-interests", "because"),
    }
    several = choices.get(code, ("never",))
    usual = 1 if code in choices else 0
    usual = 2 if code in ("excluded-states", "consent-of") else usual
    count = usual if chance.random() < 0.9 else chance.randint(0, len(several))
    weighted = several[:-1] if chance.random() < 0.8 and len(several) > 1 else several
    return tuple(Code(code) for code in sorted(chance.sample(weighted, min(count, len(weighted)))))


def label(chance: random.Random) -> Label:
    def code(*codes: str) -> Code:
        return Code("xyzzy" if chance.random() < 0.012 else chance.choice(codes))

    names = (
        "ask-before-action",
        "delete-by",
        "excluded-agencies",
        "excluded-states",
        "intelligence-only",
        "no-such-condition",
    )
    said = ("answers", "authorised-by", "consent-of", "no-death-penalty-use", "received-from", "transfer-basis")
    chosen = chance.choices(((), names[:5], names, said), (6, 3, 0.3, 3))[0]
    conditions = sorted(chance.sample(chosen, min(len(chosen), chance.randint(1, 2))))
    handling = {chance.choice(("h0", "h1", "h2"))} if chance.random() < 0.7 else set()
    handling |= {"h3"} if conditions or chance.random() < 0.03 else set()
    handling |= {"h9"} if chance.random() < 0.02 else set()
    return Label(
        kind=code(*KINDS, "method", "controlled-delivery", "controlled-delivery", "controlled-delivery"),
        handling=tuple(Code(name) for name in sorted(handling)),
        tlp=code(*TLP),
        pap=code("amber", "green"),
        classification=None if chance.random() < 0.7 else code(*LEVELS),
        urgency=None if chance.random() < 0.5 else code("3d", "informative"),
        purpose=code(*PURPOSES),
        legal_basis=code("untoc", "reciprocity"),
        nominal=chance.random() < 0.5,
        exercise=False,
        reply_due=moment(chance, 0.5),
        conditions=tuple(Condition(Code(name), values(chance, name)) for name in conditions),
    )


def facts(chance: random.Random) -> Facts:
    actions: tuple[Action, ...] = ("publish", "receive", "receive", "receive", "subscribe", "administer", "audit")
    action = chance.choice(actions)
    sender = party(chance)
    about = action in ("publish", "receive")
    act = {"subscribe": chance.choice(("subscribe", "subscribe", "unsubscribe")), "administer": "revoke_key"}.get(
        action, chance.choice(("issue", "issue", "issue", "recall", "acknowledge"))
    )
    act = act if chance.random() < 0.97 else "teleport"
    lacks = act == "acknowledge" or chance.random() < 0.02
    regions, themes = (*REGIONS, *REGIONS * 4), (*THEMES, *THEMES * 4)
    star = ("*",) if action == "subscribe" or chance.random() < 0.02 else ()
    where = Topic(f"{chance.choice((*regions, *star * 4, 'moon'))}.{chance.choice((*themes, *star * 4))}")
    recipient = sender if chance.random() < 0.06 else party(chance)
    said = label(chance) if about and (not lacks or chance.random() < 0.1) else None
    return Facts(
        action=action,
        act=act,
        topic=where if (about and not lacks) or (action == "subscribe" and chance.random() < 0.9) else None,
        label=said,
        sender=sender,
        recipient=recipient if action == "receive" and chance.random() < 0.98 else chance.choice((None, recipient)),
        issued_at=moment(chance, 0.03),
        expires_at=moment(chance, 0.03),
        content=content(chance, said.kind) if said is not None and chance.random() < 0.8 else None,
    )
