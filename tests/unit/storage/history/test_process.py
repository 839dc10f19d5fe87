import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.clock import ManualClock
from tests.unit.storage.history.conftest import FakeNative, Settings

from mohhos.errors import MohhosError
from mohhos.storage.history import HistoryQueries

pytestmark = pytest.mark.anyio

FOREVER = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range = 7"


def alive(pid: int) -> bool:
    """False also for a process that has ended and was not waited for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def started(queries: HistoryQueries) -> int:
    """The process of people's SQL, once it is there."""
    while not queries.pids():  # noqa: ASYNC110 - a process that starts tells nobody
        await asyncio.sleep(0)
    return queries.pids()[0]


async def test_a_process_that_was_killed_is_started_again(queries: HistoryQueries) -> None:
    assert (await queries.sql("SELECT 1", 1)).rows == [[1]]
    (first,) = queries.pids()
    os.kill(first, signal.SIGKILL)
    assert (await queries.sql("SELECT 2", 1)).rows == [[2]]
    (second,) = queries.pids()
    assert second != first


async def test_a_query_whose_process_is_killed_in_the_middle_is_asked_again(queries: HistoryQueries) -> None:
    query = asyncio.create_task(queries.sql("SELECT count(*) FROM range(100000000) WHERE range % 7 = 0", 1))
    first = await started(queries)
    os.kill(first, signal.SIGKILL)
    assert (await query).rows == [[14285715]]
    assert queries.pids() != [first]


async def test_a_query_that_kills_its_process_every_time_fails_with_words(queries: HistoryQueries) -> None:
    query = asyncio.create_task(queries.sql(FOREVER, 1))
    first = await started(queries)
    os.kill(first, signal.SIGKILL)
    while queries.pids() in ([], [first]):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    os.kill(queries.pids()[0], signal.SIGKILL)
    with pytest.raises(MohhosError) as caught:
        await query
    assert caught.value.code == "query-unavailable"
    assert (await queries.sql("SELECT 1", 1)).rows == [[1]]


async def test_a_query_that_takes_too_long_ends_with_its_process(queries: HistoryQueries, settings: Settings) -> None:
    settings.timeout_us = 300_000
    query = asyncio.create_task(queries.sql(FOREVER, 1))
    pid = await started(queries)
    with pytest.raises(MohhosError) as caught:
        await query
    assert caught.value.code == "query-timeout"
    assert "0.3 s" in str(caught.value)
    assert not alive(pid)
    settings.timeout_us = 30_000_000
    assert (await queries.sql("SELECT 1", 1)).rows == [[1]]


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Every processor computes for somebody else."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    yield
    for other in others:
        other.kill()
        other.wait()


async def test_a_query_leaves_the_processors_to_others_and_yet_is_answered(
    queries: HistoryQueries, settings: Settings, busy_machine: None
) -> None:
    settings.timeout_us = 300_000_000
    query = asyncio.create_task(queries.sql("SELECT count(*) FROM range(50000000) WHERE range % 7 = 0", 1))
    first = await started(queries)
    while alive(first):
        assert not query.done(), "it was answered by a process that yields, on a busy machine"
        await asyncio.sleep(0.1)
    assert (await query).rows == [[7142858]]
    (second,) = queries.pids()
    assert os.sched_getscheduler(second) == os.SCHED_OTHER


async def test_a_query_on_a_machine_with_time_to_spare_yields_to_all_others(queries: HistoryQueries) -> None:
    await queries.sql("SELECT 1", 1)
    assert os.sched_getscheduler(queries.pids()[0]) == os.SCHED_IDLE


async def test_a_cancelled_query_ends_with_its_process_and_releases_its_files(
    queries: HistoryQueries, native: FakeNative
) -> None:
    query = asyncio.create_task(queries.sql(FOREVER, 1))
    pid = await started(queries)
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    assert not alive(pid)
    assert native.leases == set()


async def test_a_query_cancelled_while_the_cut_is_made_releases_it(
    queries: HistoryQueries, native: FakeNative, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, go_on, released = threading.Event(), threading.Event(), asyncio.Event()
    loop, cut, release = asyncio.get_running_loop(), native.history_cut, native.history_release

    def slow_cut(devices: list[str], metrics: list[str], from_us: int, to_us: int) -> str:
        entered.set()
        go_on.wait()
        return cut(devices, metrics, from_us, to_us)

    def noted_release(lease: int) -> None:
        release(lease)
        loop.call_soon_threadsafe(released.set)

    monkeypatch.setattr(native, "history_cut", slow_cut)
    monkeypatch.setattr(native, "history_release", noted_release)
    query = asyncio.create_task(queries.sql("SELECT 1", 1))
    await asyncio.to_thread(entered.wait)
    query.cancel()
    with pytest.raises(asyncio.CancelledError):
        await query
    go_on.set()
    await released.wait()
    assert native.leases == set()


async def test_a_heavy_query_of_people_does_not_hold_up_the_page(queries: HistoryQueries, native: FakeNative) -> None:
    native.add([(1, 1, 0, 5, 1.0, None, 0, 5)])
    heavy = asyncio.create_task(queries.sql(FOREVER, 1))
    await started(queries)
    assert len((await queries.readings("pump-1", [], 0, 10, limit=5)).items) == 1
    assert not heavy.done()
    heavy.cancel()
    with pytest.raises(asyncio.CancelledError):
        await heavy


async def test_a_process_ends_when_it_is_idle_for_long_enough(
    queries: HistoryQueries, clock: ManualClock, settings: Settings
) -> None:
    settings.idle_us = 60_000_000
    await queries.sql("SELECT 1", 1)
    (pid,) = queries.pids()
    clock.advance(59)
    await queries.end_idle()
    assert queries.pids() == [pid]
    clock.advance(1)
    await queries.end_idle()
    assert queries.pids() == []
    assert not alive(pid)


async def test_a_query_beyond_its_memory_fails_and_the_process_goes_on(queries: HistoryQueries) -> None:
    with pytest.raises(MohhosError) as caught:
        await queries.sql("SELECT list(range) FROM range(100000000)", 1)
    assert caught.value.code == "query-invalid"
    assert "emory" in str(caught.value)
    (pid,) = queries.pids()
    assert (await queries.sql("SELECT 1", 1)).rows == [[1]]
    assert queries.pids() == [pid]


async def test_what_the_native_gateway_refuses_is_said(
    queries: HistoryQueries, native: FakeNative, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> str:
        raise RuntimeError("log-full", "no space left on device")

    monkeypatch.setattr(native, "history_cut", full)
    with pytest.raises(MohhosError) as caught:
        await queries.sql("SELECT 1", 1)
    assert caught.value.code == "log-full"
    assert "no space left" in str(caught.value)
