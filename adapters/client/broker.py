"""The broker over HTTP: every call of its interface, typed, bounded in time, size and connections.

A call returns, or raises `BrokerAwayError` (repeat it unchanged), `RefusedError` (the broker's problem) or `AnswerError` (not
what the call answers). Where there are several addresses, a call goes to each of them once before it is `BrokerAwayError`.
Answers are parsed, not trusted: receipts and refusals are checked by `receipts`, checkpoints, proofs and the directory by
`keys`. Nothing is kept.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Self
from urllib.parse import quote
from weakref import WeakSet

import orjson
from yarl import URL

from adapters.client import answers
from adapters.client.addresses import Addresses
from adapters.client.errors import AnswerError, BrokerAwayError, NoBatchesError, NoStreamError, RefusedError
from adapters.client.feed_stream import MEDIA_TYPE, FeedStream
from adapters.client.transport import Answer, HttpTransport, Opened, Request, Transport
from keys.log import tiles
from keys.log.tiles import Tile
from schemas import strict_json
from schemas.encoding import b64encode
from schemas.errors import Error, MalformedError, TooLargeError
from schemas.ids import NoticeId, Pattern
from schemas.limits import LIMITS
from schemas.strict_json import Json

Sign = Callable[[str, str, bytes | None], Mapping[str, str]]
"""Signs a request (RFC 9421) by method, URL and body, and returns the header fields to add."""

PROBLEM: Final = "application/problem+json"
LINES: Final = "application/x-ndjson"
NOTE_LIMIT: Final = 128 << 10
TILE_LIMIT: Final = 256 * (2 + 65_535)
FILE_LIMIT: Final = 8 << 20
MOST_RETRY_AFTER: Final = 300.0
BATCH_SECONDS: Final = 45.0
"""Seconds that a batch may take beyond what other calls may."""

SILENCE_SECONDS: Final = 45.0
"""Seconds for which a stream may say nothing: the broker says every 15 that it is there."""

_NO_STREAM: Final = frozenset({404, 405, 406, 501})
_NO_BATCHES: Final = frozenset({404, 405, 415})
_AWAY: Final = frozenset({408, 429})
"""Statuses below 500 that say as little about the call as those above."""

_ELSEWHERE: Final = frozenset({502, 503, 504})
"""Statuses of an instance, or of a proxy before it, that cannot answer now; another may."""


@dataclass(frozen=True, slots=True)
class ServedNote:
    """A checkpoint's note as it was served, and the answer's `Date` in Unix seconds, None where it has none."""

    note: bytes
    date: int | None


class BrokerClient:
    """One broker at one address or more, over a bounded pool of connections. Make and close it in one event loop."""

    def __init__(
        self,
        base: str,
        *,
        tls: ssl.SSLContext | None = None,
        connections: int = 32,
        seconds: float = 15,
        transport: Transport | None = None,
    ) -> None:
        """Open a pool to `base`, the address without `/v1`, or several of them separated by commas.

        `seconds` bounds every call but the feed's own waiting, at each address. Raises `Error` for what is no address.
        """
        self._addresses = Addresses(base)
        self._seconds = seconds
        self._transport = transport or HttpTransport(tls=tls, connections=connections)
        self._streams: WeakSet[FeedStream] = WeakSet()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    @property
    def address(self) -> str:
        """Return the address that the next call goes to first."""
        return self._addresses.current

    def turn(self) -> None:
        """Use the next address, where there are several, and end the streams: what the one in use answers is old."""
        left = self.address
        self._addresses.leave(left)
        if self.address != left:
            for stream in tuple(self._streams):
                stream.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Notices

    async def publish(self, notice_id: NoticeId, envelope: bytes) -> str:
        """Put an envelope and return its receipt (compact JWS), the same for a statement that is in the log already."""
        answer = await self._call("PUT", f"/notices/{notice_id}", body=envelope, limit=NOTE_LIMIT)
        return answers.receipt(answer.body)

    async def publish_many(self, envelopes: Sequence[bytes]) -> list[str | Error]:
        """Post up to 100 envelopes; return for each, in their order, its receipt or the error that `publish` would raise.

        Raises `NoBatchesError`, and for the request as a whole what any call raises.
        """
        answer = await self._exchange(
            "POST",
            "/notices",
            body=b"\n".join(envelopes),
            headers={"Content-Type": LINES},
            limit=LIMITS.batch,
            seconds=self._seconds + BATCH_SECONDS,
        )
        if answer.status in _NO_BATCHES:
            raise NoBatchesError("The broker does not take batches.")
        if answer.status != 200:
            raise _failure(answer.status, answer.headers, _problem(answer.headers, answer.body))
        return [_said(result, answer.headers) for result in answers.results(answer.body, len(envelopes))]

    async def notice(self, notice_id: NoticeId, sign: Sign) -> bytes:
        """Return the caller's delivery of a notice; its bytes are in the one encoding."""
        return (await self._call("GET", f"/notices/{notice_id}", sign=sign, limit=2 * LIMITS.body)).body

    async def proof(self, notice_id: NoticeId, sign: Sign) -> bytes:
        """Return the `.tlog-proof` of a statement's leaf (C2SP tlog-proof)."""
        return (await self._call("GET", f"/notices/{notice_id}/proof", sign=sign, limit=2 * NOTE_LIMIT)).body

    async def feed(
        self, sign: Sign, *, after: int, wait: int = 0, limit: int = 100, topic: Pattern | None = None
    ) -> answers.Page:
        """Return what is offered behind a cursor, waiting up to `wait` seconds (0 to 30) for something."""
        query = {"after": str(after), "wait": str(wait), "limit": str(limit)}
        if topic is not None:
            query["topic"] = topic
        answer = await self._call(
            "GET", "/feed", query=query, sign=sign, seconds=self._seconds + wait, limit=LIMITS.batch
        )
        return answers.page(answer.body)

    async def open_stream(self, sign: Sign, *, after: int) -> FeedStream:
        """Open a stream of what is offered behind a cursor; raise `NoStreamError` where the broker has none."""
        failure: Error | None = None
        for base in self._addresses.each():
            url = f"{base}/v1/feed/stream?after={after}"
            fields = {"Accept": MEDIA_TYPE, "User-Agent": "valise", **sign("GET", url, None)}
            try:
                opened = await self._transport.open(Request("GET", url, fields, None, SILENCE_SECONDS, NOTE_LIMIT))
            except BrokerAwayError as error:
                failure = error
            else:
                if not isinstance(opened, Answer):
                    self._streams.add(stream := _stream(opened, after))
                    return stream
                if opened.status in _NO_STREAM:
                    raise NoStreamError("The broker does not stream feeds.")
                failure = _failure(opened.status, opened.headers, _problem(opened.headers, opened.body))
                if opened.status not in _ELSEWHERE:
                    break
            self._addresses.leave(base)
        assert failure is not None  # there is at least one address
        raise failure

    async def held(self, sign: Sign) -> tuple[answers.Held, ...]:
        """Return what decisions withhold from the caller."""
        return answers.held((await self._call("GET", "/feed/held", sign=sign, limit=LIMITS.batch)).body)

    async def resolve(self, sign: Sign, question: bytes) -> answers.Resolved:
        """Ask who may receive a notice with a label, and what would make it lawful; no gateway relies on it."""
        answer = await self._call("POST", "/recipients/resolve", sign=sign, body=question, limit=LIMITS.batch)
        return answers.resolved(answer.body)

    async def subscriptions(self, sign: Sign) -> tuple[answers.Subscription, ...]:
        """Return the subscriptions as the broker counts them."""
        return answers.subscriptions((await self._call("GET", "/subscriptions", sign=sign, limit=LIMITS.batch)).body)

    async def own(self, sign: Sign, *, after: int, limit: int = 100) -> answers.OwnPage:
        """Return a page of what the caller itself has published, by whichever of its gateways."""
        query = {"after": str(after), "limit": str(limit)}
        answer = await self._call("GET", "/statements", query=query, sign=sign, limit=LIMITS.batch)
        return answers.own_page(answer.body)

    async def audit(self, sign: Sign, *, after: int, limit: int = 100) -> answers.AuditPage:
        """Return a page of signed statements that an auditor may see."""
        query = {"after": str(after), "limit": str(limit)}
        answer = await self._call("GET", "/audit/statements", query=query, sign=sign, limit=LIMITS.batch)
        return answers.audit_page(answer.body)

    # The log

    async def checkpoint(self) -> ServedNote:
        """Return the newest checkpoint's note, and the broker's clock as its answer shows it."""
        answer = await self._call("GET", "/log/checkpoint", limit=NOTE_LIMIT)
        return ServedNote(answer.body, _date(answer.headers.get("Date")))

    async def tile(self, tile: Tile) -> bytes:
        """Return a tile's hashes, 32 bytes each; raise `AnswerError` for another number of them."""
        body = (await self._call("GET", f"/log/{tile.path()}", limit=32 * tiles.WIDTH)).body
        if len(body) != 32 * tile.width:
            raise AnswerError("What the broker answered is not the tile.")
        return body

    async def entries(self, tile: Tile) -> list[bytes]:
        """Return the entries beside a tile of level 0; raise `AnswerError` for another number of them."""
        body = (await self._call("GET", f"/log/{tile.entries_path()}", limit=TILE_LIMIT)).body
        try:
            entries = tiles.parse_bundle(body)
        except MalformedError as error:
            raise AnswerError(f"What the broker answered is not an entry bundle: {error.detail}") from None
        if len(entries) != tile.width:
            raise AnswerError("The entry bundle has another number of entries.")
        return entries

    async def log_object(self, digest: bytes, sign: Sign | None = None) -> answers.LogObject:
        """Return what stands behind a leaf's digest; a statement only to those who may see it."""
        path = f"/log/objects/{b64encode(digest)}"
        return answers.log_object((await self._call("GET", path, sign=sign, limit=3 * LIMITS.body)).body)

    # The directory

    async def directory_file(self, name: str) -> bytes | None:
        """Return a file of the static directory: `timestamp.json`, `targets/…`; None where there is none."""
        path = name if name.startswith("targets/") else f"metadata/{name}"
        try:
            return (await self._call("GET", f"/directory/{path}", limit=FILE_LIMIT)).body
        except RefusedError as error:
            if error.remote == "not-found":
                return None
            raise

    async def upload_role(
        self, role: str, metadata: bytes, targets: Mapping[str, bytes], *, edited: int
    ) -> answers.Uploaded:
        """Upload a role's signed metadata and targets, made from version `edited` (0: the role is new)."""
        body: dict[str, Json] = {
            "metadata": b64encode(metadata),
            "targets": {path: b64encode(data) for path, data in targets.items()},
        }
        answer = await self._call(
            "PUT",
            f"/directory/roles/{role}",
            body=orjson.dumps(body),
            headers={"If-Match": f'"{edited}"'},
            limit=NOTE_LIMIT,
            seconds=60,
            repeat=False,  # done twice, the second would find another version than it was made from
        )
        return answers.uploaded(answer.body)

    # One call

    async def _call(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        seconds: float | None = None,
        repeat: bool = True,
    ) -> Answer:
        """Exchange a request for an answer that is none of failure."""
        answer = await self._exchange(
            method,
            path,
            limit=limit,
            query=query,
            body=body,
            headers=headers,
            sign=sign,
            seconds=seconds,
            repeat=repeat,
        )
        if answer.status < 300:
            return answer
        raise _failure(answer.status, answer.headers, _problem(answer.headers, answer.body))

    async def _exchange(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
        seconds: float | None = None,
        repeat: bool = True,
    ) -> Answer:
        """Exchange a request for an answer, at the first address that has one; signed anew for each."""
        answer: Answer | None = None
        failure: BrokerAwayError | None = None
        for base in self._addresses.each():
            url = URL(f"{base}/v1{quote(path)}", encoded=True)
            if query:
                url = url.with_query(query)
            fields = {"Accept": "application/json, text/plain, */*", "User-Agent": "valise", **(headers or {})}
            if body is not None:
                fields.setdefault("Content-Type", "application/json")
            if sign is not None:
                fields.update(sign(method, str(url), body))
            try:
                answer = await self._transport.send(
                    Request(method, str(url), fields, body, seconds or self._seconds, limit)
                )
            except BrokerAwayError as error:
                failure = error
            else:
                if answer.status not in _ELSEWHERE:
                    return answer
            self._addresses.leave(base)
            if not repeat:
                break
        # What an instance says of itself tells more than that another cannot be reached.
        if answer is not None:
            return answer
        assert failure is not None  # there is at least one address
        raise failure


