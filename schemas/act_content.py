"""What the sealed acts beside `issue` and `correct` say inside the seal (spec/acts.md, "Plaintexts").

Form only. Whether an answer counts, and from whom, is for whoever reads it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from schemas import ids
from schemas.encoding import B64, Members, Time
from schemas.errors import FormError
from schemas.ids import Code, ParticipantId
from schemas.strict_json import Json

LONGEST_TEXT: Final = 2000
KINDS: Final[Mapping[str, Code]] = {
    "ask_access": Code("request"),
    "ask_use": Code("request"),
    "permit": Code("answer"),
    "certify": Code("answer"),
    "consent": Code("answer"),
    "refuse": Code("refusal"),
    "withdraw": Code("refusal"),
}
"""The kind that the label of each act names; a recall's is that of what it recalls."""


@dataclass(frozen=True, slots=True)
class ActContent:
    """What an act says; each member is None (or empty) where its act has none, or it was left out."""

    act: str
    use: Code | None = None
    for_: tuple[ParticipantId, ...] = ()
    reason: Code | None = None
    until: Time | None = None
    deleted_at: Time | None = None
    statement_digest: B64 | None = None
    text: str | None = field(default=None)

    def to_json(self) -> dict[str, Json]:
        """Return the plaintext beside the label: `kind` first, without what is absent."""
        members: dict[str, Json] = {
            "use": self.use,
            "for": list(self.for_) or None,
            "reason": self.reason,
            "until": self.until,
            "deleted_at": self.deleted_at,
            "statement_digest": self.statement_digest,
            "text": self.text,
        }
        return {"kind": self.act, **{name: value for name, value in members.items() if value is not None}}

    @classmethod
    def from_json(cls, act: str, value: Mapping[str, Json]) -> "ActContent":
        """Read the plaintext of an act without its label; raise `FormError`."""
        forms = _FORMS.get(act)
        if forms is None:
            raise FormError("Must be an act that says something of its own.", pointer="/kind")
        m = Members({name: value.get(name) for name in ("kind", *forms)}, ("kind", *forms))
        m.fixed("kind", act)
        for name in value:
            if name not in m.value:
                raise FormError("Has a member that this act does not have.")
            if value[name] is None:
                raise FormError("Must not be null: leave it out.", pointer=f"/{name}")
        read = {name: form(m, name) for name, form in forms.items() if name in value}
        for name in _REQUIRED[act]:
            if name not in read:
                raise FormError("Is missing.", pointer=f"/{name}")
        if "for" in read:
            read["for_"] = read.pop("for")
        return cls(act, **read)  # type: ignore[arg-type]


def _code(m: Members, name: str) -> object:
    return m.matching(name, ids.code)


def _time(m: Members, name: str) -> object:
    return m.time(name)


def _digest(m: Members, name: str) -> object:
    return m.binary(name, 32)


def _participants(m: Members, name: str) -> object:
    return m.sorted_strings(name, ids.participant, at_least=1)


def _text(m: Members, name: str) -> object:
    # Not `Members.string`: that is for the ASCII of signed things.
    value = m.value[name]
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TEXT:
        raise FormError(f"Must be 1 to {LONGEST_TEXT} characters.", pointer=f"/{name}")
    return value


_Form = Callable[[Members, str], object]
_FORMS: Final[Mapping[str, Mapping[str, _Form]]] = {
    "recall": {"reason": _code, "text": _text},
    "ask_access": {"text": _text},
    "ask_use": {"use": _code, "for": _participants, "text": _text},
    "permit": {"use": _code, "for": _participants, "until": _time, "text": _text},
    "refuse": {"reason": _code, "text": _text},
    "certify": {"reason": _code, "deleted_at": _time, "statement_digest": _digest, "text": _text},
    "consent": {"until": _time, "text": _text},
    "withdraw": {"reason": _code, "text": _text},
}
_REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "recall": ("reason",),
    "ask_access": (),
    "ask_use": ("use",),
    "permit": (),
    "refuse": ("reason",),
    "certify": ("reason", "deleted_at", "statement_digest"),
    "consent": (),
    "withdraw": ("reason",),
}
ACTS: Final = frozenset(_FORMS)
"""The acts that have a plaintext of their own."""
