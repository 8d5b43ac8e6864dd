"""Calls to a gateway's HTTP interface, for the commands: one request at a time, problems raised as errors.

The token comes from a file, never from the command line, and leaves this machine over TLS or not at all. Addresses are
`https://…`, `http://` on the loopback interface, or `unix:/path`. This module knows no command.
"""

import contextlib
import http.client
import ipaddress
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode, urlsplit

import typer

from adapters.cli.failures import RemoteError
from schemas import strict_json
from schemas.errors import Error
from schemas.strict_json import Json

ANSWER_LIMIT: Final = 64 << 20
_BLOCK: Final = 64 << 10

GatewayUrl = Annotated[
    str | None,
    typer.Option("--gateway", envvar="VALISE_GATEWAY", metavar="URL", help="Address of the gateway."),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", envvar="VALISE_TOKEN_FILE", metavar="FILE", help="File that holds the token."),
]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", envvar="VALISE_CA_FILE", metavar="FILE", help="Certificates to trust, for https."),
]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes out; `body` may come in blocks."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | Iterator[bytes] | None = None
    timeout: float = 60


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, headers by lower-case name, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def object(self) -> dict[str, Json]:
        """Return the body as an object; raise `MalformedError`."""
        return strict_json.parse_object(self.body, limit=ANSWER_LIMIT)


Exchange = Callable[[Request], Answer]
"""Sends a request and returns the answer; raises `OSError` where the gateway cannot be reached."""


class GatewayClient:
    """One gateway, as one participant."""

    def __init__(self, exchange: Exchange, token: str) -> None:
        self._exchange = exchange
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> dict[str, Json]:
        """Send one request and return the answer's object; raise `RemoteError` for a problem."""
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        more = {} if data is None else {"Content-Type": "application/json"}
        return self._answer(
            Request(method, _target(path, query), {**self._headers, **more, **(headers or {})}, data, timeout)
        )

    def upload(
        self, path: str, data: Iterator[bytes], size: int, media_type: str, query: Mapping[str, object]
    ) -> dict[str, Json]:
        """Send a file of `size` bytes in blocks and return the answer's object; raise `RemoteError`."""
        headers = {**self._headers, "Content-Type": media_type, "Content-Length": str(size)}
        return self._answer(Request("POST", _target(path, query), headers, data, timeout=3600))

    def _answer(self, request: Request) -> dict[str, Json]:
        try:
            answer = self._exchange(request)
        except OSError as error:
            raise Error(
                f"The gateway does not answer: {error.strerror or type(error).__name__}.",
                hint="Start it with `valise gateway run`, or correct --gateway (VALISE_GATEWAY).",
                problem="broker-away",
            ) from error
        if answer.status >= 400:
            raise _problem(answer)
        return answer.object() if answer.body else {}


def _problem(answer: Answer) -> RemoteError:
    if answer.headers.get("content-type", "").startswith("application/problem+json"):
        return RemoteError(answer.object())
    return RemoteError({"detail": f"The answer {answer.status} is not a gateway's.", "hint": "Check the address."})


def _target(path: str, query: Mapping[str, object] | None) -> str:
    pairs = [
        (name, str(value).lower() if isinstance(value, bool) else str(value))
        for name, value in (query or {}).items()
        if value is not None
    ]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def segment(text: str) -> str:
    """Return a text as one segment of a path."""
    return quote(text, safe="")


def connect(url: str | None, token_file: Path | None, ca_file: Path | None = None) -> GatewayClient:
    """Return a client for the gateway and token that the options or the environment name; raise `Error`."""
    if url is None:
        raise Error("No gateway is named.", hint="Give --gateway URL, or set VALISE_GATEWAY.", problem="configuration")
    if token_file is None:
        raise Error(
            "No token is named.",
            hint="Give --token-file FILE, or set VALISE_TOKEN_FILE; `valise gateway token new` makes one.",
            problem="configuration",
        )
    token = token_file.read_text(encoding="ascii", errors="replace").strip()
    if not (token.isascii() and token.isprintable() and token):
        raise Error("The file holds no token.", hint="It holds one line, valise_….", problem="configuration")
    return GatewayClient(exchange(url, ca_file), token)


def exchange(url: str, ca_file: Path | None) -> Exchange:
    """Return what sends requests to an address; raise `Error` for one that would show the token to others."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return _Http(lambda timeout: _UnixConnection(parts.path, timeout))
    host, port = parts.hostname, _port(url)
    if host is None or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise Error(
            "Not an address of a gateway.", hint="Use https://host:port or unix:/path.", problem="configuration"
        )
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=None if ca_file is None else os.fspath(ca_file))
        return _Http(lambda timeout: http.client.HTTPSConnection(host, port, timeout=timeout, context=context))
    if not _loopback(host):
        raise Error(
            "Plain HTTP would show the token to the network.", hint="Use https:// there.", problem="configuration"
        )
    return _Http(lambda timeout: http.client.HTTPConnection(host, port, timeout=timeout))


def _port(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        raise Error("The address has no valid port.", problem="configuration") from None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection through a socket in the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Open the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _Http:
    """Requests over a fresh connection each: commands are short."""

    def __init__(self, connection: Callable[[float], http.client.HTTPConnection]) -> None:
        self._connection = connection

    def __call__(self, request: Request) -> Answer:
        connection = self._connection(request.timeout)
        try:
            # A gateway may refuse a body before it has all of it; its answer says why.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(request.method, request.target, body=request.body, headers=dict(request.headers))
            response = connection.getresponse()
            body = response.read(ANSWER_LIMIT + 1)
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, body)
        except http.client.HTTPException as error:
            raise ConnectionError(f"not HTTP: {type(error).__name__}") from error
        finally:
            connection.close()


def blocks(file: Any, told: Callable[[int], None]) -> Iterator[bytes]:
    """Yield a binary file's blocks and tell how many bytes went out."""
    done = 0
    while block := file.read(_BLOCK):
        yield block
        done += len(block)
        told(done)
