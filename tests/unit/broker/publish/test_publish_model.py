"""The acts' own rules against a model that was written from spec/acts.md alone: any sequence of acts, by and to anybody.

The model keeps, of each statement, its act, sender, thread, and who holds it; it shares no code with the broker.
"""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.publish import Accepted, Refused
from keys.batch import Signed
from tests.granting import granted, unsigned_grant
from tests.paper import PaperLedger

PEOPLE = ("kz/customs", "kz/police", "uz/focal-point", "uz/police", "tj/police")
TOPICS = ("central-asia.seizures", "osce.seizures")
BETWEEN = ("ask_use", "permit", "refuse", "certify")
ROOM = ("consent", "withdraw")
ACTS = ("issue", "correct", "recall", "ask_access", "grant", *BETWEEN, *ROOM)


@dataclass
class Said:
    """A statement that counts, as the model knows it."""

    signed: Signed
    act: str
    sender: str
    topic: str
    first: bool
    """Whether it began its thread."""
    holders: set[str]
    erased: bool = False


@dataclass
class Model:
    """What the specification says of what was said so far."""

    said: list[Said] = field(default_factory=list)

    def permits(self, act, sender, to, ref: Said | None, *, thread: bool, topic: str) -> bool:
        """Say whether a statement is to be accepted; `thread` says that its thread is `ref`'s."""
        if ref is None:
            return act == "issue"
        holds, same = sender in ref.holders, thread and topic == ref.topic
        everybody = {sender, *to}
        if act == "issue":
            return holds and thread
        if act in ("correct", "recall"):
            own = ref.sender == sender and ref.act in ("issue", "correct") and not ref.erased
            return own and same and ref.holders <= everybody
        if act == "ask_access":
            return not holds and same and everybody == {sender, ref.sender}
        if act == "grant":
            own = ref.sender == sender and ref.act != "grant" and not ref.erased
            return own and same and not ref.holders & set(to)
        if act in ROOM:
            return holds and same and ref.act == "issue" and ref.first
        return holds and same

    def keep(self, signed, act, sender, to, ref: Said | None) -> None:
        """Note what was accepted."""
        holders = set(to) if act == "grant" else {sender, *to}
        self.said.append(Said(signed, act, sender, signed.statement.topic, act == "issue" and ref is None, holders))
        if act == "grant":
            ref.holders |= set(to)
        if act == "recall":
            ref.erased = True


@settings(max_examples=100)
@given(data=st.data())
def test_any_sequence_of_acts_is_what_the_specification_says(world, data):
    ledger, model = PaperLedger(world), Model()
    for _ in range(data.draw(st.integers(4, 14), label="acts")):
        act = data.draw(st.sampled_from(ACTS + ("correct", "recall", "grant") * 3), label="act")
        # A few notices, of which much is said, and what is gone is spoken of as often as what is there.
        refs = [one for one in model.said if act != "grant" or one.act != "grant"]
        refs = [one for one in refs if one.erased] * 2 + refs[:2] * 2 + refs
        ref = data.draw(st.sampled_from([None, *refs] if act == "issue" or not refs else refs), label="ref")
        if ref is None and act != "issue":
            act = "issue"
        # Often who may, and to whom one must: chance alone would hardly ever be allowed to do anything.
        senders = st.sampled_from(PEOPLE)
        if ref is not None:
            senders |= st.sampled_from(sorted({ref.sender, *ref.holders})) | st.just(ref.sender)
        sender = data.draw(senders, label="sender")
        others = [who for who in PEOPLE if who != sender]
        sets = st.sets(st.sampled_from(others), min_size=1)
        if ref is not None:
            fitting = (ref.holders | {ref.sender}) - {sender} if act != "grant" else set(others) - ref.holders
            sets |= st.just({ref.sender} - {sender} or set(others[:1]))
            # And nearly: one too many, one too few.
            sets |= st.just({ref.sender, others[-1]} - {sender})
            sets |= st.just(set(sorted(fitting)[1:]) or set(others[:1]))
        exactly = ref is not None and fitting and data.draw(st.integers(0, 2), label="exactly") > 0
        to = fitting if exactly else data.draw(sets, label="to")
        thread = data.draw(st.sampled_from([True] * 7 + [False]), label="thread")
        topic = data.draw(st.sampled_from(TOPICS), label="topic") if ref is None else ref.topic
        if ref is not None and data.draw(st.integers(0, 7), label="elsewhere") == 0:
            topic = next(one for one in TOPICS if one != ref.topic)
        signed = _signed(world, act, sender, to, ref, thread=thread, topic=topic)
        outcome = ledger.publish(signed)
        expected = model.permits(act, sender, to, ref, thread=thread, topic=topic)
        if expected:
            assert isinstance(outcome, Accepted), outcome.error
            model.keep(signed, act, sender, to, ref)
            if act == "recall":
                ledger.rows[ref.signed.statement.notice_id].erased = True
        else:
            assert isinstance(outcome, Refused)
            assert outcome.error.code == "act-refused"
    for one in model.said:
        kids = {world.directory.owner(kid) for kid in ledger.holders(one.signed.statement.notice_id)}
        assert kids == one.holders


def _signed(world, act, sender, to, ref, *, thread, topic) -> Signed:
    changes = {"topic": topic}
    if ref is not None:
        about = ref.signed.statement
        changes |= {"ref": about.notice_id, "thread": about.thread if thread else world.statement(sender).notice_id}
    if act == "grant":
        if sender == ref.sender:
            return granted(world, ref.signed, to, **changes)
        return _forged(world, ref.signed, sender, to, changes)
    return world.envelope(sender, to, act, **changes)


def _forged(world, signed, sender, to, changes) -> Signed:
    """Return a grant that another participant makes of somebody's notice, as far as it can."""
    return world.sign([unsigned_grant(world, signed, to, sender=sender, **changes)], by=sender)[0]
