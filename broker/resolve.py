"""Resolving, as a function: who may get this from whom, who may not, and what would make it lawful (design: Verdicts).

A convenience for participants: no gateway relies on it, and each notice is decided on again when it is published and
delivered. Labels only: conditions over contents are named as unseen. Directory and rules are open to all participants,
so an answer shows nothing that its reader could not work out.
"""

import asyncio
from dataclasses import dataclass

from broker.decisions import EVALUATOR
from broker.trust import Trust
from schemas import ids, strict_json
from schemas.encoding import Members, Time
from schemas.errors import Error, FormError
from schemas.ids import ParticipantId, Pattern, Topic
from schemas.label import Label
from schemas.rules.answer import MOST_DECISIONS, answer
from schemas.rules.facts import Facts, Party
from schemas.strict_json import Json

MOST_ANSWERS = 2_000
"""Recipients times topics that one question may be about."""
BUDGET = 20_000
"""Decisions that one question may cost beyond one for each answer: about half a second of one core."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a topic or pattern, a label, whom; `states` asks about each State's focal point."""

    topic: Pattern
    label: Label
    recipients: tuple[ParticipantId, ...]
    states: bool
    expires_at: Time | None

    @classmethod
    def parse(cls, data: bytes) -> "Question":
        """Read a question; raise `MalformedError` or `FormError`."""
        m = Members(strict_json.parse(data), ("topic", "label", "recipients", "states", "expires_at"))
        return cls(
            topic=m.matching("topic", ids.pattern),
            label=Label.from_json(m.value["label"]),
            recipients=m.sorted_strings("recipients", ids.participant),
            states=m.boolean("states"),
            expires_at=None if m.absent("expires_at") else m.time("expires_at"),
        )


def resolve(question: Question, caller: ParticipantId, trust: Trust, now: Time) -> dict[str, Json]:
    """Return the answers to a question of a participant about what it would send; raise `FormError`."""
    sender = trust.parties[caller]
    recipients = _recipients(question, caller, trust)
    topics = _topics(question.topic, trust)
    if len(recipients) * len(topics) > MOST_ANSWERS:
        raise FormError(f"Asks for more than {MOST_ANSWERS} answers.", pointer="/recipients")
    answers: list[Json] = []
    budget = _Budget(BUDGET, len(topics) * (len(recipients) + 1))
    for topic in topics:
        facts = Facts("publish", "issue", topic, question.label, sender, None, now, question.expires_at)
        answers.append({"participant": caller, "topic": topic, "action": "publish", **budget.said(facts, trust)})
        for party in recipients:
            one = Facts("receive", "issue", topic, question.label, sender, party, now, question.expires_at)
            answers.append({"participant": party.id, "topic": topic, "action": "receive", **budget.said(one, trust)})
    return {
        "sender": caller,
        "directory": trust.directory.version,
        "boundary": trust.boundary,
        "evaluator": EVALUATOR,
        "answers": answers,
    }


class Questions:
    """The questions that are being answered: one of each participant at a time. Used in one event loop."""

    def __init__(self) -> None:
        self._running: dict[ParticipantId, asyncio.Task[dict[str, Json]]] = {}

    async def ask(self, question: Question, caller: ParticipantId, trust: Trust, now: Time) -> dict[str, Json]:
        """Answer a question in a thread, as `resolve` does; raise `rate-limited` while another one of the caller runs."""
        if caller in self._running:
            raise Error("Another question of this participant is being answered.", problem="rate-limited")
        task = asyncio.ensure_future(asyncio.to_thread(resolve, question, caller, trust, now))
        self._running[caller] = task
        task.add_done_callback(lambda _: self._done(caller))
        # Who hangs up has asked all the same: the thread goes on, and the next question waits for it.
        return await asyncio.shield(task)

    def _done(self, caller: ParticipantId) -> None:
        task = self._running.pop(caller)
        if not task.cancelled():
            task.exception()  # who asked was told, or is gone


@dataclass(slots=True)
class _Budget:
    """What is left of a question's decisions, shared out evenly among the answers that are still to be given."""

    left: int
    answers: int

    def said(self, facts: Facts, trust: Trust) -> dict[str, Json]:
        found = answer(facts, trust.rules, evaluator=EVALUATOR, most=min(MOST_DECISIONS, 1 + self.left // self.answers))
        self.answers -= 1
        self.left -= found.decisions - 1
        return found.to_json()


def _recipients(question: Question, caller: ParticipantId, trust: Trust) -> list[Party]:
    for number, who in enumerate(question.recipients):
        if who not in trust.parties:
            raise FormError("The directory has no such participant.", pointer=f"/recipients/{number}")
    asked = list(question.recipients)
    if question.states:
        roles = sorted(role for role in trust.rules.roles if ids.is_state(role))
        points = (trust.focal_point(role) for role in roles)
        asked += [point for point in points if point is not None and point != caller and point not in asked]
    return [trust.parties[who] for who in asked]


def _topics(pattern: Pattern, trust: Trust) -> list[Topic]:
    region, _, theme = pattern.partition(".")
    known = trust.rules.known
    regions = sorted(known.regions) if region == "*" else [region]
    themes = sorted(known.themes) if theme == "*" else [theme]
    return [Topic(f"{one}.{other}") for one in regions for other in themes]
