"""Queries and windows: what is accepted, and what becomes of it."""
# ruff: noqa: E501 - one case a line

from collections.abc import Callable
from typing import Any

import pytest

from mohhos.stream.plan import Planned

Plan = Callable[[str], Planned]
WINDOW = "FROM TABLE(TUMBLE(TABLE pumps, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
BY = "GROUP BY device, window_start, window_end"


def _operators(planned: Planned, op: str) -> list[dict[str, Any]]:
    return [o for o in planned.plan["operators"] if o["op"] == op]


ACCEPTED = [
    "insert into alerts (device) select device from pumps where speed > 1",
    "INSERT INTO alerts SELECT device, 'a-rule', 'info', '', 'raise', mode, 1.5 FROM pumps;",
    "INSERT INTO alerts (device) SELECT p.device FROM pumps AS p WHERE p.speed = 1 -- comment",
    "INSERT INTO alerts (device) SELECT p.device /* comment */ FROM pumps p",
    "INSERT INTO alerts (device) SELECT `device` FROM `pumps` WHERE `pumps`.`speed` > 1",
    "INSERT INTO alerts (device) SELECT device FROM (SELECT * FROM pumps WHERE speed > 1) WHERE speed < 5",
    "INSERT INTO alerts (device) SELECT q.device FROM (SELECT pumps.* FROM pumps) AS q",
    "INSERT INTO alerts (device) WITH a AS (SELECT * FROM pumps), b (d, s) AS (SELECT device, speed FROM a) SELECT d FROM b",
    "INSERT INTO alerts (device, num) SELECT device, speed FROM pumps",
    "INSERT INTO alerts (device, num) SELECT device, total FROM pumps",
    "INSERT INTO commands (name, device) SELECT 'stop', device FROM pumps",
    "INSERT INTO commands (device, name, deadline) SELECT device, 'stop', ts FROM pumps",
    f"INSERT INTO alerts (device) SELECT device {WINDOW} {BY}",
    f"INSERT INTO alerts (device) SELECT w.device {WINDOW} AS w WHERE w.speed > 1 GROUP BY w.device, window_start, window_end",
    f"INSERT INTO alerts (device) SELECT pumps.device {WINDOW} {BY}",
    f"INSERT INTO alerts (device) SELECT CAST(NULL AS STRING) {WINDOW} GROUP BY window_start, window_end HAVING COUNT(*) > 9",
    f"INSERT INTO alerts (device, num) SELECT device, AVG(speed) {WINDOW} {BY}, window_time HAVING window_time > window_start",
    "INSERT INTO alerts (device) SELECT device FROM TABLE(TUMBLE((SELECT * FROM pumps WHERE speed > 0), DESCRIPTOR(ts), "
    f"INTERVAL '1' DAY)) {BY}",
    "CREATE VIEW slow (d, t) AS SELECT device, ts FROM pumps WHERE speed < 5; INSERT INTO alerts (device) SELECT d FROM "
    "TABLE(TUMBLE(TABLE slow, DESCRIPTOR(t), INTERVAL '1' HOUR)) GROUP BY d, window_start, window_end",
    "CREATE TEMPORARY TABLE o (device STRING) WITH ('topic' = 'o'); INSERT INTO o SELECT device FROM pumps",
    "INSERT INTO alerts (device, message) SELECT device, mode AS text FROM pumps",
]


@pytest.mark.parametrize("sql", ACCEPTED)
def test_a_text_that_flink_runs_is_planned(sql: str, plan: Plan) -> None:
    assert plan(sql).plan["version"] == 1


def test_a_plain_filter_is_three_operators(plan: Plan) -> None:
    planned = plan("INSERT INTO alerts (device) SELECT device FROM telemetry WHERE num > 1").plan
    assert [o["op"] for o in planned["operators"]] == ["source", "filter", "project"]
    assert planned["operators"][0]["watermark"] == {"delay_us": 5_000_000, "scope": "device", "idle_timeout_us": None}


def test_the_source_gives_only_what_is_used_and_always_the_time_and_the_device(plan: Plan) -> None:
    sql = "INSERT INTO alerts (device) WITH q AS (SELECT *, speed + 1 AS more FROM pumps) SELECT CAST(NULL AS STRING) FROM q"
    planned = plan(sql)
    assert [c["name"] for c in planned.plan["operators"][0]["columns"]] == ["device", "ts"]


