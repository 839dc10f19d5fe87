"""The plans of the main shapes of rules, as they are given to the engine: plans/NAME.sql and plans/NAME.json.

A change of a plan is seen here first. `UPDATE_PLANS=1 pytest tests/unit/stream` writes them anew.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mohhos.stream.plan import Planned

CASES = sorted((Path(__file__).parent / "plans").glob("*.sql"))


def test_there_are_plans_to_compare() -> None:
    assert len(CASES) >= 6


@pytest.mark.parametrize("case", CASES, ids=[c.stem for c in CASES])
def test_a_rule_has_the_plan_that_it_had(case: Path, plan: Callable[[str], Planned]) -> None:
    planned = plan(case.read_text(encoding="utf-8")).plan
    expected = case.with_suffix(".json")
    if os.environ.get("UPDATE_PLANS"):
        expected.write_text(json.dumps(planned, indent=1) + "\n", encoding="utf-8")
    assert planned == json.loads(expected.read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[c.stem for c in CASES])
def test_a_plan_is_a_chain_in_which_every_column_exists(case: Path, plan: Callable[[str], Planned]) -> None:
    planned = plan(case.read_text(encoding="utf-8")).plan
    source, *rest = planned["operators"]
    assert source["op"] == "source"
    names = {column["name"] for column in source["columns"]}
    assert source["rowtime"] in names
    before = source["id"]
    for operator in rest:
        assert operator["input"] == before
        before = operator["id"]
        assert _named(operator.get("condition", [])) <= names
        if operator["op"] == "project":
            assert _named([c["expr"] for c in operator["columns"]]) <= names
            names = {c["name"] for c in operator["columns"]}
            assert len(names) == len(operator["columns"])
        elif operator["op"] == "tumble":
            assert {operator["time"], *operator["keys"], *_named(operator["aggregates"])} <= names
            aggregates = {a["name"] for a in operator["aggregates"]}
            names = {*operator["keys"], *aggregates, "window_start", "window_end", "window_time"}
    assert planned["sink"]["input"] == before
    assert planned["sink"]["time"] in names
    ids = [o["id"] for o in planned["operators"]] + [planned["sink"]["id"]]
    assert len(set(ids)) == len(ids)


def _named(node: object) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_named(part) for part in node))
    if isinstance(node, dict):
        own = {node["name"]} if node.get("e") == "column" else set()
        return own.union(*(_named(part) for part in node.values()))
    return set()
