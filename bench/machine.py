"""Where the figures come from: machine, commit, load before."""

import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.load import ROOT
from bench.peers import NATS_VERSION, RUMQTTD_VERSION, mosquitto_binary

__all__ = ["Machine", "describe"]


@dataclass(frozen=True)
class Machine:
    """What a figure means little without."""

    processor: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    peers: str
    commit: str
    changed_files: int
    load_average: tuple[float, float, float]


def _line(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _mosquitto() -> str:
    binary = mosquitto_binary()
    if binary is None:
        return "not installed"
    done = subprocess.run([binary, "-h"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0].removeprefix("mosquitto version ")


def describe() -> Machine:
    """This machine, now: before anything of the benchmark runs."""
    return Machine(
        processor=_line("/proc/cpuinfo", "model name"),
        cores=os.cpu_count() or 0,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
        python=platform.python_version(),
        peers=f"Mosquitto {_mosquitto()}, NATS {NATS_VERSION}, rumqttd {RUMQTTD_VERSION}",
        commit=_git("rev-parse", "--short=12", "HEAD") or "unknown",
        changed_files=len(_git("status", "--porcelain", "--untracked-files=no").splitlines()),
        load_average=os.getloadavg(),
    )
