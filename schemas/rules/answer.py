"""Answer what people ask: yes, no, or yes if, with each smallest change that would make it lawful (design: Verdicts).

A change that the rules deny for another reason is none; a set of changes is smallest when no part of it would do.
Everything said here was decided: each answer *yes if* was asked again with its changes made, and permitted. Where the
search had to end before anything was found, the answer is not *no* but *unknown*.
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
"""Decisions that one answer may cost, the first included."""

Changes = tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict and, where it is denied, all smallest sets of changes under which it would be permitted.

    `complete` says that these are all of them; else the search ended before, and there may be more. `decisions` is what
    the answer cost.
    """

    verdict: Verdict
    changes: tuple[Changes, ...] = ()
    complete: bool = True
    decisions: int = 1

    @property
    def kind(self) -> Literal["yes", "yes-if", "no", "unknown"]:
        """Return `yes` (nothing owed), `yes-if` (obligations, or changes that would make it lawful), `no` or `unknown`.

        `unknown` is denied as it stands, and the search for changes ended before it found any.
        """
        if self.verdict.permitted:
            return "yes-if" if self.verdict.obligations else "yes"
        return "yes-if" if self.changes else "no" if self.complete else "unknown"

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


def answer(facts: Facts, rules: Rules, *, evaluator: str, most: int = MOST_DECISIONS) -> Answer:
    """Return the verdict on the facts, and what would make a denied one lawful; `most` bounds what it costs."""
    unmet: Unmet = []
    verdict = decide(facts, rules, evaluator=evaluator, unmet=unmet)
    # What the network or the originator denies, no change of the notice makes lawful.
    if verdict.permitted or len(unmet) < len(verdict.determining):
        return Answer(verdict)
    search = _Search(rules, evaluator, most - 1)
    changes, complete = search.smallest(facts, unmet)
    return Answer(verdict, changes, complete, 1 + search.decisions)


_Step = tuple[frozenset[Change], Facts, Changes]
"""What to try next: all changes, the facts with those before, and the changes to add to them."""


@dataclass(slots=True)
class _Search:
    """One search for changes; it asks at most `most` times."""

    rules: Rules
    evaluator: str
    most: int
    decisions: int = 0

    def smallest(self, facts: Facts, unmet: Unmet) -> tuple[tuple[Changes, ...], bool]:
        """Return the smallest sets, fewest and first by name before others, and whether that is all of them.

        Depth first for one set, so that there is one where there is not time for all; then breadth first: take the first
        condition that denies, try each change that would meet it, ask again. Whatever permits must meet that condition
        and each after it, so it is reached by parts of itself, and no smallest set is passed over.
        """
        one, possible = self._one(facts, unmet)
        if not possible:
            return (), True
        found = [] if one is None else [one]
        seen: set[frozenset[Change]] = {frozenset()}
        queue = deque(_next(frozenset(), facts, unmet, seen))
        complete = True
        while queue:
            changes, before, more = queue.popleft()
            if any(one <= changes for one in found):
                continue
            if len(changes) > MOST_CHANGES or self.decisions >= self.most:
                complete = False
                continue
            # To make the last changes alone is to make all of them: what is added adds up, what is replaced is replaced.
            after = changed(before, more)
            permitted, lawful, unmet = self._ask(after)
            if permitted:
                found.append(changes)
            elif lawful:
                queue.extend(_next(changes, after, unmet, seen))
        smallest = [tuple(sorted(one)) for one in found if not any(other < one for other in found)]
        return tuple(sorted(smallest, key=lambda one: (len(one), one))), complete

    def _one(self, facts: Facts, unmet: Unmet) -> tuple[frozenset[Change] | None, bool]:
        """Return one set without what it does not need, and whether there can be any: at half of the cost at most."""
        seen: set[frozenset[Change]] = {frozenset()}
        stack = [_next(frozenset(), facts, unmet, seen)]
        most = self.most // 2
        while stack:
            step = next(stack[-1], None)
            if step is None:
                stack.pop()
                continue
            if self.decisions >= most:
                return None, True
            changes, before, more = step
            after = changed(before, more)
            permitted, lawful, unmet = self._ask(after)
            if permitted:
                return self._needed(facts, changes), True
            if lawful:
                stack.append(_next(changes, after, unmet, seen))
        return None, False

    def _needed(self, facts: Facts, changes: frozenset[Change]) -> frozenset[Change]:
        """Drop each change without which it is permitted as well."""
        for one in sorted(changes):
            if len(changes) > 1 and self.decisions < self.most and self._ask(changed(facts, changes - {one}))[0]:
                changes -= {one}
        return changes

    def _ask(self, facts: Facts) -> tuple[bool, bool, Unmet]:
        """Return whether it is permitted, whether nothing but laws denies it, and which conditions do."""
        unmet: Unmet = []
        verdict = decide(facts, self.rules, evaluator=self.evaluator, unmet=unmet)
        self.decisions += 1
        return verdict.permitted, len(unmet) == len(verdict.determining), unmet


def _next(changes: frozenset[Change], facts: Facts, unmet: Unmet, seen: set[frozenset[Change]]) -> Iterator[_Step]:
    """Yield what to try next, each set of changes once."""
    row, other = unmet[0]
    for more in row.changes(facts, other):
        step = with_changes(changes, more)
        if step not in seen:
            seen.add(step)
            yield step, facts, more
