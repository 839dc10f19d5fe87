"""What is measured: a bare sink, the gateway, Mosquitto. All listen on loopback and are ended with their block."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from bench.load import BenchError, LoadRun, load
from bench.process import child

__all__ = ["Counted", "Mosquitto", "Server", "Sink", "mosquitto", "mosquitto_binary", "sink"]

SHARDS: Final = 2


@dataclass(frozen=True)
class Counted:
    """Messages taken, and calls of recv that brought bytes (a few of them CONNECT and DISCONNECT)."""

    messages: int
    receives: int


class Server(Protocol):
    """Something that takes MQTT connections."""

    @property
    def name(self) -> str:
        """What it is called in the tables."""

    @property
    def pid(self) -> int:
        """Its process."""

    @property
    def address(self) -> str:
        """Where it listens."""

    @property
    def credentials(self) -> Path | None:
        """The generator's credentials; None for whoever lets everybody in."""

    def counted(self) -> Counted | None:
        """What it counted, when all has been sent; None if it does not say. To be asked once."""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass(frozen=True)
class Sink:
    """`mohhos-load sink`."""

    address: str
    run: LoadRun
    name: str = "bare sink"
    credentials: Path | None = None

    @property
    def pid(self) -> int:
        """Its process."""
        return self.run.process.pid

    def counted(self) -> Counted:
        """Its last words."""
        report = self.run.report(within_s=30)
        return Counted(int(report["messages"]), int(report["recvs"]))


@contextmanager
def sink(log: Path) -> Iterator[Sink]:
    """The sink, with as many shards as the gateway has here."""
    address = f"127.0.0.1:{_free_port()}"
    with load(log, "sink", bind=address, shards=SHARDS) as run:
        run.expect("ready")
        yield Sink(address, run)


@dataclass(frozen=True)
class Mosquitto:
    """Mosquitto with its defaults; clients need no credentials."""

    address: str
    pid: int
    name: str = "Mosquitto"
    credentials: Path | None = None

    def counted(self) -> None:
        """It counts messages every ten seconds only, and no calls of recv."""


def mosquitto_binary() -> str | None:
    """Where Mosquitto is installed, if it is."""
    return shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@contextmanager
def mosquitto(binary: str, work: Path) -> Iterator[Mosquitto]:
    """A broker with a configuration of its own."""
    port = _free_port()
    config = work / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_type error\n")
    with child([binary, "-c", str(config)], work / "mosquitto.log") as process:
        if not _answers(process, port):
            raise BenchError(f"Mosquitto did not start: {(work / 'mosquitto.log').read_text()[-500:]}")
        yield Mosquitto(f"127.0.0.1:{port}", process.pid)


def _answers(process: "subprocess.Popen[str]", port: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False
