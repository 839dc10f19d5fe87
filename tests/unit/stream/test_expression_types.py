"""Types of expressions. What is expected here is what Apache Flink 2.3.0 answered to TYPEOF for the same text."""

from collections.abc import Callable
from typing import Any

import pytest

from mohhos.stream.errors import RuleError

Expression = Callable[[str], tuple[str, dict[str, Any]]]

TYPES = {
    "speed % 2": "INT",
    "speed / 2": "INT",
    "speed / 2e0": "DOUBLE",
    "pressure / speed": "DOUBLE",
    "pressure / 2": "DOUBLE",
    "speed / NULLIF(total, 0)": "BIGINT",
    "MOD(total, 10)": "BIGINT",
    "total + speed": "BIGINT",
    "speed + 2147483648": "BIGINT",
    "pressure + 1.5": "DOUBLE",
    "-pressure": "DOUBLE",
    "+speed": "INT",
    "-2147483648 + speed": "INT",
    "pressure > 0.5": "BOOLEAN",
    "speed = 1.5": "BOOLEAN",
    "speed IN (1, 2.5)": "BOOLEAN",
    "speed IN (1, pressure)": "BOOLEAN",
    "mode IN (mode, 'a')": "BOOLEAN",
    "mode NOT LIKE '1%'": "BOOLEAN",
    "mode LIKE 'a#%' ESCAPE '#'": "BOOLEAN",
    "pressure BETWEEN SYMMETRIC 2 AND 1": "BOOLEAN",
    "ts NOT BETWEEN TIMESTAMP '2020-01-01 00:00:00' AND ts": "BOOLEAN",
    "valve IS NOT UNKNOWN": "BOOLEAN",
    "pressure IS DISTINCT FROM 1": "BOOLEAN",
    "valve > FALSE": "BOOLEAN",
    "NOT valve = valve": "BOOLEAN",
    "mode || 'a'": "STRING",
    "device || mode": "STRING",
    "CAST(pressure AS STRING)": "STRING",
    "CAST(pressure AS INT)": "INT",
    "CAST(speed AS DOUBLE)": "DOUBLE",
    "CAST(valve AS INT)": "INT",
    "CAST(speed AS BOOLEAN)": "BOOLEAN",
    "CAST(total AS INT)": "INT",
    "CAST(NULL AS DOUBLE)": "DOUBLE",
    "CAST(1.5 AS DOUBLE)": "DOUBLE",
    "CAST(ts AS STRING)": "STRING",
    "TRY_CAST(mode AS DOUBLE)": "DOUBLE",
    "TRY_CAST(mode AS TIMESTAMP(3))": "TIMESTAMP(3)",
    "TRY_CAST(pressure AS BOOLEAN)": "BOOLEAN",
    "CASE WHEN valve THEN 'a' ELSE 'bcd' END": "STRING",
    "CASE WHEN valve THEN pressure ELSE 1 END": "DOUBLE",
    "CASE WHEN valve THEN pressure END": "DOUBLE",
    "CASE WHEN valve THEN NULL ELSE pressure END": "DOUBLE",
    "CASE speed WHEN 1 THEN 'x' END": "STRING",
    "CASE mode WHEN 'a' THEN 1 ELSE 2 END": "INT",
    "COALESCE(pressure, 0)": "DOUBLE",
    "COALESCE(speed, 0)": "INT",
    "COALESCE(mode, 'x')": "STRING",
    "IFNULL(total, 0)": "BIGINT",
    "NULLIF(speed, pressure)": "INT",
    "NULLIF(pressure, 1)": "DOUBLE",
    "IF(valve, pressure, 0)": "DOUBLE",
    "IF(valve, 1, 2)": "INT",
    "IF(pressure > 1, 'a', mode)": "STRING",
    "GREATEST(speed, pressure)": "DOUBLE",
    "GREATEST(speed, 1)": "INT",
    "GREATEST(mode, 'a')": "STRING",
    "LEAST(ts, ts)": "TIMESTAMP(3)",
    "ABS(speed)": "INT",
    "ROUND(pressure, 1)": "DOUBLE",
    "ROUND(speed, 1)": "INT",
    "FLOOR(pressure)": "DOUBLE",
    "CEIL(speed)": "INT",
    "SIGN(speed)": "INT",
    "SQRT(speed)": "DOUBLE",
    "SQRT(1.5)": "DOUBLE",
    "POWER(2, 3)": "DOUBLE",
    "LOG(2, pressure)": "DOUBLE",
    "PI()": "DOUBLE",
    "CHAR_LENGTH(mode)": "INT",
    "SUBSTRING(mode FROM 1 FOR 1)": "STRING",
    "SUBSTR(mode, -1)": "STRING",
    "TRIM(LEADING '1' FROM mode)": "STRING",
    "TRIM(mode)": "STRING",
    "POSITION('2' IN mode)": "INT",
    "POSITION((mode) IN mode)": "INT",
    "STARTSWITH(mode, '1')": "BOOLEAN",
    "CONCAT_WS('-', mode, 'a')": "STRING",
    "LPAD(mode, 5, 'x')": "STRING",
    "JSON_VALUE(mode, '$.a')": "STRING",
    "EXTRACT(HOUR FROM ts)": "BIGINT",
    "HOUR(ts)": "BIGINT",
    "FLOOR(ts TO HOUR)": "TIMESTAMP(3)",
    "ts + INTERVAL '1' SECOND": "TIMESTAMP(3)",
    "INTERVAL '1.5' SECONDS + ts": "TIMESTAMP(3)",
    "ts - INTERVAL '100' SECOND(3)": "TIMESTAMP(3)",
    "TIMESTAMPADD(SECOND, speed, ts)": "TIMESTAMP(3)",
    "TIMESTAMPDIFF(HOUR, ts, ts)": "INT",
}


