"""One load on one server: how much it took, and what it cost."""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.gateway import Gateway, Settled
from bench.load import load
from bench.options import Case
from bench.process import usage
from bench.servers import Server

__all__ = ["READINGS", "Measurement", "Sent", "measure"]

READINGS: Final = 2
"""Readings of one message of the generator: temperature and seq."""

THREADS: Final = os.cpu_count() or 1
"""Of the generator: with fewer than cores it is the generator that is measured, and not the bare sink."""


@dataclass(frozen=True)
class Measurement:
    """What one load gave. CPU is that of the server alone, without its query process; memory is resident bytes.

    `messages_per_s` are those taken (QoS 0), acknowledged (QoS 1), or delivered, if somebody has subscribed; CPU is for
    each of these.
    """

    server: str
    sent: int
    seconds: float
    messages_per_s: float
    messages_per_receive: float | None
    cpu_us_per_message: float
    resident_start: int
    resident_end: int
    children_resident_end: int
    settled: Settled | None
    delivered: int | None


@dataclass(frozen=True)
class Sent:
    """What the generator says it sent."""

    messages: int
    hot: int
    per_device: dict[str, int]


def measure(server: Server, case: Case, seconds: float, work: Path) -> tuple[Measurement, Sent]:
    """Puts the load on the server, which is fresh, and waits until it has taken everything."""
    log, counts = work / "load.log", work / "counts.csv"
    with ExitStack() as stack:
        receiver = None
        if case.subscribers:
            reader = server.reader if isinstance(server, Gateway) else ("reader", None)
            receiver = stack.enter_context(
                load(
                    log,
                    "receive",
                    to=server.address,
                    user=reader[0],
                    password=reader[1],
                    filter="devices/#",
                    subscribers=case.subscribers,
                    seconds=int(seconds) + 300,
                )
            )
            receiver.expect("ready")
        options = {"connections": case.connections, "topics": case.topics, "per_segment": case.per_segment}
        sender = stack.enter_context(
            load(
                log,
                "send",
                to=server.address,
                credentials=server.credentials,
                qos=case.qos,
                threads=THREADS,
                seconds=seconds,
                counts=counts,
                # A broker that is slower has minutes of messages before it, which nobody waits for. The gateway's are
                # all counted.
                drain="true" if receiver is None or isinstance(server, Gateway) else "false",
                **options,
            )
        )
        sender.expect("open")
        before = usage(server.pid)
        report = sender.report(within_s=seconds + 180)
        settled = server.settle(report["sent"] * READINGS) if isinstance(server, Gateway) else None
        after = usage(server.pid)
        received = receiver.report(within_s=60) if receiver is not None else None
    counted = server.counted()
    done, span_s = _done(report, case, received)
    measurement = Measurement(
        server=server.name,
        sent=report["sent"],
        seconds=report["seconds"],
        messages_per_s=done / span_s,
        messages_per_receive=counted.messages / counted.receives if counted else None,
        cpu_us_per_message=(after.cpu_s - before.cpu_s) * 1e6 / done,
        resident_start=before.resident,
        resident_end=after.resident,
        children_resident_end=after.children_resident,
        settled=settled,
        delivered=received["received"] if received else None,
    )
    lines = (line.split(",") for line in counts.read_text().splitlines())
    return measurement, Sent(report["sent"], report["hot"], {device: int(n) for device, n in lines})


def _done(report: dict[str, Any], case: Case, received: dict[str, Any] | None) -> tuple[int, float]:
    """The messages that count, and in how many seconds they were done."""
    if case.qos > 0:
        return report["acknowledged"], report["seconds"]
    if received is not None:
        return received["received"], received["seconds"]
    return report["sent"], report["seconds"]
