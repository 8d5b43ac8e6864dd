"""The acts that a statement can perform, and the form that each demands (spec/acts.md)."""

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Ref(Enum):
    """Whether a statement of an act refers to another one."""

    NONE = "none"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Body(Enum):
    """The kind of body that an open act carries."""

    NONE = "none"
    SUBSCRIPTION = "subscription"
    REVOCATION = "revocation"
    DELEGATION = "delegation"


@dataclass(frozen=True, slots=True)
class Act:
    """The form of one act.

    `about_notice`: topic, label and thread are present. `open`: nothing is sealed and the leaf is of type 2.
    `unblockable`: a denied recipient is held and reported, never a reason to refuse. `served`: this broker acts on it.
    """

    name: str
    ref: Ref = Ref.REQUIRED
    about_notice: bool = True
    body: Body = Body.NONE
    unblockable: bool = False
    served: bool = False

    @property
    def open(self) -> bool:
        """Say whether the act is about the network rather than about a notice."""
        return self.body is not Body.NONE


def _open(name: str, body: Body, *, served: bool) -> Act:
    return Act(name, Ref.NONE, about_notice=False, body=body, served=served)


ACTS: Final[dict[str, Act]] = {
    act.name: act
    for act in (
        Act("issue", Ref.OPTIONAL, served=True),
        Act("correct", served=True),
        Act("recall", unblockable=True, served=True),
        Act("ask_access", served=True),
        Act("grant", served=True),
        Act("ask_use", served=True),
        Act("permit", served=True),
        Act("certify", unblockable=True, served=True),
        Act("refuse", served=True),
        Act("consent", served=True),
        Act("withdraw", unblockable=True, served=True),
        Act("handover"),
        Act("heartbeat"),
        Act("stop", unblockable=True),
        Act("outcome"),
        Act("close"),
        Act("acknowledge", Ref.NONE, about_notice=False, unblockable=True, served=True),
        _open("subscribe", Body.SUBSCRIPTION, served=True),
        _open("unsubscribe", Body.SUBSCRIPTION, served=True),
        _open("revoke_key", Body.REVOCATION, served=True),
        _open("delegate", Body.DELEGATION, served=True),
    )
}
