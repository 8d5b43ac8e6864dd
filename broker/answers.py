"""What who publishes is answered, and how answers get from the ledger thread to whoever waits for them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from broker.publish import Denied
from schemas.errors import Error


class OverloadedError(Error):
    """The queue is full, or the ledger cannot take anything now."""

    problem = "unavailable"


@dataclass(frozen=True, slots=True)
class Published:
    """A receipt (compact JWS), and whether this call brought the statement into the ledger."""

    receipt: str
    created: bool


@dataclass(frozen=True, slots=True)
class NotPublished:
    """Why not; a definite refusal is signed."""

    error: Error
    denied: tuple[Denied, ...]
    refusal: str | None


Answer = Published | NotPublished

LATER: Final = frozenset({429, 503, 507})
"""Statuses of answers that decide nothing: the same bytes may come again."""


def as_answer(found: Answer | BaseException) -> Answer:
    """Return an answer in place of an error of ours; raise every other one."""
    if isinstance(found, Error):
        return NotPublished(found, (), None)
    if isinstance(found, BaseException):
        raise found
    return found


def settle(answers: Sequence[tuple["asyncio.Future[Any]", object]]) -> None:
    """Hand answers over to their loop, all in one wake-up; an exception is raised to whoever waits."""

    def deliver() -> None:
        for future, answer in answers:
            if future.done():  # whoever asked has gone away
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    loop = answers[0][0].get_loop() if answers else None
    if loop is not None and not loop.is_closed():
        loop.call_soon_threadsafe(deliver)


def left_open() -> OverloadedError:
    """Return what is said once something is in the ledger, whatever kept the view from following."""
    return OverloadedError("It is not known yet what became of it: send it again.")


def stopped() -> OverloadedError:
    """Return what is said once nobody is there to decide."""
    return OverloadedError("The ledger thread has stopped.")
