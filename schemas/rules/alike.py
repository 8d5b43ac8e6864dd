"""Which notices decisions read the same of, whatever their times and contents are.

A decision reads times and contents through aspects only, and holds numbers against limits only: how long it is kept, in
seconds, matters as far as it lies below, at or above the days of some law. So notices that differ to the second are
decided on once.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Final

from schemas.rules.aspects import ASPECTS, Value
from schemas.rules.compile import Rules
from schemas.rules.facts import Facts
from schemas.rules.tables import LawRow

_NUMBERS: Final = ("at-most", "at-least")


class Alike:
    """What the laws of some rules read of times and contents: aspects, and the limits of those that are numbers."""

    def __init__(self, *rules: Rules, opened: bool = True) -> None:
        """Take the rules; `opened` says whether there are contents to look at."""
        names = {name for one in rules for name in one.reads}
        limits: dict[str, set[int]] = {name: set() for name in names}
        for row in (row for one in rules for row in _rows(one)):
            if row.check is not None and row.check.name in _NUMBERS:
                limits[row.check.aspect].add(row.check.operand)
        self._reads = tuple(
            (ASPECTS[name].read, sorted(limits[name]))
            for name in sorted(names)
            if (opened and ASPECTS[name].inputs == "content")
            or (ASPECTS[name].timed and ASPECTS[name].inputs == "label")
        )

    def seen(self, facts: Facts) -> tuple[object, ...]:
        """Return all that a decision on the facts reads of their times and contents, towards whomever."""
        found: list[object] = [facts.content is None]
        for read, limits in self._reads:
            # No such aspect looks at the other side.
            value: Value = read(facts, None)
            if limits and not isinstance(value, frozenset) and value is not None:
                found.append((bisect_left(limits, value), bisect_right(limits, value)))
            else:
                found.append(value)
        return tuple(found)


def _rows(rules: Rules) -> Iterator[LawRow]:
    for table in rules.laws.values():
        # What goes from a State to itself is under all of its conditions.
        for rows in (*table.domestic.named.values(), table.domestic.other):
            yield from rows
