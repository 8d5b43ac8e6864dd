"""How far a piece of information is trusted: scheme and code as the source gave them.

Schemes are never converted into one another: a B2 of one is not a B2 of another.
"""

import re
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, model_validator

from schemas.codes import code_list
from schemas.ids import Code
from schemas.notice.forms import AnyCode, In, Part, codes_matter, refuse


class Evaluation(Part):
    """A grade of an evaluation scheme, such as `B2` of `europol-4x4`."""

    scheme: Annotated[AnyCode, In("evaluation")]
    code: Annotated[str, Field(min_length=1, max_length=16)]

    @model_validator(mode="after")
    def _of_the_scheme(self, info: ValidationInfo) -> Self:
        entry = code_list("evaluation").entries.get(Code(self.scheme))
        pattern = entry.extra.get("pattern") if entry else None
        if codes_matter(info) and isinstance(pattern, str) and not re.fullmatch(pattern, self.code):
            refuse("Must be a code of its evaluation scheme.")
        return self
