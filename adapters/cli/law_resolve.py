"""`valise law resolve`: the broker's word on who may receive a notice, by its label alone, before it is sent.

The notice stays at the desk: only its topic and label travel, signed by the participant's request key. What depends on
contents the broker names and leaves to both gateways; `valise law decide` and a gateway's preview look at them too.
"""

import time
from pathlib import Path
from typing import Annotated

import typer

from adapters.cli import verdicts
from adapters.cli.audit import FolderOption, Who, auditor_of
from adapters.cli.broker_access import with_broker
from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile
from adapters.cli.law_decide import DAY
from adapters.cli.passphrase import PassphraseFile
from adapters.cli.terminal import Column, terminal
from adapters.client.answers import Resolved
from adapters.client.broker import BrokerClient
from adapters.gateway import drafting, labels
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import NoticeRequest
from schemas import encoding, ids
from schemas.encoding import from_seconds
from schemas.ids import pattern
from schemas.strict_json import Json


def resolve(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The notice, as for `valise notice send`.", exists=True)],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="WHO", help="Whom: a participant, such as it/police; may stand again."),
    ] = None,
    topic: Annotated[
        str | None, typer.Option("--topic", metavar="TOPIC", help="A topic or a pattern, such as central-asia.*.")
    ] = None,
    folder: FolderOption = None,
    participant: Who = None,
    passphrase_file: PassphraseFile = None,
    ca_file: CaFile = None,
) -> None:
    """Ask the broker who may receive a notice, by its label. Without --to: all States. Exit code 1: nobody may."""
    question = _question(file, to or [], topic)
    asking = auditor_of(folder, participant, passphrase_file)

    async def work(broker: BrokerClient) -> Resolved:
        return await broker.resolve(asking.sign, question)

    found = with_broker(asking.deployment.broker, ca_file, work)
    _show(found)
    if not any(one["answer"] != "no" for one in found.answers if one["action"] == "receive"):
        raise AnswerIsNoError


def _question(file: Path, to: list[str], topic: str | None) -> bytes:
    request = NoticeRequest.parse(file.read_bytes())
    label = labels.complete(request.label, drafting.read_notice(request.notice), LabelDefaults())
    expires = request.expires_at or from_seconds(int(time.time()) + LabelDefaults().days * DAY)
    return encoding.encode(
        {
            "topic": request.topic if topic is None else pattern(topic),
            "label": label.to_json(),
            "recipients": sorted({ids.participant(name) for name in to}),
            "states": not to,
            "expires_at": expires,
        }
    )


def _show(found: Resolved) -> None:
    where = terminal()
    about: dict[str, Json] = {
        "sender": found.sender,
        "directory": found.directory,
        "boundary": found.boundary,
        "evaluator": found.evaluator,
    }
    if where.as_json:
        where.json({"answers": list(found.answers), **about})
        return
    rows = [{**one, **verdicts.told(one["verdict"], one["changes"])} for one in found.answers]
    several = len({row["topic"] for row in rows}) > 1
    columns = [
        Column("Who", "participant", whole=True),
        Column("May", "action", whole=True),
        *([Column("Topic", "topic", whole=True)] if several else []),
        *verdicts.COLUMNS,
        Column("Not seen", "unseen"),
    ]
    where.listing("answers", rows, columns)
    where.say(f"By directory version {found.directory}, as the broker decides: by the label. Nothing was sent.")
    if any(row["unseen"] for row in rows):
        where.say(
            "It did not see the contents: what stands under “Not seen” is for the sender's and recipient's gateways."
        )