@pytest.mark.parametrize("text", TYPES)
def test_an_expression_has_the_type_that_flink_gives_it(text: str, expression: Expression) -> None:
    assert expression(text)[0] == TYPES[text]


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("device", "DEVICE"),
        ("CASE WHEN valve THEN device ELSE device END", "DEVICE"),
        ("CASE WHEN valve THEN device END", "STRING"),
        ("COALESCE(device, 'none')", "STRING"),
        ("NULLIF(device, 'none')", "DEVICE"),
        ("GREATEST(device, device)", "STRING"),
        ("CASE WHEN valve THEN 1 ELSE 2.5 END", "DOUBLE"),
        ("CASE WHEN valve THEN speed ELSE 2.5 END", "DOUBLE"),
    ],
)
def test_codes_and_decimals_have_the_type_that_the_engine_holds_them_in(
    text: str, type_: str, expression: Expression
) -> None:
    assert expression(text)[0] == type_


def test_a_constant_is_calculated_exactly(expression: Expression) -> None:
    assert expression("pressure > 0.1 + 0.2")[1]["args"][1] == {"e": "literal", "type": "DOUBLE", "value": 0.3}
    assert expression("pressure > -(1.5 - 1)")[1]["args"][1]["value"] == -0.5


def test_a_time_is_microseconds_and_an_interval_milliseconds(expression: Expression) -> None:
    _, compared = expression("ts > TIMESTAMP '1970-01-02 00:00:01.5'")
    assert compared["args"][1] == {"e": "literal", "type": "TIMESTAMP(3)", "value": 86_401_500_000}
    _, moved = expression("ts - INTERVAL '2' MINUTE")
    assert moved["function"] == "TIMESTAMPADD_MS"
    assert moved["args"][1] == {"e": "literal", "type": "BIGINT", "value": -120_000}


def test_a_chain_of_conditions_is_one_call(expression: Expression) -> None:
    _, chain = expression("valve AND speed > 1 AND speed < 5 AND mode = 'x'")
    assert chain["function"] == "AND"
    assert len(chain["args"]) == 4
    assert [a.get("function") for a in chain["args"]] == [None, ">", "<", "="]


def test_operators_bind_as_in_the_standard(expression: Expression) -> None:
    _, found = expression("speed + 2 * 3 = 7 OR NOT valve AND valve")
    assert found["function"] == "OR"
    equal, both = found["args"]
    assert (equal["function"], equal["args"][0]["function"]) == ("=", "+")
    assert (both["function"], both["args"][0]["function"]) == ("AND", "NOT")
    assert expression("speed - 1 - 2")[1]["args"][0]["function"] == "-"


