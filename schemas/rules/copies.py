"""Which focal points a notice owes a copy: those that the laws of its sender's or a recipient's State oblige to.

The sender's gateway seals by it and the broker demands by it, so that neither asks for what the other would not give.
"""

from collections.abc import Iterable
from typing import Final

from schemas.ids import Code, Role
from schemas.rules.verdict import Determination

COPY: Final = Code("copy-to-focal-point")
COPIED: Final = frozenset(("issue", "correct"))
"""The acts that owe copies: they bring a text. Grants are between two; asks and answers stay where they were asked."""


def copies_owed(obligations: Iterable[Determination], sender: Role, recipient: Role) -> dict[Role, Determination]:
    """Return the roles whose focal points are owed a copy of what the recipient gets, each with the first that obliges."""
    owed: dict[Role, Determination] = {}
    for one in obligations:
        if one.obligation == COPY:
            whose = one.parameters.get("whose", "recipient")
            if whose != "sender":
                owed.setdefault(recipient, one)
            if whose != "recipient":
                owed.setdefault(sender, one)
    return owed
