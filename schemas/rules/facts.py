"""What a decision is made from: who does what with which label, and to whom (design: access).

Facts are what everybody can see who decides: codes, participants, a topic, the statement's own times. Now is not among
them: what is in force is in the rules, as of the last boundary of the ledger. Nothing here says whether the facts are
true; signatures and the directory do. Only gateways, which open notices, have contents.
"""

from dataclasses import dataclass
from typing import Literal

from schemas.encoding import Time
from schemas.ids import ParticipantId, Role, Topic
from schemas.label import Label
from schemas.rules.content import Content

Action = Literal["publish", "receive", "subscribe", "administer", "audit"]


@dataclass(frozen=True, slots=True)
class Party:
    """A participant as the directory knows it at the version of the rules.

    `kind` is a code of the list of agency kinds (`focal-point`, `customs`, …), `roles` what its record adds to that,
    `clearance` a code of the list of classifications or None.
    """

    id: ParticipantId
    role: Role
    kind: str
    roles: tuple[str, ...]
    clearance: str | None
    suspended: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """One question to the rules.

    `publish`: may `sender` publish this (`recipient` is None). `receive`: may `recipient` have it from `sender`.
    `subscribe`: may `sender` subscribe `recipient` (None: itself) to `topic`, which may be a pattern; None is `*.*`.
    `administer`: may `sender` perform `act` on the records of `recipient` (None: its own). `audit`: may `sender` read
    the statements of `recipient` (None: everybody's). Topic and label are None where the act has none.

    `issued_at` and `expires_at` are the statement's; None where they are not known, and a condition that asks for them
    then denies. `content` is None for whoever does not see it: such conditions are left to the gateways.
    """

    action: Action
    act: str
    topic: Topic | None
    label: Label | None
    sender: Party
    recipient: Party | None
    issued_at: Time | None = None
    expires_at: Time | None = None
    content: Content | None = None