def test_is_binds_weaker_than_a_comparison(expression: Expression) -> None:
    _, found = expression("speed = total IS NULL")
    assert found["function"] == "IS NULL"
    assert found["args"][0]["function"] == "="


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("speed + 1.5", "rule-type"),
        ("speed * 0.5", "rule-type"),
        ("speed / 2.0", "rule-type"),
        ("total = 1.5", "rule-type"),
        ("total BETWEEN 1.5 AND 2", "rule-type"),
        ("CASE WHEN valve THEN total ELSE 1.5 END", "rule-type"),
        ("1.123456789012345678", "rule-type"),
        ("ABS(1.5)", "rule-type"),
        ("pressure % 2", "rule-type"),
        ("MOD(speed, pressure)", "rule-type"),
        ("speed / total", "rule-unsafe"),
        ("speed % total", "rule-unsafe"),
        ("speed / 0", "rule-unsafe"),
        ("speed / NULLIF(total, 1)", "rule-unsafe"),
        ("0e0 / 0", "rule-unsafe"),
        ("mode || 1", "rule-type"),
        ("mode || speed", "rule-type"),
        ("CONCAT(mode, speed)", "rule-type"),
        ("mode = 12", "rule-type"),
        ("speed = '7'", "rule-type"),
        ("valve = 'true'", "rule-type"),
        ("mode > speed", "rule-type"),
        ("ts = '2020-01-01 00:00:00'", "rule-type"),
        ("pressure = NULL", "rule-type"),
        ("speed IN (1, 'a')", "rule-type"),
        ("speed IN (1, NULL)", "rule-type"),
        ("CAST(mode AS INT)", "rule-unsafe"),
        ("CAST('12' AS DOUBLE)", "rule-unsafe"),
        ("CAST(ts AS DOUBLE)", "rule-type"),
        ("CAST(speed AS DECIMAL(10, 2))", "rule-type"),
        ("TRY_CAST(pressure AS DECIMAL(10, 2))", "rule-type"),
        ("CAST(speed AS VARCHAR(3))", "rule-type"),
        ("CAST(ts AS TIMESTAMP)", "rule-type"),
        ("CASE WHEN valve THEN 1 ELSE 'x' END", "rule-type"),
        ("CASE WHEN valve THEN NULL END", "rule-type"),
        ("CASE WHEN speed THEN 1 END", "rule-type"),
        ("NULL", "rule-type"),
        ("COALESCE(NULL, pressure)", "rule-type"),
        ("IF(valve, NULL, pressure)", "rule-type"),
        ("-mode", "rule-type"),
        ("NOT mode", "rule-type"),
        ("speed + 'a'", "rule-type"),
        ("9223372036854775808", "rule-type"),
        ("1e999", "rule-type"),
        ("ts - ts", "rule-type"),
        ("INTERVAL '1' SECOND", "rule-type"),
        ("INTERVAL '100' SECOND + ts", "rule-syntax"),
        ("ts + INTERVAL '1' MONTH", "rule-unsupported"),
        ("TIMESTAMP '2020-01-01T00:00:00'", "rule-type"),
        ("TIMESTAMP '2020-13-01 00:00:00'", "rule-type"),
        ("mode LIKE mode", "rule-unsupported"),
        ("speed LIKE '1%'", "rule-type"),
        ("DIV(speed, 2)", "rule-function"),
        ("IS_NAN(pressure)", "rule-function"),
        ("ABS(speed, 1)", "rule-function"),
        ("ABS(DISTINCT speed)", "rule-function"),
        ("ABS(mode)", "rule-type"),
        ("AVG(speed)", "rule-window"),
        ("CURRENT_TIMESTAMP", "rule-unsupported"),
        ("RAND()", "rule-unsupported"),
        ("REGEXP(mode, 'a')", "rule-unsupported"),
        ("EXTRACT(FORTNIGHT FROM ts)", "rule-function"),
        ("LAG(speed) OVER (ORDER BY ts)", "rule-unsupported"),
        ("pressure IS NULL IS NULL = valve", "rule-syntax"),
        ("speed < 2 = valve", "rule-syntax"),
    ],
)
def test_what_flink_refuses_or_runs_wrongly_is_refused(text: str, code: str, expression: Expression) -> None:
    with pytest.raises(RuleError) as caught:
        expression(text)
    assert caught.value.code == code, caught.value
    assert caught.value.hint
    assert caught.value.line == 1
