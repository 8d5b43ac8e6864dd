"""The gateway's one configuration: a TOML file, overlaid by the environment (`VALISE_GATEWAY_*`), with each value's source.

`[tls] certificate` in the file is `VALISE_GATEWAY_TLS_CERTIFICATE` in the environment; `[defaults."fr/customs"]` tables
are the file's alone. What would be unsafe is refused before anything is opened. No value here is a secret: secrets are
named by the files that hold them.
"""

import ipaddress
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from adapters.client.addresses import SEPARATOR, Addresses
from adapters.gateway.labels import LabelDefaults
from adapters.gateway.request import FormCode, FormParticipant
from adapters.gateway.service import GatewayOptions
from schemas.errors import Error
from schemas.ids import ParticipantId

PREFIX: Final = "VALISE_GATEWAY_"
_STRICT: Final = ConfigDict(strict=True, frozen=True, extra="forbid")


class ConfigurationError(Error):
    """The configuration is unsafe, incomplete or not understood; `pointer` names the value."""

    problem = "configuration"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: `host` and `port` (0: any that is free), or a Unix socket's path."""

    host: str
    port: int
    socket: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `host:port`, `[ipv6]:port` or `unix:/path`; raise `ValueError`."""
        if text.startswith("unix:/"):
            return cls("", 0, Path(text.removeprefix("unix:")))
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
            raise ValueError("Must be host:port or unix:/path")
        return cls(host, int(port))

    @property
    def local(self) -> bool:
        """Say whether only this machine can reach it."""
        if self.socket is not None or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _path(value: object) -> object:
    return Path(value) if isinstance(value, str) and value else value


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("Must be an absolute path")
    return path


def _address(text: str) -> str:
    Address.parse(text)
    return text


def _joined(value: object) -> object:
    """Join a list of addresses as the environment and kits have them."""
    return SEPARATOR.join(map(str, value)) if isinstance(value, list) else value


def _addresses(text: str) -> str:
    try:
        Addresses(text)
    except Error as error:
        raise ValueError(error.detail) from None
    return text


FilePath = Annotated[Path, BeforeValidator(_path), AfterValidator(_absolute)]
Listen = Annotated[str, AfterValidator(_address)]
Broker = Annotated[str, BeforeValidator(_joined), AfterValidator(_addresses)]
Seconds = Annotated[float, Field(strict=False, ge=0.1, le=3600)]


class Tls(BaseModel):
    """TLS by certificate files: `certificate` a PEM chain, `key` its private key (mode 600)."""

    model_config = _STRICT

    certificate: FilePath | None = Field(default=None, description="PEM chain for https")
    key: FilePath | None = Field(default=None, description="its private key, mode 600")


class Defaults(BaseModel):
    """What a participant's notices say where the caller leaves it out; null is the program's own default."""

    model_config = _STRICT

    purpose: FormCode | None = None
    legal_basis: FormCode | None = None
    handling: tuple[FormCode, ...] | None = Field(default=None, strict=False)
    tlp: FormCode | None = None
    pap: FormCode | None = None
    days: Annotated[int, Field(ge=1, le=3652)] | None = None

    def labels(self) -> LabelDefaults:
        """Return the defaults as the gateway takes them."""
        return LabelDefaults(**{name: value for name, value in self if value is not None})


class Settings(BaseModel):
    """Everything that can be set. `folder` is the one that `init` made."""

    model_config = _STRICT

    folder: FilePath = Field(description="the folder that `gateway init` made: keys, store, directory, tokens")
    broker: Broker | None = Field(
        default=None,
        description="the broker's address instead of the kit's; several instances': separated by commas, first first",
    )
    ca_file: FilePath | None = Field(default=None, description="certificates that the broker's is held against")
    passphrase_file: FilePath | None = Field(
        default=None, description="the file that opens the keys; else VALISE_PASSPHRASE_FILE or CREDENTIALS_DIRECTORY"
    )
    listen: Listen = Field(default="127.0.0.1:8470", description="host:port or unix:/path of the service")
    metrics: Listen | Literal["off"] = Field(
        default="127.0.0.1:9470", description="host:port or unix:/path of the metrics, or off"
    )
    poll_seconds: Seconds = Field(default=2, description="how often the log is looked at")
    acknowledge_seconds: Seconds = Field(
        default=10, description="least time between two acknowledgements to one sender"
    )
    duty_seconds: Seconds = Field(default=5, description="how often it is looked for what is due")
    shutdown_seconds: Annotated[int, Field(ge=1, le=300)] = Field(
        default=15, description="how long requests under way may take when the service is told to stop"
    )
    practice_notice: bool = Field(default=True, description="send one to the focal point once enrolled")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least level to log")
    tls: Tls = Field(default_factory=Tls, description="certificate files; needed off the loopback interface")
    defaults: dict[FormParticipant, Defaults] = Field(
        default_factory=dict, description="labels of a participant's notices"
    )

    def options(self) -> GatewayOptions:
        """Return the settings as the gateway takes them."""
        return GatewayOptions(
            folder=self.folder,
            broker=self.broker,
            ca_file=self.ca_file,
            defaults={ParticipantId(who): one.labels() for who, one in self.defaults.items()},
            poll_seconds=self.poll_seconds,
            acknowledge_seconds=self.acknowledge_seconds,
            duty_seconds=self.duty_seconds,
            practice_notice=self.practice_notice,
        )


@dataclass(frozen=True, slots=True)
class Explained:
    """One value as `check-config` shows it: its name, value, where it came from, and what it is for."""

    name: str
    value: str
    source: str
    about: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings that may be started with, and how each value came about."""

    settings: Settings
    explained: tuple[Explained, ...]


