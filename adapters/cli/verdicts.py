"""How people read verdicts: yes, yes if or no; why not, what would make it lawful, what is owed; in their language.

Reads the one JSON form that the desk, a gateway's preview and the broker's answers share (`schemas.rules`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from adapters.cli.terminal import Column
from adapters.cli.words import any_of, article, language, reason
from schemas import ids
from schemas.codes import code_list
from schemas.rules.answer import in_words
from schemas.rules.changes import Change
from schemas.rules.condition_types import CHANGES
from schemas.strict_json import Json

COLUMNS: Final = (
    Column("Answer", "answer", whole=True),
    Column("Why not", "why"),
    Column("Lawful (any of)", "lawful"),
    Column("Owed", "owed"),
)
_LISTS: Final = {
    "purpose": "purpose",
    "legal-basis": "legal-basis",
    "handling": "handling",
    "undertaking": "conditions",
    "authorised-by": "authorities",
    "authorities": "authorities",
    "transfer-basis": "transfer-basis",
    "special-categories": "special-categories",
    "assistance": "assistance-request",
}


def told(verdict: Json, changes: Json = None, *, detail: str = "", complete: bool = True) -> dict[str, Json]:
    """Return a table's row: `answer`, `why`, `lawful`, `owed`, `unseen`, in the reader's language.

    `verdict` is None where the rules were not asked. `detail` says what else stands in the way, such as a key that lacks;
    `complete` that `changes` are all that would make it lawful: where the search was cut, a no is not known.
    """
    if not isinstance(verdict, Mapping):
        return {"answer": "no", "why": detail, "lawful": "", "owed": "", "unseen": ""}
    permitted, owed, ways = bool(verdict["permitted"]), codes_owed(verdict), objects_each(changes)
    return {
        "answer": _answer(detail, owed) if permitted else "yes-if" if ways else "no" if complete else "unknown",
        "why": detail if permitted else denials(verdict),
        "lawful": any_of(phrases(ways), complete=complete or permitted),
        "owed": "; ".join(map(obligation, owed)),
        "unseen": ", ".join(unseen(verdict)),
    }


def _answer(detail: str, owed: list[str]) -> str:
    return "no" if detail else "yes-if" if owed else "yes"


def denials(verdict: Mapping[str, Json]) -> str:
    """Return the first denial in words, and how many more there are."""
    found = each_denial(verdict)
    return (found[0] + (f" (+{len(found) - 1})" if len(found) > 1 else "")) if found else ""


def each_denial(verdict: Mapping[str, Json]) -> list[str]:
    """Return what each denial says: where it stands, the reason, and which member of the notice is not known."""
    return [f"{article(item)}: {reason(item['reason'])}{_missing(item)}" for item in objects(verdict["determining"])]


def _missing(determination: Mapping[str, Any]) -> str:
    field = determination.get("parameters", {}).get("field")
    return f" (/notice{field})" if isinstance(field, str) else ""


def codes_owed(verdict: Mapping[str, Json]) -> list[str]:
    """Return the codes of what is owed, each once."""
    return sorted({str(item["obligation"]) for item in objects(verdict["obligations"]) if item["obligation"]})


def unseen(verdict: Mapping[str, Json]) -> list[str]:
    """Return the conditions over contents that whoever decided could not see, each once: `nl: nl-cd-interception`."""
    return sorted({f"{item['state']}: {item['condition']}" for item in objects(verdict.get("unseen"))})


def obligation(code: str) -> str:
    """Return what an obligation asks for, in one short sentence."""
    entry = code_list("obligations").entries.get(ids.Code(code))
    return code if entry is None else entry.name(language())


def phrases(ways: Iterable[Iterable[Mapping[str, Any]]]) -> list[str]:
    """Return sets of changes in words; sets that differ in one value only are one phrase: `in the language de / fr`."""
    found: dict[tuple[object, ...], list[list[tuple[str, str]]]] = {}
    for way in ways:
        changes = [(str(one["way"]), str(one["value"])) for one in way]
        place = next((n for n in range(len(changes)) if _variable(changes, n)), None)
        key = tuple((name, None if n == place else value) for n, (name, value) in enumerate(changes))
        found.setdefault(key, []).append(changes)
    return [in_a_phrase(_folded(each) for each in zip(*same, strict=True)) for same in found.values()]


def _folded(same: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """Return one change out of several of one way: its values, each once."""
    way = same[0][0]
    return way, " / ".join(dict.fromkeys(_name(way, value) for _, value in same))


def _variable(changes: list[tuple[str, str]], place: int) -> bool:
    """Say whether a change is one of several codes, the only one of its way in its set."""
    way = changes[place][0]
    return "{values}" in CHANGES[way]["en"] and sum(name == way for name, _ in changes) == 1 and way != "undertaking"


def in_a_phrase(changes: Iterable[tuple[str, str]]) -> str:
    """Return a set of changes (way, value) in the reader's language, values of one way together."""
    by_way: dict[str, list[str]] = {}
    for way, value in changes:
        by_way.setdefault(way, []).append(_name(way, value))
    return " + ".join(in_words(Change(way, ", ".join(values)))[language()] for way, values in by_way.items())


def _name(way: str, value: str) -> str:
    if way == "consent-of":
        entry = code_list("countries").entries.get(ids.Code(value.upper()))
    else:
        name = _LISTS.get(way)
        entry = None if name is None else code_list(name).entries.get(ids.Code(value))
    return value if entry is None else entry.name(language())


def objects(value: Json) -> list[dict[str, Any]]:
    """Return the objects of a list; of anything else, none."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, (list, tuple)) else []


def objects_each(value: Json) -> list[list[dict[str, Any]]]:
    """Return the lists of objects of a list, each not empty."""
    return [found for each in value if (found := objects(each))] if isinstance(value, (list, tuple)) else []
