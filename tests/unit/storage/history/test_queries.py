import math
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.support.clock import ManualClock
from tests.unit.storage.history.conftest import FakeNative, Row

from mohhos.errors import MohhosError
from mohhos.model import Reading
from mohhos.storage.history import HistoryQueries

pytestmark = pytest.mark.anyio

EVER = (-(1 << 60), 1 << 60)


def num(ts: int, value: float, *, device: int = 1, metric: int = 1, table: int = 0, arrival: int | None = None) -> Row:
    return (device, metric, table, ts, value, None, 0, ts if arrival is None else arrival)


def test_the_gateways_process_does_not_import_duckdb() -> None:
    code = "import sys, mohhos.storage.history; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_readings_come_by_time_from_all_files_and_the_tail(queries: HistoryQueries, native: FakeNative) -> None:
    native.add([num(30, 3.0), num(10, 1.0)])
    native.add([(1, 2, 3, 20, None, "on", 1, 20), num(15, 9.0, device=2)])
    native.add([num(40, math.inf)], tail=True)
    page = await queries.readings("pump-1", [], *EVER, limit=10)
    assert page.items == [
        Reading("pump-1", "pressure", 10, 1.0, None),
        Reading("pump-1", "state", 20, None, "on", quality="clock", table="diagnosis"),
        Reading("pump-1", "pressure", 30, 3.0, None),
        Reading("pump-1", "pressure", 40, math.inf, None),
    ]
    assert page.cursor is None


async def test_the_range_includes_its_begin_and_not_its_end(queries: HistoryQueries, native: FakeNative) -> None:
    native.add([num(ts, ts) for ts in (9, 10, 19, 20)])
    page = await queries.readings("pump-1", ["pressure"], 10, 20, limit=10)
    assert [r.ts_us for r in page.items] == [10, 19]


async def test_a_reading_in_two_files_and_the_tail_counts_once_and_the_first_stands(
    queries: HistoryQueries, native: FakeNative
) -> None:
    native.add([num(10, 2.0, arrival=200), num(10, 5.0, table=3)])
    native.add([num(10, 1.0, arrival=100)])
    native.add([num(10, 3.0, arrival=300)], tail=True)
    page = await queries.readings("pump-1", [], *EVER, limit=10)
    assert [(r.num, r.table) for r in page.items] == [(1.0, ""), (5.0, "diagnosis")]
    buckets = await queries.buckets("pump-1", [], *EVER, 1000, ["count", "sum"])
    assert buckets == {"pressure": {"ts": [0], "count": [2], "sum": [6.0]}}
    table = await queries.sql("SELECT count(*), min(num) FROM telemetry", 10)
    assert table.rows == [[2, 1.0]]


