"""`valise doctor`: look at every step from the keys to a receipt, and name the one that is missing.

It asks the gateway that runs; with `--folder` and the gateway not running, it opens the folder itself.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.cli.failures import AnswerIsNoError
from adapters.cli.gateway_client import CaFile, GatewayUrl, TokenFile, connect
from adapters.cli.passphrase import PassphraseFile, passphrase
from adapters.cli.terminal import Column, terminal
from schemas.errors import Error

app = typer.Typer()


@app.command()
def doctor(
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Folder of a gateway that does not run.")
    ] = None,
    passphrase_file: PassphraseFile = None,
    gateway: GatewayUrl = None,
    token_file: TokenFile = None,
    ca_file: CaFile = None,
) -> None:
    """Say what is well and what to do next. Exit code 1 where a step is missing."""
    checks, alarms = _examined(folder, passphrase_file) if folder is not None else _asked(gateway, token_file, ca_file)
    where = terminal()
    well = all(one["state"] != "missing" for one in checks) and not any(one["stops"] for one in alarms)
    if where.as_json:
        where.json({"well": well, "checks": list(checks), "alarms": list(alarms)})
    else:
        columns = [
            Column("Step", "name"),
            Column("State", "state", whole=True),
            Column("Found", "detail"),
            Column("What to do", "hint"),
        ]
        where.listing("checks", list(checks), columns)
        for one in alarms:
            where.warn(f"{one['kind']} since {one['since']}: {one['detail']}")
        missing = next((one for one in checks if one["state"] == "missing"), None)
        if missing is not None:
            where.fail(f"The missing step: {missing['name']}. {missing['detail']}", missing["hint"])
    if not well:
        raise AnswerIsNoError


Found = tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]


def _examined(folder: Path, passphrase_file: Path | None) -> Found:
    import logging

    from adapters.gateway.service import GatewayOptions, examine
    from adapters.gateway.telemetry import configure_logging

    # What the gateway would log is said by the checks, and standard output is for data.
    configure_logging(level=logging.CRITICAL)
    secret = passphrase(passphrase_file, f"Passphrase of {folder}")
    found = asyncio.run(examine(GatewayOptions(folder), secret))
    return [_check(one.name, one.state, one.detail, one.hint) for one in found], []


def _asked(gateway: str | None, token_file: Path | None, ca_file: Path | None) -> Found:
    try:
        answer: dict[str, Any] = connect(gateway, token_file, ca_file).call("GET", "/v1/doctor")
    except (Error, OSError) as error:
        hint = error.hint if isinstance(error, Error) else "Check the path of the token file."
        detail = error.detail if isinstance(error, Error) else str(error.strerror)
        return [_check("gateway", "missing", detail, hint)], []
    reached = _check("gateway", "ok", "The gateway answers, and knows the token.", None)
    return [reached, *answer["checks"]], [one for one in answer["alarms"] if one["over"] is None]


def _check(name: str, state: str, detail: str, hint: str | None) -> dict[str, Any]:
    return {"name": name, "state": state, "detail": detail, "hint": hint}
