"""What the demonstration counts, and what it tells while it runs."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

_FOR_PEOPLE: Final = ("searched_bytes", "evidence_file", "fingerprint", "sample")
_OF_KAFKA: Final = ("instances", "kafka_nodes", "nodes_killed", "kafka_restarts", "published_after_kill_seconds")

Say = Callable[[str], None]


@dataclass
class Outcome:
    """The figures of the demonstration; `instances` and what follows it are told where there are nodes of Kafka.

    `published_after_kill_seconds` is how long a notice that was posted right after each kill took to its receipt.
    """

    rows_read: int = 0
    rows_imported: int = 0
    rows_refused: int = 0
    notices_published: int = 0
    notices_delivered: int = 0
    notices_opened: int = 0
    notices_acknowledged: int = 0
    denied: list[dict[str, str]] = field(default_factory=list)
    broker_restarts: int = 0
    marker_hits: int = 0
    ledger_size: int = 0
    seconds: float = 0.0
    rows_origin: str = ""
    searched_bytes: int = 0
    ledger_sound: bool = False
    evidence_sound: bool = False
    evidence_file: str = ""
    fingerprint: str = ""
    sample: dict[str, Any] = field(default_factory=dict)
    instances: int = 1
    kafka_nodes: int = 0
    nodes_killed: int = 0
    kafka_restarts: int = 0
    published_after_kill_seconds: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Return what `--json` prints."""
        left_out = _FOR_PEOPLE if self.kafka_nodes else (*_FOR_PEOPLE, *_OF_KAFKA)
        return {name: value for name, value in asdict(self).items() if name not in left_out}


@dataclass
class Progress:
    """What is told while the notices travel: how many have arrived, of how many."""

    say: Say
    moved: Callable[[int, int], None]
