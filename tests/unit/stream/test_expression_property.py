"""Generated texts: well-typed expressions are planned, and whatever else is refused with RuleError alone."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mohhos.stream.errors import RuleError
from mohhos.stream.parse import parse
from mohhos.stream.plan import plan_rule
from mohhos.stream.reserved import RESERVED

NUMBERS = ("INT", "BIGINT", "DOUBLE")
COLUMNS = {
    "DOUBLE": ["num", "t.num"],
    "INT": ["CHAR_LENGTH(text)", "TIMESTAMPDIFF(SECOND, ts, ts)"],
    "BIGINT": ["HOUR(ts)", "EXTRACT(DAY FROM ts)"],
    "BOOLEAN": ["(num > 1)", "(text IS NULL)", "(metric = 'temperature')"],
    "STRING": ["device", "metric", "text", "t.quality"],
    "TIMESTAMP(3)": ["ts", "t.ts"],
}
CONSTANTS = {
    "DOUBLE": st.floats(0, 1e12).map(lambda f: f"{f!r}e0" if "e" not in repr(f) else repr(f)),
    "INT": st.integers(-(2**31), 2**31 - 1).map(lambda n: f"({n})" if n < 0 else str(n)),
    "BIGINT": st.integers(2**31 + 1, 2**63 - 1).map(str),
    "BOOLEAN": st.sampled_from(["TRUE", "FALSE", "UNKNOWN"]),
    "STRING": st.text("abc '%_é", max_size=6).map(lambda s: "'" + s.replace("'", "''") + "'"),
    "TIMESTAMP(3)": st.just("TIMESTAMP '2026-01-31 12:00:00.5'"),
}


def typed(type_: str, depth: int) -> st.SearchStrategy[str]:
    """Expressions over `telemetry AS t` of a type."""
    leaves = st.one_of(st.sampled_from(COLUMNS[type_]), CONSTANTS[type_])
    if depth == 0:
        return leaves
    return st.one_of(leaves, st.sampled_from(_makers(type_)).flatmap(lambda make: make(depth - 1)))


def _format(template: str, *types: str) -> Callable[[int], st.SearchStrategy[str]]:
    def make(depth: int) -> st.SearchStrategy[str]:
        return st.tuples(*(typed(t, depth) for t in types)).map(lambda parts: template.format(*parts))

    return make


def _makers(type_: str) -> list[Callable[[int], st.SearchStrategy[str]]]:
    made = [
        _format("(CASE WHEN {} THEN {} ELSE {} END)", "BOOLEAN", type_, type_),
        _format("(CASE WHEN {} THEN {} END)", "BOOLEAN", type_),
        _format("COALESCE({}, {})", type_, type_),
        _format("IF({}, {}, {})", "BOOLEAN", type_, type_),
        *(_format(f"NULLIF({column}, {{}})", type_) for column in COLUMNS[type_]),
    ]
    if type_ in NUMBERS:
        made += [_format(f"({{}} {op} {{}})", type_, type_) for op in "+-*"]
        made += [_format("(- {})", type_), _format("ABS({})", type_), _format("GREATEST({}, {})", type_, type_)]
        made += [_format(f"({{}} / NULLIF({column}, 0))", type_) for column in COLUMNS[type_]]
        made += [_format(f"CAST({{}} AS {type_})", other) for other in NUMBERS]
        made.append(_format(f"TRY_CAST({{}} AS {type_})", "STRING"))
    if type_ == "BOOLEAN":
        for other in CONSTANTS:
            made += [_format(f"({{}} {op} {{}})", other, other) for op in ("=", "<>", "<", ">=")]
            made.append(_format("({} IS NOT DISTINCT FROM {})", other, other))
            made.append(_format("({} NOT BETWEEN {} AND {})", other, other, other))
            made.append(_format("({} IN ({}, {}))", other, other, other))
        made += [_format("({} AND {})", type_, type_), _format("({} OR {})", type_, type_), _format("(NOT {})", type_)]
        made += [_format("({} IS NOT TRUE)", type_), _format("({} LIKE 'a%')", "STRING")]
    if type_ == "STRING":
        made += [_format("({} || {})", type_, type_), _format("UPPER({})", type_), _format("TRIM({})", type_)]
        made += [_format("SUBSTRING({} FROM {})", type_, "INT"), _format("CONCAT({}, {})", type_, type_)]
        made += [_format("CAST({} AS STRING)", other) for other in CONSTANTS]
    if type_ == "DOUBLE":
        made += [_format("SQRT({})", other) for other in NUMBERS]
        made += [_format("POWER({}, {})", type_, "INT"), _format("ROUND({}, 2)", type_)]
    if type_ == "TIMESTAMP(3)":
        made += [_format("({} + INTERVAL '5' SECOND)", type_), _format("FLOOR({} TO HOUR)", type_)]
        made.append(_format("TIMESTAMPADD(MINUTE, {}, {})", "INT", type_))
    return made


def _type_of(sql: str) -> str:
    planned = plan_rule(parse(sql), {}, "r", 1).plan
    project = next(o for o in planned["operators"] if o["op"] == "project")
    kind: str = next(c["type"] for c in project["columns"] if c["name"] == "x")
    return kind


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(list(CONSTANTS)).flatmap(lambda t: st.tuples(st.just(t), typed(t, 3))))
def test_a_well_typed_expression_is_planned_with_its_type(case: tuple[str, str]) -> None:
    type_, text = case
    sql = f"""
        INSERT INTO alerts (device) WITH q AS (SELECT device, ({text}) AS x, 1 AS y FROM telemetry AS t)
        SELECT device FROM q WHERE x IS NULL AND y = 1
    """
    try:
        assert _type_of(sql) in (type_, *(("DEVICE", "METRIC", "QUALITY") if type_ == "STRING" else ()))
    except RuleError as error:
        assert error.code == "rule-too-large"


TOKENS = st.one_of(
    st.sampled_from(sorted(RESERVED)),
    st.sampled_from(
        ["(", ")", ",", ".", ";", "*", "+", "-", "/", "||", "=", "<>", "<=", "'text'", "`name`", "1", "1.5", "2e3"]
    ),
    st.sampled_from(["telemetry", "alerts", "commands", "device", "num", "ts", "window_start", "window_end", "t"]),
    st.sampled_from(
        ["TUMBLE", "TABLE(TUMBLE(TABLE telemetry, DESCRIPTOR(ts), INTERVAL '10' SECOND))", "GROUP BY device"]
    ),
)


def _only_rule_errors(sql: str) -> Any:
    try:
        plan_rule(parse(sql), {}, "r", 1)
    except RuleError as error:
        assert error.reason
        assert error.hint
        lines = sql.split("\n")
        assert 1 <= error.line <= len(lines)
        assert 1 <= error.column <= len(lines[error.line - 1]) + 1
        if error.text and not error.text.endswith("…"):
            assert "\n".join(lines[error.line - 1 :])[error.column - 1 :].startswith(error.text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
@example("'")
@example("/*")
@example("SELECT\r\n'")
@example("\0")
def test_any_text_is_refused_with_a_rule_error_at_a_place_in_it(text: str) -> None:
    _only_rule_errors(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(TOKENS, max_size=25).map(" ".join))
def test_any_words_of_the_language_are_refused_or_planned(text: str) -> None:
    for prefix in (
        "",
        "INSERT INTO alerts (device) SELECT ",
        "CREATE TABLE t (",
        "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE ",
    ):
        _only_rule_errors(prefix + text)


@settings(max_examples=200, deadline=None)
@given(typed("BOOLEAN", 2), st.data())
def test_a_damaged_rule_is_refused_or_planned(text: str, data: st.DataObject) -> None:
    sql = f"INSERT INTO alerts (device) SELECT device FROM telemetry AS t WHERE {text}"
    cut = data.draw(st.integers(0, len(sql)))
    _only_rule_errors(
        sql[:cut] + data.draw(st.text("()'`;,.+ aN1", max_size=3)) + sql[cut + data.draw(st.integers(0, 5)) :]
    )


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE " + "(" * 5000 + "TRUE" + ")" * 5000,
        "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE " + "NOT " * 5000 + "TRUE",
        "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE num > " + "-" + " -" * 5000 + "1",
        "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE TRUE" + " AND TRUE" * 5000,
        "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE num > 1" + " + 1" * 5000,
        "INSERT INTO alerts (device) SELECT " + "ABS(" * 5000 + "1" + ")" * 5000 + " FROM telemetry",
        "INSERT INTO alerts (device) SELECT CASE " + "WHEN CASE " * 5000 + "END FROM telemetry",
        "INSERT INTO alerts (device) SELECT device FROM " + "(SELECT * FROM " * 5000 + "telemetry" + ")" * 5000,
        "INSERT INTO alerts (device) WITH " + "x AS (WITH " * 5000,
        "SELECT " + "x" * 200_000,
    ],
)
def test_a_text_that_is_too_large_is_refused(sql: str) -> None:
    with pytest.raises(RuleError) as caught:
        plan_rule(parse(sql), {}, "r", 1)
    assert caught.value.code == "rule-too-large"


def test_the_longest_chain_that_is_read_is_planned_as_well() -> None:
    sql = "INSERT INTO alerts (device) SELECT device FROM telemetry WHERE " + " OR ".join(["num = 1"] * 140)
    assert plan_rule(parse(sql), {}, "r", 1).plan["operators"][1]["op"] == "filter"


def test_with_queries_that_double_are_bounded() -> None:
    doubling = ", ".join(f"q{n} AS (SELECT device, x + x AS x FROM q{n - 1})" for n in range(1, 25))
    first = "q0 AS (SELECT device, num AS x FROM telemetry)"
    sql = f"INSERT INTO alerts (device, num) WITH {first}, {doubling} SELECT * FROM q24"
    planned = plan_rule(parse(sql), {}, "r", 1)
    assert len(str(planned.plan)) < 30_000
