"""What the tests of rules share: one declared table, and short ways to plan and to be refused."""

from collections.abc import Callable
from typing import Any

import pytest

from mohhos.stream.declare import declare
from mohhos.stream.errors import RuleError
from mohhos.stream.parse import parse
from mohhos.stream.plan import Planned, plan_rule

PUMPS = """
CREATE TABLE pumps (
  device STRING, pressure DOUBLE, flow DOUBLE, speed INT, total BIGINT, mode STRING, valve BOOLEAN, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND
) WITH ('topic' = 'devices/+/telemetry/pump');
"""


def plan(sql: str, rule: str = "a-rule") -> Planned:
    """Plans a text; `pumps` is declared already, with the id 1."""
    pumps = parse(PUMPS)
    tables = {"pumps": declare(PUMPS, pumps.tables[0], 1)}
    script = parse(sql)
    for index, create in enumerate(script.tables, 2):
        tables[create.name.name] = declare(sql, create, index)
    return plan_rule(script, tables, rule, 3)


@pytest.fixture(name="plan")
def plan_fixture() -> Callable[[str], Planned]:
    return plan


@pytest.fixture
def refusal() -> Callable[[str], RuleError]:
    """The error that a text is refused with."""

    def refuse(sql: str) -> RuleError:
        with pytest.raises(RuleError) as caught:
            plan(sql)
        return caught.value

    return refuse


@pytest.fixture
def expression() -> Callable[[str], tuple[str, dict[str, Any]]]:
    """The type in the engine and the plan of an expression over `pumps`."""

    def planned(text: str) -> tuple[str, dict[str, Any]]:
        query = f"SELECT device, {text} AS x FROM pumps"
        sql = f"INSERT INTO alerts (device) SELECT device FROM ({query}) AS q WHERE x IS NULL"
        project = plan(sql).plan["operators"][1]
        if project["op"] != "project":  # a plain column needs no projection
            condition = project["condition"]["args"][0]
            source = {c["name"]: c["type"] for c in plan(sql).plan["operators"][0]["columns"]}
            return source[condition["name"]], condition
        column = next(c for c in project["columns"] if c["name"] == "x")
        return column["type"], column["expr"]

    return planned
