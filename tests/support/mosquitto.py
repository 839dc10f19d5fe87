"""Mosquitto as a broker beside the gateway, in a process and a directory of its own."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.gateway import eventually
from tests.support.mqtt import needs
from tests.support.ports import free_port

CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {directory}/
autosave_interval 1
max_queued_messages 0
log_dest file {directory}/mosquitto.log
"""


@dataclass
class MosquittoBroker:
    """One broker; it keeps its port and its data over a restart."""

    directory: Path
    extra: str = ""
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> "MosquittoBroker":
        """Starts it and waits until it listens."""
        config = self.directory / "mosquitto.conf"
        config.write_text(CONFIG.format(port=self.port, directory=self.directory) + self.extra)
        # Started by root it becomes another user, who has to write here.
        user = "root" if os.geteuid() == 0 else ""
        config.write_text(config.read_text() + (f"user {user}\n" if user else ""))
        self.process = subprocess.Popen([needs("mosquitto"), "-c", str(config)])
        eventually(self._listens, what="mosquitto's start")
        return self

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it; with SIGTERM it saves what it has."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(10)

    def wait_saved(self) -> None:
        """Waits until it has saved what it knows now, which it does every second."""
        saved, now = self.directory / "mosquitto.db", time.time()
        eventually(lambda: saved.exists() and saved.stat().st_mtime > now, what="mosquitto's saving")

    def log_text(self) -> str:
        """What it has logged."""
        path = self.directory / "mosquitto.log"
        return path.read_text() if path.exists() else ""


@contextmanager
def mosquitto(directory: Path, extra: str = "") -> Iterator[MosquittoBroker]:
    """A broker for the length of the block."""
    directory.mkdir(parents=True, exist_ok=True)
    broker = MosquittoBroker(directory, extra).start()
    try:
        yield broker
    finally:
        broker.end(signal.SIGKILL)
