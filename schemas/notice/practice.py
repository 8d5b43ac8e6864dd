"""Kind `practice`: good practice that others may use; also the first notice that a new gateway sends."""

from typing import Annotated, Final, Literal

from pydantic import Field

from schemas.notice.contact import Officer
from schemas.notice.notice import Notice
from schemas.notice.text import Reported, Text
from schemas.strict_json import Json


class Practice(Notice):
    """A practice: the problem that it meets, what is done, what the law must allow, what came of it, whom to ask."""

    kind: Literal["practice"] = "practice"
    title: Text
    problem: Text | None = None
    practice: Text
    legal_prerequisites: Text | None = None
    result: Text | None = None
    contact: Officer | None = None
    reported: Annotated[tuple[Reported, ...], Field(strict=False)] = ()

    def headline(self) -> str:
        """Return the title."""
        return f"Practice: {self.title.text}"


EXAMPLE: Final[dict[str, Json]] = {
    "kind": "practice",
    "title": {"language": "en", "text": "Weighing fuel tanks at the border"},
    "problem": {"language": "en", "text": "Double-walled tanks pass X-ray images unseen."},
    "practice": {"language": "en", "text": "Axle loads are compared with the tank's gauge before the lorry is opened."},
    "legal_prerequisites": {"language": "en", "text": "A power to weigh vehicles without suspicion."},
    "result": {"language": "en", "text": "Eleven finds in a year at one crossing."},
    "contact": {
        "name": "Training unit",
        "authority": "Border Guard",
        "email": "training@example.org",
        "languages": ["en"],
    },
}
