"""The broker's one configuration: a TOML file, overlaid by the environment (`VALISE_BROKER_*`), with each value's source.

A section's value is `[tls] certificate` in the file and `VALISE_BROKER_TLS_CERTIFICATE` in the environment. What would be
unsafe is refused before anything is opened. Secrets are never values here, only the names of files that hold them.
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

from schemas import ids
from schemas.errors import Error, FormError

PREFIX: Final = "VALISE_BROKER_"
PRACTICE_ORIGINS: Final = ("demo.", "test.")
"""Origins that are for demonstrations and tests only."""

_STRICT: Final = ConfigDict(strict=True, frozen=True, extra="forbid")
_PORTS: Final = 65535
COPIES: Final = 3
"""How many nodes must have a copy of what is acknowledged, so that one may be away."""


class ConfigurationError(Error):
    """The configuration is unsafe, incomplete or not understood; `pointer` names the value."""

    problem = "configuration"


def _origin(text: str) -> str:
    try:
        return ids.origin(text)
    except FormError as error:
        raise ValueError(error.detail) from None


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("Must be an absolute path.")
    return path


def _path(value: object) -> object:
    return Path(value) if isinstance(value, str) and value else value


FilePath = Annotated[Path, BeforeValidator(_path), AfterValidator(_absolute)]


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: `host` and `port` (0: any that is free), or a Unix socket's path."""

    host: str
    port: int
    socket: Path | None = None

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `host:port`, `[ipv6]:port` or `unix:/path`; raise `ValueError`."""
        if text.startswith("unix:"):
            return cls("", 0, _absolute(Path(text.removeprefix("unix:"))))
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > _PORTS:
            raise ValueError("Must be host:port or unix:/path.")
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


def _address(text: str) -> str:
    Address.parse(text)
    return text


Listen = Annotated[str, AfterValidator(_address)]


class Tls(BaseModel):
    """TLS by certificate files: `certificate` a PEM chain, `key` its private key (mode 600)."""

    model_config = _STRICT

    certificate: FilePath | None = None
    key: FilePath | None = None


class Kafka(BaseModel):
    """The cluster that this instance keeps its ledger on; without `bootstrap`, the ledger is the embedded one."""

    model_config = _STRICT

    bootstrap: Annotated[str, Field(pattern=r"^[^\s,]+:[0-9]{1,5}(,[^\s,]+:[0-9]{1,5})*$")] | None = Field(
        default=None, description="the cluster's nodes, host:port,host:port; none: the embedded ledger"
    )
    instance: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,62}$")] = Field(
        default="broker", description="this instance's name, each its own"
    )
    signer: bool = Field(
        default=False, description="whether this instance signs checkpoints and directory: exactly one"
    )
    replication: Annotated[int, Field(ge=1, le=9)] = Field(
        default=3, description="copies of every topic; less than 3 in practice only"
    )
    create_topics: bool = Field(default=True, description="whether to make topics that are missing")
    recheck_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        default=60, description="how often to look whether topics are there and set safely"
    )
    alone_seconds: Annotated[int, Field(ge=1, le=86400)] = Field(
        default=3600, description="after how long a body that no record names is erased"
    )
    ca: FilePath | None = Field(default=None, description="PEM file that the nodes' certificates are held against")
    certificate: FilePath | None = Field(default=None, description="PEM file of this instance's certificate")
    key: FilePath | None = Field(default=None, description="PEM file of its private key (mode 600)")
    username: str | None = Field(default=None, description="SCRAM user, where there is no certificate")
    password_file: FilePath | None = Field(default=None, description="file of the user's password (mode 600)")
    frame_keys: FilePath | None = Field(
        default=None, description="file of the frame keys that all instances share (mode 600)"
    )


class Settings(BaseModel):
    """Everything that can be set. `state` is the folder that `init` made; times are in seconds."""

    model_config = _STRICT

    state: FilePath = Field(description="the folder that `broker init` made: keys, ledger, view, directory")
    origin: Annotated[str, AfterValidator(_origin)] = Field(description="the log's origin line, as it was initialised")
    passphrase_file: FilePath | None = Field(
        default=None, description="the file that opens the keys; else VALISE_PASSPHRASE_FILE or CREDENTIALS_DIRECTORY"
    )
    demo: bool = Field(default=False, description="allow a practice origin (demo. or test.)")
    listen: Listen = Field(default="127.0.0.1:8480", description="host:port or unix:/path of the service")
    metrics: Listen | Literal["off"] = Field(
        default="127.0.0.1:9480", description="host:port or unix:/path of the metrics, or off"
    )
    shutdown_seconds: Annotated[int, Field(ge=1, le=300)] = Field(
        default=15, description="how long requests under way may take when the service is told to stop"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least level to log")
    tls: Tls = Field(default_factory=Tls, description="certificate files; needed off the loopback interface")
    kafka: Kafka = Field(default_factory=Kafka, description="the cluster, for more than one machine")


SECTIONS: Final[Mapping[str, type[BaseModel]]] = {"tls": Tls, "kafka": Kafka}


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


def load(file: Path | None, environment: Mapping[str, str]) -> Loaded:
    """Read the file and the environment; raise `ConfigurationError` for what is wrong or unsafe."""
    values = {} if file is None else _read_file(file)
    sources = dict.fromkeys(_flat(values), "" if file is None else str(file))
    for name, text in _from_environment(environment).items():
        _put(values, name, text)
        sources[name] = PREFIX + name.replace(".", "_").upper()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _explain(error) from None
    check_safe(settings)
    return Loaded(settings, _explained(settings, sources))


def check_safe(settings: Settings) -> None:
    """Refuse what nobody should start; raise `ConfigurationError`."""
    if settings.origin.startswith(PRACTICE_ORIGINS) and not settings.demo:
        raise ConfigurationError(
            "This origin is for practice only.",
            pointer="/origin",
            hint="Use your own origin, or set demo = true for a demonstration.",
        )
    tls = settings.tls
    if (tls.certificate is None) is not (tls.key is None):
        raise ConfigurationError("TLS needs both a certificate and its key.", pointer="/tls")
    if tls.certificate is None and not Address.parse(settings.listen).local:
        raise ConfigurationError(
            "Plain HTTP off the loopback interface is refused.",
            pointer="/listen",
            hint="Set tls.certificate and tls.key, or listen on unix:/path behind a proxy.",
        )
    if settings.metrics != "off" and not Address.parse(settings.metrics).local:
        raise ConfigurationError(
            "Metrics are for this machine only.", pointer="/metrics", hint="Listen on the loopback interface."
        )
    _check_kafka(settings)
    kafka = settings.kafka
    for path, pointer in (
        (tls.key, "/tls/key"),
        (settings.passphrase_file, "/passphrase_file"),
        (kafka.key, "/kafka/key"),
        (kafka.password_file, "/kafka/password_file"),
        (kafka.frame_keys, "/kafka/frame_keys"),
    ):
        if path is not None:
            demand_private(path, pointer)


def _check_kafka(settings: Settings) -> None:
    """Refuse a cluster that would lose what was acknowledged, or whose records anybody could write."""
    kafka = settings.kafka
    if kafka.bootstrap is None:
        return
    if kafka.frame_keys is None:
        raise ConfigurationError(
            "Instances need frame keys.",
            pointer="/kafka/frame_keys",
            hint="Make the file with `valise broker frame-key`.",
        )
    if kafka.replication < COPIES and not settings.demo:
        raise ConfigurationError(
            "Fewer than three copies lose what was acknowledged.",
            pointer="/kafka/replication",
            hint="Use three nodes, or set demo = true for a demonstration.",
        )


def demand_private(path: Path, pointer: str) -> None:
    """Demand a file that only its owner (this process or root) can read or change; raise `ConfigurationError`."""
    try:
        found = path.stat()
    except OSError as error:
        raise ConfigurationError(f"The file cannot be read: {error.strerror}.", pointer=pointer) from None
    if not stat.S_ISREG(found.st_mode):
        raise ConfigurationError("Must be a file.", pointer=pointer)
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
            "The configuration file is not TOML.", hint="See `check-config` for a template."
        ) from None


def _names() -> dict[str, str]:
    """Return every value's name (`tls.key`) by its name in the environment."""
    names: dict[str, str] = {}
    for name in Settings.model_fields:
        section = SECTIONS.get(name)
        inner = [name] if section is None else [f"{name}.{sub}" for sub in section.model_fields]
        names |= {PREFIX + one.replace(".", "_").upper(): one for one in inner}
    return names


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    names = _names()
    found: dict[str, Any] = {}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(PREFIX):
            continue
        # A misspelt variable would otherwise be a safety setting that silently does nothing.
        if variable not in names:
            raise ConfigurationError(f"There is no setting for the variable {variable[:80]}.")
        found[names[variable]] = _typed(names[variable], text)
    return found


