"""A participant's next sealing key: made beside the earlier ones, which go on opening what was sealed to them.

The key goes to the focal point as a request, like the first one. Others seal to it once it counts; by then every gateway
of the participant must have it and have been started again.
"""

from dataclasses import dataclass
from pathlib import Path

from adapters.gateway import identity
from adapters.gateway.folder import Folder
from keys.custody.file import FileCustody
from keys.directory.enrolment import eight_words, make_request
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import Kid, ParticipantId


@dataclass(frozen=True, slots=True)
class NextKey:
    """The new key's id, the request to enter it, and the request's eight words."""

    kid: Kid
    request: bytes
    words: str


def next_sealing_key(folder: Path, passphrase: bytes, participant: ParticipantId, *, now_ms: int) -> NextKey:
    """Make the next sealing key of a participant and the request for it; raise `Error` where there is no gateway."""
    place = Folder(folder)
    enrolled = place.enrolled()
    if enrolled is None:
        raise Error(
            "This folder has no gateway yet.", problem="enrolment", hint="Run `valise gateway init --kit FILE`."
        )
    custody = FileCustody(place.keys, passphrase)
    signing = identity.load(custody, participant).signing
    key = identity.add_sealing(custody, participant)
    request = make_request(
        origin=enrolled.origin,
        participant=participant,
        gateway=enrolled.gateway,
        made_at=from_seconds(now_ms // 1000),
        signing=signing,
        sealing=key,
        request=None,
    )
    return NextKey(key.kid, request, eight_words(request))
