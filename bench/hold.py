"""A large fleet on one gateway: memory of idle connections, kicks, and a storm in which all come back at once."""

import random
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.gateway import Gateway, device_name, gateway
from bench.load import BenchError, LoadRun, load, run_load
from bench.process import usage

__all__ = ["IMPATIENCE_S", "TALKERS", "Hold", "config", "make_pki", "measure_hold"]

_CONFIG: Final = """
[gateway]
name = "bench"
data_dir = "{data}"

[limits]
max_connections = {connections}

[api]
bind = "127.0.0.1:0"

[[mqtt.listeners]]
name = "default"
bind = "127.0.0.1:0"
"""
_TLS: Final = """
[[mqtt.listeners]]
name = "tls"
bind = "127.0.0.1:0"
transport = "tls"
tls_certificate = "{pki}/server.pem"
tls_key = "{pki}/server.key"
client_certificates = "required"
client_ca = "{pki}/ca.pem"
"""

TALKERS: Final = 100
TALK_RATE: Final = 1_000
KICKS: Final = 1_000
IMPATIENCE_S: Final = 30
"""A client that is not there after so long gives up and begins anew."""

QUIET_S: Final = 10.0
SETTLED_S: Final = 5.0


@dataclass(frozen=True)
class Hold:
    """What became of one fleet. Memory is resident bytes of the gateway's process, without the kernel's for sockets."""

    transport: str
    connections: int
    register_s: float
    registered: int
    with_connections: int
    opened: dict[str, Any]
    kicks_ms: list[float]
    """From the request of the API to the end of the connection as its client sees it."""
    quiet: dict[str, Any]
    """From a talker to a subscriber while nothing else happens, as the generator reports it."""
    stormy: dict[str, Any]
    """The same while everybody else comes back."""
    storm: dict[str, Any]
    after_storm: int
    held: int

    @property
    def total(self) -> int:
        """With those that talk."""
        return self.connections + TALKERS + 1

    @property
    def bytes_per_connection(self) -> float:
        """Beyond what the registered devices take."""
        return (self.with_connections - self.registered) / self.connections

    def kick_ms(self, quantile: float) -> float:
        """A quantile of the kicks."""
        return statistics.quantiles(self.kicks_ms, n=1000, method="inclusive")[round(quantile * 1000) - 1]


def config(connections: int, pki: Path | None = None) -> str:
    """The default configuration but for the limit of connections: a tenth more, and as many shards as they need.

    With TLS if there is a directory.
    """
    text = _CONFIG.replace("{connections}", str(connections * 11 // 10))
    return text if pki is None else text + _TLS.replace("{pki}", str(pki))


def make_pki(work: Path) -> Path:
    """An authority, and the gateway's certificate, in a directory."""
    directory = work / "pki"
    run_load(work / "load.log", "pki", directory=directory)
    return directory


def measure_hold(total: int, transport: str, work: Path) -> Hold:
    """Holds a fleet of `total` connections, of which a hundred devices and a subscriber talk over plain TCP."""
    quiet_ones = total - TALKERS - 1
    fleet = work / "fleet"
    with _fleet(fleet, total, transport) as (server, register_s, options):
        registered = _resident(server)
        with load(work / "load.log", "hold", connections=quiet_ones, timeout=IMPATIENCE_S, **options) as run:
            run.expect("held")
            opened = run.answer()
            with_connections = _resident(server)
            kicks = _kick(server, run, quiet_ones)
            quiet = _talk(server, fleet, seconds=QUIET_S)
            with load(work / "load.log", "latency", **_talking(server, fleet, 600), until_closed="true") as talk:
                talk.expect("open")
                storm = run.ask("storm")
                stormy = talk.report(within_s=60)
            after_storm = _resident(server)
            held = int(run.report(within_s=60)["held"])
        return Hold(
            transport=transport,
            connections=quiet_ones,
            register_s=register_s,
            registered=registered,
            with_connections=with_connections,
            opened=opened,
            kicks_ms=kicks,
            quiet=quiet,
            stormy=stormy,
            storm=storm,
            after_storm=after_storm,
            held=held,
        )


@contextmanager
def _fleet(work: Path, total: int, transport: str) -> Iterator[tuple[Gateway, float, dict[str, object]]]:
    """A gateway, how long it took to register its devices, and the generator's options for them."""
    pki = make_pki(work.parent) if transport == "TLS" else None
    with gateway(work, config(total, pki)) as server:
        begin = time.monotonic()
        server.register(total - 1)
        register_s = time.monotonic() - begin
        server.let_reader_in()
        lines = server.credentials.read_text().splitlines(keepends=True)
        (work / "talkers.csv").write_text("".join(lines[-TALKERS:]))
        server.rest()
        options: dict[str, object] = {"to": server.address, "credentials": server.credentials}
        if pki is not None:
            options |= {"to": server.address_of("tls"), "tls": pki}
        yield server, register_s, options


def _resident(server: Gateway) -> int:
    server.rest()
    time.sleep(SETTLED_S)
    return usage(server.pid).resident


def _kick(server: Gateway, run: LoadRun, connections: int) -> list[float]:
    """Kicks devices one after the other, as an operator's program would; milliseconds until each had noticed."""
    chosen = [device_name(i) for i in random.Random(7).sample(range(connections), min(KICKS, connections))]
    begun = {}
    with server.client() as client:
        for device in chosen:
            begun[device] = time.monotonic_ns()
            body = {"state": "kick", "reason": "benchmark"}
            client.put(f"/api/v1/devices/{device}/state", json=body).raise_for_status()
    time.sleep(1)
    ended = run.ask("ended")
    missing = [device for device in chosen if device not in ended]
    if missing:
        raise BenchError(f"{len(missing)} of {len(chosen)} devices did not notice that they were kicked: {missing[:3]}")
    return [(ended[device] - begun[device]) / 1e6 for device in chosen]


def _talking(server: Gateway, fleet: Path, seconds: float) -> dict[str, object]:
    return {
        "to": server.address,
        "credentials": fleet / "talkers.csv",
        "connections": TALKERS,
        "rate": TALK_RATE,
        "seconds": seconds,
        "filter": "devices/+/telemetry/bench",
        "user": server.reader[0],
        "password": server.reader[1],
    }


def _talk(server: Gateway, fleet: Path, seconds: float) -> dict[str, Any]:
    return run_load(fleet.parent / "load.log", "latency", **_talking(server, fleet, seconds))
