"""The processor time of a gateway whose devices do nothing but ping."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gateway import gateway
from bench.load import BenchError, load
from bench.process import usage

__all__ = ["KEEP_ALIVE_S", "PINGING", "Idle", "measure_idle"]

PINGING: Final = 10_000
KEEP_ALIVE_S: Final = 60
"""The usual one of client libraries. Devices ping so often, one after the other."""


@dataclass(frozen=True)
class Idle:
    """Cores used by the gateway, with its query process: before anybody had connected, and with pinging devices."""

    alone: float
    pinging: float
    seconds: float
    pings: int
    answered: int


def measure_idle(seconds: float, work: Path) -> Idle:
    """Measures for as long as all devices take to ping once, at least."""
    seconds = max(seconds, float(KEEP_ALIVE_S))
    with gateway(work / "gateway") as server:
        server.register(PINGING)
        server.rest()
        alone = _cores(server.pid, seconds)
        options = {"to": server.address, "credentials": server.credentials, "connections": PINGING}
        with load(work / "load.log", "hold", ping=KEEP_ALIVE_S, **options) as run:
            run.expect("held")
            server.rest()
            pinging = _cores(server.pid, seconds)
            report = run.report(within_s=60)
    if report["held"] != PINGING:
        raise BenchError(f"{report['held']:,} of {PINGING:,} devices were still connected at the end")
    return Idle(alone, pinging, seconds, int(report["pings"]), int(report["pongs"]))


def _cores(pid: int, seconds: float) -> float:
    def busy() -> float:
        used = usage(pid)
        return used.cpu_s + used.children_cpu_s

    before, begin = busy(), time.monotonic()
    time.sleep(seconds)
    return (busy() - before) / (time.monotonic() - begin)