def load(file: Path | None, environment: Mapping[str, str], given: Mapping[str, str] | None = None) -> Loaded:
    """Read the file, the environment, and what the command line gave; raise `ConfigurationError`."""
    values = {} if file is None else _read_file(file)
    sources = dict.fromkeys(_names_in(values), "" if file is None else str(file))
    for name, text in _from_environment(environment).items():
        _put(values, name, text)
        sources[name] = _variable(name)
    for name, text in (given or {}).items():
        _put(values, name, text)
        sources[name] = "command line"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _explain(error) from None
    check_safe(settings)
    return Loaded(settings, _explained(settings, sources))


def check_safe(settings: Settings) -> None:
    """Refuse what nobody should start; raise `ConfigurationError`."""
    tls = settings.tls
    if (tls.certificate is None) is not (tls.key is None):
        raise ConfigurationError("TLS needs both a certificate and its key.", pointer="/tls")
    if tls.certificate is None and not Address.parse(settings.listen).local:
        raise ConfigurationError(
            "Plain HTTP off the loopback interface is refused: it would show tokens and notices.",
            pointer="/listen",
            hint="Set tls.certificate and tls.key, or listen on unix:/path behind a proxy.",
        )
    if settings.metrics != "off" and not Address.parse(settings.metrics).local:
        raise ConfigurationError(
            "Metrics are for this machine only.", pointer="/metrics", hint="Listen on the loopback interface."
        )
    for path, pointer in ((tls.key, "/tls/key"), (settings.passphrase_file, "/passphrase_file")):
        if path is not None:
            _demand_private(path, pointer)


def _demand_private(path: Path, pointer: str) -> None:
    """Demand a file that only its owner (this process or root) can read or change; raise `ConfigurationError`."""
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigurationError(f"The file cannot be read: {error.strerror}.", pointer=pointer) from None
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO) or found.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(
            "The file can be read or changed by others.", pointer=pointer, hint="chmod 600, owned by the service."
        )


def _read_file(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise ConfigurationError(f"The configuration file cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise ConfigurationError(
            "The configuration file is not TOML.", hint="`valise gateway check-config` lists what may stand in it."
        ) from None


def _variable(name: str) -> str:
    return PREFIX + name.replace(".", "_").upper()


def _names() -> list[str]:
    """Return the name of every value that the environment may set, such as `tls.key`."""
    plain = [name for name in Settings.model_fields if name not in ("tls", "defaults")]
    return [*plain, *(f"tls.{name}" for name in Tls.model_fields)]


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {_variable(name): name for name in _names()}
    found: dict[str, Any] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX):
            continue
        # A misspelt variable would otherwise be a safety setting that silently does nothing.
        if variable not in names:
            raise ConfigurationError(f"There is no setting for the variable {variable[:80]}.")
        found[names[variable]] = _typed(names[variable], text)
    return found


def _typed(name: str, text: str) -> str | int | float | bool:
    """Turn text into what the TOML file would have held; what does not fit is left for the model to refuse."""
    if name == "practice_notice" and text in ("true", "false"):
        return text == "true"
    if name == "shutdown_seconds" and text.isascii() and text.isdigit():
        return int(text[:9])
    return text


def _put(values: dict[str, Any], name: str, value: object) -> None:
    section, dot, last = name.rpartition(".")
    into = values.setdefault(section, {}) if dot else values
    if isinstance(into, dict):  # else the model says what the file has there
        into[last] = value


def _names_in(values: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for name, value in values.items():
        names += [f"{name}.{sub}" for sub in value] if name == "tls" and isinstance(value, dict) else [name]
    return names


def _explain(error: ValidationError) -> ConfigurationError:
    first = error.errors(include_url=False, include_input=False)[0]
    pointer = "".join(f"/{step}" for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return ConfigurationError("There is no such setting.", pointer=pointer)
    detail = str(first["msg"]).removeprefix("Value error, ").removesuffix(".")
    return ConfigurationError(f"{detail}.", pointer=pointer)


def _explained(settings: Settings, sources: Mapping[str, str]) -> tuple[Explained, ...]:
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        if name == "tls":
            for sub, inner in Tls.model_fields.items():
                rows.append(_row(f"tls.{sub}", getattr(value, sub), inner.description, sources))
        elif name == "defaults":
            shown = ", ".join(sorted(value))
            rows.append(_row(name, shown, field.description, sources))
        else:
            rows.append(_row(name, value, field.description, sources))
    return tuple(rows)


def _row(name: str, value: object, about: str | None, sources: Mapping[str, str]) -> Explained:
    shown = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return Explained(name, shown, sources.get(name, "default"), about or "")
