"""CREATE TABLE: what it declares, and what is wrong with it."""
# ruff: noqa: E501 - one case a line

from collections.abc import Callable

import pytest

from mohhos.stream.declare import declare
from mohhos.stream.errors import RuleError
from mohhos.stream.parse import parse
from mohhos.stream.plan import Planned
from mohhos.stream.tables import Column, Sink, Table, Watermark
from mohhos.stream.types import Type

COLUMNS = "device STRING, n INT, ts TIMESTAMP(3)"
MARK = "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND"


def table(sql: str) -> Table:
    return declare(sql, parse(sql).tables[0], 7)


def test_a_table_to_read_has_types_a_filter_and_a_watermark() -> None:
    declared = table(
        f"""CREATE TABLE pumps (`value` DOUBLE PRECISION, {COLUMNS}, big BIGINT, ok BOOLEAN, {MARK})
        WITH ('topic' = 'devices/+/telemetry/pump', 'watermark.idle-timeout' = '30 s')"""
    )
    assert declared == Table(
        "pumps",
        (
            Column("value", Type.DOUBLE),
            Column("device", Type.DEVICE),
            Column("n", Type.INT),
            Column("ts", Type.TIMESTAMP),
            Column("big", Type.BIGINT),
            Column("ok", Type.BOOLEAN),
        ),
        id=7,
        watermark=Watermark("ts", 5_000_000, "device", 30_000_000),
        filter="devices/+/telemetry/pump",
    )


def test_a_table_of_one_topic_without_a_watermark_is_only_inserted_into() -> None:
    declared = table(f"CREATE TABLE o ({COLUMNS}) WITH ('topic' = 'site/state', 'qos' = '0', 'retain' = 'true')")
    assert declared.watermark is None
    assert declared.id is None
    assert declared.sink == Sink("topic", topic="site/state", qos=0, retain=True)


def test_a_table_of_one_topic_with_a_watermark_is_read_and_inserted_into() -> None:
    declared = table(f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = 'site/state')")
    assert declared.watermark is not None
    assert declared.sink == Sink("topic", topic="site/state")


def test_a_column_can_say_the_topic_of_each_row() -> None:
    declared = table("CREATE TABLE o (topic STRING, n INT) WITH ('topic.column' = 'topic')")
    assert declared.sink == Sink("topic", topic_column="topic")
    assert declared.filter is None


@pytest.mark.parametrize(
    ("columns", "option", "scope"),
    [
        (COLUMNS, "", "device"),
        (COLUMNS, ", 'watermark.scope' = 'table'", "table"),
        (COLUMNS, ", 'watermark.scope' = 'device'", "device"),
        ("n INT, ts TIMESTAMP(3)", "", "table"),
    ],
)
def test_watermarks_are_kept_per_device_where_there_is_a_device(columns: str, option: str, scope: str) -> None:
    declared = table(f"CREATE TABLE o ({columns}, {MARK}) WITH ('topic' = 'a/+'{option})")
    assert declared.watermark is not None
    assert declared.watermark.scope == scope


WITH = "WITH ('topic' = 'a/+')"

