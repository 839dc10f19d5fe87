"""The gateway as a user starts it, with its default configuration, registered devices and rules."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from tests.support.gateway import RunningGateway

from bench.load import BenchError
from bench.process import usage
from bench.servers import Counted

__all__ = ["Gateway", "QueryTable", "Settled", "device_name", "gateway", "ready_gateway"]

BULK: Final = 5_000
READER: Final = "bench-reader"
SETTLE_S: Final = 120.0
QUERY_TIMEOUT_S: Final = 3_600


def device_name(index: int) -> str:
    """The devices are numbered: bench-00000, bench-00001, …."""
    return f"bench-{index:05}"


@dataclass(frozen=True)
class QueryTable:
    """The answer to a query over the history."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: bool


@dataclass(frozen=True)
class Settled:
    """Seconds from the end of a load until the rules had seen everything, and until the history had it."""

    ruled_s: float
    stored_s: float


def _wait(count: Callable[[], int], wanted: int, who: str) -> None:
    begin = time.monotonic()
    while (found := count()) < wanted:
        if time.monotonic() - begin > SETTLE_S:
            raise BenchError(f"{wanted:,} readings were sent; {SETTLE_S:.0f} s later {who} {found:,}")
        time.sleep(0.02)


@dataclass
class Gateway:
    """A running gateway and its API."""

    running: RunningGateway
    work: Path
    name: str = "gateway"
    credentials: Path = field(init=False)
    reader: tuple[str, str] = ("", "")
    """Name and secret of the application that reads everything."""

    def __post_init__(self) -> None:
        """Nobody is registered yet."""
        self.credentials = self.work / "credentials.csv"

    @property
    def pid(self) -> int:
        """Its process; the query process is a child of it."""
        assert self.running.process is not None
        return self.running.process.pid

    @property
    def address(self) -> str:
        """Its MQTT listener."""
        return f"127.0.0.1:{self.running.mqtt_port}"

    def address_of(self, listener: str) -> str:
        """Another of its MQTT listeners."""
        return f"127.0.0.1:{int(self.running.endpoints['mqtt'][listener])}"

    def client(self, timeout_s: float = 60) -> httpx.Client:
        """A client of the API with the operator's token."""
        headers = {"Authorization": f"Bearer {self.running.token}"}
        return httpx.Client(base_url=self.running.endpoints["api"], headers=headers, timeout=timeout_s)

    def call(self, method: str, path: str, body: Any = None, timeout_s: float = 60) -> Any:
        """One request below /api/v1."""
        with self.client(timeout_s) as client:
            answer = client.request(method, f"/api/v1{path}", json=body)
        if answer.is_error:
            raise BenchError(f"{method} {path} was answered with {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def register(self, count: int) -> None:
        """Registers devices 0 … count - 1 and writes the generator's credentials."""
        lines = []
        for first in range(0, count, BULK):
            items = [{"id": device_name(i)} for i in range(first, min(first + BULK, count))]
            made = self.call("POST", "/devices:bulk", {"items": items}, timeout_s=300)
            lines += [f"{item['id']},{item['secret']}\n" for item in made["items"]]
        self.credentials.write_text("".join(lines))

    def put_rules(self, rules: Mapping[str, str]) -> None:
        """Deploys rules."""
        for name, sql in rules.items():
            self.call("PUT", f"/rules/{name}", {"sql": sql})

    def let_reader_in(self) -> None:
        """Adds an application that may subscribe to every topic."""
        made = self.call("POST", "/applications", {"name": READER, "role": "observer"})
        self.reader = (READER, made["secret"])

    def rules(self) -> dict[str, dict[str, Any]]:
        """The rules with their counters by name."""
        return {rule["name"]: rule for rule in self.call("GET", "/rules")["items"]}

    def stats(self) -> dict[str, Any]:
        """The counters of the native gateway."""
        stats: dict[str, Any] = self.call("GET", "/hub")
        return stats

    def query(self, sql: str, limit: int = 100_000) -> QueryTable:
        """Runs SQL over the history."""
        answer = self.call("POST", "/query", {"sql": sql, "limit": limit}, timeout_s=QUERY_TIMEOUT_S)
        return QueryTable(answer["columns"], answer["rows"], bool(answer["truncated"]))

    def allow_long_queries(self) -> None:
        """Gives queries an hour: for checking afterwards, never while something is measured."""
        config = self.running.config
        config.write_text(config.read_text() + f'\n[history]\nquery_timeout = "{QUERY_TIMEOUT_S} s"\n')
        assert self.running.process is not None
        self.running.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)

    def counted(self) -> Counted:
        """What the hub counted."""
        hub = self.stats()["hub"]
        return Counted(int(hub["messages_in"]), int(hub["receives"]))

    def settle(self, readings: int) -> Settled:
        """Waits until the rules have seen all readings, then until the history has them."""
        start = time.monotonic()
        _wait(lambda: min(rule["rows_in"] for rule in self.rules().values()), readings, "the rules have seen")
        ruled_s = time.monotonic() - start
        _wait(self._stored, readings, "the history has")
        return Settled(ruled_s, time.monotonic() - start)

    def _stored(self) -> int:
        history = self.stats()["history"]
        return int(history["rows"] + history["tail_rows"])

    def rest(self, within_s: float = 60) -> float:
        """Waits until it has put away what it took (less than a tenth of a core busy); how long that took."""
        start = time.monotonic()
        busy = usage(self.pid).cpu_s
        while time.monotonic() - start < within_s:
            time.sleep(1)
            before, busy = busy, usage(self.pid).cpu_s
            if busy - before < 0.1:
                break
        return time.monotonic() - start


@contextmanager
def gateway(work: Path, config: str | None = None) -> Iterator[Gateway]:
    """A gateway with an empty data directory; it is ended with the block, and its data removed.

    Without a configuration it is the default one with two shards; `{data}` in one stands for the data directory.
    """
    work.mkdir(parents=True)
    running = RunningGateway(work)
    if config is not None:
        running.config.write_text(config.format(data=running.data))
    try:
        running.start(within_s=60)
        yield Gateway(running, work)
    except AssertionError as error:
        raise BenchError(str(error)) from error
    finally:
        if running.process is not None:
            running.kill()
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def ready_gateway(work: Path, devices: int, rules: Mapping[str, str]) -> Iterator[Gateway]:
    """A gateway with registered devices, rules, and an application that reads everything."""
    with gateway(work) as running:
        running.register(devices)
        running.put_rules(rules)
        running.let_reader_in()
        yield running
