"""Before a notice's text is handed to a court: whether its originator has to permit that, and whether it has.

Handling code H1, conditions of H3 and the laws of the States concerned say which received notices may not be used as
evidence without leave. Whoever holds a `permit` shows it by its id: it is read from the broker and verified like the notice.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from adapters.gateway.network import RECIPIENT, Network
from keys.envelope import OpenedNotice
from schemas.act_content import ActContent
from schemas.codes import code_list
from schemas.encoding import Time
from schemas.errors import Error, FormError
from schemas.ids import Code, NoticeId, ParticipantId
from schemas.notice import parse_notice
from schemas.rules.content import Content, content_of
from schemas.rules.decide import decide
from schemas.rules.facts import Facts

USES: Final = ("court", "evidence")
"""What it is to hand a text to whoever judges; each has an obligation of its own in the list `uses`."""

Fetch = Callable[[NoticeId], Awaitable[OpenedNotice]]
"""Fetches, verifies and opens one's own delivery."""


async def demand_leave(
    opened: OpenedNotice,
    who: ParticipantId,
    network: Network,
    permits: tuple[NoticeId, ...],
    fetch: Fetch,
    *,
    now: Time,
) -> None:
    """Demand that a participant may hand on the text of a notice that it holds; raise `Error` where that needs leave.

    What a participant has sent itself it may release. A permit counts that its originator gave for this use of this notice, or
    in answer to this participant's question about it, and whose time is not over.
    """
    if opened.statement.sender == who:
        return
    lacking = set(_needed(opened, who, network))
    for name in permits:
        lacking.discard(await _permitted(await fetch(name), opened, fetch, now))
    if lacking:
        raise Error(
            f"{opened.statement.sender} has not permitted this use: {', '.join(sorted(lacking))}.",
            problem="consent-needed",
            hint="Ask for it (`valise inbox ask-use`), then name the answer: --permit ID.",
        )


def _needed(opened: OpenedNotice, who: ParticipantId, network: Network) -> tuple[Code, ...]:
    """Return which uses need leave by the label and by the laws in force, as the holder's gateway decides on them."""
    statement = opened.statement
    facts = Facts(
        "receive",
        statement.act,
        statement.topic,
        statement.label,
        network.parties[statement.sender],
        network.parties[who],
        statement.issued_at,
        statement.expires_at,
        _content(opened),
    )
    owed = {item.obligation for item in decide(facts, network.rules, evaluator=RECIPIENT).obligations}
    entries = code_list("uses").entries
    return tuple(use for use in map(Code, USES) if entries[use].extra["obligation"] in owed)


def _content(opened: OpenedNotice) -> Content | None:
    label = opened.statement.label
    try:
        return None if label is None else content_of(parse_notice(label.kind, opened.notice, known_codes=False))
    except FormError:
        return None


async def _permitted(answer: OpenedNotice, about: OpenedNotice, fetch: Fetch, now: Time) -> Code | None:
    """Return the use that an answer permits of a notice, None where it permits none of it."""
    statement, notice_id = answer.statement, about.statement.notice_id
    if statement.act != "permit" or statement.sender != about.statement.sender or statement.ref is None:
        return None
    said = ActContent.from_json("permit", answer.notice)
    if said.until is not None and said.until <= now:
        return None
    if statement.ref == notice_id:
        return said.use
    question = await fetch(statement.ref)
    if question.statement.act != "ask_use" or question.statement.ref != notice_id:
        return None
    return ActContent.from_json("ask_use", question.notice).use
