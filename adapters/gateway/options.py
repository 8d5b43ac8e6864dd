"""How a gateway runs, and the figures that it shows: values, without behaviour."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from adapters.gateway.labels import LabelDefaults
from adapters.gateway.status import State
from schemas.ids import ParticipantId


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class GatewayOptions:
    """How a gateway runs; `folder` is the one that `init_gateway` made.

    `broker` replaces the kit's address; `ca_file` is what its certificate is held against; `defaults` complete the
    labels of a participant's notices; `acknowledge_seconds` is the least time between two acknowledgements to one
    sender; `duty_seconds` is how often it looks for what is due; `practice_notice` sends one to the focal point after enrolment.
    """

    folder: Path
    broker: str | None = None
    ca_file: Path | None = None
    defaults: Mapping[ParticipantId, LabelDefaults] = field(default_factory=dict)
    poll_seconds: float = 2
    acknowledge_seconds: float = 10
    duty_seconds: float = 5
    connections: int = 32
    practice_notice: bool = True
    now_ms: Callable[[], int] = _now_ms


@dataclass(frozen=True, slots=True)
class Stats:
    """Figures for metrics: entries and items by participant and state, the log as far as it was followed."""

    outbox: Mapping[tuple[ParticipantId, State], int]
    inbox: Mapping[tuple[ParticipantId, str], int]
    log_size: int
    directory: int
    checkpoint_age: int | None
    alarms: tuple[str, ...]
