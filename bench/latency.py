"""From publishing a reading to the command of a rule at the device, while an operator is at work."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.at_work import OperatorWork, at_work
from bench.gateway import gateway
from bench.load import run_load
from bench.rules import REACTION

__all__ = ["BUSY_RATE", "RATE", "Latency", "measure_latency"]

CONNECTIONS: Final = 1_000
RATE: Final = 10_000
BUSY_RATE: Final = 100_000
COMMANDS: Final = 1_000
"""Commands a second, whatever the rate."""
FILL_S: Final = 10.0


@dataclass(frozen=True)
class Latency:
    """The generator's report (milliseconds, from when a message was due), and what the operator did meanwhile."""

    report: dict[str, Any]
    operator: OperatorWork
    history_rows: int


def measure_latency(seconds: float, work: Path, rate: int = RATE, *, busy: bool = False) -> Latency:
    """Fills the history for some seconds so that a query over it is heavy; then sends at a fixed rate, open loop.

    With `busy`, a client asks the gateway's Python for long lists all the time.
    """
    log = work / "load.log"
    with gateway(work / "gateway") as server:
        server.register(CONNECTIONS)
        server.put_rules(REACTION)
        given: dict[str, object] = {
            "to": server.address,
            "credentials": server.credentials,
            "connections": CONNECTIONS,
        }
        filled = run_load(log, "send", topics=10, per_segment=10, seconds=min(FILL_S, seconds), **given)
        server.rest()
        with at_work(server, busy=busy) as operator:
            given |= {"rate": rate, "react": rate // COMMANDS, "threads": 2 if busy else 1}
            report = run_load(log, "latency", seconds=seconds, **given)
        return Latency(report, operator, 2 * int(filled["sent"]))
