"""How long `mohhos up` takes until it answers, and `make run` on a fresh clone."""

import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from tests.support.gateway import CONFIG

from bench.gateway import gateway
from bench.load import ROOT, BenchError, run_load
from bench.rules import THROUGHPUT

__all__ = ["Start", "cold_make_run", "measure_start"]

DEVICES: Final = 1_000
FILL_S: Final = 5.0
LIMIT_S: Final = 1_800.0


@dataclass(frozen=True)
class Start:
    """Seconds from the command to /readyz saying yes; the second start has devices, rules and a log to look through."""

    second_s: float
    devices: int
    cold_make_run_s: float | None


def measure_start(work: Path, cold_make_run_s: float | None) -> Start:
    """Starts a gateway on an empty data directory; gives it devices, rules and readings; stops and starts it again."""
    with gateway(work / "gateway") as server:
        server.register(DEVICES)
        server.put_rules(THROUGHPUT)
        given: dict[str, object] = {"to": server.address, "credentials": server.credentials}
        run_load(work / "load.log", "send", connections=DEVICES, topics=10, seconds=FILL_S, qos=1, **given)
        server.running.stop()
        begin = time.monotonic()
        server.running.start(within_s=60)
        return Start(time.monotonic() - begin, DEVICES, cold_make_run_s)


def cold_make_run(work: Path) -> float:
    """Clones this checkout and times `make run` until its gateway is ready, without what earlier builds left behind."""
    clone, config, caches = work / "clone", work / "demo.toml", work / "caches"
    data = work / "demo"
    config.write_text(CONFIG.format(data=data))
    try:
        subprocess.run(["git", "clone", "--quiet", "--local", str(ROOT), str(clone)], check=True)
        environment = {**os.environ, "MOHHOS_CONFIG": str(config), "PIP_NO_CACHE_DIR": "1"}
        environment["CARGO_HOME"] = str(_cargo_home(caches))
        for variable in ("CARGO_TARGET_DIR", "VIRTUAL_ENV", "PYTHONPATH"):
            environment.pop(variable, None)
        begin = time.monotonic()
        with (work / "make.log").open("w") as log:
            process = subprocess.Popen(
                ["make", "run"], cwd=clone, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            while process.poll() is None and time.monotonic() - begin < LIMIT_S:
                if _ready(data):
                    return time.monotonic() - begin
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        raise BenchError(f"make run was not ready: {(work / 'make.log').read_text()[-1000:]}")
    finally:
        for directory in (clone, caches, data):
            shutil.rmtree(directory, ignore_errors=True)


def _cargo_home(directory: Path) -> Path:
    """An empty one, but with the user's settings: they may name the registry to download from."""
    directory.mkdir()
    present = Path(os.environ.get("CARGO_HOME", Path.home() / ".cargo"))
    for name in ("config.toml", "config"):
        if (present / name).exists():
            shutil.copy(present / name, directory / name)
    return directory


def _ready(data: Path) -> bool:
    try:
        api = json.loads((data / "run" / "endpoints.json").read_text())["api"]
        return httpx.get(f"{api}/readyz", timeout=2).status_code == 200
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return False
