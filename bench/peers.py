"""The brokers that the gateway is compared with, each with its defaults, everybody let in, on loopback.

Mosquitto is the Debian package. NATS server and rumqttd come from their registries, and are built once into
target/peers. What cannot be had is told, and left out.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.ports import free_port

from bench.load import ROOT, BenchError
from bench.process import child
from bench.servers import answers

__all__ = ["NATS_VERSION", "PEERS", "RUMQTTD_VERSION", "Broker", "Peer", "mosquitto_binary", "open_peer"]

BUILT: Final = ROOT / "target" / "peers"
BUILD_S: Final = 1_800
NATS_VERSION: Final = "v2.15.2"
RUMQTTD_VERSION: Final = "0.20.0"

_MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_type error
"""

# The MQTT listener of NATS keeps its sessions in JetStream and does not start without it.
_NATS = """\
listen: 127.0.0.1:{other_port}
server_name: bench
jetstream {{ store_dir: "{work}/jetstream" }}
mqtt {{ listen: 127.0.0.1:{port} }}
"""

# Of the example configuration that comes with rumqttd: the bounds raised so that the load fits.
_RUMQTTD = """\
id = 0

[router]
id = 0
max_connections = 20010
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10

[v4.1]
name = "v4-1"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1

    [v4.1.connections]
    connection_timeout_ms = 60000
    max_payload_size = 20480
    max_inflight_count = 100
    dynamic_filters = true
"""


@dataclass(frozen=True)
class Broker:
    """A running peer; clients need no credentials."""

    name: str
    address: str
    pid: int
    credentials: Path | None = None

    def counted(self) -> None:
        """None of them tells how often it called recv."""


@dataclass(frozen=True)
class Peer:
    """How a peer is had, configured and started."""

    name: str
    find: Callable[[], str]
    configuration: str
    file_name: str
    arguments: tuple[str, ...]


def mosquitto_binary() -> str | None:
    """Where Mosquitto is installed, if it is."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


def _mosquitto() -> str:
    found = mosquitto_binary()
    if found is None:
        raise BenchError("Mosquitto is not installed: scripts/apt-install mosquitto")
    return found


def _built(binary: str, words: list[str], environment: dict[str, str]) -> str:
    """The program, built if it is not there yet."""
    path = BUILT / "bin" / binary
    if path.exists():
        return str(path)
    if shutil.which(words[0]) is None:
        raise BenchError(f"{binary} is built with {words[0]}, which is not installed")
    surroundings = {**os.environ, **environment}
    done = subprocess.run(words, env=surroundings, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if done.returncode != 0 or not path.exists():
        raise BenchError(f"{binary} could not be built: {done.stderr[-500:]}")
    return str(path)


def _nats() -> str:
    words = ["go", "install", f"github.com/nats-io/nats-server/v2@{NATS_VERSION}"]
    return _built("nats-server", words, {"GOBIN": str(BUILT / "bin"), "GOFLAGS": "-modcacherw"})


def _rumqttd() -> str:
    # Not --locked: what it locks (metrics 0.22.1) is refused by Rust 1.95.
    words = ["cargo", "install", "rumqttd", "--version", RUMQTTD_VERSION, "--root", str(BUILT)]
    return _built("rumqttd", words, {"CARGO_TARGET_DIR": str(BUILT / "build")})


PEERS: Final = {
    "mosquitto": Peer("Mosquitto", _mosquitto, _MOSQUITTO, "mosquitto.conf", ("-c",)),
    "nats": Peer("NATS", _nats, _NATS, "nats.conf", ("-c",)),
    "rumqttd": Peer("rumqttd", _rumqttd, _RUMQTTD, "rumqttd.toml", ("-q", "-c")),
}


def open_peer(name: str, work: Path) -> AbstractContextManager[Broker]:
    """Builds what is missing, then gives the broker to be run. Raises BenchError if it cannot be had."""
    peer = PEERS[name]
    return _running(peer, peer.find(), work)


@contextmanager
def _running(peer: Peer, binary: str, work: Path) -> Iterator[Broker]:
    port = free_port()
    log = work / f"{peer.file_name}.log"
    config = work / peer.file_name
    config.write_text(peer.configuration.format(port=port, other_port=free_port(), work=work))
    try:
        with child([binary, *peer.arguments, str(config)], log) as process:
            if not answers(process, port):
                raise BenchError(f"{peer.name} did not start: {log.read_text()[-500:]}")
            time.sleep(1)
            yield Broker(peer.name, f"127.0.0.1:{port}", process.pid)
    finally:
        shutil.rmtree(work / "jetstream", ignore_errors=True)
