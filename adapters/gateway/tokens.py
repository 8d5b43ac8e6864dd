"""Bearer tokens of agency systems: each belongs to one participant and is stored as its SHA-256 only.

A token is `valise_` and 32 random bytes in base64url. Such a token cannot be guessed, so a slow hash would protect
nothing and cost every request; SHA-256 is enough. The file `tokens.json` is replaced as a whole, under a lock, by the
command line and by the running gateway alike; the gateway notices a new file by its inode, time and size.
This module knows nothing of HTTP.
"""

import fcntl
import hmac
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

import structlog

from keys.custody import durable
from keys.custody.errors import refuse_newer
from schemas import ids, strict_json
from schemas.encoding import Members, Time, b64encode, from_seconds
from schemas.errors import Error, FormError, MalformedError, TooLargeError
from schemas.ids import ParticipantId

_LOG: Final = structlog.stdlib.get_logger()
PREFIX: Final = "valise_"
FILE: Final = "tokens.json"
VERSION: Final = 1
_TOKEN: Final = re.compile(r"valise_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_LABEL: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,80}")
_ID: Final = re.compile(r"[0-9a-f]{12}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MEMBERS: Final = ("id", "label", "participant", "sha256", "created", "last_used")


class TokenError(Error):
    """No token in force answers to this one."""

    problem = "unauthenticated"


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token; `last_used` is a day, so that the file is written once a day and tells little."""

    id: str
    label: str
    participant: ParticipantId
    digest: str
    created: Time
    last_used: str | None


def _utc_seconds() -> int:
    return int(datetime.now(UTC).timestamp())


class Tokens:
    """The tokens in one gateway's folder. Owned by whoever holds the lock; readers see whole files only."""

    def __init__(self, folder: Path, *, now: Callable[[], int] = _utc_seconds) -> None:
        self._path = folder / FILE
        self._lock = folder / "tokens.lock"
        self._now = now
        self._seen: tuple[int, int, int] | None = None
        self._tokens: tuple[Token, ...] = ()

    def new(self, participant: ParticipantId, label: str) -> tuple[Token, str]:
        """Make a token and return its record and the token itself, which is nowhere else; raise `FormError`."""
        if not _LABEL.fullmatch(label):
            raise FormError("A token's label must have 1 to 80 characters, none of them a control character.")
        text = PREFIX + b64encode(secrets.token_bytes(32))
        created = from_seconds(self._now())
        token = Token(secrets.token_hex(6), label, ids.participant(participant), _digest(text), created, None)
        with self._writing():
            self._write((*self._read(), token))
        return token, text

    def list(self) -> tuple[Token, ...]:
        """Return the tokens in force, oldest first."""
        return self._read()

    def revoke(self, id_: str) -> Token:
        """End a token by its id and return its record; raise `TokenError` when there is none."""
        with self._writing():
            tokens = self._read()
            gone = next((token for token in tokens if token.id == id_), None)
            if gone is None:
                raise TokenError("There is no token of this id.", problem="not-found", hint="Run `gateway token list`.")
            self._write(tuple(token for token in tokens if token.id != id_))
        return gone

    def owner(self, text: str) -> ParticipantId:
        """Return whose token this is; raise `TokenError`. Every record is compared, in constant time."""
        digest = _digest(text) if _TOKEN.fullmatch(text) else ""
        found: Token | None = None
        for token in self._read():
            if hmac.compare_digest(token.digest, digest):
                found = token
        if found is None:
            raise TokenError("The token is unknown or revoked.", hint="Ask for a token: `valise gateway token new`.")
        self._mark_used(found)
        return found.participant

    def _mark_used(self, token: Token) -> None:
        today = from_seconds(self._now())[:10]
        if token.last_used == today:
            return
        try:
            with self._writing():
                # Read again under the lock: a token that was revoked meanwhile must not come back.
                tokens = self._read()
                self._write(tuple(replace(item, last_used=today) if item.id == token.id else item for item in tokens))
        except OSError as error:
            # A full disk must not lock the agency's systems out of reading.
            _LOG.warning("token.not_marked", token=token.id, errno=error.errno)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _read(self) -> tuple[Token, ...]:
        try:
            if _identity(self._path.stat()) != self._seen:
                with self._path.open("rb") as file:
                    seen = _identity(os.fstat(file.fileno()))
                    self._tokens = _parse(file.read())
                    self._seen = seen
        except FileNotFoundError:
            self._tokens, self._seen = (), None
        return self._tokens

    def _write(self, tokens: tuple[Token, ...]) -> None:
        data = json.dumps({"v": VERSION, "tokens": [_to_json(token) for token in tokens]}, ensure_ascii=False, indent=1)
        durable.write(self._path, data.encode())
        self._seen = None


def _identity(stat: os.stat_result) -> tuple[int, int, int]:
    return (stat.st_ino, stat.st_mtime_ns, stat.st_size)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _to_json(token: Token) -> dict[str, str | None]:
    return {
        "id": token.id,
        "label": token.label,
        "participant": token.participant,
        "sha256": token.digest,
        "created": token.created,
        "last_used": token.last_used,
    }


def _parse(data: bytes) -> tuple[Token, ...]:
    try:
        value = strict_json.parse_object(data)
        refuse_newer(value, VERSION)
        m = Members(value, ("v", "tokens"))
        m.fixed("v", VERSION)
        return tuple(_token(Members(item, _MEMBERS, f"/tokens/{n}")) for n, item in enumerate(m.items("tokens")))
    except (FormError, MalformedError, TooLargeError) as error:
        raise Error(
            f"The file of tokens is damaged: {error.detail}",
            pointer=error.pointer,
            hint="Restore tokens.json from the backup, or delete it and make new tokens.",
            problem="configuration",
        ) from None


def _token(m: Members) -> Token:
    for name, form in (("id", _ID), ("sha256", _DIGEST), ("label", _LABEL)):
        if not form.fullmatch(m.string(name)):
            raise FormError("Is not of its form.", pointer=f"{m.at}/{name}")
    return Token(
        id=m.string("id"),
        label=m.string("label"),
        participant=m.matching("participant", ids.participant),
        digest=m.string("sha256"),
        created=m.time("created"),
        last_used=None if m.absent("last_used") else m.string("last_used"),
    )