# text, code, offending text, a part of the hint
REFUSED = [
    (f"CREATE TABLE alerts ({COLUMNS}, {MARK}) {WITH}", "rule-table", "alerts", "another name"),
    (f"CREATE TABLE o ({COLUMNS}) {WITH}", "rule-table", "o", "WATERMARK"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK})", "rule-table", "o", "'topic'"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topik' = 'a')", "rule-table", "'topik'", "Did you mean 'topic'?"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = 'a', 'topic' = 'b')", "rule-table", "'topic'", "out"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = 'a+/b')", "rule-table", "'a+/b'", "alone"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = 'a/#/b')", "rule-table", "'a/#/b'", "at the end"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = '$SYS/a')", "rule-table", "'$SYS/a'", "another topic"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = '')", "rule-table", "''", "levels"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = 'a/+', 'qos' = '0')", "rule-table", "'qos'", "out"),
    (f"CREATE TABLE o ({COLUMNS}) WITH ('topic' = 'a', 'qos' = '3')", "rule-table", "'3'", "'0', '1' or '2'"),
    (f"CREATE TABLE o ({COLUMNS}) WITH ('topic' = 'a', 'retain' = 'yes')", "rule-table", "'yes'", "'true'"),
    (f"CREATE TABLE o ({COLUMNS}) WITH ('topic' = 'a', 'watermark.scope' = 'table')", "rule-table", "'watermark.scope'", "WATERMARK"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = 'a', 'watermark.scope' = 'all')", "rule-table", "'all'", "'device' or 'table'"),
    (f"CREATE TABLE o (n INT, ts TIMESTAMP(3), {MARK}) WITH ('topic' = 'a', 'watermark.scope' = 'device')", "rule-table", "'device'", "'table'"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic' = 'a', 'watermark.idle-timeout' = '30')", "rule-table", "'30'", "'30 s'"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) WITH ('topic.column' = 'device')", "rule-table", "'device'", "watermark out"),
    (f"CREATE TABLE o ({COLUMNS}) WITH ('topic.column' = 'n')", "rule-table", "'n'", "STRING"),
    (f"CREATE TABLE o ({COLUMNS}) WITH ('topic.column' = 'device', 'topic' = 'a')", "rule-table", "'device'", "out"),
    (f"CREATE TABLE o ({COLUMNS}, n INT, {MARK}) {WITH}", "rule-table", "n", "out"),
    (f"CREATE TABLE o (window_start INT, {COLUMNS}, {MARK}) {WITH}", "rule-table", "window_start", "another name"),
    (f"CREATE TABLE o (x INT NOT NULL, {COLUMNS}, {MARK}) {WITH}", "rule-table", "x INT NOT NULL", "IS NOT NULL"),
    (f"CREATE TABLE o (value INT, {COLUMNS}, {MARK}) {WITH}", "rule-reserved", "value", "`value`"),
    (f"CREATE TABLE o (x FLOAT, {COLUMNS}, {MARK}) {WITH}", "rule-type", "FLOAT", "DOUBLE"),
    (f"CREATE TABLE o (x DECIMAL(10, 2), {COLUMNS}, {MARK}) {WITH}", "rule-type", "DECIMAL(10, 2)", "DOUBLE"),
    (f"CREATE TABLE o (x VARCHAR(10), {COLUMNS}, {MARK}) {WITH}", "rule-type", "VARCHAR(10)", "STRING"),
    (f"CREATE TABLE o (x STRNG, {COLUMNS}, {MARK}) {WITH}", "rule-type", "STRNG", "Did you mean STRING?"),
    (f"CREATE TABLE o (x TIMESTAMP, {COLUMNS}, {MARK}) {WITH}", "rule-type", "TIMESTAMP", "TIMESTAMP(3)"),
    (f"CREATE TABLE o (x TIMESTAMP_LTZ(3), {COLUMNS}, {MARK}) {WITH}", "rule-type", "TIMESTAMP_LTZ(3)", "TIMESTAMP(3)"),
    (f"CREATE TABLE o (x AS n + 1, {COLUMNS}, {MARK}) {WITH}", "rule-unsupported", "AS", "view"),
    (f"CREATE TABLE o (PRIMARY KEY (device) NOT ENFORCED, {COLUMNS}, {MARK}) {WITH}", "rule-unsupported", "PRIMARY", "out"),
    (f"CREATE TABLE o ({COLUMNS}, WATERMARK FOR n AS n - INTERVAL '5' SECOND) {WITH}", "rule-table", "n", "TIMESTAMP(3)"),
    (f"CREATE TABLE o ({COLUMNS}, WATERMARK FOR tss AS tss - INTERVAL '5' SECOND) {WITH}", "rule-table", "tss", "Did you mean ts?"),
    (f"CREATE TABLE o ({COLUMNS}, WATERMARK FOR ts AS n - INTERVAL '5' SECOND) {WITH}", "rule-table", "n", "WATERMARK FOR ts"),
    (f"CREATE TABLE o ({COLUMNS}, WATERMARK FOR ts AS ts + INTERVAL '5' SECOND) {WITH}", "rule-unsupported", "+", "WATERMARK FOR ts"),
    (f"CREATE TABLE o ({COLUMNS}, WATERMARK FOR ts AS ts - 5) {WITH}", "rule-syntax", "5", "WATERMARK FOR ts"),
    (f"CREATE TABLE o ({COLUMNS}, WATERMARK FOR ts AS ts - INTERVAL '-5' SECOND) {WITH}", "rule-table", "WATERMARK FOR ts AS ts - INTERVAL '-5' SECOND", "minus"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}, {MARK}) {WITH}", "rule-table", "WATERMARK", "second"),
    (f"CREATE TABLE o ({MARK}) {WITH}", "rule-table", "o", "members"),
    (f"CREATE TABLE a.o ({COLUMNS}, {MARK}) {WITH}", "rule-table", "a", "alone"),
    (f"CREATE OR REPLACE TABLE o ({COLUMNS}, {MARK}) {WITH}", "rule-unsupported", "OR", "again"),
    (f"CREATE TABLE o ({COLUMNS}, {MARK}) PARTITIONED BY (n) {WITH}", "rule-unsupported", "PARTITIONED", "out"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "code", "text", "hint"), REFUSED, ids=[r[0][:70] for r in REFUSED])
def test_a_wrong_declaration_is_refused(sql: str, code: str, text: str, hint: str) -> None:
    with pytest.raises(RuleError) as caught:
        table(sql)
    error = caught.value
    assert (error.code, error.text) == (code, text), error
    assert hint in error.hint, error
    assert sql[error.column - 1 :].startswith(text)


def test_a_watermark_without_delay_is_warned_about(plan: Callable[[str], Planned]) -> None:
    sql = f"CREATE TABLE o ({COLUMNS}, WATERMARK FOR ts AS ts) {WITH}; INSERT INTO alerts (device) SELECT device FROM o"
    assert "0.001" in plan(sql).warnings[0]
    assert plan(sql.replace("AS ts)", "AS ts - INTERVAL '0.001' SECOND)")).warnings == ()
