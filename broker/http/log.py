"""The log as static files (C2SP tlog-tiles), and what stands behind its leaves. Only what a checkpoint covers is served."""

from typing import Final

import orjson
from fastapi import APIRouter, Response

from broker.http import openapi
from broker.http.auth import MaybeCaller, Served
from broker.http.directory import IMMUTABLE, MUTABLE
from keys.log.tiles import parse_entries_path, parse_tile_path
from schemas.encoding import b64decode, b64encode
from schemas.errors import Error, FormError, MalformedError

router = APIRouter()

_DIGEST_SIZE: Final = 32
_OBJECT: Final[openapi.Node] = {
    "oneOf": [
        openapi.exactly({"statement": openapi.B64, "proof": openapi.ref("Proof")}),
        openapi.exactly({"event": openapi.B64}),
    ]
}
_TILE_HEADERS: Final = {"Cache-Control": "immutable: a tile never changes"}


@router.get(
    "/v1/log/checkpoint",
    name="checkpoint",
    operation_id="checkpoint",
    summary="The newest signed checkpoint",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.bytes_body("text/plain", "A C2SP checkpoint.", openapi.example("checkpoint"))}
    ),
)
async def checkpoint(service: Served) -> Response:
    """Return the checkpoint with its Ed25519 and ML-DSA-44 lines."""
    if service.note is None:
        raise Error("There is no signed checkpoint yet.", problem="unavailable")
    return Response(service.note, 200, MUTABLE, "text/plain")


@router.get(
    "/v1/log/tile/entries/{number:path}",
    name="entries",
    operation_id="entries",
    summary="A bundle of leaves",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.bytes_body("application/octet-stream", "Up to 256 leaves.", "", _TILE_HEADERS)}, "not-found"
    ),
)
async def entries(number: str, service: Served) -> Response:
    """Return the entries of a tile of level 0, each after its length in two bytes."""
    try:
        tile = parse_entries_path(f"tile/entries/{number}")
    except FormError:
        tile = None
    return _tile(None if tile is None else await service.entries(tile))


@router.get(
    "/v1/log/tile/{level}/{number:path}",
    name="tile",
    operation_id="tile",
    summary="A tile of hashes",
    response_class=Response,
    responses=openapi.responses(
        {200: openapi.bytes_body("application/octet-stream", "Up to 256 hashes.", "", _TILE_HEADERS)}, "not-found"
    ),
)
async def tile(level: str, number: str, service: Served) -> Response:
    """Return a tile, 32 bytes a hash."""
    try:
        wanted = parse_tile_path(f"tile/{level}/{number}")
    except FormError:
        wanted = None
    return _tile(None if wanted is None else await service.tile(wanted))


def _tile(content: bytes | None) -> Response:
    if content is None:
        raise Error("The log has no such tile.", problem="not-found")
    return Response(content, 200, IMMUTABLE, "application/octet-stream")


@router.get(
    "/v1/log/objects/{digest}",
    name="log_object",
    operation_id="logObject",
    summary="What stands behind a leaf",
    response_class=Response,
    responses=openapi.responses(
        {
            200: openapi.json_body(
                _OBJECT, {"event": "eyJ2IjoxLCJ0eXAiOiJib3VuZGFyeSJ9"}, "A statement with its proof, or an event."
            )
        },
        *openapi.CALLER,
        "not-found",
    ),
    openapi_extra={"security": [{}, *openapi.SIGNED["security"]]},
)
async def log_object(digest: str, caller: MaybeCaller, service: Served) -> Response:
    """Return an event to anybody, and a statement to a signed request of somebody who may see it."""
    wanted = _digest(digest)
    found = None
    if wanted is not None:
        found = await service.log_object(wanted, None if caller is None else caller.participant)
    if found is None and caller is None:
        raise Error("Statements are for signed requests.", problem="unauthenticated")
    if found is None:
        raise Error("There is no such leaf, or it is not for you.", problem="not-found")
    body: dict[str, object]
    if found.proof is None:
        body = {"event": b64encode(found.document)}
    else:
        body = {"statement": b64encode(found.document), "proof": orjson.Fragment(found.proof)}
    return Response(orjson.dumps(body), 200, {"Cache-Control": "private, no-cache"}, "application/json")


def _digest(text: str) -> bytes | None:
    try:
        digest = b64decode(text)
    except MalformedError:
        return None
    return digest if len(digest) == _DIGEST_SIZE else None
