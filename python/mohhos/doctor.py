"""What about this machine would keep the gateway from running well, and what to do about it."""

import contextlib
import json
import os
import resource
import shutil
import socket
import stat
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from mohhos import _native
from mohhos.config import Config
from mohhos.units import parse_bind

__all__ = ["Finding", "examine"]

RESERVE: Final = 1 << 30
SLOW_SYNC_S: Final = 0.02
ANSWER_WITHIN_S: Final = 5.0
PER_CONNECTION: Final = 8 * 1024


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `level` says how it is, `next_step` what to do (empty if nothing)."""

    subject: str
    level: Literal["good", "warning", "bad"]
    what: str
    next_step: str = ""


def examine(config: Config) -> list[Finding]:
    """Everything that can be looked at, the most basic first, and what a gateway that runs says of itself."""
    checks: tuple[Callable[[Config], Iterator[Finding]], ...] = (
        _open_files,
        _memory,
        _data_dir,
        _clock,
        _ports,
        _gateway,
    )
    return [finding for check in checks for finding in check(config)]


def _open_files(config: Config) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    shards = config.gateway.shards or os.cpu_count() or 1
    needed = config.limits.max_connections // max(1, hard - 64) + 1
    what = f"{hard} per thread, {config.limits.max_connections} connections allowed"
    if config.gateway.shards and needed > shards:
        yield Finding(
            "open files",
            "bad",
            f"{what}, and only {shards} shards",
            f"Set gateway.shards to 0 or {needed}, or raise the hard limit (ulimit -Hn, LimitNOFILE= in systemd)",
        )
    else:
        yield Finding("open files", "good", f"{what}: {max(shards, needed)} shards will share them")


def _memory(config: Config) -> Iterator[Finding]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    wanted = config.limits.max_connections * PER_CONNECTION + config.log.buffer + config.history.query_memory
    if wanted > total * 0.8:
        yield Finding(
            "memory",
            "warning",
            f"{total >> 20} MiB, while the configured limits may take {wanted >> 20} MiB",
            "Lower limits.max_connections or history.query_memory",
        )
    else:
        yield Finding("memory", "good", f"{total >> 20} MiB")


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path


def _data_dir(config: Config) -> Iterator[Finding]:
    path = config.data_dir
    base = _existing(path)
    if not os.access(base, os.W_OK | os.X_OK):
        yield Finding(
            "data directory",
            "bad",
            f"{base} cannot be written by user {os.getuid()}",
            "Name another directory as gateway.data_dir, or give this user the right",
        )
        return
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding(
            "data directory", "warning", f"{path} is open to other users of this machine", f"chmod 700 {path}"
        )
    else:
        yield Finding("data directory", "good", str(path))
    free = shutil.disk_usage(base).free
    wanted = config.log.retain_size + config.history.retain_size
    if free < RESERVE:
        yield Finding(
            "disk", "bad", f"{free >> 20} MiB are free", "Free some space; below nothing devices have to wait"
        )
    elif free < wanted:
        yield Finding(
            "disk",
            "warning",
            f"{free >> 30} GiB are free, while log and history may take {wanted >> 30} GiB",
            "Lower log.retain_size and history.retain_size, or use a larger disk",
        )
    else:
        yield Finding("disk", "good", f"{free >> 30} GiB are free")
    yield _sync_time(base)


def _sync_time(base: Path) -> Finding:
    """How long a write takes to be on disk: it is the least time of an acknowledgement."""
    times = []
    try:
        with tempfile.TemporaryFile(dir=base) as file:
            for _ in range(8):
                os.pwrite(file.fileno(), b"\0" * 4096, 0)
                start = time.perf_counter()
                os.fdatasync(file.fileno())
                times.append(time.perf_counter() - start)
    except OSError as error:
        return Finding(
            "disk speed",
            "bad",
            f"4 KiB cannot be written to {base}: {error.strerror}",
            "Free some space or repair the disk: nothing that devices send is acknowledged until then",
        )
    middle = sorted(times)[len(times) // 2]
    what = f"4 KiB are on disk after {middle * 1000:.2f} ms"
    if middle > SLOW_SYNC_S:
        return Finding(
            "disk speed",
            "warning",
            what,
            "Acknowledgements (QoS 1 and 2) take as long; a longer log.commit_interval gathers more per write",
        )
    return Finding("disk speed", "good", what)


def _clock(_: Config) -> Iterator[Finding]:
    now_us = time.time_ns() // 1000
    if now_us < _native.BUILD_TIME_US:
        yield Finding(
            "clock",
            "bad",
            f"it says {time.strftime('%Y-%m-%d', time.gmtime())}, which is before this program was built",
            "Set it (timedatectl set-ntp true); until then the gateway starts its clock at the last time it knows",
        )
        return
    synchronised = Path("/run/systemd/timesync/synchronized").exists() or _chrony()
    if synchronised:
        yield Finding("clock", "good", "synchronised")
    else:
        yield Finding(
            "clock",
            "warning",
            "no time service is seen to synchronise it",
            "Run one (systemd-timesyncd, chrony), so that readings without a time of their own get a right one",
        )


def _chrony() -> bool:
    return Path("/run/chrony/chronyd.sock").exists()


def _running(config: Config) -> dict[str, Any] | None:
    """Where the gateway of this data directory listens; None if none runs."""
    try:
        endpoints = json.loads(config.endpoints.read_text(encoding="utf-8"))
        os.kill(endpoints["pid"], 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    known: dict[str, Any] = endpoints
    return known


def _gateway(config: Config) -> Iterator[Finding]:
    endpoints = _running(config)
    if endpoints is None:
        yield Finding("gateway", "good", "none runs on this data directory")
        return
    api = endpoints["api"]
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{api}/readyz", timeout=ANSWER_WITHIN_S):
            yield Finding("gateway", "good", f"it runs and is ready ({api})")
    except urllib.error.HTTPError as refused:
        for code in json.load(refused)["reasons"]:
            yield Finding("gateway", "bad", f"it runs and is not ready: {code}", f"Read {api}/errors/{code}")
    except (OSError, ValueError, KeyError) as error:
        yield Finding(
            "gateway", "bad", f"process {endpoints['pid']} does not answer at {api}: {error}", "Look at its log"
        )


def _ports(config: Config) -> Iterator[Finding]:
    running = _running(config) or {"api": "", "mqtt": {}}
    own = {int(running["api"].rpartition(":")[2] or 0), *running["mqtt"].values()}
    binds = [("api.bind", config.api.bind)]
    binds += [(f"listener {each.name}", each.bind) for each in config.mqtt.listeners]
    for name, bind in binds:
        host, port = parse_bind(bind)
        if port in own - {0}:
            yield Finding(name, "good", f"{bind} is used by this gateway")
            continue
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                yield Finding(
                    name,
                    "bad",
                    f"{bind} cannot be used: {error.strerror}",
                    "End the other program, or name another port",
                )
            else:
                yield Finding(name, "good", f"{bind} is free")
