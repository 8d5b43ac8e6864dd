"""`valise law decide`: who may get this, who may not, by which article, and what would make it lawful.

Asks the rules at the desk, by the verified directory or a folder of profiles; nothing is sent, no broker decides.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

import typer

from adapters.cli import verdicts
from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile
from adapters.cli.law_world import AtTime, DeploymentOption, LawsFolder, World, read_law, world
from adapters.cli.terminal import Column, terminal
from adapters.gateway import drafting, labels
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import NoticeRequest
from schemas.codes import code_list
from schemas.encoding import Time, from_seconds, to_seconds
from schemas.errors import FormError
from schemas.ids import Topic, pattern
from schemas.rules.answer import Answer, answer
from schemas.rules.content import content_of
from schemas.rules.facts import Facts, Party
from schemas.strict_json import Json

DESK: Final = "desk"
DAY: Final = 86400


def decide(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The notice, as for `valise notice send`.", exists=True)],
    sender: Annotated[str, typer.Option("--from", metavar="WHO", help="Who would send it: al/police, or al.")],
    to: Annotated[
        list[str] | None, typer.Option("--to", metavar="WHO", help="Whom: a participant or a State; may stand again.")
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="A topic or a pattern, such as central-asia.*.")
    ] = None,
    deployment: DeploymentOption = None,
    laws: LawsFolder = None,
    draft: Annotated[
        Path | None, typer.Option("--draft", metavar="FILE", help="A profile in its State's place.", exists=True)
    ] = None,
    at: AtTime = None,
    ca_file: CaFile = None,
) -> None:
    """Say who may get a notice, and what would make each no a yes. Without --to: all States. Exit code 1: nobody may."""
    place = world(deployment, laws, at, ca_file)
    if draft is not None:
        place = place.with_law(read_law(draft))
    facts = _facts(file, place, place.party(sender), topic)
    asked = [place.party(name) for name in to] if to else [one for one in place.points.values() if one != facts.sender]
    rows = []
    for party in asked:
        rows += _rows(facts, party, place, topic)
    _show(rows, facts, place)
    if all(row["answer"] in ("no", "unknown") for row in rows):
        raise AnswerIsNoError


def _facts(file: Path, place: World, sender: Party, topic: str | None) -> Facts:
    request = NoticeRequest.parse(file.read_bytes())
    notice = drafting.read_notice(request.notice)
    label = labels.complete(request.label, notice, LabelDefaults())
    now = place.rules.boundary or Time("1970-01-01T00:00:00Z")
    expires = request.expires_at or from_seconds(to_seconds(now) + LabelDefaults().days * DAY)
    about = request.topic if topic is None else Topic(pattern(topic))
    return Facts("receive", "issue", about, label, sender, sender, now, expires, content_of(notice))


def _rows(facts: Facts, party: Party, place: World, topic: str | None) -> list[dict[str, Json]]:
    """Return a row for a recipient: one where all topics of a pattern have the same answer, else one for each."""
    assert facts.topic is not None  # a request has one
    topics = _topics(facts.topic)
    found = [(one, _answer(replace(facts, topic=one, recipient=party), place)) for one in topics]
    rows = [_row(party, one if topic is None or len(topics) > 1 else topic, said) for one, said in found]
    if len({str({**row, "topic": ""}) for row in rows}) == 1:
        return [{**rows[0], "topic": topic or rows[0]["topic"]}]
    return rows


def _answer(facts: Facts, place: World) -> Answer:
    """Return what keeps it from being published at all, else what is said of the recipient."""
    publish = answer(replace(facts, action="publish", recipient=None), place.rules, evaluator=DESK)
    received = answer(facts, place.rules, evaluator=DESK)
    # What makes it lawful to send it to somebody also meets what the sender's law asks of publishing it, but where no
    # change lets the sender publish it, none that is found for a recipient helps.
    if not publish.verdict.permitted and (received.verdict.permitted or not publish.changes):
        return publish
    return received


def _topics(topic: str) -> list[Topic]:
    regions, themes = (
        sorted(code_list(name).entries) if part == "*" else [part]
        for part, name in zip(topic.split("."), ("regions", "themes"), strict=True)
    )
    for part, name in ((regions, "regions"), (themes, "themes")):
        if not set(part) <= set(code_list(name).entries):
            raise FormError(f"The code is not in the list of {name}.", pointer="/topic")
    return [Topic(f"{region}.{theme}") for region in regions for theme in themes]


def _row(party: Party, topic: str, said: Answer) -> dict[str, Json]:
    found = said.to_json()
    row = verdicts.told(found["verdict"], found["changes"], complete=said.complete)
    owed: list[Json] = list(verdicts.codes_owed(said.verdict.to_json()))
    return {
        "participant": party.id,
        "state": party.role,
        "topic": topic,
        **found,
        "why": row["why"],
        "owed": owed,
        "lawful": row["lawful"],
    }


def _show(rows: list[dict[str, Json]], facts: Facts, place: World) -> None:
    where = terminal()
    columns = [
        Column("Who", "participant", whole=True),
        *([Column("Topic", "topic", whole=True)] if len({row["topic"] for row in rows}) > 1 else []),
        *verdicts.COLUMNS,
    ]
    versions: dict[str, Json] = {"directory": place.rules.version, "boundary": place.rules.boundary, "evaluator": DESK}
    label = None if facts.label is None else facts.label.to_json()
    if where.as_json:
        where.json({"answers": list(rows), "sender": facts.sender.id, "label": label, **versions})
        return
    shown = [{**row, **verdicts.told(row["verdict"], row["changes"], complete=row["complete"] is True)} for row in rows]
    where.listing("answers", shown, columns)
    counts = {name: sum(row["answer"] == name for row in rows) for name in ("yes", "yes-if", "no", "unknown")}
    unknown = f", {counts['unknown']} not known" if counts["unknown"] else ""
    where.say(
        f"{counts['yes']} yes, {counts['yes-if']} yes if, {counts['no']} no{unknown}, by directory version "
        f"{place.rules.version} as of {place.rules.boundary}. Decided at this desk, contents included; nothing was sent."
    )
