"""`python -m bench`: one command, one machine, one run."""

import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import NoReturn

import httpx
from rich.console import Console

from bench import machine, options
from bench.answers import measure_acknowledgement, measure_delivery
from bench.handshakes import measure_handshakes
from bench.hold import measure_hold
from bench.idle import measure_idle
from bench.latency import BUSY_RATE, measure_latency
from bench.load import ROOT, BenchError
from bench.memory import measure_memory
from bench.options import Options
from bench.report import markdown
from bench.results import Results, save
from bench.sizes import measure_sizes
from bench.starting import cold_make_run, measure_start
from bench.throughput import CaseResult, run_case

_console = Console()
_FAILURES = (BenchError, AssertionError, OSError, httpx.HTTPError, subprocess.SubprocessError)


def _say(text: str) -> None:
    _console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {text}", highlight=False)


def _end(number: int, _frame: object) -> NoReturn:
    """A signal ends the run as Ctrl-C does, so that every server is stopped."""
    sys.exit(128 + number)


Part = tuple[str, Callable[[], None]]


def _loads(given: Options, work: Path, results: Results) -> Iterator[Part]:
    """What was measured of a load stays in the results, even if the load could not be finished."""

    def measured(result: CaseResult) -> Part:
        return str(result.case), lambda: run_case(result, given, work, _say)

    if "throughput" in given.parts:
        results.throughput = [CaseResult(case) for case in given.cases()]
        yield from map(measured, results.throughput)
    subscribed = given.delivered() if "delivered" in given.parts else []
    subscribed += [given.fanout()] if "fanout" in given.parts else []
    results.delivered = [CaseResult(case) for case in subscribed]
    yield from map(measured, results.delivered)
    if "durable" in given.parts:
        results.durable = CaseResult(given.durable())
        yield measured(results.durable)


def _others(given: Options, work: Path, results: Results) -> Iterator[Part]:
    def latency() -> None:
        results.latency = measure_latency(given.seconds, work)

    def busy() -> None:
        results.busy_latency = measure_latency(given.seconds, work, BUSY_RATE, busy=True)

    def acknowledgement() -> None:
        results.acknowledgement = measure_acknowledgement(given.seconds, work)

    def delivery() -> None:
        results.delivery = measure_delivery(given.seconds, work)

    def memory() -> None:
        results.memory = measure_memory(given.held, work)

    def hold(transport: str) -> Part:
        return f"hold, {transport}", lambda: results.hold.append(measure_hold(given.fleet, transport, work))

    def handshakes() -> None:
        results.handshakes = measure_handshakes(work)

    def idle() -> None:
        results.idle = measure_idle(given.seconds, work)

    def sizes() -> None:
        results.sizes = measure_sizes(work)

    def start() -> None:
        cold_s = cold_make_run(work) if given.cold_make_run else None
        results.start = measure_start(work, cold_s)

    parts: dict[str, Callable[[], None]] = {
        "acknowledgement": acknowledgement,
        "delivery": delivery,
        "latency": latency,
        "busy": busy,
        "memory": memory,
        "handshakes": handshakes,
        "idle": idle,
        "sizes": sizes,
        "start": start,
    }
    yield from ((name, part) for name, part in parts.items() if name in given.parts)
    if "hold" in given.parts:
        yield from map(hold, given.transports)


def _short(failure: Exception) -> str:
    """Its first and last line, for the result file: without what lies between, and without where this checkout is."""
    lines = str(failure).replace(str(ROOT), ".").splitlines() or [type(failure).__name__]
    return lines[0] if len(lines) == 1 else f"{lines[0]} … {lines[-1]}"


def main() -> int:
    """Runs what was asked for; a part that fails is told, and the others go on."""
    given = options.parse(sys.argv[1:])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    results = Results(datetime.now(UTC), command, given.seconds, given.rounds, machine.describe())
    # Beside the checkout's other data: what lies in memory (as /tmp may) would make every sync free.
    data = ROOT / "data"
    data.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=data))
    try:
        for name, part in chain(_loads(given, work, results), _others(given, work, results)):
            _say(f"[bold]{name}[/]")
            try:
                part()
            except _FAILURES as failure:
                _console.print(f"{name} failed: {failure}", style="red", markup=False)
                results.failures.append(f"{name}: {_short(failure)}")
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if results.found:
            text = markdown(results)
            path = save(results, given.name, text, ROOT / "bench" / "results")
            print(f"\n{text}\nKept in {path.relative_to(ROOT)} and the .json beside it.")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
