"""Answer what people ask: yes, no, or yes if, with each smallest change that would make it lawful (design: Verdicts).

A change that the rules deny for another reason is none; a set of changes is smallest when no part of it would do.
Everything said here was decided: each answer *yes if* was asked again with its changes made, and permitted.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from schemas.codes import LANGUAGES
from schemas.rules.changes import Change, changed, with_changes
from schemas.rules.compile import Rules
from schemas.rules.condition_types import CHANGES
from schemas.rules.decide import Unmet, decide
from schemas.rules.facts import Facts
from schemas.rules.verdict import Verdict
from schemas.strict_json import Json

MOST_CHANGES: Final = 6
"""Changes at once beyond which nobody would call it the same notice."""
MOST_DECISIONS: Final = 400
"""Decisions that one answer may cost."""

Changes = tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict and, where it is denied, all smallest sets of changes under which it would be permitted.

    `complete` says that these are all of them; else the search ended before, and there may be more.
    """

    verdict: Verdict
    changes: tuple[Changes, ...] = ()
    complete: bool = True

    @property
    def kind(self) -> Literal["yes", "yes-if", "no"]:
        """Return `yes` (nothing owed), `yes-if` (obligations, or changes that would make it lawful) or `no`."""
        if self.verdict.permitted:
            return "yes-if" if self.verdict.obligations else "yes"
        return "yes-if" if self.changes else "no"

    def to_json(self) -> dict[str, Json]:
        """Return the answer with its members in order."""
        return {
            "answer": self.kind,
            "verdict": self.verdict.to_json(),
            "changes": [
                [{"way": item.way, "value": item.value, "says": dict(in_words(item))} for item in one]
                for one in self.changes
            ],
            "complete": self.complete,
        }


def in_words(change: Change) -> dict[str, str]:
    """Return what a change is called, by language."""
    return {language: CHANGES[change.way][language].replace("{values}", change.value) for language in LANGUAGES}


def answer(facts: Facts, rules: Rules, *, evaluator: str) -> Answer:
    """Return the verdict on the facts, and what would make a denied one lawful."""
    unmet: Unmet = []
    verdict = decide(facts, rules, evaluator=evaluator, unmet=unmet)
    # What the network or the originator denies, no change of the notice makes lawful.
    if verdict.permitted or len(unmet) < len(verdict.determining):
        return Answer(verdict)
    changes, complete = _search(facts, rules, evaluator, unmet)
    return Answer(verdict, changes, complete)


def _search(facts: Facts, rules: Rules, evaluator: str, unmet: Unmet) -> tuple[tuple[Changes, ...], bool]:
    """Return the smallest sets, fewest and first by name before others, and whether that is all of them.

    Breadth first: take the first condition that denies, try each change that would meet it, ask again. Whatever permits
    must meet that condition and each after it, so it is reached by parts of itself, and no smallest set is passed over.
    """
    found: list[frozenset[Change]] = []
    seen: set[frozenset[Change]] = {frozenset()}
    queue = deque(_next(frozenset(), facts, unmet, seen))
    decisions, complete = 0, True
    while queue:
        changes, before, more = queue.popleft()
        if any(one <= changes for one in found):
            continue
        if len(changes) > MOST_CHANGES or decisions >= MOST_DECISIONS:
            complete = False
            continue
        # To make the last changes alone is to make all of them: what is added adds up, what is replaced is replaced.
        after, unmet = changed(before, more), []
        verdict = decide(after, rules, evaluator=evaluator, unmet=unmet)
        decisions += 1
        if verdict.permitted:
            found.append(changes)
        elif len(unmet) == len(verdict.determining):
            queue.extend(_next(changes, after, unmet, seen))
    smallest = [tuple(sorted(one)) for one in found if not any(other < one for other in found)]
    return tuple(sorted(smallest, key=lambda one: (len(one), one))), complete


def _next(
    changes: frozenset[Change], facts: Facts, unmet: Unmet, seen: set[frozenset[Change]]
) -> Iterator[tuple[frozenset[Change], Facts, Changes]]:
    """Yield what to try next: all changes, the facts with those before, and the changes to add to them."""
    row, other = unmet[0]
    for more in row.changes(facts, other):
        step = with_changes(changes, more)
        if step not in seen:
            seen.add(step)
            yield step, facts, more
