"""What is owed for a received notice: each obligation of the verdict, and the answer that a clock asks for.

A duty arises with its notice, in one commit. It stands as long as the notice does, or is met by a statement, or becomes
overdue at its time. Functions of a transaction; what is done at a time is for `keeping` to do. No answer is asked of
who gives way to others: an agency's clock is its focal point's too, for that has the notice as well, and past the focal
point's own time the deputy's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson

from adapters.gateway.status import Duty, DutyState
from adapters.gateway.store import Transaction
from schemas.codes import LANGUAGES, code_list
from schemas.encoding import Time, from_seconds, to_seconds
from schemas.ids import Code, NoticeId, ParticipantId, role_of
from schemas.label import Label
from schemas.rules.content import Content
from schemas.strict_json import Json

REPLY: Final = Code("reply")
DELETE_BY: Final = Code("delete-by")
RETENTION: Final = Code("keep-within-retention")
CERTIFY: Final = Code("certify-deletion")
COPY: Final = Code("copy-to-focal-point")
REPORT: Final = Code("report-outcome")
SHARING: Final = Code("ask-before-sharing")
SANITISE: Final = Code("sanitise-before-sharing")
TACIT: Final = Code("tacit-consent")
CONFIRM: Final = Code("confirm-in-writing")
DELETING: Final = (DELETE_BY, RETENTION, CERTIFY)
"""Duties whose time deletes the notice, unless it is gone already."""

CLOCKED: Final = frozenset({"issue", "correct", "ask_access", "ask_use"})
"""Acts that may ask for an answer within a time."""

_NOTICES: Final = frozenset({"issue", "correct"})
REPLY_REASON: Final = dict(
    zip(
        LANGUAGES,
        (
            "The sender asks for an answer within this time.",
            "L'émetteur demande une réponse dans ce délai.",
            "Der Absender bittet um Antwort innerhalb dieser Zeit.",
            "Il mittente chiede una risposta entro questo termine.",
            "Отправитель просит ответить в этот срок.",
            "El remitente pide una respuesta dentro de este plazo.",
        ),
        strict=True,
    )
)
WHY: Final = "duty.why"
LEAST_GRACE_MS: Final = 3_600_000
GRACE: Final = 4
"""Past the time for an answer the focal point has a quarter of it, at least an hour, before its deputy is called."""

_DAY_MS: Final = 24 * 3600 * 1000


def arise(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    act: str,
    label: Label | None,
    obligations: Sequence[Mapping[str, Any]],
    *,
    received_at: int,
    issued_at: Time,
    expires_at: Time | None,
    is_focal_point: bool,
    facts: Content | None = None,
) -> None:
    """Keep what a notice asks for that has just arrived; `received_at` in Unix ms of its leaf.

    `facts` are of its content: what is to be done after a delivery counts from the end of that one's window. What is said
    about a notice asks for an answer at most.
    """
    times = _Times(received_at, to_seconds(issued_at) * 1000, expires_at, facts or Content(""))
    for why in obligations if act in _NOTICES else ():
        code = why.get("obligation")
        if isinstance(code, str):
            due = _due(Code(code), why, times)
            state = _first(Code(code), due, why, is_focal_point=is_focal_point)
            since = times.begins if code == REPORT else received_at
            _add(tx, participant, notice_id, Code(code), state, due, since, why)
    due = reply_due(act, label, received_at)
    if due is not None and label is not None:
        clock = {
            "obligation": REPLY,
            "reason": REPLY_REASON,
            "parameters": {"urgency": label.urgency or "", "reply_due": label.reply_due or ""},
        }
        _add(tx, participant, notice_id, REPLY, DutyState.OPEN, due, received_at, clock)


@dataclass(frozen=True, slots=True)
class _Times:
    """A notice's times: of its leaf and its statement in Unix ms, and when it expires."""

    received_at: int
    issued_at: int
    expires_at: Time | None
    facts: Content

    @property
    def begins(self) -> int:
        """Return from when the outcome can be reported: there is none before the delivery may have begun."""
        return max(self.received_at, _ms(self.facts.begins) or 0)

    @property
    def ends(self) -> int:
        """Return when the delivery is over, but not before the notice came."""
        return max(self.received_at, _ms(self.facts.ends) or 0)


