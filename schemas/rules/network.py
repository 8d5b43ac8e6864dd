"""The form of `network/network.json`: who takes part, in which groups, and what is granted to whom (design: access).

The file is a directory target that a threshold of the root holders signs. Only a grant permits anything; a national
profile can take away from it and never add. This module reads the form; it decides nothing.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.encoding import encode
from schemas.errors import FormError
from schemas.rules.founding import FOUNDING
from schemas.rules.reading import (
    ActName,
    Codes,
    FormCode,
    FormDay,
    FormRole,
    FormTime,
    ascending,
    check_validity,
    in_order,
    read,
    some,
)
from schemas.rules.text import Sentence, Text

_FORM = ConfigDict(strict=True, frozen=True, extra="forbid")

Roles = Annotated[tuple[FormRole, ...], Field(min_length=1), AfterValidator(ascending)]


class Participation(BaseModel):
    """A State, an organisation or the auditors, who take part, or are suspended and take none."""

    model_config = _FORM

    role: FormRole
    suspended: bool


class Group(BaseModel):
    """Who belongs together by some instrument, as of a day: members of a union, parties to a treaty, partners."""

    model_config = _FORM

    id: FormCode
    instrument: Sentence
    as_of: FormDay | None
    members: Roles


class Grant(BaseModel):
    """One permission: whoever is `to` may do `actions` within these limits. A limit that is null limits nothing.

    `acts` are those of `schemas.acts`; `agency_kinds` and `roles` look at the participant who is permitted something,
    `kinds`, `regions` and `themes` at the notice. `within` says towards whom: `any`, `own-role` (participants of the
    same State or organisation) or `self`. In force at a boundary b if `valid_from` <= b < `valid_to`.
    """

    model_config = _FORM

    id: FormCode
    instrument: Sentence
    article: Sentence
    explanation: Text
    to: Annotated[tuple[FormCode, ...], Field(min_length=1), AfterValidator(ascending)]
    actions: Annotated[
        tuple[Literal["administer", "audit", "publish", "receive", "subscribe"], ...],
        Field(min_length=1),
        AfterValidator(ascending),
    ]
    acts: Annotated[tuple[ActName, ...] | None, AfterValidator(some)]
    agency_kinds: Codes
    roles: Codes
    kinds: Codes
    regions: Codes
    themes: Codes
    within: Literal["any", "own-role", "self"]
    valid_from: FormTime | None
    valid_to: FormTime | None


class Network(BaseModel):
    """The network's rules. Participants, groups and grants ascend by role and id; each stands once."""

    model_config = _FORM

    v: Literal[1]
    participants: Annotated[tuple[Participation, ...], Field(min_length=1)]
    groups: tuple[Group, ...]
    grants: Annotated[tuple[Grant, ...], Field(min_length=1)]


def parse_network(data: bytes) -> Network:
    """Read `network.json`; raise `TooLargeError`, `MalformedError`, or `FormError` with a pointer.

    A network without participants or grants is refused, and so is a group or grant for somebody who takes no part.
    """
    network = read(Network, data)
    in_order([item.role for item in network.participants], "/participants")
    in_order([item.id for item in network.groups], "/groups")
    in_order([item.id for item in network.grants], "/grants")
    roles: set[str] = {item.role for item in network.participants}
    for number, group in enumerate(network.groups):
        if group.id in roles:
            raise FormError("Is the name of a role.", pointer=f"/groups/{number}/id")
        if not roles.issuperset(group.members):
            raise FormError("Names a member that takes no part.", pointer=f"/groups/{number}/members")
    names = roles | {group.id for group in network.groups}
    for number, grant in enumerate(network.grants):
        _check_grant(grant, names, f"/grants/{number}")
    return network


def _check_grant(grant: Grant, names: set[str], at: str) -> None:
    if not names.issuperset(grant.to):
        raise FormError("Names a group or role that the network does not know.", pointer=f"{at}/to")
    if "publish" in grant.actions and grant.within != "any":
        raise FormError("Must be any: whoever publishes does so towards nobody yet.", pointer=f"{at}/within")
    check_validity(grant.valid_from, grant.valid_to, at)


def default_network() -> bytes:
    """Return the network that a root ceremony begins with: 57 States, partners, organisations, auditors.

    Facts of membership and their sources stand in `founding`.
    """
    return encode(FOUNDING)
