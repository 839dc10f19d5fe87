"""The figures to reach, and whether they were."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

from bench.results import Results

__all__ = ["Target", "targets"]


@dataclass(frozen=True)
class Target:
    """One figure."""

    what: str
    wanted: str
    found: str
    reached: bool


def targets(results: Results) -> list[Target]:
    """Those of the parts that ran."""
    parts: tuple[Callable[[Results], Iterator[Target]], ...] = (_throughput, _checked, _latency, _memory, _start)
    return list(chain.from_iterable(part(results) for part in parts))


def _throughput(results: Results) -> Iterator[Target]:
    for result in results.throughput:
        ratio = result.ratio("gateway")
        if ratio is not None:
            least = 0.6 if result.case.per_segment > 1 else 0.85
            yield Target(str(result.case), f"≥ {least} of the bare sink", f"{ratio:.2f}", ratio >= least)
    durable = results.durable.median("gateway") if results.durable is not None else None
    if durable is not None and results.durable is not None:
        rate = durable.messages_per_s
        yield Target(f"{results.durable.case}, on disk", "≥ 250,000/s", f"{rate:,.0f}/s", rate >= 250_000)


def _checked(results: Results) -> Iterator[Target]:
    found = [verification for result in results.cases for verification in result.verifications]
    if found:
        held = sum(verification.holds for verification in found)
        yield Target("sent = ruled = stored", "always", f"{held} of {len(found)} loads", held == len(found))


def _latency(results: Results) -> Iterator[Target]:
    if results.latency is None:
        return
    report = results.latency.report
    for name, key, limit in (("p50", "p50_ms", 2.0), ("p99", "p99_ms", 10.0)):
        yield Target(
            f"publish → rule → command, {name}", f"< {limit:g} ms", f"{report[key]:.2f} ms", report[key] < limit
        )
    complete = report["reactions"] == report["reactions_expected"]
    yield Target(
        "… commands that arrived",
        f"{report['reactions_expected']:,}",
        f"{report['reactions']:,}",
        complete and not results.latency.operator.failure,
    )


def _memory(results: Results) -> Iterator[Target]:
    memory = results.memory
    if memory is None:
        return
    idle = memory.idle / (1 << 20)
    yield Target("resident, idle", "< 100 MiB", f"{idle:.0f} MiB", idle < 100)
    each = memory.bytes_per_connection
    yield Target("resident per idle connection", "< 8 KiB", f"{each / 1024:.1f} KiB", each < 8192)
    yield Target("connections in one process", "25,000", f"{memory.held:,}", memory.held >= 25_000)


def _start(results: Results) -> Iterator[Target]:
    start = results.start
    if start is None:
        return
    yield Target("second start", "< 2 s", f"{start.second_s:.2f} s", start.second_s < 2)
    if start.cold_make_run_s is not None:
        minutes = start.cold_make_run_s / 60
        yield Target("cold make run", "< 6 min", f"{minutes:.1f} min", minutes < 6)
