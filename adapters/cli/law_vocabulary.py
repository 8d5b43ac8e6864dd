"""`valise law vocabulary`: the types of condition that a profile may be made of; and conditions explained by them."""

from collections.abc import Mapping
from typing import Annotated, Final

import typer

from adapters.cli.terminal import Column, terminal
from adapters.cli.words import language
from schemas.errors import Error
from schemas.rules.condition import AnyCondition, sentence
from schemas.rules.condition_types import CONDITION_TYPES, ConditionType, Parameter
from schemas.rules.flaws import allowed_codes
from schemas.rules.vocabulary import vocabulary as known_codes
from schemas.strict_json import Json


def vocabulary(
    type_: Annotated[str | None, typer.Argument(metavar="[TYPE]", help="One type; without it, all.")] = None,
) -> None:
    """Print the types of condition that a profile may be made of, or one with its parameters and worked examples."""
    where = terminal()
    if type_ is None:
        rows = [_type_row(kind) for kind in CONDITION_TYPES.values()]
        columns = [
            Column("Type", "type", whole=True),
            Column("Effects", "effects"),
            Column("Inputs", "inputs", whole=True),
            Column("Says", "says"),
        ]
        where.listing("types", rows, columns)
        return
    kind = CONDITION_TYPES.get(type_)
    if kind is None:
        raise Error("There is no such type.", hint=f"Types: {', '.join(CONDITION_TYPES)}.", problem="not-found")
    row = {
        **_type_row(kind),
        "kinds": None if kind.kinds is None else list(kind.kinds),
        "applies": kind.applies,
        "obligation": kind.obligation,
        "evaluated_by": _EVALUATORS[kind.inputs],
        "parameters": [_parameter(item) for item in kind.parameters],
        "sentences": dict(kind.says),
        "examples": [dict(example) for example in kind.examples],
    }
    if where.as_json:
        where.json(row)
        return
    where.record(row, shown=_TYPE)
    for language_, said in kind.says.items():
        where.record({language_: said})
    if kind.parameters:
        columns = [Column("Parameter", "name", whole=True), Column("Takes", "takes"), Column("Means", "says")]
        where.listing("parameters", [_parameter(item) for item in kind.parameters], columns)
    for example in kind.examples:
        where.record(_example(example), shown=_EXAMPLE)


_TYPE: Final = (
    ("Type", "type"),
    ("When", "applies"),
    ("Effects", "effects"),
    ("Obliges to", "obligation"),
    ("Inputs", "inputs"),
    ("Evaluated by", "evaluated_by"),
    ("Kinds of notice", "kinds"),
)
_EXAMPLE: Final = (("Example", "with"), ("Says nothing of", "silent"), ("Speaks of", "speaks"))


def _type_row(kind: ConditionType) -> dict[str, Json]:
    said = kind.says[language()]
    return {"type": kind.id, "part": kind.part, "effects": list(kind.effects), "inputs": kind.inputs, "says": said}


def _parameter(item: Parameter) -> dict[str, Json]:
    allowed = allowed_codes(item, known_codes())
    takes = f"{item.least} to {item.most} {item.unit}" if item.form == "number" else ", ".join(sorted(allowed or ()))
    if item.form == "states":
        takes = "States, organisations, groups of the network"
    elif not takes:
        takes = "language tags"
    many = "" if item.form in ("codes", "states", "number") else "one of: "
    optional = " (optional)" if item.optional else ""
    return {"name": item.name, "form": item.form, "takes": f"{many}{takes}{optional}", "says": item.says}


def _example(example: Mapping[str, Json]) -> dict[str, Json]:
    given = {"effect": example["effect"], **_object(example["parameters"]), **_object(example["applies_to"])}
    return {
        "with": in_a_line(given),
        "silent": in_a_line(_flat(_object(example["silent"]))),
        "speaks": in_a_line(_flat(_object(example["speaks"]))) or "anything else",
    }


def _flat(case: Mapping[str, Json]) -> dict[str, object]:
    flat: dict[str, object] = {}
    for part, value in case.items():
        if isinstance(value, dict):
            for name, inner in value.items():
                flat[f"{part} {name}"] = _conditions(inner) if name == "conditions" else inner
        else:
            flat[part] = value
    return flat


def _conditions(value: Json) -> list[str]:
    items = [_object(item) for item in value] if isinstance(value, list) else []
    return [f"{item['code']} {' '.join(map(str, item['values'] or ()))}".strip() for item in items]  # type: ignore[arg-type]


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


EXPLAINED: Final = (
    ("Condition", "id"),
    ("Type", "type"),
    ("Says", "says"),
    ("Stands in", "article"),
    ("Effect", "effect"),
    ("Parameters", "parameters"),
    ("When", "applies"),
    ("Restricted to", "applies_to"),
    ("In force", "validity"),
    ("Evaluated by", "evaluated_by"),
)
_EVALUATORS: Final = {
    "label": "broker, sender's gateway, recipient's gateway, auditor",
    "content": "sender's gateway before sealing, recipient's gateway after opening",
}


def explained(item: AnyCondition) -> dict[str, Json]:
    """Return a condition of a profile as a person reads it."""
    kind = CONDITION_TYPES.get(item.type)
    about = {name: value for name, value in item.applies_to.model_dump(mode="json").items() if value is not None}
    begin, end = item.valid_from or "always", item.valid_to or "further notice"
    return {
        "id": item.id,
        "type": item.type,
        "says": sentence(item, language()),
        "article": f"{item.instrument}, {item.article}",
        "effect": item.effect,
        "parameters": in_a_line(item.parameters),
        "applies": "Not known to this version: it denies." if kind is None else kind.applies,
        "applies_to": in_a_line(about),
        "validity": f"from {begin} until {end}",
        "evaluated_by": _EVALUATORS[item.inputs],
    }


def in_a_line(values: Mapping[str, object]) -> str:
    """Return members and their values on one line."""

    def said(value: object) -> str:
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

    return "; ".join(f"{name.replace('_', ' ')}: {said(value)}" for name, value in values.items())
