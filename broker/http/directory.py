"""The directory as static files, and a State's own role as an upload. Open: what is served and sent is signed itself."""

import re
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Header, Path, Request, Response

from broker.http import openapi
from broker.http.auth import Served
from broker.http.body import read_body
from schemas import strict_json
from schemas.encoding import Members, b64decode
from schemas.errors import Error, FormError, MalformedError

router = APIRouter()

IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
MUTABLE: Final = {"Cache-Control": "no-cache"}

_METADATA: Final = re.compile(r"[1-9][0-9]{0,15}\.[a-z][a-z0-9-]{0,127}\.json|timestamp\.json", re.ASCII)
_TARGET: Final = re.compile(r"(?:[a-z0-9][a-z0-9.-]*/){1,8}[0-9a-f]{64}\.[a-z0-9][a-z0-9.-]*", re.ASCII)
_ROLE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_VERSION: Final = re.compile(r'"(0|[1-9][0-9]{0,15})"', re.ASCII)
_MOST_PATH: Final = 300

_UPLOAD: Final = openapi.exactly(
    {
        "metadata": {**openapi.B64, "description": "the role's signed TUF metadata, unpadded base64url"},
        "targets": {"type": "object", "additionalProperties": openapi.B64, "description": "its targets by path"},
    }
)
_UPLOADED: Final = openapi.exactly({"version": openapi.INTEGER, "index": openapi.INTEGER})


def _file(sample: object, description: str) -> dict[int, openapi.Node]:
    return {200: openapi.json_body({"type": "object"}, sample, description, {"Cache-Control": "immutable or no-cache"})}


@router.get(
    "/v1/directory/metadata/{file}",
    name="directory_metadata",
    operation_id="directoryMetadata",
    summary="A file of TUF metadata",
    response_class=Response,
    responses=openapi.responses(_file({"signed": {}, "signatures": []}, "TUF metadata."), "not-found"),
)
async def metadata(file: str, service: Served) -> Response:
    """Return `timestamp.json` or a numbered file; only the former ever changes."""
    known = len(file) <= _MOST_PATH and _METADATA.fullmatch(file) is not None
    content = await service.directory_file(f"metadata/{file}") if known else None
    return _static(content, immutable=file != "timestamp.json")


@router.get(
    "/v1/directory/targets/{path:path}",
    name="directory_target",
    operation_id="directoryTarget",
    summary="A target of the directory, by its digest",
    response_class=Response,
    responses=openapi.responses(_file({"v": 1}, "A target file."), "not-found"),
)
async def target(path: str, service: Served) -> Response:
    """Return a target under its consistent-snapshot name, such as `fr/<sha256>.directory.json`."""
    known = len(path) <= _MOST_PATH and _TARGET.fullmatch(path) is not None
    content = await service.directory_file(f"targets/{path}") if known else None
    return _static(content, immutable=True)


def _static(content: bytes | None, *, immutable: bool) -> Response:
    if content is None:
        raise Error("The directory has no such file.", problem="not-found")
    return Response(content, 200, IMMUTABLE if immutable else MUTABLE, "application/json")


@router.put(
    "/v1/directory/roles/{role}",
    name="upload_role",
    operation_id="uploadRole",
    summary="Bring a role's signed metadata into the directory",
    status_code=201,
    response_class=Response,
    responses=openapi.responses(
        {201: openapi.json_body(_UPLOADED, {"version": 12, "index": 4711}, "The new directory version and its leaf.")},
        *("malformed", "invalid-form", "too-large", "unsupported-media-type", "not-found"),
        *("precondition-required", "precondition-failed"),
        *("directory", "directory-rollback", "directory-frozen", "directory-append-only", "directory-scope"),
        *("law-scope", "law-unknown-code", "law-overlap", "law-signatures", "law-signer"),
        *("unverified", "unknown-key", "storage-full"),
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _UPLOAD,
                    "example": {"metadata": "eyJzaWduYXR1cmVzIjpbXX0", "targets": {"fr/directory.json": "eyJ2IjoxfQ"}},
                }
            },
        }
    },
)
async def upload(
    role: Annotated[str, Path(json_schema_extra={"pattern": f"^({_ROLE.pattern})$"})],
    request: Request,
    service: Served,
    if_match: Annotated[str | None, Header(alias="If-Match", description='the version that was edited: "7"')] = None,
) -> Response:
    """Verify an upload and put the directory version that it makes into the ledger; needs no request signature."""
    if not _ROLE.fullmatch(role):
        raise FormError("Must be a role of the directory, such as fr or fr-law.", pointer="/path/role")
    version = _edited(if_match)
    signed, targets = read_upload(await read_body(request.scope, request.receive))
    done = await service.upload_role(role, signed, targets, version)
    return Response(orjson.dumps({"version": done.version, "index": done.index}), 201, media_type="application/json")


def _edited(if_match: str | None) -> int:
    if if_match is None:
        raise Error("Say which version you edited.", problem="precondition-required", pointer="/header/if-match")
    match = _VERSION.fullmatch(if_match)
    if match is None:
        raise FormError('Must be one version number in quotes, "0" for the first.', pointer="/header/if-match")
    return int(match[1])


def read_upload(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Read an upload's body: the metadata's bytes, and each target's by its path. Raises `MalformedError`, `FormError`."""
    m = Members(strict_json.parse(data), ("metadata", "targets"))
    targets = m.value["targets"]
    if not isinstance(targets, dict):
        raise FormError("Must be an object.", pointer="/targets")
    return b64decode(m.binary("metadata")), {path: _target(value) for path, value in targets.items()}


def _target(value: strict_json.Json) -> bytes:
    # The paths are the sender's own words: the pointer stops before them.
    try:
        return b64decode(value if isinstance(value, str) else "")
    except MalformedError as error:
        raise FormError(error.detail, pointer="/targets") from None