def _typed(name: str, text: str) -> str | int | bool:
    """Turn text into what the TOML file would have held; what does not fit is left for the model to refuse."""
    if name in ("demo", "kafka.signer", "kafka.create_topics") and text in ("true", "false"):
        return text == "true"
    if (
        name in ("shutdown_seconds", "kafka.replication", "kafka.recheck_seconds", "kafka.alone_seconds")
        and text.isascii()
        and text.isdigit()
    ):
        return int(text[:9])
    return text


def _put(values: dict[str, Any], name: str, value: object) -> None:
    section, dot, last = name.rpartition(".")
    into = values.setdefault(section, {}) if dot else values
    if isinstance(into, dict):  # else the model says what the file has there
        into[last] = value


def _flat(values: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for name, value in values.items():
        names += [f"{name}.{sub}" for sub in value] if isinstance(value, dict) else [name]
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
        section = SECTIONS.get(name)
        fields = {name: (value, field.description)}
        if section is not None:
            fields = {
                f"{name}.{sub}": (getattr(value, sub), one.description or field.description)
                for sub, one in section.model_fields.items()
            }
        for one, (held, about) in fields.items():
            shown = "" if held is None else str(held).lower() if isinstance(held, bool) else str(held)
            rows.append(Explained(one, shown, sources.get(one, "default"), about or ""))
    return tuple(rows)
