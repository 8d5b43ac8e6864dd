"""Code lists as they are read from their files: strict, frozen, looked up by code, name or alias.

A file is an object `list, edition, source, verified, form, entries`; an entry has `code` and `names` (English at
least), and may have `aliases`, `extra` (what only this list knows) and `unverified`. `form` says how codes look:
`code` (label codes), `iso-3166` or `ucum`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from schemas.encoding import is_day
from schemas.errors import FormError
from schemas.ids import Code
from schemas.strict_json import Json, parse_object

LANGUAGES: Final = ("en", "fr", "de", "it", "ru", "es")
"""The six languages of the OSCE; English stands in where a name is missing."""

LISTS: Final = (
    "agencies",
    "assistance-request",
    "authorities",
    "classification",
    "concealment",
    "conditions",
    "control",
    "conveyance",
    "countries",
    "dangerous-goods",
    "detection-methods",
    "evaluation",
    "evaluation-grades",
    "frequencies",
    "handling",
    "installation",
    "kinds",
    "legal-basis",
    "obligations",
    "offences",
    "operator-roles",
    "packaging",
    "pap",
    "person-roles",
    "precursor-actions",
    "precursor-events",
    "purpose",
    "regions",
    "routing",
    "special-categories",
    "states",
    "substance-forms",
    "substances",
    "surveillance-methods",
    "themes",
    "tlp",
    "transfer-basis",
    "trends",
    "units",
    "urgency",
    "uses",
)
"""Every list that Valise knows; each is a file `<name>.json` of this package."""

_FORMS: Final = {
    "code": re.compile("[a-z0-9][a-z0-9-]*"),
    "iso-3166": re.compile("[A-Z]{2}"),
    "ucum": re.compile("[!-~]+"),
}
_LIST_MEMBERS: Final = ("list", "edition", "source", "verified", "form", "entries")
_ENTRY_MEMBERS: Final = frozenset({"code", "names", "aliases", "extra", "unverified"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One code: its names by language, other words for it, and what only its list knows (`extra`)."""

    code: Code
    names: Mapping[str, str]
    aliases: tuple[str, ...]
    verified: bool
    extra: Mapping[str, Json]

    def name(self, language: str = "en") -> str:
        """Return the name in a language, or the English one."""
        return self.names.get(language, self.names["en"])


@dataclass(frozen=True, slots=True)
class CodeList:
    """One dated list; `entries` keeps the file's order."""

    name: str
    edition: str
    source: str
    entries: Mapping[Code, Entry]
    words: Mapping[str, Code] = field(repr=False, compare=False)

    def lookup(self, text: str) -> Code | None:
        """Return the code that a word stands for: a code, name or alias in any case and spacing, or a CAS number."""
        return self.words.get(_fold(text))


def _fold(text: str) -> str:
    return " ".join(text.replace("\u2019", "'").split()).casefold()


def _text(value: Json, pointer: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise FormError("Must be a non-empty string.", pointer=pointer)
    return value


def _entry(value: Json, form: re.Pattern[str], verified: bool, at: str) -> Entry:
    if not isinstance(value, dict) or not {"code", "names"} <= set(value) <= _ENTRY_MEMBERS:
        raise FormError("Must be an object with code and names, and at most aliases, extra and unverified.", pointer=at)
    code = _text(value["code"], f"{at}/code")
    if not form.fullmatch(code):
        raise FormError("Must be a code of the list's form.", pointer=f"{at}/code")
    names, aliases = value["names"], value.get("aliases", [])
    extra, unverified = value.get("extra", {}), value.get("unverified", False)
    if not isinstance(names, dict) or "en" not in names or not set(names) <= set(LANGUAGES):
        raise FormError("Must be names by language, English among them.", pointer=f"{at}/names")
    if not isinstance(aliases, list):
        raise FormError("Must be a list.", pointer=f"{at}/aliases")
    if not isinstance(extra, dict):
        raise FormError("Must be an object.", pointer=f"{at}/extra")
    if not isinstance(unverified, bool):
        raise FormError("Must be true or false.", pointer=f"{at}/unverified")
    return Entry(
        Code(code),
        MappingProxyType({language: _text(name, f"{at}/names/{language}") for language, name in names.items()}),
        tuple(_text(alias, f"{at}/aliases/{place}") for place, alias in enumerate(aliases)),
        verified and not unverified,
        MappingProxyType(extra),
    )


def _words(entry: Entry) -> set[str]:
    cas = entry.extra.get("cas")
    words = {entry.code, *entry.names.values(), *entry.aliases, *([cas] if isinstance(cas, str) else [])}
    return {_fold(word) for word in words}


def load(data: bytes) -> CodeList:
    """Read a code list from its file's bytes (UTF-8 JSON).

    A word that would stand for two codes is refused: a reader could not know which was meant. Raises `TooLargeError`,
    `MalformedError`, or `FormError` with a pointer.
    """
    value = parse_object(data)
    if tuple(value) != _LIST_MEMBERS:
        raise FormError(f"Must have exactly the members {', '.join(_LIST_MEMBERS)}, in this order.", pointer="")
    name, edition, source = (_text(value[member], f"/{member}") for member in _LIST_MEMBERS[:3])
    verified, form, items = value["verified"], _FORMS.get(_text(value["form"], "/form")), value["entries"]
    if name not in LISTS:
        raise FormError("Must be the name of a code list that Valise knows.", pointer="/list")
    if not is_day(edition):
        raise FormError("Must be a date YYYY-MM-DD.", pointer="/edition")
    if not isinstance(verified, bool):
        raise FormError("Must be true or false.", pointer="/verified")
    if form is None:
        raise FormError(f"Must be one of {', '.join(_FORMS)}.", pointer="/form")
    if not isinstance(items, list) or not items:
        raise FormError("Must be a list with at least one entry.", pointer="/entries")
    entries: dict[Code, Entry] = {}
    words: dict[str, Code] = {}
    for place, item in enumerate(items):
        entry = _entry(item, form, verified, f"/entries/{place}")
        for word in _words(entry):
            if word in words:
                raise FormError("Has a word that stands for an earlier code too.", pointer=f"/entries/{place}")
            words[word] = entry.code
        entries[entry.code] = entry
    return CodeList(name, edition, source, MappingProxyType(entries), MappingProxyType(words))


# Set once at start by whoever composes the process, before it serves anything; read everywhere.
_replaced: dict[str, CodeList] = {}


@cache
def _shipped(name: str) -> CodeList:
    return load(files("schemas.codes").joinpath(f"{name}.json").read_bytes())


def code_list(name: str) -> CodeList:
    """Return a list of `LISTS`: the operator's where one was given, else the one shipped. Raises `FormError`."""
    if name not in LISTS:
        raise FormError("Must be the name of a code list that Valise knows.")
    return _replaced.get(name) or _shipped(name)


def replace(new: CodeList) -> None:
    """Put an operator's list in the place of the one shipped, for the whole process."""
    _replaced[new.name] = new


def lookup(name: str, text: str) -> Code | None:
    """Return the code that a word stands for in a list, or `None`; see `CodeList.lookup`."""
    return code_list(name).lookup(text)
