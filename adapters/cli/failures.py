"""What a failure looks like to a person and to a program, and the one table of exit codes.

0: done. 1: the answer is no. 2: the command line is wrong. Else sysexits.h, so that scripts can tell "try later" (75)
from "never" (65, 77, 78). This module prints nothing by itself.
"""

import os
import traceback
from collections.abc import Mapping
from typing import Any, Final

import typer

from adapters.cli.words import article, reason
from schemas.errors import Error
from schemas.problems import PROBLEMS, TYPE_PREFIX
from schemas.strict_json import Json

NO: Final = 1
INTERRUPTED: Final = 130

_SYSEXITS: Final[dict[int, tuple[str, ...]]] = {
    65: (  # DATAERR
        *("malformed", "invalid-form", "too-large", "unsupported-media-type", "headers-too-large", "import"),
        *("law-scope", "law-unknown-code", "law-overlap"),
    ),
    69: ("broker-away",),  # UNAVAILABLE
    70: ("internal", "method-not-allowed"),  # SOFTWARE
    74: ("storage-full",),  # IOERR
    75: ("unavailable", "rate-limited", "request-timeout"),  # TEMPFAIL
    76: ("wrong-log", "wrong-origin", "fork", "clock-skew", "directory-rollback", "directory-frozen"),  # PROTOCOL
    77: ("unauthenticated", "unknown-key", "revoked-key", "forbidden", "custody"),  # NOPERM
    78: ("configuration", "newer-store"),  # CONFIG
}
_EXIT_CODES: Final = {code: number for number, codes in _SYSEXITS.items() for code in codes}
_NO_INPUT: Final = 66
_CANNOT_CREATE: Final = 73
_IO_ERROR: Final = 74


class RemoteError(Error):
    """A problem document that a service answered with; `extras` are its members beyond the standard ones."""

    def __init__(self, document: Mapping[str, Json]) -> None:
        kind = document.get("type")
        code = kind.removeprefix(TYPE_PREFIX) if isinstance(kind, str) else "internal"
        known = code in PROBLEMS

        def text(name: str) -> str | None:
            value = document.get(name)
            return value if isinstance(value, str) else None

        offset = document.get("offset")
        super().__init__(
            text("detail") or text("title") or "The service refused.",
            pointer=text("pointer"),
            offset=offset if isinstance(offset, int) else None,
            hint=text("hint"),
            problem=code if known else "internal",
        )
        standard = {"type", "title", "status", "detail", "hint", "pointer", "offset"}
        self.extras = {name: value for name, value in document.items() if name not in standard}


class AnswerIsNoError(Exception):
    """The command worked and what it was asked is not so; everything is printed already."""


def exit_code(failure: BaseException) -> int:
    """Return the exit code of a failure; the only place that knows."""
    if isinstance(failure, Error):
        return _EXIT_CODES.get(failure.code, NO)
    if isinstance(failure, typer.TyperException):
        return failure.exit_code
    if isinstance(failure, FileNotFoundError):
        return _NO_INPUT
    if isinstance(failure, FileExistsError):
        return _CANNOT_CREATE
    if isinstance(failure, PermissionError):
        return 77
    if isinstance(failure, OSError):
        return _IO_ERROR
    if isinstance(failure, (KeyboardInterrupt, typer.Abort)):
        return INTERRUPTED
    return NO if isinstance(failure, AnswerIsNoError) else 70


def document(failure: BaseException) -> dict[str, Any]:
    """Return the problem document (RFC 9457) of a failure, for `--json`."""
    if isinstance(failure, Error):
        members: dict[str, Any] = {
            "type": TYPE_PREFIX + failure.code,
            "title": failure.title,
            "status": failure.status,
            "detail": failure.detail,
            "hint": failure.hint,
        }
        if failure.pointer is not None:
            members["pointer"] = failure.pointer
        if failure.offset is not None:
            members["offset"] = failure.offset
        if isinstance(failure, RemoteError):
            members.update(failure.extras)
        return members
    detail, hint = sentences(failure)
    return {"type": "about:blank", "title": "The command failed", "detail": detail, "hint": hint}


def _denials(failure: RemoteError) -> list[str]:
    """Return who is denied and by what, in the reader's language, where the service says so."""
    denied = failure.extras.get("denied")
    items = [item for item in denied if isinstance(item, dict)] if isinstance(denied, list) else []
    return [f"{item['participant']}: {reason(item['reason'])} ({article(item)})" for item in items if "reason" in item]


def sentences(failure: BaseException) -> tuple[str, str | None]:
    """Return what happened and what to do, for a person."""
    if isinstance(failure, Error):
        where = f" ({failure.pointer})" if failure.pointer else ""
        said = "".join(f" {one}" for one in _denials(failure)) if isinstance(failure, RemoteError) else ""
        return f"{failure.detail}{where}{said}", failure.hint
    if isinstance(failure, typer.TyperException):
        context = getattr(failure, "ctx", None)
        path = "valise" if context is None else context.command_path
        return failure.format_message(), f"{path} --help shows what is possible."
    if isinstance(failure, OSError) and failure.strerror:
        name = "" if failure.filename is None else f": {failure.filename}"
        return f"{failure.strerror}{name}", "Check the path and its permissions."
    if isinstance(failure, (KeyboardInterrupt, typer.Abort)):
        return "Interrupted.", None
    if os.environ.get("VALISE_DEBUG"):
        return "".join(traceback.format_exception(failure)).rstrip(), None
    frame = traceback.extract_tb(failure.__traceback__)[-1:]
    where = f" at {frame[0].name}, line {frame[0].lineno}" if frame else ""
    hint = "This is a fault of the program. VALISE_DEBUG=1 prints the whole trace."
    return f"{type(failure).__name__}{where}.", hint
