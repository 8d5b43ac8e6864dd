"""What the operator of a gateway sees: log lines with event names and ids only, and metrics without contents.

A value that is not an id, a code, a number or a time is withheld from the log, so that no mistake at a call site can put a
notice into it. Metrics say how many, never what. Nothing is sent anywhere.
"""

import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from typing import Any, Final, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from adapters.gateway.service import Stats

WITHHELD: Final = "(withheld)"
_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_PLAIN: Final = re.compile(r"[A-Za-z0-9.:/@+*_{}\[\]-]{0,256}")


class Telemetry:
    """The metrics of one process: requests as they are answered; all else as it is at each scrape."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self.requests = Counter(
            "valise_gateway_requests",
            "Requests answered, by operation and status.",
            ("operation", "status"),
            registry=self._registry,
        )

    def text(self, stats: Stats) -> bytes:
        """Return all metrics in Prometheus' text form."""
        now = CollectorRegistry(auto_describe=False)
        now.register(_Now(stats))
        return generate_latest(self._registry) + generate_latest(now)


class _Now(Collector):
    """Turn figures into metrics."""

    def __init__(self, stats: Stats) -> None:
        self._stats = stats

    def describe(self) -> Iterator[Metric]:
        """Say nothing beforehand."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield the figures."""
        stats = self._stats
        outbox = GaugeMetricFamily(
            "valise_gateway_outbox", "Entries by participant and state.", labels=("participant", "state")
        )
        for (who, state), number in sorted(stats.outbox.items()):
            outbox.add_metric((who, state.value), number)
        yield outbox
        inbox = GaugeMetricFamily(
            "valise_gateway_inbox", "Items by participant and state.", labels=("participant", "state")
        )
        for (who, name), number in sorted(stats.inbox.items()):
            inbox.add_metric((who, name), number)
        yield inbox
        yield GaugeMetricFamily("valise_gateway_log_size", "Leaves of the log that were followed.", stats.log_size)
        yield GaugeMetricFamily("valise_gateway_directory", "Version of the directory.", stats.directory)
        if stats.checkpoint_age is not None:
            yield GaugeMetricFamily(
                "valise_gateway_checkpoint_age_seconds", "Age of the newest checkpoint.", stats.checkpoint_age
            )
        alarms = GaugeMetricFamily("valise_gateway_alarm", "What a person must look at, by kind.", labels=("kind",))
        for kind in stats.alarms:
            alarms.add_metric((kind,), 1)
        yield alarms


def configure_logging(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send every log line of this process to `stream` (standard error) as JSON; libraries' lines lose their sentences."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            only_ids,
            structlog.processors.JSONRenderer(sort_keys=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr if stream is None else stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Foreign()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def only_ids(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Withhold every value that could be something else than an id, a code, a number or a time."""
    error = event.pop("exc_info", None)
    if error:
        found = sys.exc_info()[1] if error is True else error
        event["error"] = type(found).__name__
        event["line"] = _where(found)
    if not _EVENT.fullmatch(str(event["event"])):
        event["event"] = "event.unnamed"
    for name, value in event.items():
        event[name] = _plain(value)
    return event


def _where(error: object) -> str:
    """Return where an error arose; its sentence may quote what must not be logged."""
    at = error.__traceback__ if isinstance(error, BaseException) else None
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return "unknown" if at is None else f"{at.tb_frame.f_code.co_name}:{at.tb_lineno}"


def _plain(value: object) -> object:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else WITHHELD
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return WITHHELD


class _Foreign(logging.Handler):
    """Pass on that a library has logged something: which one and how bad, never the sentence."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        error = record.exc_info[1] if record.exc_info else None
        structlog.get_logger("library").log(
            record.levelno,
            "library.logged",
            library=record.name,
            line=f"{record.module}:{record.lineno}",
            error=None if error is None else type(error).__name__,
        )