def _stream(opened: Opened, after: int) -> FeedStream:
    if opened.headers.get("Content-Type", "").partition(";")[0].strip() != MEDIA_TYPE:
        opened.close()
        raise AnswerError("What the broker answered is no stream of events.")
    return FeedStream(opened, after)


def _said(result: answers.LineResult | AnswerError, headers: Mapping[str, str]) -> str | Error:
    if isinstance(result, AnswerError):
        return result
    if result.receipt is not None:
        return result.receipt
    return _failure(result.status, headers, result.problem)


def _failure(status: int, headers: Mapping[str, str], problem: Mapping[str, Json] | None) -> Error:
    """Return the error that an answer stands for: what is no problem of the broker's own is no answer."""
    code = None if problem is None else problem.get("type")
    remote = code.removeprefix("urn:valise:problem:") if isinstance(code, str) else None
    if status in _AWAY or status >= 500 or problem is None or remote is None:
        return BrokerAwayError(
            f"The broker answered {status}{f' ({remote})' if remote else ''}.",
            retry_after=_retry_after(headers),
            remote=remote,
        )
    detail, hint, pointer = problem.get("detail"), problem.get("hint"), problem.get("pointer")
    denied, refusal = problem.get("denied"), problem.get("refusal")
    return RefusedError(
        remote,
        detail if isinstance(detail, str) else f"The broker answered {status}.",
        pointer=pointer if isinstance(pointer, str) else None,
        hint=hint if isinstance(hint, str) else None,
        denied=tuple(item for item in denied if isinstance(item, dict)) if isinstance(denied, list) else (),
        refusal=refusal if isinstance(refusal, str) else None,
    )


def _problem(headers: Mapping[str, str], data: bytes) -> dict[str, Json] | None:
    if headers.get("Content-Type", "").partition(";")[0].strip() != PROBLEM:
        return None
    try:
        return strict_json.parse_object(data)
    except (MalformedError, TooLargeError):
        return None


def _date(text: str | None) -> int | None:
    try:
        return None if text is None else int(parsedate_to_datetime(text).timestamp())
    except (ValueError, OverflowError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("Retry-After", "")
    return min(float(text), MOST_RETRY_AFTER) if text.isascii() and text.isdigit() and len(text) < 10 else None
