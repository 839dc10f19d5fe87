"""Sink and gateway in turn under the same load, then the peers: medians, ratios, and whether anything is missing."""

import statistics
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.gateway import Gateway, ready_gateway
from bench.load import BenchError
from bench.measure import Measurement, measure
from bench.options import Case, Options
from bench.peers import open_peer
from bench.rules import TEN, THROUGHPUT
from bench.servers import Server, sink
from bench.verify import Verification, verify

__all__ = ["MANY", "CaseResult", "run_case"]

FILTER_RULE: Final = "bench-filter"
MANY: Final = 10_000
"""With so many devices ten rules run, with fewer two."""

_MEDIANS: Final = ("messages_per_s", "messages_per_receive", "cpu_us_per_message", "resident_start", "resident_end")


@dataclass(frozen=True)
class CaseResult:
    """All measurements of one load, in the order in which they were taken, and what was checked after each."""

    case: Case
    runs: list[Measurement] = field(default_factory=list)
    verifications: list[Verification] = field(default_factory=list)

    def median(self, server: str) -> Measurement | None:
        """The server's run in the middle by messages/s, with medians in its main figures; None if there is none."""
        runs = sorted((run for run in self.runs if run.server == server), key=lambda run: run.messages_per_s)
        if not runs:
            return None
        values = {name: [getattr(run, name) for run in runs] for name in _MEDIANS}
        return replace(
            runs[len(runs) // 2],
            **{name: statistics.median(known) for name, known in values.items() if None not in known},
        )

    def ratio(self, server: str, to: str = "bare sink") -> float | None:
        """Messages/s of one server for each of another. Of rounds in pairs the median of their ratios, for noise hits
        both of a round; otherwise the ratio of the medians. None if one of them was not measured.
        """
        ours, theirs = self._rates(server), self._rates(to)
        if not ours or not theirs:
            return None
        if len(ours) == len(theirs):
            return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))
        return statistics.median(ours) / statistics.median(theirs)

    def _rates(self, server: str) -> list[float]:
        return [run.messages_per_s for run in self.runs if run.server == server]


def run_case(result: CaseResult, options: Options, work: Path, say: Callable[[str], None]) -> None:
    """Measures one load, and puts what it finds into the result at once."""
    case = result.case

    def one(opened: AbstractContextManager[Server], check: bool = False) -> None:
        with opened as server:
            measurement, sent = measure(server, case, options.seconds, work)
            result.runs.append(measurement)
            say(f"{server.name}: {measurement.messages_per_s:,.0f} messages/s")
            if isinstance(server, Gateway):
                found = verify(server, case, sent, FILTER_RULE, options.ordered if check else None)
                result.verifications.append(found)
                say("nothing is missing" if found.holds else f"NOT THE SAME: {found}")

    rules = TEN if case.connections >= MANY else THROUGHPUT
    for number in range(options.rounds):
        if not case.subscribers:
            one(sink(work / "sink.log"))
        one(
            ready_gateway(work / "gateway", case.connections, rules),
            check=not case.subscribers and number == options.rounds - 1,
        )
    for peer in options.peers:
        try:
            one(open_peer(peer, work))
        except BenchError as error:
            say(f"without {peer}: {error}")
