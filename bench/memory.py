"""Resident memory: idle, and with many idle connections."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.gateway import Gateway, gateway
from bench.load import load
from bench.process import usage

__all__ = ["Memory", "measure_memory"]

COUNTED: Final = 10_000
"""Connections whose memory is divided by their number."""

QUIET_S: Final = 3.0


@dataclass(frozen=True)
class Memory:
    """Resident bytes of the gateway's process. The kernel's memory for sockets is not in them."""

    idle: int
    registered: int
    connections: int
    with_connections: int
    bytes_per_connection: float
    held: int
    with_held: int
    opened_per_s: float


def measure_memory(held: int, work: Path) -> Memory:
    """Starts a gateway, registers devices, and holds connections: first 10,000, then as many as asked for."""
    with gateway(work / "gateway") as server:
        idle = _resident(server)
        counted = min(COUNTED, held)
        server.register(held)
        registered = _resident(server)
        with_connections, _ = _hold(server, counted, work)
        with_held, report = _hold(server, held, work)
        return Memory(
            idle=idle,
            registered=registered,
            connections=counted,
            with_connections=with_connections,
            bytes_per_connection=(with_connections - registered) / counted,
            held=int(report["held"]),
            with_held=with_held,
            opened_per_s=float(report["per_second"]),
        )


def _resident(server: Gateway) -> int:
    time.sleep(QUIET_S)
    return usage(server.pid).resident


def _hold(server: Gateway, connections: int, work: Path) -> tuple[int, dict[str, float]]:
    """Memory while they are held, and how many were still open at the end."""
    with load(
        work / "load.log", "hold", to=server.address, credentials=server.credentials, connections=connections
    ) as run:
        run.expect("held")
        resident = _resident(server)
        return resident, run.report(within_s=60)