def test_equal_aggregates_are_computed_once(plan: Plan) -> None:
    sql = f"INSERT INTO alerts (device, num) SELECT device, AVG(speed) {WINDOW} {BY} HAVING AVG(speed) > 3 AND avg(pumps.speed) < 9"
    (tumble,) = _operators(plan(sql), "tumble")
    assert [(a["function"], a["type"]) for a in tumble["aggregates"]] == [("AVG", "INT")]


@pytest.mark.parametrize(
    ("call", "function", "type_"),
    [
        ("COUNT(*)", "COUNT", "BIGINT"),
        ("COUNT(mode)", "COUNT", "BIGINT"),
        ("SUM(speed)", "SUM", "INT"),
        ("AVG(total)", "AVG", "BIGINT"),
        ("AVG(pressure)", "AVG", "DOUBLE"),
        ("MIN(ts)", "MIN", "TIMESTAMP(3)"),
        ("STDDEV(speed)", "STDDEV_SAMP", "INT"),
        ("VARIANCE(pressure)", "VAR_SAMP", "DOUBLE"),
        ("STDDEV_POP(pressure)", "STDDEV_POP", "DOUBLE"),
        ("VAR_POP(speed)", "VAR_POP", "INT"),
    ],
)
def test_an_aggregate_has_the_type_that_flink_gives_it(call: str, function: str, type_: str, plan: Plan) -> None:
    sql = f"INSERT INTO alerts (device) SELECT device {WINDOW} {BY} HAVING {call} IS NOT NULL"
    (tumble,) = _operators(plan(sql), "tumble")
    assert [(a["function"], a["type"]) for a in tumble["aggregates"]] == [(function, type_)]


def test_where_comes_before_the_window_and_having_after_it(plan: Plan) -> None:
    sql = f"INSERT INTO alerts (device) SELECT device {WINDOW} WHERE speed > 1 {BY} HAVING COUNT(*) > 2"
    ids = [o["id"] for o in plan(sql).plan["operators"]]
    assert ids == ["source", "filter-1", "tumble-1", "having-1", "project-1"]


@pytest.mark.parametrize(
    ("offset", "expected"), [("'3' SECOND", 3_000_000), ("'-3' SECOND", 7_000_000), ("'25' SECOND", 5_000_000)]
)
def test_an_offset_is_taken_below_the_size(offset: str, expected: int, plan: Plan) -> None:
    window = WINDOW.replace("'10' SECOND)", f"'10' SECOND, INTERVAL {offset})")
    (tumble,) = _operators(plan(f"INSERT INTO alerts (device) SELECT device {window} {BY}"), "tumble")
    assert (tumble["size_us"], tumble["offset_us"]) == (10_000_000, expected)


def test_the_row_time_of_a_window_is_its_end(plan: Plan) -> None:
    planned = plan(f"INSERT INTO alerts (device) SELECT device {WINDOW} {BY}").plan
    time = planned["sink"]["time"]
    (column,) = [c for c in planned["operators"][-1]["columns"] if c["name"] == time]
    assert column["expr"] == {"e": "column", "name": "window_time"}


def test_the_plan_names_the_declared_tables_that_are_used(plan: Plan) -> None:
    sql = "CREATE TABLE o (device STRING) WITH ('topic' = 'o'); INSERT INTO o SELECT device FROM pumps"
    assert plan(sql).tables == {"o", "pumps"}
    assert plan("INSERT INTO alerts (device) SELECT device FROM telemetry").tables == frozenset()


def test_the_topic_column_is_not_in_the_message(plan: Plan) -> None:
    sql = "CREATE TABLE o (topic STRING, device STRING, n INT) WITH ('topic.column' = 'topic'); INSERT INTO o SELECT mode, device, speed FROM pumps"
    sink = plan(sql).plan["sink"]
    assert [c["as"] for c in sink["columns"]] == ["device", "n"]
    assert (sink["topic"], sink["topic_column"], sink["device_column"]) == (None, "topic", "device")


def test_the_same_text_gives_the_same_plan(plan: Plan) -> None:
    sql = f"INSERT INTO alerts (device) SELECT UPPER(device) {WINDOW} GROUP BY UPPER(device), window_start, window_end"
    assert plan(sql) == plan(sql)
