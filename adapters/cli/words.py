"""How people read times, reasons and notices: in their language, on one line."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from schemas.errors import FormError
from schemas.notice import parse_notice, summary
from schemas.strict_json import Json

LANGUAGES: Final = ("en", "fr", "de", "it", "ru", "es")
SHOWN: Final = 4
"""Ways to make it lawful that a table has room for."""


def language() -> str:
    """Return the reader's language by the environment's locale, one of the six; English for any other."""
    locale = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return locale[:2] if locale[:2] in LANGUAGES else "en"


def reason(said: Json) -> str:
    """Return the reader's sentence of a reason in several languages."""
    if not isinstance(said, Mapping):
        return ""
    return str(said.get(language()) or said.get("en") or "")


def article(item: Mapping[str, Json]) -> str:
    """Return where a condition stands: instrument and article."""
    return ", ".join(str(item[name]) for name in ("instrument", "article") if item.get(name))


def why(item: Mapping[str, Json]) -> str:
    """Return why a notice of the inbox cannot be read: what denies it, where that stands, in the reader's language."""
    verdict = item.get("verdict")
    if isinstance(verdict, Mapping) and not verdict.get("permitted"):
        determining = verdict.get("determining")
        first = determining[0] if isinstance(determining, list) and determining else None
        if isinstance(first, Mapping):
            return f"{article(first)}: {reason(first.get('reason'))}"
    return str(item.get("reason") or "")


def any_of(ways: Sequence[str], *, complete: bool) -> str:
    """Return the first few of what would make a no a yes; where the search had to end before, say that there may be more."""
    some = " | ".join(ways[:SHOWN]) + (" | …" if len(ways) > SHOWN else "")
    if complete:
        return some
    return f"{some} (there may be others)" if some else "not searched to the end"


def when(time: Json) -> str:
    """Return a time as people read it in a list, in UTC to the minute."""
    if not isinstance(time, str):
        return ""
    return f"{datetime.fromisoformat(time):%Y-%m-%d %H:%M}"


def headline(notice: Json) -> str:
    """Return a notice in one line; of one that cannot be read here, its kind."""
    if not isinstance(notice, dict):
        return ""
    kind = notice.get("kind")
    try:
        return summary(parse_notice(str(kind), notice, known_codes=False))
    except FormError:
        return str(kind or "")
