"""Forms that all kinds of notice are made of: lines, decimal strings, dates, countries, codes.

A plaintext knows no floats (`schemas.strict_json`): quantities, percentages and coordinates are decimal strings
without exponent. Codes are checked against the code lists unless the reader says otherwise (`known_codes`), because
the sender's lists may be newer than the reader's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from schemas.codes import CodeList, code_list, is_cas
from schemas.encoding import is_day, is_time
from schemas.limits import LIMITS

_T = TypeVar("_T")

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DEGREES: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,2})(?:\.[0-9]{1,12})?")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_HS: Final = re.compile(r"[0-9]{4}(?:\.[0-9]{2}){0,3}")
_CODE: Final = re.compile("[a-z0-9][a-z0-9-]*")
_COUNTRY: Final = re.compile("[A-Z]{2}")
_UCUM: Final = re.compile("[!-~]+")
_UNLOCODE: Final = re.compile("[A-Z]{2}[A-Z2-9]{3}")


class Part(BaseModel):
    """A strict, frozen object that knows all its members."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


def refuse(sentence: str) -> NoReturn:
    """Refuse a value inside a validator, with a sentence that `schemas.notice` hands on; it must not quote input."""
    raise PydanticCustomError("form", "{sentence}", {"sentence": sentence})


def _shaped(shape: re.Pattern[str], sentence: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not shape.fullmatch(text):
            refuse(sentence)
        return text

    return check


def _json(shape: re.Pattern[str] | str, description: str, *, longest: int, **more: str) -> WithJsonSchema:
    pattern = shape if isinstance(shape, str) else shape.pattern
    known = {"type": "string", "pattern": f"^(?:{pattern})$", "maxLength": longest, "description": description}
    return WithJsonSchema({**known, **more})


def _date(text: str) -> str:
    if not is_day(text):
        refuse("Must be a calendar date YYYY-MM-DD.")
    return text


def _when(text: str) -> str:
    if not is_time(text) and not is_day(text):
        refuse("Must be a calendar date YYYY-MM-DD or time YYYY-MM-DDTHH:MM:SSZ.")
    return text


def _percent(text: str) -> str:
    whole, _, fraction = text.partition(".")
    if len(whole) > 3 or int(whole) > 100 or (whole == "100" and fraction.strip("0")):
        refuse("Must be a percentage from 0 to 100 as a decimal string.")
    return text


def _degrees(most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        whole, _, fraction = text.lstrip("-").partition(".")
        if int(whole) > most or (int(whole) == most and fraction.strip("0")):
            refuse(f"Must be degrees from -{most} to {most} as a decimal string.")
        return text

    return check


def _cas(text: str) -> str:
    if not is_cas(text):
        refuse("Must be a CAS number with the right check digit.")
    return text


@dataclass(frozen=True, slots=True)
class In:
    """Demand of a code, or of an object with a member `code`, that the code is in a code list."""

    name: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Check after the form was checked."""
        return core_schema.with_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Name the list beside the form."""
        return {**handler(schema), "x-code-list": self.name}

    def _check(self, value: _T, info: ValidationInfo) -> _T:
        code = value if isinstance(value, str) else getattr(value, "code", None)
        if code is not None and codes_matter(info) and code not in self.entries().entries:
            refuse(f"Must have a code of the code list {self.name}; other words go where free text is allowed.")
        return value

    def entries(self) -> CodeList:
        """Return the list as it is in force now."""
        return code_list(self.name)


def codes_matter(info: ValidationInfo) -> bool:
    """Say whether codes are checked against the lists (the default) or only for their form."""
    return info.context is None or bool(info.context.get("known_codes", True))


Line = Annotated[str, Field(min_length=1, max_length=LIMITS.import_cell)]
"""A name or other text as somebody wrote it, without language tag."""

Decimal = Annotated[
    str,
    Field(max_length=64),
    AfterValidator(_shaped(_DECIMAL, "Must be a decimal string such as 89.47: digits, no sign, no exponent.")),
    _json(_DECIMAL, "A decimal number without sign or exponent.", longest=64),
]

Percent = Annotated[
    str,
    Field(max_length=16),
    AfterValidator(_shaped(_DECIMAL, "Must be a percentage from 0 to 100 as a decimal string.")),
    AfterValidator(_percent),
    _json(_DECIMAL, "A percentage from 0 to 100 as a decimal string.", longest=16),
]

_DEGREE_SENTENCE: Final = "Must be degrees as a decimal string with at most twelve places."

Longitude = Annotated[
    str,
    AfterValidator(_shaped(_DEGREES, _DEGREE_SENTENCE)),
    AfterValidator(_degrees(180)),
    _json(_DEGREES, "Degrees of longitude, WGS 84, as a decimal string.", longest=17),
]

Latitude = Annotated[
    str,
    AfterValidator(_shaped(_DEGREES, _DEGREE_SENTENCE)),
    AfterValidator(_degrees(90)),
    _json(_DEGREES, "Degrees of latitude, WGS 84, as a decimal string.", longest=17),
]

Date = Annotated[
    str, AfterValidator(_date), WithJsonSchema({"type": "string", "format": "date", "description": "YYYY-MM-DD"})
]

When = Annotated[
    str,
    AfterValidator(_when),
    _json(
        "[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?",
        "A date YYYY-MM-DD, or a time YYYY-MM-DDTHH:MM:SSZ.",
        longest=20,
    ),
]

Language = Annotated[
    str,
    Field(max_length=35),
    AfterValidator(_shaped(_LANGUAGE, "Must be a language tag such as fr, sr-Latn or und.")),
    _json(_LANGUAGE, "A language tag (BCP 47); und where the language is not known.", longest=35),
]

AnyCode = Annotated[
    str,
    Field(max_length=64),
    AfterValidator(_shaped(_CODE, "Must be a code: lower-case letters, digits and hyphens.")),
    _json(_CODE, "A code of a code list.", longest=64),
]

Country = Annotated[
    str,
    AfterValidator(_shaped(_COUNTRY, "Must be an ISO 3166 code of two capital letters.")),
    _json(_COUNTRY, "ISO 3166-1 alpha-2.", longest=2),
    In("countries"),
]

Unit = Annotated[
    str,
    Field(max_length=64),
    AfterValidator(_shaped(_UCUM, "Must be a UCUM unit such as kg, mL or {tablet}.")),
    _json(_UCUM, "A unit of measure (UCUM).", longest=64),
    In("units"),
]

UnLocode = Annotated[
    str,
    AfterValidator(_shaped(_UNLOCODE, "Must be a UN/LOCODE of five characters, such as AMEVN.")),
    _json(_UNLOCODE, "A UN/LOCODE without space.", longest=5),
]

Cas = Annotated[
    str,
    Field(max_length=12),
    AfterValidator(_cas),
    _json("[1-9][0-9]{1,6}-[0-9]{2}-[0-9]", "A CAS registry number.", longest=12),
]

HsNumber = Annotated[
    str,
    AfterValidator(_shaped(_HS, "Must be a code of the Harmonized System, such as 2933.36.")),
    _json(_HS, "A code of the Harmonized System.", longest=13),
]

Year = Annotated[
    str,
    AfterValidator(_shaped(re.compile("[12][0-9]{3}"), "Must be a year of four digits.")),
    _json("[12][0-9]{3}", "A year.", longest=4),
]

Count = Annotated[int, Field(ge=1, le=LIMITS.integer)]
"""How many; at least one."""
