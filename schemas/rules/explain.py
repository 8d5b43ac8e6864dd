"""A verdict in words that a person understands, in one of the six languages: what, whose article, why, what is owed.

Plain text for terminals, mails and problem documents. The words come from the rules; nothing is translated here, and a
reason that lacks a language is given in English.
"""

from dataclasses import dataclass
from typing import Final

from schemas.codes import code_list
from schemas.ids import Code, Role, is_state
from schemas.rules.verdict import Determination, Verdict


@dataclass(frozen=True, slots=True)
class _Words:
    denied: str
    permitted: str
    owed: str
    article: str
    condition: str
    evaluated: str
    versions: str
    boundary: str


_WORDS: Final = {
    "en": _Words(
        "Denied",
        "Permitted",
        "Obligation",
        "art.",
        "condition",
        "evaluated by",
        "Decided under directory version",
        "validity as of",
    ),
    "fr": _Words(
        "Refusé",
        "Permis",
        "Obligation",
        "art.",
        "condition",
        "évaluée par",
        "Décidé selon la version de l'annuaire",
        "validité au",
    ),
    "de": _Words(
        "Abgelehnt",
        "Erlaubt",
        "Pflicht",
        "Art.",
        "Bedingung",
        "ausgewertet von",
        "Entschieden nach Verzeichnisversion",
        "Gültigkeit am",
    ),
    "it": _Words(
        "Negato",
        "Permesso",
        "Obbligo",
        "art.",
        "condizione",
        "valutata da",
        "Deciso secondo la versione dell'elenco",
        "validità al",
    ),
    "ru": _Words(
        "Отказано",
        "Разрешено",
        "Обязанность",
        "ст.",
        "условие",
        "проверено",
        "Решено по версии каталога",
        "действие на",
    ),
    "es": _Words(
        "Denegado",
        "Permitido",
        "Obligación",
        "art.",
        "condición",
        "evaluada por",
        "Decidido según la versión del directorio",
        "vigencia a",
    ),
}


def explain(verdict: Verdict, language: str) -> str:
    """Return a verdict as lines of text: each denial or grant, each obligation, and the versions decided under.

    `language` is one of `schemas.codes.LANGUAGES`; any other gives English.
    """
    words = _WORDS.get(language, _WORDS["en"])
    opening = words.permitted if verdict.permitted else words.denied
    lines = [_line(opening, item, language, words) for item in verdict.determining]
    lines += [_line(words.owed, item, language, words) for item in verdict.obligations]
    boundary = "" if verdict.boundary is None else f", {words.boundary} {verdict.boundary}"
    lines.append(f"{words.versions} {verdict.directory}{boundary}.")
    return "\n".join(lines)


def role_name(role: Role, language: str) -> str:
    """Return a State's name in a language, or an organisation's short name; an unknown role stands for itself."""
    entry = code_list("states").entries.get(Code(role)) if is_state(role) else None
    return role.removeprefix("int-").upper() if entry is None else entry.name(language)


def _line(opening: str, item: Determination, language: str, words: _Words) -> str:
    who = "" if item.state is None else f"{role_name(item.state, language)}, "
    # Articles that begin with a number read better with the word before them; "paragraph 20" and "H1" do not.
    article = f"{words.article} {item.article}" if item.article[0].isdigit() else item.article
    values = [text for value in item.parameters.values() for text in ((value,) if isinstance(value, str) else value)]
    about = f"{words.condition} {item.condition}" + (f": {', '.join(values)}" if values else "")
    return (
        f"{opening}: {who}{item.instrument}, {article}: {item.reason_in(language)} "
        f"[{about}; {words.evaluated} {item.evaluated_by}]"
    )
