"""A whole rule: its tables, its views, its one INSERT."""

from collections.abc import Mapping
from dataclasses import dataclass

from mohhos.stream.errors import RuleError, Span, nearest
from mohhos.stream.plan.builder import Builder
from mohhos.stream.plan.query import Environment, compile_query
from mohhos.stream.plan.sink import Insertion
from mohhos.stream.syntax import Insert, Script
from mohhos.stream.tables import BUILT_IN, Table
from mohhos.stream.types import Plan

__all__ = ["Planned", "plan_rule"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A rule that is right: the engine's plan, the declared tables it uses, and what its author should know."""

    plan: Plan
    tables: frozenset[str]
    warnings: tuple[str, ...]


def plan_rule(script: Script, tables: Mapping[str, Table], rule: str, version: int) -> Planned:
    """The plan of a text with one INSERT; `tables` are the declared ones, those of the text among them.

    Raises RuleError.
    """
    statement = _only_insert(script)
    everything = {**tables, **BUILT_IN}
    environment = Environment(script.sql, everything)
    for view in script.views:
        if view.name.name in everything:
            hint = "Give the view another name"
            raise environment.error(view.name.span, "rule-table", f"there is a table {view.name.name} already", hint)
        environment = environment.with_named(view.name, view.columns, view.query)
    for view in script.views:  # also those that nobody reads
        named = environment.named[view.name.name]
        compile_query(named.query, named.environment, Builder())

    builder = Builder()
    target = _target(statement, everything, script.sql)
    relation = compile_query(statement.query, environment, builder)
    sink = Insertion(script.sql, rule, statement, target).sink(relation, builder)
    plan = builder.finish(rule, version, sink)
    used = [*builder.tables, target]
    names = frozenset(t.name for t in used if t.name not in BUILT_IN)
    return Planned(plan, names, tuple(_warnings(builder.tables)))


def _only_insert(script: Script) -> Insert:
    if len(script.inserts) == 1:
        return script.inserts[0]
    if script.inserts:
        reason, hint = "a rule has one INSERT", "Put the second one into a rule of its own"
        raise RuleError.at(script.sql, script.inserts[1].span, "rule-syntax", reason, hint)
    end = Span(len(script.sql), len(script.sql))
    reason = "the text has no INSERT, and a rule is INSERT INTO … SELECT …"
    raise RuleError.at(script.sql, end, "rule-syntax", reason, "Add INSERT INTO alerts (device, message) SELECT …")


def _target(statement: Insert, tables: Mapping[str, Table], sql: str) -> Table:
    name = statement.target
    found = tables.get(name.name)
    if found is None:
        close = nearest(name.name, [n for n, t in tables.items() if t.sink is not None])
        hint = f"Did you mean {close}?" if close else "Insert into alerts, commands, or a table that you declare"
        raise RuleError.at(sql, name.span, "rule-table", f"there is no table {name.name}", hint)
    return found


def _warnings(tables: list[Table]) -> list[str]:
    return [
        f"The watermark of {table.name} has no delay: of two rows with the same time, a window may drop the second. "
        "INTERVAL '0.001' SECOND cures it"
        for table in tables
        if table.watermark is not None and table.watermark.delay_us == 0
    ]
