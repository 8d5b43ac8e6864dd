"""Who asks: HTTP Message Signatures (RFC 9421) by request keys in force, for every call that is neither open nor publishing.

All failures are one answer, so that nobody learns which key exists or what was wrong with it. No nonces are kept: reads
change nothing. What the caller may see is decided behind `broker.http.service`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from broker.http.service import Service
from broker.trust import Trust
from keys.directory.directory import Moment
from keys.directory.records import RequestRecord
from keys.errors import RevokedKeyError, UnknownKeyError
from keys.http_signature import UnauthenticatedError, verify_request
from schemas.errors import Error
from schemas.ids import Kid, ParticipantId

_AUTHORITY: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_CREATED: Final = re.compile(r";created=([0-9]{1,12})(?![0-9])", re.ASCII)
_FIELDS: Final = ("signature-input", "signature", "content-digest")
_REFUSALS: Final = (UnauthenticatedError, UnknownKeyError, RevokedKeyError)


@dataclass(frozen=True, slots=True)
class Authenticated:
    """A participant whose request key has signed the request."""

    participant: ParticipantId
    kid: Kid

    def demand_in_force(self, service: Service) -> None:
        """Demand that the key still counts and its owner still takes part; raise `Error`."""
        try:
            _record(self.kid, service)
        except (UnknownKeyError, RevokedKeyError):
            raise _unauthenticated() from None
        _demand_active(self.participant, service)


class Standing:
    """Demands again and again that a caller's key counts; looks it up only where something has changed since."""

    def __init__(self, caller: Authenticated, service: Service) -> None:
        self._caller = caller
        self._service = service
        self._trust: Trust | None = None
        self._until: float = 0  # the size of the tree at which the key closes

    def demand(self) -> None:
        """Raise `Error` where the key does not count any more, or its owner does not take part."""
        trust = self._service.trust
        if trust is self._trust and self._service.size < self._until:
            return
        self._caller.demand_in_force(self._service)
        closed = trust.directory.request(self._caller.kid).life.closed_at
        self._trust, self._until = trust, float("inf") if closed is None else closed


async def service_of(request: Request) -> Service:
    """Return the service that the application was made with."""
    service: Service = request.app.state.service
    return service


Served = Annotated[Service, Depends(service_of)]


async def authenticate(request: Request, service: Served) -> Authenticated:
    """Return who signed the request; raise `Error`: 401 for anything wrong with the signature, 403 for the suspended."""
    return _verify(request, service)


async def authenticate_if_signed(request: Request, service: Served) -> Authenticated | None:
    """Return who signed the request, or None where it carries no signature at all."""
    signed = "signature" in request.headers or "signature-input" in request.headers
    return _verify(request, service) if signed else None


def authenticate_with_body(request: Request, service: Service, body: bytes) -> Authenticated:
    """Return who signed a request and its body; raise `Error` as `authenticate` does."""
    return _verify(request, service, body)


Caller = Annotated[Authenticated, Depends(authenticate)]
MaybeCaller = Annotated[Authenticated | None, Depends(authenticate_if_signed)]


def _verify(request: Request, service: Service, body: bytes | None = None) -> Authenticated:
    hosts = request.headers.getlist("host")
    # What the library is given is a URL: a Host of another form could move the path that was signed into it.
    if len(hosts) != 1 or not _AUTHORITY.fullmatch(hosts[0]):
        raise _unauthenticated()
    signed = _Signed(
        method=request.method,
        authority=hosts[0],
        path=request.scope["raw_path"].decode("latin-1"),
        query=request.scope["query_string"].decode("latin-1"),
        headers={name: ", ".join(request.headers.getlist(name)) for name in _FIELDS if name in request.headers},
        body=body,
    )
    now = service.now_ms() // 1000
    try:
        kid = signed.verify(service, now)
    except _REFUSALS:
        # Whoever holds the key and has only the wrong time is told so: it is its clock that needs setting.
        if signed.holds_at_its_own_time(service):
            raise Error("`created` is too far from the broker's clock.", problem="clock-skew") from None
        raise _unauthenticated() from None
    participant = service.trust.directory.request(kid).participant
    _demand_active(participant, service)
    return Authenticated(participant, kid)


@dataclass(frozen=True, slots=True)
class _Signed:
    """The parts of a request that its signature covers or consists of."""

    method: str
    authority: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes | None

    def verify(self, service: Service, now: int) -> Kid:
        return verify_request(
            self.method,
            self.authority,
            self.path,
            self.query,
            self.headers,
            self.body,
            resolve=lambda kid: _record(kid, service).public,
            origin=service.origin,
            now=now,
        )

    def holds_at_its_own_time(self, service: Service) -> bool:
        created = _CREATED.search(self.headers.get("signature-input", ""))
        if created is None:
            return False
        try:
            self.verify(service, int(created[1]))
        except _REFUSALS:
            return False
        return True


def _record(kid: Kid, service: Service) -> RequestRecord:
    """Return a request key that is in force now; raise `UnknownKeyError` or `RevokedKeyError`."""
    trust = service.trust
    record = trust.directory.request(kid)
    trust.directory.demand_in_force(record, Moment(service.size, service.now_ms()), trust.revoked)
    return record


def _demand_active(participant: ParticipantId, service: Service) -> None:
    trust = service.trust
    party = trust.parties[participant]
    if party.suspended or party.role in trust.rules.suspended:
        raise Error("You are suspended from the network.", problem="forbidden")


def _unauthenticated() -> UnauthenticatedError:
    return UnauthenticatedError("The request's signature is missing, stale, or does not hold.")
