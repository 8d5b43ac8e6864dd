"""HTTP Message Signatures by request keys (RFC 9421, RFC 9530): who is asking, on every call but publishing.

One Ed25519 signature with `tag` = the log's origin covers `@method @authority @path @query`, and `content-digest` exactly
where there is a body. `created` is at most 60 s old, give or take 60 s of skew. There is no nonce store: reads return
sealed things and change nothing, writes are signed by themselves. Signatures with other tags, such as a proxy's, are not
looked at.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    VerifyResult,
)
from http_message_signatures.algorithms import ED25519

from keys.sign import Ed25519Signer
from schemas import ids
from schemas.errors import Error, FormError
from schemas.ids import Kid, Origin
from schemas.limits import LIMITS

SKEW: Final = 60
"""Seconds that the clocks may differ by."""

_COVERED: Final = ("@method", "@authority", "@path", "@query")
_DIGEST: Final = "content-digest"
_PARAMETERS: Final = frozenset({"created", "keyid", "alg", "tag"})
_HEADERS: Final = ("signature-input", "signature", _DIGEST)
_LABEL: Final = "valise"
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._:\[\]-]+")
_PATH: Final = re.compile(r"/[^?#]*")


class UnauthenticatedError(Error):
    """The request is not signed as it must be. Says not why: nobody has been authenticated yet."""

    problem = "unauthenticated"


@dataclass(slots=True)
class _Message:
    """A request in the form that the library reads."""

    method: str
    url: str
    headers: dict[str, str]


def sign_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    signer: Ed25519Signer,
    origin: Origin,
    created: int,
) -> dict[str, str]:
    """Return the header fields to add to a request: `Signature-Input`, `Signature`, with a body `Content-Digest`.

    `url` is absolute and encoded as it is sent; an empty body counts as none; `created` is Unix seconds. A
    `Content-Digest` that is there already is replaced.
    """
    there = {name: value for name, value in headers.items() if name.lower() not in _HEADERS}
    message = _Message(method.upper(), url, there)
    library = HTTPMessageSigner(signature_algorithm=ED25519, key_resolver=_Own(signer.private_key()))
    library.sign(
        message,
        key_id=signer.kid,
        created=datetime.fromtimestamp(created, tz=UTC),
        label=_LABEL,
        tag=origin,
        covered_component_ids=_COVERED,
        body=body or None,
    )
    return _ours(message.headers)


def verify_request(
    method: str,
    authority: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    resolve: Callable[[Kid], Ed25519PublicKey],
    origin: Origin,
    now: int,
) -> Kid:
    """Check a request's signature and return the id of the key that made it.

    `authority` is the `Host` that was asked for, `path` and `query` (without `?`) are as they were sent, `headers` has
    each field once; `resolve` returns a request key in force or raises, and that error is passed on. `now` is Unix
    seconds. Raises `UnauthenticatedError` for everything else that is wrong.
    """
    # What was a host, a path and a query to the server must be the same to the library, which takes one address.
    if not (_AUTHORITY.fullmatch(authority) and _PATH.fullmatch(path) and "#" not in query):
        raise _unauthenticated()
    message = _Message(method, f"https://{authority}{path}?{query}", _ours(headers))
    resolver = _Directory(resolve)
    library = _Verifier(signature_algorithm=ED25519, key_resolver=resolver)
    try:
        results = library.verify(message, max_age=None, expect_tag=origin, body=body or b"")
    except InvalidSignature:
        if resolver.refusal is not None:
            raise resolver.refusal from None
        raise _unauthenticated() from None
    if len(results) != 1 or not _is_ours(results[0], bool(body), now):
        raise _unauthenticated()
    return ids.kid(str(results[0].parameters["keyid"]))


def _is_ours(result: VerifyResult, has_body: bool, now: int) -> bool:
    """Say whether a signature that holds also covers what it must, no more, and is fresh."""
    covered = {name for name in result.covered_components if name != '"@signature-params"'}
    wanted = {f'"{name}"' for name in (*_COVERED, *((_DIGEST,) if has_body else ()))}
    created = result.parameters.get("created")
    return (
        isinstance(created, int)
        and covered == wanted
        and result.parameters.keys() == _PARAMETERS
        and now - LIMITS.request_age - SKEW <= created <= now + SKEW
    )


def _ours(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _HEADERS}


def _unauthenticated() -> UnauthenticatedError:
    return UnauthenticatedError("The request's signature is missing, stale, or does not hold.")


class _Verifier(HTTPMessageVerifier):
    """The library's verifier without its clock: freshness is judged against the caller's."""

    def validate_created_and_expires(self, sig_input: object, max_age: object = None) -> None:
        """Leave both to `_is_ours`, which demands `created` and refuses `expires`."""


class _Own(HTTPSignatureKeyResolver):
    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    def resolve_private_key(self, key_id: str) -> Ed25519PrivateKey:  # noqa: ARG002
        return self._private


class _Directory(HTTPSignatureKeyResolver):
    """Look keys up in the directory, and remember why that failed: the library has no words for it."""

    def __init__(self, resolve: Callable[[Kid], Ed25519PublicKey]) -> None:
        self._resolve = resolve
        self.refusal: Exception | None = None

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey | None:
        try:
            return self._resolve(ids.kid(key_id))
        except FormError:
            return None
        except Exception as error:
            self.refusal = error
            raise
