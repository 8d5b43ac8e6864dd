"""Hypothesis strategies for the types of the wire: whatever the forms allow, and nothing else."""

import base64
from uuid import UUID

from hypothesis import strategies as st

from schemas.acts import ACTS, Act, Body, Ref
from schemas.encoding import B64, Time
from schemas.ids import Code, Kid, NoticeId, Origin, ParticipantId, Pattern, Topic
from schemas.label import Condition, Label
from schemas.statement import (
    Attachment,
    DelegationBody,
    OpenBody,
    RevocationBody,
    SealedDigests,
    SeenCheckpoint,
    Statement,
    SubscriptionBody,
)


def b64(length: int) -> st.SearchStrategy[B64]:
    return st.binary(min_size=length, max_size=length).map(
        lambda data: B64(base64.urlsafe_b64encode(data).rstrip(b"=").decode())
    )


_ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyz0123456789"


def text(first: str, others: str, most: int) -> st.SearchStrategy[str]:
    return st.tuples(st.sampled_from(first), st.text(others, max_size=most)).map("".join)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53 - 1), 2**53 - 1)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)
names = text(_ALPHANUMERIC, _ALPHANUMERIC + "-", 12)
codes = names.map(Code)
integers = st.integers(0, 2**53 - 1)
times = st.datetimes().map(lambda moment: Time(moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")))
kids = b64(32).map(Kid)
origins = text(_ALPHANUMERIC[:26], _ALPHANUMERIC + "./-", 30).map(Origin)
states = st.text(_ALPHANUMERIC[:26], min_size=2, max_size=2)
participants = st.one_of(
    st.tuples(states, names).map("/".join),
    st.tuples(st.just("int"), names, names).map("/".join),
    names.map(lambda name: f"audit/{name}"),
).map(ParticipantId)
topics = st.tuples(names, names).map(".".join).map(Topic)
halves = st.one_of(st.just("*"), names)
patterns = st.tuples(halves, halves).map(".".join).map(Pattern)
notice_ids = st.integers(0, 2**128 - 1).map(
    lambda bits: NoticeId(str(UUID(int=bits & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0b10 << 62)))
)


def ascending(values: st.SearchStrategy[str], *, at_least: int = 0) -> st.SearchStrategy[tuple[str, ...]]:
    return st.sets(values, min_size=at_least, max_size=4).map(lambda found: tuple(sorted(found)))


conditions = st.builds(Condition, codes, ascending(codes))
labels = st.builds(
    Label,
    kind=codes,
    handling=ascending(codes),
    tlp=codes,
    pap=codes,
    classification=st.none() | codes,
    urgency=st.none() | codes,
    purpose=codes,
    legal_basis=codes,
    nominal=st.booleans(),
    exercise=st.booleans(),
    reply_due=st.none() | times,
    conditions=st.lists(conditions, max_size=3, unique_by=lambda one: one.code).map(
        lambda found: tuple(sorted(found, key=lambda one: one.code))
    ),
)
delegations = (
    st.tuples(participants, times, times)
    .filter(lambda parts: parts[1] != parts[2])
    .map(lambda parts: DelegationBody(parts[0], *sorted(parts[1:])))
)
bodies: dict[Body, st.SearchStrategy[OpenBody | None]] = {
    Body.NONE: st.none(),
    Body.SUBSCRIPTION: st.builds(SubscriptionBody, participants, ascending(patterns, at_least=1)),
    Body.REVOCATION: st.builds(RevocationBody, participants, ascending(kids, at_least=1), codes),
    Body.DELEGATION: delegations,
}


@st.composite
def statements(draw: st.DrawFn, acts: st.SearchStrategy[Act] = st.sampled_from(list(ACTS.values()))) -> Statement:
    act = draw(acts)
    about = act.about_notice
    notice_id = draw(notice_ids)
    ref = None if act.ref is Ref.NONE else draw(notice_ids)
    if act.ref is Ref.OPTIONAL and draw(st.booleans()):
        ref = None
    thread = None
    if about:
        thread = notice_id if ref is None else draw(notice_ids)
    may_attach = not act.open and act.name not in ("grant", "acknowledge")
    return Statement(
        origin=draw(origins),
        notice_id=notice_id,
        sender=draw(participants),
        act=act.name,
        ref=ref,
        thread=thread,
        topic=draw(topics) if about else None,
        label=draw(labels) if about else None,
        expires_at=None if act.open else draw(times),
        issued_at=draw(times),
        nonce=draw(b64(16)),
        body=draw(bodies[act.body]),
        sealed=None if act.open else draw(st.builds(SealedDigests, b64(32), integers, b64(32), st.integers(1, 300))),
        attachments=tuple(draw(st.lists(st.builds(Attachment, b64(32), integers), max_size=2))) if may_attach else (),
        checkpoint=draw(st.builds(SeenCheckpoint, integers, b64(32))),
    )