@pytest.mark.parametrize("descending", [False, True])
async def test_pages_follow_each_other_without_gap_or_double(
    queries: HistoryQueries, native: FakeNative, descending: bool
) -> None:
    native.add([num(ts // 3, ts, metric=1 + ts % 2, table=ts % 3) for ts in range(40)])
    whole = await queries.readings("pump-1", [], *EVER, limit=100, descending=descending)
    assert len(whole.items) == 40
    paged: list[Reading] = []
    cursor = None
    while True:
        page = await queries.readings("pump-1", [], *EVER, limit=7, descending=descending, cursor=cursor)
        paged += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert paged == whole.items
    assert [r.ts_us for r in paged] == sorted((r.ts_us for r in paged), reverse=descending)


async def test_a_cursor_of_another_list_is_refused(queries: HistoryQueries) -> None:
    with pytest.raises(MohhosError) as caught:
        await queries.readings("pump-1", [], *EVER, limit=7, cursor="WyJhIl0")
    assert caught.value.code == "cursor-invalid"


async def test_unknown_devices_and_metrics_have_no_readings(queries: HistoryQueries, native: FakeNative) -> None:
    native.add([num(1, 1.0)])
    assert (await queries.readings("nobody", [], *EVER, limit=5)).items == []
    assert (await queries.readings("pump-1", ["nothing"], *EVER, limit=5)).items == []
    assert await queries.buckets("pump-1", ["nothing"], *EVER, 10, ["avg"]) == {}
    assert await queries.latest("nobody") == []
    assert queries.pids() == [], "no process is needed to know that"


async def test_a_name_that_came_later_is_known(queries: HistoryQueries, native: FakeNative) -> None:
    native.add([num(1, 1.0), num(2, 2.0, device=9, metric=8)])
    assert (await queries.sql("SELECT count(*) FROM telemetry WHERE device = 'new'", 5)).rows == [[0]]
    native.devices["new"], native.metrics["flow"] = 9, 8
    assert [r.metric for r in (await queries.readings("new", ["flow"], *EVER, limit=5)).items] == ["flow"]
    assert (await queries.sql("SELECT metric FROM telemetry WHERE device = 'new'", 5)).rows == [["flow"]]


async def test_buckets_align_to_the_epoch_and_leave_texts_out(queries: HistoryQueries, native: FakeNative) -> None:
    native.add([num(-1, 1.0), num(0, 2.0), num(9, 4.0), num(10, 8.0), (1, 1, 0, 5, None, "broken", 0, 5)])
    names = ["avg", "min", "max", "sum", "count", "last"]
    assert await queries.buckets("pump-1", ["pressure"], *EVER, 10, names) == {
        "pressure": {
            "ts": [-10, 0, 10],
            "avg": [1.0, 3.0, 8.0],
            "min": [1.0, 2.0, 8.0],
            "max": [1.0, 4.0, 8.0],
            "sum": [1.0, 6.0, 8.0],
            "count": [1, 2, 1],
            "last": [1.0, 4.0, 8.0],
        }
    }


async def test_an_unknown_aggregate_is_refused_with_those_there_are(queries: HistoryQueries) -> None:
    with pytest.raises(MohhosError) as caught:
        await queries.buckets("pump-1", [], 0, 1, 1, ["avg", "median"])
    assert caught.value.code == "request-invalid"
    assert "median" in str(caught.value) and "last" in str(caught.value)


async def test_the_latest_readings_are_of_the_last_day_or_else_of_all_time(
    queries: HistoryQueries, native: FakeNative, clock: ManualClock
) -> None:
    now, day = clock.now_us(), 86_400_000_000
    native.add([num(now - 3 * day, 1.0), num(now - 2 * day, 2.0), num(now - 2 * day, 7.0, metric=3)])
    assert [(r.metric, r.num) for r in await queries.latest("pump-1")] == [("pressure", 2.0), ("diagnosis", 7.0)]
    native.add([num(now - 10, 4.0), num(now - 5, 5.0), (1, 2, 0, now - 7, None, "on", 0, now)])
    assert [(r.metric, r.num, r.text) for r in await queries.latest("pump-1")] == [
        ("pressure", 5.0, None),
        ("state", None, "on"),
    ]


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(0, 1), st.integers(-20, 20)),
        min_size=1,
        max_size=40,
    ),
    files=st.integers(1, 4),
)
async def test_whatever_is_in_several_files_counts_once(
    queries: HistoryQueries, native: FakeNative, rows: list[tuple[int, int, int, int]], files: int
) -> None:
    native.files = []
    expected: dict[tuple[int, int, int, int], int] = {}
    for index in range(files):
        own = [
            (device, metric, table, ts, float(arrival), None, 0, arrival)
            for arrival, (device, metric, table, ts) in enumerate(rows)
            if arrival % files == index
        ]
        unique = {row[:4]: row for row in reversed(own)}
        for key, row in unique.items():
            expected[key] = min(expected.get(key, row[7]), row[7])
        native.add(list(unique.values()) or [num(0, 0.0, device=3)])
    page = await queries.readings("pump-1", [], *EVER, limit=100)
    mine = {(k[3], k[1], k[2]): v for k, v in expected.items() if k[0] == 1}
    codes = native.metrics | {"#1": 1, "": 0, "pressure": 1}
    found = {(r.ts_us, codes[r.metric], codes[r.table]): r.num for r in page.items}
    assert found == mine
    assert [(r.ts_us, codes[r.metric], codes[r.table]) for r in page.items] == sorted(mine)