def _ms(time: Time | None) -> int | None:
    return None if time is None else to_seconds(time) * 1000


def _first(code: Code, due: int | None, why: Mapping[str, Any], *, is_focal_point: bool) -> DutyState:
    if code == COPY:
        own = is_focal_point and _said(why).get("whose") != "sender"
        return DutyState.MET if own else DutyState.WITH_SENDER
    if code == TACIT:
        return DutyState.STANDING  # to say nothing is an answer
    return DutyState.OPEN if due is not None or code in (CERTIFY, REPORT) else DutyState.STANDING


def _add(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    code: Code,
    state: DutyState,
    due: int | None,
    since: int,
    why: Mapping[str, Any],
) -> None:
    # Two States may ask for the same thing; the earlier time counts.
    tx.connection.execute(
        "INSERT INTO duty (participant, notice_id, code, state, due, since, why) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (participant, notice_id, code) DO UPDATE SET"
        " due = min(coalesce(due, excluded.due), coalesce(excluded.due, due)),"
        " state = CASE WHEN excluded.due IS NOT NULL THEN excluded.state ELSE state END",
        (
            participant,
            notice_id,
            code,
            state,
            due,
            since,
            tx.seal(WHY, _place(participant, notice_id, code), _json(why)),
        ),
    )


def _json(why: Mapping[str, Any]) -> bytes:
    return orjson.dumps(why)


def _place(participant: str, notice_id: str, code: str) -> str:
    return f"{participant}/{notice_id}/{code}"


def _said(why: Mapping[str, Any]) -> Mapping[str, Any]:
    parameters = why.get("parameters")
    return parameters if isinstance(parameters, Mapping) else {}


def _due(code: Code, why: Mapping[str, Any], times: _Times) -> int | None:
    """Return when an obligation must be done, in Unix ms, by what it says or by the notice's own expiry."""
    said = _said(why)
    if code == DELETE_BY:
        values = said.get("values") or ()
        # By a day and before a day are the same here: at its first second it is gone.
        return day(values[0]) if values else None
    days = said.get("days")
    ahead: int | None = None
    if isinstance(days, str) and days.isascii() and days.isdigit() and len(days) < 6:
        ahead = int(days) * _DAY_MS
    if code == RETENTION:
        ends = [] if times.expires_at is None else [to_seconds(times.expires_at) * 1000]
        ends += [] if ahead is None else [times.issued_at + ahead]
        return min(ends, default=None)
    if code == REPORT:
        return None if ahead is None else times.ends + ahead
    if code == CONFIRM:
        ends = [end for end in (_ms(times.facts.oral_until),) if end is not None]
        return min([*ends, *([] if ahead is None else [times.issued_at + ahead])], default=None)
    return times.received_at + ahead if ahead is not None and code in (CERTIFY, TACIT) else None


