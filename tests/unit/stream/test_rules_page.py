"""docs/rules.md: every text on it is planned, and its lists are those of the program."""

import re
from pathlib import Path

import pytest

from mohhos.stream.declare import declare
from mohhos.stream.functions import AGGREGATES, FUNCTIONS
from mohhos.stream.parse import parse
from mohhos.stream.plan import plan_rule
from mohhos.stream.tables import BUILT_IN

PAGE = Path(__file__).parents[3] / "docs" / "rules.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_examples_for_pumps_air_quality_and_street_lights() -> None:
    assert len(EXAMPLES) >= 7
    for table in ("pumps", "air", "lights"):
        assert any(f"CREATE TABLE {table} " in example for example in EXAMPLES)


@pytest.mark.parametrize("sql", EXAMPLES, ids=[e.strip().split("\n")[0] for e in EXAMPLES])
def test_an_example_is_planned_without_a_warning(sql: str) -> None:
    script = parse(sql)
    tables = {c.name.name: declare(sql, c, n) for n, c in enumerate(script.tables, 1)}
    assert plan_rule(script, tables, "example", 1).warnings == ()


def test_every_function_is_on_the_page_and_no_other() -> None:
    described = set(re.findall(r"`?([A-Z][A-Z0-9_]+)\(", TEXT))
    section = TEXT.split("## Functions")[1].split("## Examples")[0]
    rows = " ".join(line for line in section.splitlines() if line.startswith("|"))
    listed = set(re.findall(r"\b([A-Z][A-Z0-9_]+)\b", rows)) | {"E"}
    for name in FUNCTIONS:
        assert name in listed or name in ("CEILING", "CHARACTER_LENGTH"), name
    for name in AGGREGATES:
        assert f"`{name}(" in TEXT, name
    known = {*FUNCTIONS, *AGGREGATES, "MOD", "TABLE", "TUMBLE", "DESCRIPTOR", "CAST", "TRY_CAST", "TIMESTAMP", "SECOND"}
    assert described - known <= {"RAND", "UUID", "IN", "FILTER"}


def test_every_column_of_the_built_in_tables_is_on_the_page() -> None:
    for table in BUILT_IN.values():
        for column in table.columns:
            assert f"| `{column.name}` | {column.type.sql} |" in TEXT, (table.name, column.name)
