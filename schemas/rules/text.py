"""Sentences in the six OSCE languages, English required (design: domain, Languages)."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, StringConstraints

from schemas.codes import LANGUAGES

# People decide by what they read here: nothing invisible, and nothing that turns the direction of writing.
SENTENCE: Final = r"^[^\p{Z}\p{Cc}\p{Cf}](?:[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*[^\p{Z}\p{Cc}\p{Cf}])?$"
Sentence = Annotated[str, StringConstraints(pattern=SENTENCE, max_length=2000)]
"""One line of text without control or format characters, at most 2,000 characters."""


class Text(BaseModel):
    """The same sentence in up to six languages."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    en: Sentence
    fr: Sentence | None
    de: Sentence | None
    it: Sentence | None
    ru: Sentence | None
    es: Sentence | None

    def by_language(self) -> dict[str, str]:
        """Return the languages that are there, in the order of `LANGUAGES`."""
        every = (self.en, self.fr, self.de, self.it, self.ru, self.es)
        return {language: said for language, said in zip(LANGUAGES, every, strict=True) if said is not None}

    def missing(self) -> tuple[str, ...]:
        """Return the languages that are lacking."""
        there = self.by_language()
        return tuple(language for language in LANGUAGES if language not in there)
