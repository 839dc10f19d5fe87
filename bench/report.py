"""The tables: what was measured, beside what is wanted."""

from collections.abc import Iterable
from typing import Final

from bench.answers import ACK_RATE, DELIVERY_RATE
from bench.fleet_tables import fleet_tables
from bench.latency import BUSY_RATE, RATE, Latency
from bench.measure import Measurement
from bench.memory import Memory
from bench.peers import PEERS
from bench.results import Results
from bench.table import Table, mib
from bench.targets import targets
from bench.verify import Verification

__all__ = ["markdown", "tables"]

NONE: Final = "-"
FIGURES: Final = ("messages/s", "per recv", "CPU µs/message", "MiB at start", "MiB at end")


def tables(results: Results) -> list[Table]:
    """All that there is to show, the comparison with what is wanted first."""
    found = [_wanted(results)]
    found += [_loads(results), _rounds(results), _checks(results)]
    found.append(_answers(results))
    latencies = (_latency(results.latency, RATE), _latency(results.busy_latency, BUSY_RATE))
    found += [table for table in (*latencies, _memory(results), _start(results)) if table is not None]
    found += fleet_tables(results)
    return [table for table in found if table.rows]


def markdown(results: Results) -> str:
    """The result file for people."""
    machine = results.machine
    head = [
        f"# Benchmark of {results.begun:%Y-%m-%d %H:%M} UTC",
        "",
        f"- command: `{results.command}`",
        f"- commit: {machine.commit}, {machine.changed_files} files changed since",
        f"- machine: {machine.cores} cores, {machine.processor}, {machine.memory_bytes / (1 << 30):.0f} GiB, "
        f"Linux {machine.kernel}, Python {machine.python}; {machine.peers}",
        f"- load average before: {', '.join(f'{load:.2f}' for load in machine.load_average)}",
        "",
        "Generator, servers and subscriber share the machine. Figures are medians of the rounds, a ratio is the median",
        "of the rounds' ratios. How to read the columns: docs/benchmarks.md.",
    ]
    head += [f"\n**Failed:** {failure}" for failure in results.failures]
    return "\n".join([*head, *(_markdown(table) for table in tables(results))]) + "\n"


def _markdown(table: Table) -> str:
    """With columns in line, so that it reads as well in a terminal."""
    widths = [max(3, *(len(row[i]) for row in [table.columns, *table.rows])) for i in range(len(table.columns))]

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))} |"

    lines = ["", f"## {table.title}", "", line(table.columns), line("-" * width for width in widths)]
    lines += [line(row) for row in table.rows]
    return "\n".join([*lines, *(["", table.remark] if table.remark else [])])


def _wanted(results: Results) -> Table:
    rows = [(t.what, t.wanted, t.found, "yes" if t.reached else "no") for t in targets(results)]
    return Table("Wanted and found", ("what", "wanted", "found", "reached"), rows)


def _loads(results: Results) -> Table:
    rows = []
    for result in results.cases:
        for server in ("bare sink", "gateway", *(peer.name for peer in PEERS.values())):
            run = result.median(server)
            if run is not None:
                ratio = result.ratio(server, "gateway" if result.case.subscribers else "bare sink")
                shown = f"{ratio:.2f}" if ratio is not None else NONE
                rows.append((str(result.case), run.server, shown, *_figures(run)))
    return Table(
        f"Loads of {results.seconds:g} s",
        ("load", "server", "ratio", *FIGURES),
        rows,
        "QoS 0: messages/s taken, or delivered where somebody has subscribed. QoS 1: acknowledged, by the gateway "
        "after they are on disk. The ratio is to the bare sink; where somebody has subscribed, to the gateway. CPU is "
        "the server's process alone.",
    )


def _figures(run: Measurement) -> tuple[str, ...]:
    """In the order of FIGURES."""
    per_receive = run.messages_per_receive
    return (
        f"{run.messages_per_s:,.0f}",
        f"{per_receive:.1f}" if per_receive is not None else NONE,
        f"{run.cpu_us_per_message:.2f}",
        mib(run.resident_start),
        mib(run.resident_end),
    )


def _rounds(results: Results) -> Table:
    rows = []
    for result in results.cases:
        for run in result.runs:
            settled = run.settled
            after = (f"{settled.ruled_s:.2f}", f"{settled.stored_s:.2f}") if settled is not None else (NONE, NONE)
            sent = (f"{run.sent:,}", f"{run.seconds:.1f}", *after)
            rows.append((str(result.case), run.server, *sent, *_figures(run)))
    return Table(
        "All rounds, in the order in which they ran",
        ("load", "server", "sent", "in s", "ruled, s", "stored, s", *FIGURES),
        rows,
        "Ruled, stored: how long after the end the rules had seen everything, and the history had it.",
    )


