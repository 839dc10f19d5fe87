"""The declared tables, and what a text would make of them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mohhos.stream.declare import declare
from mohhos.stream.errors import RuleError
from mohhos.stream.parse import parse
from mohhos.stream.rows import TableRow
from mohhos.stream.syntax import CreateTable, Script
from mohhos.stream.tables import Table
from mohhos.stream.types import Type

__all__ = ["Catalog", "Changes", "engine_tables"]

_PLACEHOLDER_ID = -1


@dataclass(frozen=True, slots=True)
class Changes:
    """What the CREATE TABLEs of a text do: `fresh` are new or changed, without an id yet, `kept` are there already."""

    fresh: tuple[TableRow, ...]
    kept: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """All tables that the text declares."""
        return self.kept | {row.name for row in self.fresh}


class Catalog:
    """The declared tables, which rules use each, and which rule's text each came with."""

    def __init__(self, stored: Iterable[TableRow], users: Mapping[str, set[str]]) -> None:
        self.rows = {row.name: row for row in stored}
        self._users = users

    def tables(self) -> dict[str, Table]:
        """The tables by name."""
        return {name: read(row) for name, row in self.rows.items()}

    def users(self, table: str, besides: str | None = None) -> list[str]:
        """The rules that use a table, but for one."""
        return sorted(self._users.get(table, set()) - {besides})

    def changes(self, script: Script, declared_by: str | None) -> Changes:
        """What the text's CREATE TABLEs change. Raises RuleError: rule-table, table-in-use."""
        fresh: dict[str, TableRow] = {}
        kept: set[str] = set()
        for create in script.tables:
            name = create.name.name
            if name in fresh or name in kept:
                hint = "Take one of them out"
                raise RuleError.at(script.sql, create.name.span, "rule-table", f"{name} is declared twice", hint)
            made = declare(script.sql, create, _PLACEHOLDER_ID)
            row = self.rows.get(name)
            if row is not None and (create.if_not_exists or _same(read(row), made)):
                kept.add(name)
                continue
            self._check_change(script, create, declared_by)
            sql = script.sql[create.span.start : create.span.end]
            fresh[name] = TableRow(name, _PLACEHOLDER_ID, sql, declared_by)
        return Changes(tuple(fresh.values()), frozenset(kept))

    def _check_change(self, script: Script, create: CreateTable, declared_by: str | None) -> None:
        name = create.name.name
        others = self.users(name, besides=declared_by)
        if name in self.rows and others:
            reason = f"the table {name} is declared otherwise, and other rules use it: {', '.join(others)}"
            hint = "Give this table another name, or remove those rules first"
            raise RuleError.at(script.sql, create.name.span, "table-in-use", reason, hint)

    def abandoned(self, rule: str, declared: frozenset[str]) -> list[str]:
        """Tables that came with the rule's text, are not in `declared`, and are used by no other rule."""
        return [
            name
            for name, row in self.rows.items()
            if row.declared_by == rule and name not in declared and not self.users(name, besides=rule)
        ]


def read(row: TableRow) -> Table:
    """The table of a stored CREATE TABLE."""
    script = parse(row.sql)
    return declare(script.sql, script.tables[0], row.id)


def _same(one: Table, other: Table) -> bool:
    return (one.columns, one.watermark, one.sink, one.filter) == (
        other.columns,
        other.watermark,
        other.sink,
        other.filter,
    )


def engine_tables(tables: Iterable[Table]) -> str:
    """The JSON for `Gateway.put_tables`: all declared tables that can be read."""
    listed = []
    for table in tables:
        if table.watermark is None or table.id is None:
            continue
        names = [column.name for column in table.columns]
        listed.append(
            {
                "id": table.id,
                "name": table.name,
                "filter": table.filter,
                "columns": [{"name": c.name, "kind": _kind(c.type)} for c in table.columns],
                "rowtime": names.index(table.watermark.column),
                "watermark_us": table.watermark.delay_us,
            }
        )
    return json.dumps(listed)


def _kind(type_: Type) -> str:
    return {Type.STRING: "text", Type.TIMESTAMP: "timestamp"}.get(type_, type_.value.lower())
