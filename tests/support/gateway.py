"""A real gateway: the program as a user starts it, in a process and a data directory of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

CONFIG = """
[gateway]
name = "test"
shards = 2
data_dir = "{data}"

[api]
bind = "127.0.0.1:0"

[[mqtt.listeners]]
name = "default"
bind = "127.0.0.1:0"
"""


@dataclass
class RunningGateway:
    """One gateway process; `client` speaks to its API with an admin token."""

    directory: Path
    extra: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    token: str = ""
    python: str = sys.executable

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.directory / "data"

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.directory / "mohhos.toml"

    @property
    def endpoints(self) -> dict[str, Any]:
        """Where the running gateway listens."""
        loaded: dict[str, Any] = json.loads((self.data / "run" / "endpoints.json").read_text())
        return loaded

    @property
    def mqtt_port(self) -> int:
        """The port of the default MQTT listener."""
        return int(self.endpoints["mqtt"]["default"])

    @property
    def client(self) -> httpx.Client:
        """An HTTP client with the admin token."""
        # Loading the certificates of the world takes longer than most requests, and the API has none to verify.
        return httpx.Client(
            base_url=self.endpoints["api"],
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
            verify=False,
        )

    def log_text(self) -> str:
        """What the process has printed so far."""
        path = self.directory / "gateway.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, within_s: float = 30) -> "RunningGateway":
        """Starts the process and waits until /readyz says yes."""
        if not self.config.exists():
            self.config.write_text(CONFIG.format(data=self.data) + self.extra)
        (self.data / "run" / "endpoints.json").unlink(missing_ok=True)
        log = (self.directory / "gateway.log").open("ab")
        self.process = subprocess.Popen(
            [self.python, "-m", "mohhos", "up", "--config", str(self.config)],
            stdout=log,
            stderr=log,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )
        log.close()
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log_text()}")
            if self._ready():
                break
            time.sleep(0.02)
        else:
            self.kill()
            raise AssertionError(f"the gateway was not ready within {within_s} s:\n{self.log_text()}")
        if not self.token:
            self.token = self.run("token", "create", "test", "--scope", "admin", "--quiet").strip()
        return self

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.endpoints['api']}/readyz", timeout=2, verify=False).status_code == 200
        except (OSError, ValueError, httpx.HTTPError):
            return False

    def run(self, *words: str, check: bool = True, **options: Any) -> str:
        """Runs `mohhos WORDS` against this gateway and gives its standard output."""
        done = subprocess.run(
            [self.python, "-m", "mohhos", *words],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={
                **os.environ,
                "MOHHOS_CONFIG": str(self.config),
                "MOHHOS_TOKEN": self.token,
            },
            **options,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"mohhos {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def add_device(self, device: str, **fields: Any) -> str:
        """Registers a device and gives its secret."""
        with self.client as client:
            answer = client.post("/api/v1/devices", json={"id": device, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["secret"])

    def put_rule(self, name: str, sql: str) -> dict[str, Any]:
        """Deploys a rule."""
        with self.client as client:
            answer = client.put(f"/api/v1/rules/{name}", json={"sql": sql})
        assert answer.status_code in {200, 201}, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def stop(self) -> int:
        """Ends it as Ctrl-C does and gives its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway did not stop within 30 s:\n{self.log_text()}") from None

    def kill(self) -> None:
        """Ends it, and all that it started, as a power cut would."""
        assert self.process is not None
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)


@contextmanager
def running(directory: Path, extra: str = "", **environment: str) -> Iterator[RunningGateway]:
    """A gateway that runs for the block."""
    gateway = RunningGateway(directory, extra, environment).start()
    try:
        yield gateway
    finally:
        if gateway.process is not None and gateway.process.poll() is None:
            gateway.kill()


def eventually(check: Any, within_s: float = 15, what: str = "it") -> Any:
    """Asks until the answer is truthy; fails with the last answer. For other processes: no clock can be injected."""
    deadline = time.monotonic() + within_s
    answer = None
    while time.monotonic() < deadline:
        answer = check()
        if answer:
            return answer
        time.sleep(0.03)
    raise AssertionError(f"{what} did not happen within {within_s} s; last answer: {answer!r}")
