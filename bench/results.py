"""Everything that one run found, as it is kept in bench/results/."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from bench.answers import Acknowledgement, Delivery
from bench.handshakes import Handshakes
from bench.hold import Hold
from bench.idle import Idle
from bench.latency import Latency
from bench.machine import Machine
from bench.memory import Memory
from bench.sizes import Sizes
from bench.starting import Start
from bench.throughput import CaseResult

__all__ = ["Results", "save"]

FORMAT = 1
"""Of the JSON file."""


@dataclass
class Results:
    """What was found so far; parts that did not run are None."""

    begun: datetime
    command: str
    seconds: float
    rounds: int
    machine: Machine
    throughput: list[CaseResult] = field(default_factory=list)
    delivered: list[CaseResult] = field(default_factory=list)
    durable: CaseResult | None = None
    latency: Latency | None = None
    busy_latency: Latency | None = None
    acknowledgement: Acknowledgement | None = None
    delivery: Delivery | None = None
    memory: Memory | None = None
    hold: list[Hold] = field(default_factory=list)
    handshakes: Handshakes | None = None
    idle: Idle | None = None
    sizes: Sizes | None = None
    start: Start | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether there is anything to keep."""
        others: tuple[object, ...] = (self.latency, self.busy_latency, self.acknowledgement, self.delivery)
        others += (self.memory, self.start, self.handshakes, self.idle, self.sizes)
        return any(case.runs for case in self.cases) or bool(self.hold) or any(other is not None for other in others)

    @property
    def cases(self) -> list[CaseResult]:
        """All loads."""
        return self.throughput + self.delivered + ([self.durable] if self.durable is not None else [])


def save(results: Results, name: str, text: str, directory: Path) -> Path:
    """Writes the figures as JSON and the tables as Markdown; gives the latter's path."""
    directory.mkdir(parents=True, exist_ok=True)
    stem = f"{results.begun:%Y-%m-%d}-{name}"
    content = {"format": FORMAT, **asdict(results)}
    (directory / f"{stem}.json").write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    path = directory / f"{stem}.md"
    path.write_text(text, encoding="utf-8")
    return path