def _checks(results: Results) -> Table:
    rows = [_check(result.case, found) for result in results.cases for found in result.verifications]
    return Table(
        "Sent, ruled, stored",
        ("load", "sent", "taken", "rows the rules saw", "hot: sent, found", "stored", "devices in order", "the same"),
        rows,
        "A message is two readings, and a rule sees a row per reading. Stored: counted by SQL over the history after "
        "the last round of a load, with least, greatest and sum of the sequence numbers per device.",
    )


def _check(case: object, found: Verification) -> tuple[str, ...]:
    ruled = sorted({f"{rows:,}" for rows in found.ruled.values()})
    problems = found.devices_wrong + found.devices_out_of_order
    return (
        str(case),
        f"{found.sent:,}",
        f"{found.taken:,}",
        ", ".join(ruled),
        f"{found.hot_sent}, {found.hot_found}",
        f"{found.stored:,}" if found.stored is not None else NONE,
        str(found.devices_in_order) if found.stored is not None else NONE,
        "yes" if found.holds else "NO " + "; ".join(problems[:1]),
    )


def _answers(results: Results) -> Table:
    rows = []
    if results.acknowledgement is not None:
        report = results.acknowledgement.report
        keys = ("ack_p50_ms", "ack_p99_ms", "ack_p999_ms", "ack_max_ms")
        count = f"{report['acknowledged']:,} of {report['sent']:,}"
        rows.append((f"QoS 1 acknowledged, {ACK_RATE:,}/s", count, *(f"{report[key]:.2f}" for key in keys)))
    for server, report in (results.delivery.reports if results.delivery is not None else {}).items():
        if "failure" not in report:
            count = f"{report['reactions']:,} of {report['reactions_expected']:,}"
            times = (f"{report[key]:.2f}" for key in ("p50_ms", "p99_ms", "p999_ms", "max_ms"))
            rows.append((f"{server} to one subscriber, {DELIVERY_RATE:,}/s", count, *times))
    return Table("Answers, open loop", ("what", "messages", "p50 ms", "p99", "p99.9", "max"), rows)


def _latency(latency: Latency | None, rate: int) -> Table | None:
    if latency is None:
        return None
    report, operator = latency.report, latency.operator
    mean = operator.query_s / operator.queries if operator.queries else 0.0
    return Table(
        f"From publishing to the rule's command at the device, {rate:,} messages/s, open loop",
        ("commands", "expected", "p50 ms", "p90", "p99", "p99.9", "max"),
        [
            (
                f"{report['reactions']:,}",
                f"{report['reactions_expected']:,}",
                *(f"{report[key]:.2f}" for key in ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")),
            )
        ],
        f"Meanwhile the operator ran {operator.queries} queries over {latency.history_rows:,} readings "
        f"and more ({mean:.1f} s each, {operator.queries_refused} refused), fetched the overview "
        f"{operator.overviews} times (longest {operator.overview_max_s:.2f} s), and got "
        f"{operator.live_bytes / 1000:,.0f} kB of live readings"
        + (f", and {operator.lists:,} lists of 1,000 devices." if operator.lists else ".")
        + (f" It was interrupted: {operator.failure}." if operator.failure else ""),
    )


def _memory(results: Results) -> Table | None:
    memory = results.memory
    if memory is None:
        return None
    rows = [
        ("idle", mib(memory.idle), ""),
        ("devices registered, none connected", mib(memory.registered), ""),
        (
            f"{memory.connections:,} idle connections",
            mib(memory.with_connections),
            f"{memory.bytes_per_connection:,.0f} bytes each",
        ),
        (f"{memory.held:,} connections held", mib(memory.with_held), _each(memory)),
    ]
    return Table(
        "Resident memory of the gateway", ("what", "MiB", ""), rows, "Without the kernel's memory for sockets."
    )


def _each(memory: Memory) -> str:
    each = (memory.with_held - memory.registered) / memory.held
    return f"{each:,.0f} bytes each, {memory.opened_per_s:,.0f} opened per second"


def _start(results: Results) -> Table | None:
    start = results.start
    if start is None:
        return None
    rows = [(f"second start, {start.devices:,} devices, until /readyz", f"{start.second_s:.2f}")]
    if start.cold_make_run_s is not None:
        rows.append(("make run on a fresh clone, with downloads", f"{start.cold_make_run_s:.0f}"))
    return Table("Start", ("what", "seconds"), rows)
