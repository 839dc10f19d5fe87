"""`python -m bench`: one command, one machine, one run."""

import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import httpx
from rich.console import Console

from bench import machine, options
from bench.latency import measure_latency
from bench.load import ROOT, BenchError
from bench.memory import measure_memory
from bench.options import Options
from bench.report import markdown, rich
from bench.results import Results, save
from bench.starting import cold_make_run, measure_start
from bench.throughput import run_case

_console = Console()
_FAILURES = (BenchError, AssertionError, OSError, httpx.HTTPError, subprocess.SubprocessError)


def _say(text: str) -> None:
    _console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/] {text}", highlight=False)


def _end(number: int, _frame: object) -> NoReturn:
    """A signal ends the run as Ctrl-C does, so that every server is stopped."""
    sys.exit(128 + number)


def _parts(given: Options, work: Path, results: Results) -> dict[str, Callable[[], None]]:
    def throughput() -> None:
        for case in given.cases():
            results.throughput.append(run_case(case, given, work, _say))

    def durable() -> None:
        results.durable = run_case(given.durable(), given, work, _say)

    def latency() -> None:
        results.latency = measure_latency(given.seconds, work)

    def memory() -> None:
        results.memory = measure_memory(given.held, work)

    def start() -> None:
        cold_s = cold_make_run(work) if given.cold_make_run else None
        results.start = measure_start(work, cold_s)

    return {
        "throughput": throughput,
        "durable": durable,
        "latency": latency,
        "memory": memory,
        "start": start,
    }


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
        for name, part in _parts(given, work, results).items():
            if name in given.parts:
                _say(f"[bold]{name}[/]")
                try:
                    part()
                except _FAILURES as failure:
                    results.failures.append(f"{name}: {str(failure).replace(str(ROOT), '.')}")
                    _say(f"[red]{results.failures[-1]}[/]")
    finally:
        shutil.rmtree(work, ignore_errors=True)
        if results.cases or results.latency or results.memory or results.start:
            _console.print(rich(results))
            path = save(results, given.name, markdown(results), ROOT / "bench" / "results")
            _console.print(f"Kept in {path.relative_to(ROOT)} and the .json beside it.")
    return 1 if results.failures else 0


if __name__ == "__main__":
    sys.exit(main())
