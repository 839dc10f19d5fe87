"""How soon the hub answers at a fixed rate, open loop: acknowledgements from the disk, and messages to a subscriber."""

import mmap
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.gateway import ready_gateway
from bench.load import BenchError, run_load
from bench.peers import open_peer
from bench.rules import THROUGHPUT
from bench.servers import Server

__all__ = ["ACK_RATE", "DELIVERY_RATE", "Acknowledgement", "Delivery", "measure_acknowledgement", "measure_delivery"]

CONNECTIONS: Final = 1_000
ACK_RATE: Final = 200_000
DELIVERY_RATE: Final = 10_000
SYNC_BYTES: Final = 128 * 1024
SYNCS: Final = 1_000


@dataclass(frozen=True)
class Acknowledgement:
    """The generator's report (milliseconds from when a message was due), and what the disk alone takes."""

    report: dict[str, Any]
    sync_p50_ms: float
    sync_p99_ms: float


@dataclass(frozen=True)
class Delivery:
    """The generator's reports by server."""

    reports: dict[str, dict[str, Any]]


def measure_acknowledgement(seconds: float, work: Path) -> Acknowledgement:
    """QoS 1, ten per segment, 200,000 messages/s."""
    syncs = _syncs(work)
    with ready_gateway(work / "gateway", CONNECTIONS, THROUGHPUT) as server:
        report = run_load(
            work / "load.log",
            "send",
            to=server.address,
            credentials=server.credentials,
            connections=CONNECTIONS,
            topics=10,
            per_segment=10,
            # Open loop: what is late must not hold back what comes after it.
            inflight=1_000,
            qos=1,
            rate=ACK_RATE,
            threads=1,
            seconds=seconds,
        )
    return Acknowledgement(report, syncs[0], syncs[1])


def measure_delivery(seconds: float, work: Path) -> Delivery:
    """QoS 0, 10,000 messages/s to one subscriber: the gateway, then Mosquitto."""
    reports = {}
    with ready_gateway(work / "gateway", CONNECTIONS, THROUGHPUT) as server:
        reports[server.name] = _deliver(server, server.reader, seconds, work)
    try:
        with open_peer("mosquitto", work) as broker:
            reports[broker.name] = _deliver(broker, ("reader", None), seconds, work)
    except BenchError as error:
        reports["Mosquitto"] = {"failure": str(error)}
    return Delivery(reports)


def _deliver(server: Server, reader: tuple[str, str | None], seconds: float, work: Path) -> dict[str, Any]:
    return run_load(
        work / "load.log",
        "latency",
        to=server.address,
        credentials=server.credentials,
        connections=CONNECTIONS,
        rate=DELIVERY_RATE,
        filter="devices/+/telemetry/#",
        user=reader[0],
        password=reader[1],
        seconds=seconds,
    )


def _syncs(work: Path) -> tuple[float, float]:
    """Median and 99th percentile of writing 128 KiB to the disk with nothing else going on, in milliseconds.

    O_DIRECT with O_DSYNC over a file of zeros, as the log writes.
    """
    path = work / "sync"
    path.write_bytes(bytes(SYNC_BYTES * 16))
    file = os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_DSYNC)
    block = mmap.mmap(-1, SYNC_BYTES)
    times = []
    try:
        for i in range(SYNCS):
            begin = time.perf_counter()
            os.pwrite(file, block, (i % 16) * SYNC_BYTES)
            times.append((time.perf_counter() - begin) * 1e3)
    finally:
        os.close(file)
        path.unlink()
    return statistics.median(times), statistics.quantiles(times, n=100)[98]
