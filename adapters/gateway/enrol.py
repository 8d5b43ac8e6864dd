"""Enrol a gateway: from the focal point's kit to a request with eight words, and the practice notice that ends it.

15 minutes (design: access): the kit comes by any way; its fingerprint is compared with what the focal point says. Here
keys are made and backed up; the request goes back; the words are read out over the telephone.
"""

from dataclasses import dataclass
from pathlib import Path

from adapters.gateway import identity
from adapters.gateway.folder import Enrolled, Folder
from adapters.gateway.request import LabelRequest, NoticeRequest
from keys.custody.backup import make_backup
from keys.custody.file import FileCustody
from keys.directory.enrolment import Kit, eight_words, make_request
from schemas.encoding import from_seconds
from schemas.errors import Error
from schemas.ids import Code, ParticipantId, Topic


@dataclass(frozen=True, slots=True)
class Initialised:
    """What `init_gateway` made: the request file, its eight words, the root's fingerprint, and the sealed backup."""

    participant: ParticipantId
    request: bytes
    words: str
    fingerprint: str
    backup: bytes | None


def init_gateway(
    kit: bytes,
    folder: Path,
    passphrase: bytes,
    *,
    gateway: Code,
    now_ms: int,
    backup_passphrase: bytes | None = None,
    no_backup: bool = False,
) -> Initialised:
    """Make the keys of the kit's participant in a folder, and the request to have them entered.

    Every key is backed up under `backup_passphrase`; without one, `no_backup` must say that this is meant. Run again, it
    keeps the keys and makes the request anew; another kit adds a participant. Raises `Error`.
    """
    invited = Kit.parse(kit)
    if backup_passphrase is None and not no_backup:
        raise Error(
            "A lost key loses what only it opened: choose a passphrase for the backup.",
            problem="configuration",
            hint="Give a backup passphrase, or --no-backup.",
        )
    place = Folder(folder)
    before = place.enrolled()
    if before is not None:
        _check_same(before, invited, place.root(), gateway)
    custody = FileCustody(place.keys, passphrase)
    own = identity.create(custody, invited.participant)
    backup = None if backup_passphrase is None else make_backup(custody, backup_passphrase)
    request = make_request(
        origin=invited.origin,
        participant=invited.participant,
        gateway=gateway,
        made_at=from_seconds(now_ms // 1000),
        signing=own.signing,
        sealing=list(own.sealing.values())[-1],
        request=own.request,
    )
    backed_up = backup is not None or (before is not None and before.backup)
    place.write(Enrolled(invited.origin, invited.broker, gateway, backed_up), invited.root)
    return Initialised(invited.participant, request, eight_words(request), invited.fingerprint, backup)


def _check_same(before: Enrolled, invited: Kit, root: bytes, gateway: Code) -> None:
    if before.origin != invited.origin or root != invited.root:
        raise Error("This folder belongs to a gateway of another deployment.", problem="wrong-log")
    if before.gateway != gateway:
        raise Error("This folder's gateway has another name.", problem="configuration")


def practice(focal_point: ParticipantId) -> NoticeRequest:
    """Return the notice that a gateway sends to its focal point to show that everything works."""
    return NoticeRequest(
        topic=Topic("osce.practice"),
        notice={
            "kind": "practice",
            "title": {"language": "en", "text": "Practice notice"},
            "practice": {
                "language": "en",
                "text": "This gateway was enrolled. Whoever reads this can open what it seals.",
            },
        },
        label=LabelRequest(purpose=Code("training"), exercise=True),
        to=(focal_point,),
    )