def day(text: object) -> int | None:
    """Return when a day (`YYYY-MM-DD`) begins, in Unix ms; None for what is no day."""
    try:
        return int(datetime.strptime(str(text), "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError:
        return None  # the rules refuse such a label


def reply_due(act: str, label: Label | None, received_at: int) -> int | None:
    """Return when an answer to a statement of an act is due, in Unix ms; None where none is."""
    if label is None or act not in CLOCKED:
        return None
    if label.reply_due is not None:
        return to_seconds(label.reply_due) * 1000
    entry = code_list("urgency").entries.get(label.urgency or Code(""))
    seconds = None if entry is None else entry.extra.get("clock_seconds")
    return received_at + seconds * 1000 if isinstance(seconds, int) else None


# What meets a duty


def answered(
    tx: Transaction, participant: ParticipantId, notice_id: NoticeId, by: NoticeId, *, act: str, at: int
) -> None:
    """Note that a notice was answered, by the statement `by` of an act: in time or late.

    A notice that answers once the delivery may have begun reports its outcome, unless it was asked for by a clock: that
    the question has arrived, or what one thinks of it, is no outcome. Nor is a consent.
    """
    _objected(tx, participant, notice_id, by, at)
    if not _meet(tx, participant, notice_id, (REPLY,), by, at) and act == "issue":
        tx.connection.execute(
            "UPDATE duty SET state = 'met', met_at = ?, met_by = ? WHERE participant = ? AND notice_id = ? AND code = ?"
            " AND state IN ('open', 'overdue') AND since <= ?",
            (at, by, participant, notice_id, REPORT, at),
        )


def answered_for(
    tx: Transaction, participant: ParticipantId, sender: ParticipantId, notice_id: NoticeId, by: NoticeId, *, at: int
) -> None:
    """Note that somebody of the same State has answered a notice that this participant has, too."""
    if sender != participant and role_of(sender) == role_of(participant):
        _meet(tx, participant, notice_id, (REPLY,), by, at)
        _objected(tx, participant, notice_id, by, at)


def _objected(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, by: NoticeId, at: int) -> None:
    """Note that there was an answer in time where silence would have been consent."""
    tx.connection.execute(
        "UPDATE duty SET state = 'met', met_at = ?, met_by = ? WHERE participant = ? AND notice_id = ? AND code = ?"
        " AND (state = 'standing' OR (state = 'effective' AND due > ?))",
        (at, by, participant, notice_id, TACIT, at),
    )


def silent(tx: Transaction, participant: ParticipantId, now: int) -> bool:
    """Say whether some silence of a participant's counts as consent that is not noted as such."""
    row = tx.connection.execute(
        "SELECT 1 FROM duty WHERE participant = ? AND state = 'standing' AND due <= ? AND code = ? LIMIT 1",
        (participant, now, TACIT),
    ).fetchone()
    return row is not None


def take_effect(tx: Transaction, participant: ParticipantId, now: int) -> int:
    """Note where the time is over after which a participant's silence counts as consent; return how often it is new.

    An answer that was given in time and arrives late undoes it.
    """
    return tx.connection.execute(
        "UPDATE duty SET state = 'effective', met_at = due WHERE participant = ? AND state = 'standing' AND due <= ?"
        " AND code = ?",
        (participant, now, TACIT),
    ).rowcount


def confirmed(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, by: NoticeId, *, at: int) -> None:
    """Note that its sender has confirmed an oral request in writing: in time or late."""
    _meet(tx, participant, notice_id, (CONFIRM,), by, at)


def deleted(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, *, at: int, recalled: bool) -> None:
    """Note that a notice's text is gone here: what is owed still is the certificate, and to keep it from others.

    What was read can be passed on without the text. An answer is owed as well, unless the sender has recalled it.
    """
    _meet(tx, participant, notice_id, (DELETE_BY, RETENTION), None, at)
    tx.connection.execute(
        "DELETE FROM duty WHERE participant = ? AND notice_id = ? AND state NOT IN ('met', 'effective')"
        " AND code NOT IN (?, ?, ?) AND (? OR code NOT IN (?, ?))",
        (participant, notice_id, CERTIFY, SHARING, SANITISE, recalled, REPLY, TACIT),
    )
    tx.connection.execute(
        "UPDATE duty SET due = ? WHERE participant = ? AND notice_id = ? AND code = ? AND state = 'open'",
        (at, participant, notice_id, CERTIFY),
    )


def certified(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, by: NoticeId, *, at: int) -> None:
    """Note which statement certifies a deletion."""
    _meet(tx, participant, notice_id, (CERTIFY,), by, at)


def _meet(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    codes: Sequence[Code],
    by: NoticeId | None,
    at: int,
) -> int:
    """Meet duties that are to be done; return how many there were."""
    number = 0
    for code in codes:
        number += tx.connection.execute(
            "UPDATE duty SET state = 'met', met_at = ?, met_by = ? WHERE participant = ? AND notice_id = ? AND code = ?"
            " AND state IN ('open', 'overdue')",
            (at, by, participant, notice_id, code),
        ).rowcount
    return number


def permit(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    use: str,
    until: Time | None,
    by: NoticeId,
    *,
    at: int,
) -> None:
    """Note that the originator has permitted a use, or with `until` permitted it for a time."""
    _lift(tx, participant, notice_id, use, DutyState.PERMITTED, until, by, at)


def forbid(
    tx: Transaction, participant: ParticipantId, notice_id: NoticeId, use: str, by: NoticeId, *, at: int
) -> None:
    """Note that the originator has refused a use, perhaps after it had permitted it."""
    _lift(tx, participant, notice_id, use, DutyState.STANDING, None, by, at)


def _lift(
    tx: Transaction,
    participant: ParticipantId,
    notice_id: NoticeId,
    use: str,
    state: DutyState,
    until: Time | None,
    by: NoticeId,
    at: int,
) -> None:
    entry = code_list("uses").entries.get(Code(use))
    if entry is None:
        return
    # In the log's order, whatever the order of arrival: the latest word counts.
    tx.connection.execute(
        "UPDATE duty SET state = ?, permitted_until = ?, met_at = ?, met_by = ? WHERE participant = ? AND notice_id = ?"
        " AND code = ? AND state IN ('standing', 'permitted') AND coalesce(met_at, 0) <= ?",
        (state, until, at, by, participant, notice_id, str(entry.extra["obligation"]), at),
    )


# What is asked


def of(tx: Transaction, participant: ParticipantId, notice_id: NoticeId) -> tuple[Duty, ...]:
    """Return what is owed for a notice, by code."""
    rows = tx.connection.execute(
        f"SELECT {_COLUMNS} FROM duty WHERE participant = ? AND notice_id = ? ORDER BY code",  # noqa: S608 - constants
        (participant, notice_id),
    )
    return tuple(_duty(tx, row) for row in rows.fetchall())


def listed(
    tx: Transaction, participant: ParticipantId, *, state: DutyState | None, limit: int = 1000
) -> tuple[Duty, ...]:
    """Return what a participant owes: with a time first, the nearest ahead."""
    rows = tx.connection.execute(
        f"SELECT {_COLUMNS} FROM duty WHERE participant = ? AND (? IS NULL OR state = ?)"  # noqa: S608 - constants
        " ORDER BY due IS NULL, due, notice_id, code LIMIT ?",
        (participant, state, state, limit),
    )
    return tuple(_duty(tx, row) for row in rows.fetchall())


def past(tx: Transaction, now: int, *, limit: int) -> tuple[Duty, ...]:
    """Return duties that a deletion meets, of all participants, whose time is over, the oldest first."""
    rows = tx.connection.execute(
        f"SELECT {_COLUMNS} FROM duty WHERE due IS NOT NULL AND state IN ('open', 'overdue') AND due <= ?"  # noqa: S608
        " AND code IN (?, ?, ?) ORDER BY due LIMIT ?",
        (now, *DELETING, limit),
    )
    return tuple(_duty(tx, row) for row in rows.fetchall())


class Late(StrEnum):
    """Which duties of a participant are overdue: those that ask for an answer, of them the deputy's, or all others."""

    REPLIES = "replies"
    CALLED = "called"  # answers whose time is so far over that a focal point's deputy is called
    NOT_CALLED = "not-called"
    OTHERS = "others"


def late(
    tx: Transaction, participant: ParticipantId, which: Late, now: int, *, most: int
) -> tuple[int, list[NoticeId]]:
    """Return how many duties of a participant are overdue, and the notices of the `most` that are so the shortest.

    All are counted, those of one sort apart from the others': what nobody does hides nothing that has just become overdue.
    """
    where = (
        # Named, because the planner would as soon go through all that a participant was ever owed.
        "FROM duty INDEXED BY duty_listed"
        " WHERE participant = :who AND due IS NOT NULL AND state IN ('open', 'overdue') AND due <= :now AND "
        + _WHICH[which]
    )
    given = {"who": participant, "now": now, "least": LEAST_GRACE_MS, "grace": GRACE, "most": most}
    (number,) = tx.connection.execute(f"SELECT count(*) {where}", given).fetchone()
    rows = tx.connection.execute(
        f"SELECT notice_id {where} ORDER BY due DESC, notice_id LIMIT :most",
        given,
    )
    return int(number), [NoticeId(name) for (name,) in rows.fetchall()]


_NOT_OTHERS: Final = ", ".join(repr(str(code)) for code in (REPLY, *DELETING))
_REPLIES: Final = f"code = '{REPLY}'"
_DEPUTY_AT: Final = "due + max(:least, (due - since) / :grace)"
"""As `deputy_at` has it."""

_WHICH: Final = {
    Late.REPLIES: _REPLIES,
    Late.CALLED: f"{_REPLIES} AND {_DEPUTY_AT} <= :now",
    Late.NOT_CALLED: f"{_REPLIES} AND {_DEPUTY_AT} > :now",
    Late.OTHERS: f"code NOT IN ({_NOT_OTHERS})",
}


def becomes_overdue(tx: Transaction, now: int) -> bool:
    """Say whether some duty that no deletion meets is overdue and not noted as such."""
    row = tx.connection.execute(
        "SELECT 1 FROM duty WHERE due IS NOT NULL AND state IN ('open', 'overdue') AND state = 'open' AND due <= ?"
        " AND code NOT IN (?, ?, ?) LIMIT 1",
        (now, *DELETING),
    ).fetchone()
    return row is not None


def mark_overdue(tx: Transaction, now: int) -> int:
    """Note which duties are overdue that no deletion meets; return how many are since the last time."""
    return tx.connection.execute(
        "UPDATE duty SET state = 'overdue' WHERE due IS NOT NULL AND state IN ('open', 'overdue') AND state = 'open'"
        " AND due <= ? AND code NOT IN (?, ?, ?)",
        (now, *DELETING),
    ).rowcount


def stands(tx: Transaction, participant: ParticipantId, notice_id: NoticeId, code: Code, *, now: int) -> bool:
    """Say whether a duty forbids something now: it is there, and no permission of the originator's lifts it."""
    row = tx.connection.execute(
        "SELECT state, permitted_until FROM duty WHERE participant = ? AND notice_id = ? AND code = ?",
        (participant, notice_id, code),
    ).fetchone()
    if row is None:
        return False
    state, until = row
    return state != DutyState.PERMITTED or (until is not None and until <= from_seconds(now // 1000))


_COLUMNS: Final = "participant, notice_id, code, state, due, since, met_at, met_by, permitted_until, why"


def _duty(tx: Transaction, row: tuple[Any, ...]) -> Duty:
    participant, notice_id, code, state, due, since, met_at, met_by, permitted_until, cell = row
    why: dict[str, Json] = orjson.loads(tx.open(WHY, _place(participant, notice_id, code), cell))
    clocked = due is not None and code == REPLY
    return Duty(
        participant=ParticipantId(participant),
        notice_id=NoticeId(notice_id),
        code=Code(code),
        state=DutyState(state),
        due=None if due is None else _time(due),
        escalates=_time(due) if clocked else None,
        deputy_at=_time(deputy_at(since, due)) if clocked else None,
        met_at=None if met_at is None else _time(met_at),
        met_by=met_by,
        permitted_until=permitted_until,
        why=why,
    )


def called_by(label: Label, received_at: int) -> Time | None:
    """Return until when nobody can have been called for a notice with a clock but those who stand in till then.

    None where it has no clock. `received_at` in Unix ms.
    """
    due = reply_due("issue", label, received_at)
    return None if due is None else _time(deputy_at(received_at, due))


def deputy_at(since: int, due: int) -> int:
    """Return when an answer that was due is its focal point's deputy's to give, in Unix ms."""
    return due + max(LEAST_GRACE_MS, (due - since) // GRACE)


def _time(milliseconds: int) -> Time:
    return from_seconds(milliseconds // 1000)
