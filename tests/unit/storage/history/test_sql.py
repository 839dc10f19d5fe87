from pathlib import Path

import pytest
from tests.unit.storage.history.conftest import FakeNative

from mohhos.errors import MohhosError
from mohhos.storage.history import HistoryQueries

pytestmark = pytest.mark.anyio

REFUSED = [
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM '{secret}'",
    "SELECT * FROM glob('{directory}/*')",
    "SELECT * FROM read_blob('/proc/self/environ')",
    "SELECT * FROM read_parquet('https://example.invalid/x.parquet')",
    "COPY (SELECT 1) TO '{directory}/out.csv'",
    "COPY (SELECT 1) TO '{history}/out.parquet'",
    "ATTACH '{directory}/other.db'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET threads = 8",
    "RESET lock_configuration",
    "PRAGMA memory_limit='10GB'",
    "CREATE TABLE t(x INTEGER)",
    "DROP TABLE device_names",
    "DELETE FROM metric_names",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1; DROP TABLE device_names",
    "SELECT 1; SELECT 2",
    "EXPORT DATABASE '{directory}'",
    "",
    "SELEC 1",
    "SELECT * FROM nothing",
    "SELECT repeat('x', 2000000000)",
]


def files_in(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def some_rows(native: FakeNative) -> None:
    base = 1_700_000_000_000_000
    native.add([(1, 1, 3, base + i, float(i), None, i % 2, base + i) for i in range(10)])
    native.add([(2, 2, 0, base, None, "on", 0, base)], tail=True)


async def test_the_table_has_names_for_codes(queries: HistoryQueries) -> None:
    table = await queries.sql("SELECT * FROM telemetry ORDER BY device, ts LIMIT 2", 10)
    assert table.columns == ("device", "metric", "ts", "num", "text", "quality", "table")
    assert table.rows == [
        ["pump-1", "pressure", "2023-11-14T22:13:20+00:00", 0.0, None, "good", "diagnosis"],
        ["pump-1", "pressure", "2023-11-14T22:13:20.000001+00:00", 1.0, None, "clock", "diagnosis"],
    ]
    state = await queries.sql("SELECT text, \"table\" FROM telemetry WHERE metric = 'state'", 10)
    assert state.rows == [["on", ""]]


async def test_more_rows_than_asked_for_are_cut_off_and_said(queries: HistoryQueries) -> None:
    exact = await queries.sql("SELECT num FROM telemetry WHERE num IS NOT NULL ORDER BY num", 10)
    assert (len(exact.rows), exact.truncated) == (10, False)
    fewer = await queries.sql("SELECT num FROM telemetry WHERE num IS NOT NULL ORDER BY num", 9)
    assert (len(fewer.rows), fewer.truncated) == (9, True)
    pages = await queries.sql("SELECT range FROM range(5000)", 5000)
    assert [row[0] for row in pages.rows] == list(range(5000)) and not pages.truncated


async def test_values_that_json_lacks_come_as_text(queries: HistoryQueries) -> None:
    table = await queries.sql("SELECT 1.50::DECIMAL(4,2), INTERVAL 1 DAY, [1, 2], {'a': TRUE}, DATE '2024-02-29'", 1)
    assert table.rows == [["1.50", "1 day, 0:00:00", [1, 2], {"a": True}, "2024-02-29"]]


async def test_an_empty_history_answers_all_the_same(queries: HistoryQueries, native: FakeNative) -> None:
    native.files, native.tail = [], None
    assert (await queries.sql("SELECT * FROM telemetry", 10)).rows == []


async def test_sql_reads_no_file_and_changes_nothing(
    queries: HistoryQueries, native: FakeNative, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a,b\n1,2\n")
    before = files_in(tmp_path)
    for text in REFUSED:
        sql = text.format(secret=tmp_path / "secret", directory=tmp_path, history=native.directory)
        with pytest.raises(MohhosError) as caught:
            await queries.sql(sql, 10)
        assert caught.value.code == "query-invalid", text
        assert files_in(tmp_path) == before, text
    assert (await queries.sql("SELECT count(*) FROM telemetry WHERE device = 'pump-1'", 10)).rows == [[10]]
