"""The plan while it is being made: a chain of operators, as in docs/plan.md."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from mohhos.stream.tables import Table
from mohhos.stream.types import Plan, Value

__all__ = ["PLAN_VERSION", "TIME", "Builder", "column_names"]

PLAN_VERSION = 1
TIME = "$time"
"""The column that carries a row's time where the query selects none."""


class Builder:
    """Collects operators. Their ids follow from their order alone, so that the same text finds its state again."""

    def __init__(self) -> None:
        self.operators: list[Plan] = []
        self.tables: list[Table] = []
        self._counts: Counter[str] = Counter()

    @property
    def last(self) -> str:
        """The id of the operator that the next one reads."""
        return str(self.operators[-1]["id"])

    def source(self, table: Table) -> None:
        """Reads a table. Its columns are chosen at the end, when it is known which are used."""
        assert table.watermark is not None
        self.tables.append(table)
        watermark = {
            "delay_us": table.watermark.delay_us,
            "scope": table.watermark.scope,
            "idle_timeout_us": table.watermark.idle_timeout_us,
        }
        rowtime = table.watermark.column
        self.operators.append(
            {
                "op": "source",
                "id": "source",
                "table": table.id,
                "columns": [],
                "rowtime": rowtime,
                "watermark": watermark,
            }
        )

    def filter(self, condition: Value, having: bool = False) -> None:
        """Keeps rows."""
        name = "having" if having else "filter"
        self._add(name, {"op": "filter", "condition": condition.plan})

    def project(self, columns: Sequence[tuple[str, Value]]) -> None:
        """Computes columns."""
        listed = [{"name": name, "type": value.type.engine, "expr": value.plan} for name, value in columns]
        self._add("project", {"op": "project", "columns": listed})

    def tumble(self, time: str, size_us: int, offset_us: int, keys: Sequence[str], aggregates: Sequence[Plan]) -> None:
        """Aggregates in windows."""
        window: Plan = {"op": "tumble", "time": time, "size_us": size_us, "offset_us": offset_us}
        self._add("tumble", {**window, "keys": list(keys), "aggregates": list(aggregates)})

    def finish(self, rule: str, version: int, sink: Plan) -> Plan:
        """The whole plan. The last operator is the projection to the sink's columns."""
        self._prune()
        whole = {"version": PLAN_VERSION, "rule": rule, "rule_version": version, "operators": self.operators}
        return {**whole, "sink": {**sink, "id": "sink", "input": self.last}}

    def _add(self, name: str, operator: Plan) -> None:
        self._counts[name] += 1
        members = dict(operator)
        head = {"op": members.pop("op"), "id": f"{name}-{self._counts[name]}", "input": self.last}
        self.operators.append({**head, **members})

    def _prune(self) -> None:
        """Takes out what nobody reads, from the end to the source."""
        needed: set[str] = {column["name"] for column in self.operators[-1]["columns"]}
        for operator in reversed(self.operators[1:]):
            if operator["op"] == "filter":
                needed.update(column_names(operator["condition"]))
                continue
            if operator["op"] == "project":
                operator["columns"] = [c for c in operator["columns"] if c["name"] in needed]
                needed = set(column_names(operator["columns"]))
            else:
                needed = {operator["time"], *operator["keys"], *column_names(operator["aggregates"])}
        table = self.tables[0]
        assert table.watermark is not None
        needed.add(table.watermark.column)
        if table.watermark.scope == "device" and table.device is not None:
            needed.add(table.device)
        columns = [{"name": c.name, "type": c.type.engine} for c in table.columns if c.name in needed]
        self.operators[0]["columns"] = columns


def column_names(node: Any) -> Iterator[str]:
    """The columns that an expression, or several, name."""
    if isinstance(node, list):
        for part in node:
            yield from column_names(part)
    elif isinstance(node, dict):
        if node.get("e") == "column":
            yield node["name"]
        for part in node.values():
            if isinstance(part, dict | list):
                yield from column_names(part)
