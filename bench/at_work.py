"""An operator at work while latency is measured: the page is open, and a heavy query runs in a loop."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from bench.gateway import Gateway

__all__ = ["OperatorWork", "at_work"]

OVERVIEW_EVERY_S: Final = 2.0
"""As the page does."""

HEAVY_QUERY: Final = (
    "SELECT device, metric, count(*), avg(num), stddev(num), min(num), max(num) FROM telemetry"
    " GROUP BY device, metric ORDER BY 5 DESC LIMIT 100"
)


@dataclass
class OperatorWork:
    """What the operator got done."""

    queries: int = 0
    queries_refused: int = 0
    query_s: float = 0.0
    overviews: int = 0
    overview_max_s: float = 0.0
    live_bytes: int = 0
    lists: int = 0
    failure: str = ""


@contextmanager
def at_work(gateway: Gateway, *, busy: bool = False) -> Iterator[OperatorWork]:
    """The operator works for the length of the block. Clients are closed at its end, which ends what they wait for."""
    work = OperatorWork()
    over = threading.Event()
    clients = [gateway.client(timeout_s=120) for _ in range(4 if busy else 3)]
    jobs: list[Callable[[httpx.Client], None]] = [
        lambda client: _queries(client, work, over),
        lambda client: _overviews(client, work, over),
        lambda client: _live(client, work, over),
    ]
    jobs += [lambda client: _lists(client, work, over)] if busy else []
    threads = [
        threading.Thread(target=_guarded, args=(job, client, work, over))
        for job, client in zip(jobs, clients, strict=True)
    ]
    try:
        for thread in threads:
            thread.start()
        yield work
    finally:
        over.set()
        for thread in threads:
            thread.join(150)
        for client in clients:
            client.close()


def _guarded(
    job: Callable[[httpx.Client], None], client: httpx.Client, work: OperatorWork, over: threading.Event
) -> None:
    try:
        job(client)
    except httpx.HTTPError as error:
        if not over.is_set():
            work.failure = f"{type(error).__name__}: {error}"


def _queries(client: httpx.Client, work: OperatorWork, over: threading.Event) -> None:
    while not over.is_set():
        begin = time.monotonic()
        answer = client.post("/api/v1/query", json={"sql": HEAVY_QUERY, "limit": 100})
        work.query_s += time.monotonic() - begin
        work.queries += 1
        work.queries_refused += answer.is_error
        if answer.is_error:
            over.wait(1)


def _overviews(client: httpx.Client, work: OperatorWork, over: threading.Event) -> None:
    client.get("/").raise_for_status()
    while not over.wait(OVERVIEW_EVERY_S):
        begin = time.monotonic()
        client.get("/api/v1/overview").raise_for_status()
        work.overview_max_s = max(work.overview_max_s, time.monotonic() - begin)
        work.overviews += 1


def _lists(client: httpx.Client, work: OperatorWork, over: threading.Event) -> None:
    while not over.is_set():
        client.get("/api/v1/devices", params={"limit": 1_000}).raise_for_status()
        work.lists += 1


def _live(client: httpx.Client, work: OperatorWork, over: threading.Event) -> None:
    with client.stream("GET", "/api/v1/events/telemetry") as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            work.live_bytes += len(chunk)
            if over.is_set():
                return
