"""What takes a load: the seam of bench.gateway and bench.peers, and the bare sink. All listen on loopback and are
ended with their block.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tests.support.ports import free_port

from bench.load import LoadRun, load

__all__ = ["Counted", "Server", "Sink", "answers", "sink"]

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
    address = f"127.0.0.1:{free_port()}"
    with load(log, "sink", bind=address, shards=SHARDS) as run:
        run.expect("ready")
        yield Sink(address, run)


def answers(process: "subprocess.Popen[str]", port: int) -> bool:
    """Whether the process listens on the port within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False
