"""What would happen to a notice that is sent now: as sending it would decide, and nothing is kept or sent."""

from adapters.gateway.draft import Draft
from adapters.gateway.network import Network
from adapters.gateway.recipients import Chooser
from adapters.gateway.status import Preview
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import ParticipantId, Pattern


def preview(
    network: Network, participant: ParticipantId, draft: Draft, *, at: int, states: bool, pattern: Pattern | None
) -> Preview:
    """Say who would get a draft and who would not, why, and what would make it lawful; `at` in Unix ms.

    With `states`, each State's focal point is asked about too; with a pattern, the same is said of each of its topics. For
    a thread of its own: it may take a second. Raises `Error` before enrolment.
    """
    chooser = Chooser(network, participant, network.moment(at), from_seconds(at // 1000))
    choice = chooser.choose(draft)
    if choice.publish is None or draft.label is None:
        raise Error("The directory does not have this participant yet.", problem="enrolment")
    said = chooser.answer(draft, network.parties[participant], None)
    return Preview(
        label=draft.label,
        publish=choice.publish,
        changes=said.changes,
        complete=said.complete,
        candidates=chooser.explained(draft, choice, states=states).considered,
        would_send=choice.trouble is None,
        problem=choice.trouble,
        directory=network.directory.version,
        boundary=network.rules.boundary,
        checked_at=from_seconds(0 if network.checkpoint is None else network.checkpoint.at),
        sanitised=chooser.sanitised(draft),
        topics=() if pattern is None else chooser.elsewhere(draft, pattern, states=states),
    )
