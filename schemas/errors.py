"""The root of everything that Valise raises on purpose.

Every error names a *problem*: a stable code of `schemas.problems`, which decides the HTTP status, the
title and the hint. An error never carries the input that caused it, nor a secret.
"""

from typing import ClassVar

from schemas.problems import PROBLEMS


class Error(Exception):
    """Something that Valise refuses or cannot do, explained for a person.

    `detail` says what happened; `pointer` is an RFC 6901 pointer to the field, `offset` a byte or line
    number in the input; `hint` says what to do (the problem's own hint when none is given).
    """

    problem: ClassVar[str] = "internal"

    def __init__(
        self,
        detail: str,
        *,
        pointer: str | None = None,
        offset: int | None = None,
        hint: str | None = None,
        problem: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer
        self.offset = offset
        self.code = problem or self.problem
        self.hint = hint or PROBLEMS[self.code].hint

    @property
    def status(self) -> int:
        """Return the HTTP status that belongs to the problem."""
        return PROBLEMS[self.code].status

    @property
    def title(self) -> str:
        """Return the problem's one-line title."""
        return PROBLEMS[self.code].title


class MalformedError(Error):
    """The input is not strict JSON, or not in the one encoding. Raised by every parser of `schemas`."""

    problem = "malformed"


class FormError(Error):
    """The input is strict JSON but not of the form that its type demands; `pointer` names the member."""

    problem = "invalid-form"


class TooLargeError(Error):
    """The input is larger than its limit in `schemas.limits`."""

    problem = "too-large"
