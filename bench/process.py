"""CPU and memory of processes out of /proc; child processes that end with the benchmark."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Usage", "child", "threads_cpu_s", "usage"]

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Usage:
    """What a process has used: CPU seconds and resident bytes, those of its children apart."""

    cpu_s: float
    resident: int
    children_cpu_s: float
    children_resident: int


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (the third of proc(5)): the name before may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu(fields: list[str], first: int) -> float:
    return (int(fields[first - 3]) + int(fields[first - 2])) / _TICKS


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _descendants(pid: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found: list[int] = []
    queue = [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def usage(pid: int) -> Usage:
    """The process with all its threads, and its children: those that run, and those that have ended."""
    fields = _stat(pid)
    children_cpu, children_resident = _cpu(fields, 16), 0
    for child_pid in _descendants(pid):
        with suppress(OSError):
            children_cpu += _cpu(_stat(child_pid), 14)
            children_resident += _resident(child_pid)
    return Usage(_cpu(fields, 14), _resident(pid), children_cpu, children_resident)


def threads_cpu_s(pid: int, name: str) -> float:
    """CPU seconds of the process's threads whose names begin so, to the nanosecond."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            if (task / "comm").read_text().startswith(name):
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def child(words: list[str], log: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process for the length of the block, with pipes to its input and output; it never outlives the benchmark."""
    with log.open("a") as errors:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no thread of ours runs yet whose lock it could need
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
