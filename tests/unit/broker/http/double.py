"""A service that answers what a test says, and what tests of the interface say again and again."""

from dataclasses import dataclass, field

from broker.telemetry import Figures
from schemas.rules.verdict import Determination, Effect
from tests.world import ORIGIN

NOTICE = "01935f2e-8c00-7a3b-9c4d-5e6f70819203"
AUTHORITY = "broker.test"
JSON = {"Content-Type": "application/json"}
WHY = Determination(
    condition="c1",
    layer="law",
    state="kz",
    effect=Effect.DENY,
    instrument="Instrument",
    article="Article 1",
    reason={"en": "Because."},
    evaluated_by="broker",
)


class InTurn(list):
    """Answers that are given one after the other."""


@dataclass
class Double:
    """A service whose answers a test sets; an answer that is an exception is raised."""

    trust: object
    now: int
    origin: str = ORIGIN
    size: int = 7
    note: bytes | None = b"note\n"
    note_size: int = 7
    answers: dict[str, object] = field(default_factory=dict)
    asked: list[tuple] = field(default_factory=list)

    def now_ms(self):
        return self.now * 1000

    def _give(self, name, *asked):
        self.asked.append((name, *asked))
        answer = self.answers[name]
        if isinstance(answer, InTurn):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def readiness(self):
        return self._give("readiness")

    def stream(self, *asked):
        return self._give("stream", *asked)

    def figures(self):
        return Figures({"tree_size": self.size})


def _method(name):
    async def call(self, *asked):
        return self._give(name, *asked)

    return call


for _name in (
    *(
        "publish",
        "publish_many",
        "wait_checkpoint",
        "feed",
        "held",
        "delivery",
        "proof_text",
        "subscriptions",
        "audit_page",
        "own_page",
    ),
    *("log_object", "tile", "entries", "directory_file", "upload_role"),
):
    setattr(Double, _name, _method(_name))


def code(answer):
    return answer.json()["type"].removeprefix("urn:valise:problem:")
