"""Who asks: the participant that the bearer token belongs to (RFC 6750). Nothing of the body is read before."""

from typing import Annotated, Final

from fastapi import Depends, Request

from adapters.gateway.http.service import Service
from adapters.gateway.tokens import TokenError, Tokens
from schemas.errors import Error
from schemas.ids import ParticipantId

_SCHEME: Final = "bearer "


def service_of(request: Request) -> Service:
    """Return the gateway behind the application."""
    service: Service = request.app.state.service
    return service


def caller_of(request: Request) -> ParticipantId:
    """Return whose token the request carries; raise `TokenError`, or `Error` for a participant not served here."""
    tokens: Tokens = request.app.state.tokens
    fields = request.headers.getlist("authorization")
    if len(fields) != 1 or not fields[0].lower().startswith(_SCHEME):
        raise TokenError("The request carries no bearer token.", hint="Send Authorization: Bearer valise_…")
    who = tokens.owner(fields[0][len(_SCHEME) :].strip())
    if who not in service_of(request).participants:
        raise Error("The token's participant is not served by this gateway.", problem="unauthenticated")
    return who


Served = Annotated[Service, Depends(service_of)]
Caller = Annotated[ParticipantId, Depends(caller_of)]
