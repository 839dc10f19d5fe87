"""The figures to reach, and whether they were."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from bench.answers import ACK_RATE, DELIVERY_RATE
from bench.hold import TALKERS
from bench.idle import PINGING
from bench.latency import BUSY_RATE, RATE, Latency
from bench.results import Results
from bench.throughput import MANY, CaseResult

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
    parts: tuple[Callable[[Results], Iterator[Target]], ...] = (
        _throughput,
        _checked,
        _answers,
        _latency,
        _memory,
        _hold,
        _handshakes,
        _idle,
        _start,
    )
    return list(chain.from_iterable(part(results) for part in parts))


def _throughput(results: Results) -> Iterator[Target]:
    for result in results.throughput:
        ratio = result.ratio("gateway")
        if ratio is not None:
            many = result.case.connections >= MANY
            least = (0.75 if many else 0.6) if result.case.per_segment > 1 else (0.9 if many else 0.85)
            yield Target(str(result.case), f"≥ {least} of the bare sink", f"{ratio:.2f}", ratio >= least)
        for peer in ("NATS", "rumqttd"):
            yield from _against(result, peer, 1.0, "takes in")
    for result in results.delivered:
        if result.case.subscribers > 1:
            yield from _against(result, "rumqttd", 1.2, "delivers")
        elif result.case.per_segment > 1:
            yield from _against(result, "NATS", 1.2, "delivers")
            yield from _against(result, "Mosquitto", 8.0, "delivers")
        else:
            yield from _against(result, "rumqttd", 1.1, "delivers")
    durable = results.durable.median("gateway") if results.durable is not None else None
    if durable is not None and results.durable is not None:
        rate = durable.messages_per_s
        yield Target(f"{results.durable.case}, on disk", "≥ 500,000/s", f"{rate:,.0f}/s", rate >= 500_000)
        yield from _against(results.durable, "Mosquitto", 5.0, "acknowledges")


def _against(result: CaseResult, peer: str, least: float, does: str) -> Iterator[Target]:
    ratio = result.ratio("gateway", peer)
    if ratio is not None:
        yield Target(f"{result.case}", f"≥ {least:g} of what {peer} {does}", f"{ratio:.2f}", ratio >= least)


def _checked(results: Results) -> Iterator[Target]:
    found = [verification for result in results.cases for verification in result.verifications]
    if found:
        held = sum(verification.holds for verification in found)
        yield Target("sent = ruled = stored", "always", f"{held} of {len(found)} loads", held == len(found))


def _latency(results: Results) -> Iterator[Target]:
    if results.latency is not None:
        yield from _reaction(results.latency, RATE, (("p50", "p50_ms", 2.0), ("p99", "p99_ms", 10.0)))
    if results.busy_latency is not None:
        yield from _reaction(results.busy_latency, BUSY_RATE, (("p99", "p99_ms", 10.0),))


def _reaction(latency: Latency, rate: int, limits: Iterable[tuple[str, str, float]]) -> Iterator[Target]:
    report = latency.report
    for name, key, limit in limits:
        found = report[key]
        yield Target(
            f"publish → rule → command at {rate:,}/s, {name}", f"< {limit:g} ms", f"{found:.2f} ms", found < limit
        )
    complete = report["reactions"] == report["reactions_expected"]
    yield Target(
        "… commands that arrived",
        f"{report['reactions_expected']:,}",
        f"{report['reactions']:,}",
        complete and not latency.operator.failure,
    )


def _answers(results: Results) -> Iterator[Target]:
    if results.acknowledgement is not None:
        found = results.acknowledgement.report["ack_p99_ms"]
        disk = f"{found:.2f} ms (the disk alone: {results.acknowledgement.sync_p99_ms:.2f} ms)"
        yield Target(f"QoS 1 at {ACK_RATE:,}/s, acknowledged, p99", "< 10 ms", disk, found < 10)
    if results.delivery is not None:
        ours, theirs = (results.delivery.reports.get(name, {}).get("p99_ms") for name in ("gateway", "Mosquitto"))
        if ours is not None and theirs is not None:
            found = f"{ours:.2f} and {theirs:.2f} ms"
            wanted = "≤ 2 of Mosquitto's"
            yield Target(f"publish → subscriber at {DELIVERY_RATE:,}/s, p99", wanted, found, ours <= 2 * theirs)


def _memory(results: Results) -> Iterator[Target]:
    memory = results.memory
    if memory is None:
        return
    idle = memory.idle / (1 << 20)
    yield Target("resident, idle", "< 100 MiB", f"{idle:.0f} MiB", idle < 100)
    each = memory.bytes_per_connection
    yield Target("resident per idle connection", "< 8 KiB", f"{each / 1024:.1f} KiB", each < 8192)
    yield Target("connections in one process", "25,000", f"{memory.held:,}", memory.held >= 25_000)


def _hold(results: Results) -> Iterator[Target]:
    for fleet in results.hold:
        who = f"{fleet.total:,} connections in one process, {fleet.transport}"
        there = fleet.held == fleet.connections and not fleet.storm["given_up"]
        yield Target(who, "held", f"{fleet.held + TALKERS + 1:,}", there)
        most = 2 if fleet.transport == "plain" else 8
        each = fleet.bytes_per_connection / 1024
        yield Target("… resident for each, without the kernel's part", f"≤ {most} KiB", f"{each:.1f} KiB", each <= most)
        kick = fleet.kick_ms(0.99)
        yield Target("… a kick is on the wire, p99", "< 10 ms", f"{kick:.1f} ms", kick < 10)
        lost = fleet.storm["timed_out"]
        found = f"{lost:,} in {fleet.storm['seconds']:.0f} s"
        yield Target("… time-outs when all come back at once", "none", found, lost == 0 and there)


def _handshakes(results: Results) -> Iterator[Target]:
    for shaken in results.handshakes.shaken if results.handshakes is not None else ():
        if shaken.share is not None:
            found = f"{shaken.share:.0%}"
            what = f"TLS handshakes with client certificates, {shaken.what}"
            yield Target(what, "≥ 80% of what OpenSSL's speed predicts", found, shaken.share >= 0.8)


def _idle(results: Results) -> Iterator[Target]:
    if results.idle is not None:
        found = results.idle.pinging
        yield Target(f"{PINGING:,} idle devices ping", "< 3% of a core", f"{found:.1%}", found < 0.03)


def _start(results: Results) -> Iterator[Target]:
    start = results.start
    if start is None:
        return
    yield Target("second start", "< 2 s", f"{start.second_s:.2f} s", start.second_s < 2)
    if start.cold_make_run_s is not None:
        minutes = start.cold_make_run_s / 60
        yield Target("cold make run", "< 6 min", f"{minutes:.1f} min", minutes < 6)
