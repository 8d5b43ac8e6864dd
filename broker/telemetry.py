"""What the operator sees: log lines and metrics, with event names and ids only.

Log lines are JSON, one an event; an event is `noun.verb`, and a value that is not an id, a code, a number or a time is
withheld, so that no mistake at a call site can put contents into a log. The metrics' registry is the process's own; what
the ledger knows of itself is read at each scrape. Nothing is sent anywhere.
"""

import logging
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

WITHHELD: Final = "(withheld)"

_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9.:/@+*_{}\[\]-]{0,256}")
_LATENCIES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

Values = Mapping[str, int | float]


@dataclass(frozen=True, slots=True)
class EngineFigures:
    """What a ledger that several instances share says of itself; the embedded one has nothing of it to say.

    `lag` counts records that the store has and this instance's view has not applied; `heartbeat_age` is seconds since the
    store last confirmed that this instance is heard there (infinite before the first time); `clock_offset` is how many
    seconds this machine's clock is ahead of the store's. `instances` are alive, this one among them; `signer` says whether
    this one signs; `replacements` counts producers that were given up for a new one since the start.
    """

    lag: int = 0
    heartbeat_age: float = math.inf
    clock_offset: float = 0.0
    instances: int = 1
    signer: bool = False
    replacements: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What the ledger and its view say of themselves, read at each scrape.

    `gauges` go up and down, `counters` only up since the start; both by name, without the prefix `valise_`. `alarms`
    counts by kind what a person should look at. `skipped` counts by reason the records that do not count: those that the
    fold leaves out and, in a shared store, those that are not framed by an instance. `engine` is the shared store's.
    """

    gauges: Values = field(default_factory=dict)
    counters: Values = field(default_factory=dict)
    alarms: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    engine: EngineFigures | None = None


class Telemetry:
    """The metrics of one process."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.publishes = Counter(
            "valise_publishes", "Envelopes answered, by outcome.", ("outcome",), registry=self.registry
        )
        self.requests = Histogram(
            "valise_request_seconds",
            "Time to the end of an answer, by operation and status.",
            ("operation", "status"),
            registry=self.registry,
            buckets=_LATENCIES,
        )
        self.registry.register(_Figures(figures))


class _Figures(Collector):
    """Turn `Figures` into metrics at the time of the scrape."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        self._figures = figures

    def describe(self) -> Iterator[Metric]:
        """Say nothing beforehand: the figures are not read before there is a ledger."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read the figures and yield them."""
        figures = self._figures()
        for name, value in sorted(figures.gauges.items()):
            yield GaugeMetricFamily(f"valise_{name}", name.replace("_", " "), value=value)
        for name, value in sorted(figures.counters.items()):
            yield CounterMetricFamily(f"valise_{name}", name.replace("_", " "), value=value)
        yield _labelled("valise_alarms", "What a person should look at, by kind.", "kind", figures.alarms)
        yield _labelled("valise_records_skipped", "Records that do not count, by reason.", "reason", figures.skipped)
        if figures.engine is not None:
            yield from _of_engine(figures.engine)


def _labelled(name: str, about: str, label: str, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, about, labels=(label,))
    for value, count in sorted(counts.items()):
        family.add_metric((value,), count)
    return family


def _of_engine(engine: EngineFigures) -> Iterator[Metric]:
    for name, about, value in (
        ("ledger_lag_records", "Records in the store that the view has not applied.", engine.lag),
        ("heartbeat_age_seconds", "Since the store last confirmed this instance's heartbeat.", engine.heartbeat_age),
        ("clock_offset_seconds", "How far this machine's clock is ahead of the store's.", engine.clock_offset),
        ("instances", "Instances that are alive, this one among them.", engine.instances),
        ("signer", "Whether this instance signs checkpoints.", int(engine.signer)),
    ):
        yield GaugeMetricFamily(f"valise_{name}", about, value=value)
    yield CounterMetricFamily(
        "valise_producer_replacements", "Producers given up for a new one.", value=engine.replacements
    )


def configure_logging(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send every log line of this process to `stream` (standard error) as JSON; libraries' lines lose their values."""
    out = sys.stderr if stream is None else stream
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            only_ids,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def only_ids(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Withhold every value that could be something else than an id, a code, a number or a time."""
    if not _EVENT.fullmatch(str(event["event"])):
        event["event"] = "event.unnamed"
    for name, value in event.items():
        event[name] = _plain(value)
    return event


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else WITHHELD
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return WITHHELD


class _Foreign(logging.Handler):
    """Pass on that a library has logged something: which one and how bad, never the sentence, which may quote."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[0] if record.exc_info else None
        structlog.get_logger("library").log(
            record.levelno,
            "library.logged",
            library=record.name,
            line=f"{record.module}:{record.lineno}",
            error=None if error is None else error.__name__,
        )
