"""Queries: FROM, WHERE and the selected columns."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from mohhos.stream.errors import RuleError, Span, nearest
from mohhos.stream.plan.builder import Builder
from mohhos.stream.plan.expression import condition
from mohhos.stream.plan.items import select_items
from mohhos.stream.plan.relation import Relation, materialize
from mohhos.stream.plan.scope import Field, Scope
from mohhos.stream.plan.window import aggregate_window
from mohhos.stream.syntax import Ident, Query, QuerySource, Select, Source, TableSource, TumbleSource
from mohhos.stream.tables import Table
from mohhos.stream.types import column

__all__ = ["Environment", "Named", "compile_query"]


@dataclass(frozen=True, slots=True)
class Named:
    """A query with a name: of WITH or CREATE VIEW. `environment` is what it can name itself."""

    name: Ident
    columns: tuple[Ident, ...]
    query: Query
    environment: "Environment"


@dataclass(slots=True)
class Environment:
    """What the names in FROM stand for. `used` collects the named queries that were read."""

    sql: str
    tables: Mapping[str, Table]
    named: Mapping[str, Named] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)

    def error(self, span: Span, code: str, reason: str, hint: str) -> RuleError:
        """The error about a piece of the text."""
        return RuleError.at(self.sql, span, code, reason, hint)

    def with_named(self, name: Ident, columns: tuple[Ident, ...], query: Query) -> "Environment":
        """An environment that knows one more query, which itself knows those before it alone."""
        if name.name in self.named:
            hint = "Give it another name"
            raise self.error(name.span, "rule-table", f"there is a query {name.name} already", hint)
        named = {**self.named, name.name: Named(name, columns, query, self)}
        return Environment(self.sql, self.tables, named, self.used)


def compile_query(query: Query, environment: Environment, builder: Builder) -> Relation:
    """Adds the operators of a query but for the last projection: columns may still be computed. Raises RuleError."""
    for with_ in query.withs:
        environment = environment.with_named(with_.name, with_.columns, with_.query)
    relation = _select(query.select, environment, builder)
    for with_ in query.withs:
        named = environment.named[with_.name.name]
        if id(named.query) not in environment.used:
            _named_query(named, environment, Builder())  # nobody reads it, and it has to be right all the same
    return relation


def _select(select: Select, environment: Environment, builder: Builder) -> Relation:
    if isinstance(select.source, TumbleSource):
        source = select.source
        relation, name = _source(source.source, environment, builder)
        table = source.alias.name if source.alias else name
        window_scope = Scope(environment.sql, relation.fields, table)
        return aggregate_window(select, source, relation, window_scope, builder)
    relation, table = _source(select.source, environment, builder)
    scope = Scope(environment.sql, relation.fields, table)
    _check_no_group(select, environment)
    if select.where is not None:
        builder.filter(condition(select.where, scope, "WHERE"))
    fields = tuple(select_items(select.items, scope))
    return Relation(fields, relation.time, relation.windowed)


def _check_no_group(select: Select, environment: Environment) -> None:
    hint = (
        "Write FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)) … GROUP BY …, window_start, window_end"
    )
    if select.group is not None:
        reason = "GROUP BY without a window gives results that change for ever, which no alert or command can follow"
        raise environment.error(select.group[0].span, "rule-window", reason, hint)
    if select.having is not None:
        raise environment.error(select.having.span, "rule-window", "HAVING is for groups, and there are none", hint)


def _source(source: Source, environment: Environment, builder: Builder) -> tuple[Relation, str | None]:
    """What stands in FROM, and the name that its columns can have before them."""
    if isinstance(source, QuerySource):
        relation = materialize(builder, compile_query(source.query, environment, builder))
        return relation, source.alias.name if source.alias else None
    assert isinstance(source, TableSource)
    name = source.alias.name if source.alias else source.name.name
    named = environment.named.get(source.name.name)
    if named is not None:
        return _named_query(named, environment, builder), name
    return _table(source.name, environment, builder), name


def _named_query(named: Named, environment: Environment, builder: Builder) -> Relation:
    environment.used.add(id(named.query))
    relation = materialize(builder, compile_query(named.query, named.environment, builder))
    if not named.columns:
        return relation
    if len(named.columns) != len(relation.fields):
        reason = f"{named.name.name} has {len(named.columns)} names for {len(relation.fields)} columns"
        raise environment.error(named.name.span, "rule-column", reason, "Name each column once")
    fields = tuple(Field(n.name, f.value) for n, f in zip(named.columns, relation.fields, strict=True))
    return Relation(fields, relation.time, relation.windowed)


def _table(name: Ident, environment: Environment, builder: Builder) -> Relation:
    table = environment.tables.get(name.name)
    if table is None:
        known = [n for n, t in environment.tables.items() if t.watermark is not None] + list(environment.named)
        close = nearest(name.name, known)
        hint = f"Did you mean {close}?" if close else "Declare it with CREATE TABLE, or read telemetry"
        raise environment.error(name.span, "rule-table", f"there is no table {name.name}", hint)
    if table.watermark is None:
        hint = "Read telemetry, or a table with a WATERMARK and a 'topic'"
        raise environment.error(name.span, "rule-table", f"{table.name} is only inserted into", hint)
    builder.source(table)
    time = table.watermark.column
    fields = tuple(Field(c.name, column(c.name, c.type, rowtime=c.name == time)) for c in table.columns)
    return Relation(fields, time)
