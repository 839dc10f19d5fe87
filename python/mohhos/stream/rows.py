"""Rules and declared tables in the registry database: every SQL statement about them. Times are microseconds UTC."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "RuleRow",
    "TableRow",
    "delete_rule",
    "delete_table",
    "load_rules",
    "load_tables",
    "new_table_ids",
    "next_version",
    "save_rule",
    "save_table",
    "use_tables",
    "users",
    "versions",
]


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule as it is stored."""

    name: str
    version: int
    sql: str
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class TableRow:
    """A declared table as it is stored: its CREATE TABLE, and the rule whose text holds it, if one does."""

    name: str
    id: int
    sql: str
    declared_by: str | None


def load_rules(connection: sqlite3.Connection) -> list[RuleRow]:
    """All rules by name."""
    rows = connection.execute("SELECT name, version, sql, created_us, updated_us FROM rules ORDER BY name")
    return [RuleRow(*row) for row in rows]


def load_tables(connection: sqlite3.Connection) -> list[TableRow]:
    """All declared tables by name."""
    rows = connection.execute("SELECT name, id, sql, declared_by FROM stream_tables ORDER BY name")
    return [TableRow(*row) for row in rows]


def users(connection: sqlite3.Connection) -> dict[str, set[str]]:
    """The rules that use each table."""
    found: dict[str, set[str]] = {}
    for rule, table in connection.execute("SELECT rule, stream_table FROM rule_tables"):
        found.setdefault(table, set()).add(rule)
    return found


def next_version(connection: sqlite3.Connection, rule: str) -> int:
    """The version that a new text of the rule gets, also if there was a rule of that name before."""
    row = connection.execute("SELECT coalesce(max(version), 0) + 1 FROM rule_versions WHERE rule = ?", (rule,))
    return int(row.fetchone()[0])


def versions(connection: sqlite3.Connection, rule: str) -> list[RuleRow]:
    """Every version of a rule that ever ran, the newest first."""
    statement = """
        SELECT rule, version, sql, created_us, created_us FROM rule_versions WHERE rule = ? ORDER BY version DESC
    """
    return [RuleRow(*row) for row in connection.execute(statement, (rule,))]


def new_table_ids(connection: sqlite3.Connection, count: int) -> range:
    """Ids that no table ever had."""
    row = connection.execute("UPDATE stream_table_ids SET next = next + ? RETURNING next", (count,)).fetchone()
    return range(int(row[0]) - count, int(row[0]))


def save_rule(connection: sqlite3.Connection, rule: RuleRow) -> None:
    """The rule's new version."""
    connection.execute(
        """
        INSERT INTO rules (name, version, sql, created_us, updated_us) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (name)
            DO UPDATE SET version = excluded.version, sql = excluded.sql, updated_us = excluded.updated_us
        """,
        (rule.name, rule.version, rule.sql, rule.created_us, rule.updated_us),
    )
    connection.execute(
        "INSERT INTO rule_versions (rule, version, sql, created_us) VALUES (?, ?, ?, ?)",
        (rule.name, rule.version, rule.sql, rule.updated_us),
    )


def use_tables(connection: sqlite3.Connection, rule: str, tables: Iterable[str]) -> None:
    """Which declared tables a rule uses, instead of those it used before."""
    connection.execute("DELETE FROM rule_tables WHERE rule = ?", (rule,))
    connection.executemany(
        "INSERT INTO rule_tables (rule, stream_table) VALUES (?, ?)", [(rule, table) for table in sorted(tables)]
    )
    # a table that came with this rule's text, and that others use alone, is theirs from now on
    connection.execute(
        """
        UPDATE stream_tables
        SET declared_by = (SELECT min(rule) FROM rule_tables WHERE stream_table = stream_tables.name)
        WHERE declared_by = :rule
            AND NOT EXISTS (SELECT 1 FROM rule_tables WHERE stream_table = stream_tables.name AND rule = :rule)
            AND EXISTS (SELECT 1 FROM rule_tables WHERE stream_table = stream_tables.name)
        """,
        {"rule": rule},
    )


def delete_rule(connection: sqlite3.Connection, name: str) -> None:
    """Removes a rule; its versions are kept."""
    use_tables(connection, name, ())
    connection.execute("UPDATE stream_tables SET declared_by = NULL WHERE declared_by = ?", (name,))
    connection.execute("DELETE FROM rules WHERE name = ?", (name,))


def save_table(connection: sqlite3.Connection, table: TableRow, now_us: int) -> None:
    """Adds or replaces a declared table."""
    connection.execute(
        """
        INSERT INTO stream_tables (name, id, sql, declared_by, created_us) VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (name) DO UPDATE SET id = excluded.id, sql = excluded.sql, declared_by = excluded.declared_by
        """,
        (table.name, table.id, table.sql, table.declared_by, now_us),
    )


def delete_table(connection: sqlite3.Connection, name: str) -> None:
    """Removes a declared table that no rule uses."""
    connection.execute("DELETE FROM stream_tables WHERE name = ?", (name,))
