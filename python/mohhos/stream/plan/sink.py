"""INSERT INTO: the selected columns against those of the table."""

from dataclasses import dataclass

from mohhos.stream.errors import RuleError, Span, nearest
from mohhos.stream.plan.builder import TIME, Builder
from mohhos.stream.plan.relation import Relation
from mohhos.stream.plan.scope import Field
from mohhos.stream.syntax import Expr, Insert, String
from mohhos.stream.tables import ALERTS, COMMANDS, Column, Table
from mohhos.stream.types import Plan, Type, Value, column, convert

__all__ = ["Insertion"]

_REQUIRED = {"alerts": ("device",), "commands": ("device", "name")}
_EXAMPLES = {
    "alerts": "INSERT INTO alerts (device, message) SELECT …",
    "commands": "INSERT INTO commands (device, name) SELECT …",
}


@dataclass(frozen=True, slots=True)
class _Target:
    column: Column
    span: Span


class Insertion:
    """One INSERT INTO of the text `sql`."""

    def __init__(self, sql: str, rule: str, statement: Insert, table: Table) -> None:
        self._sql = sql
        self._rule = rule
        self._statement = statement
        self._table = table

    def sink(self, relation: Relation, builder: Builder) -> Plan:
        """Adds the last projection, and gives the sink of the plan. Raises RuleError."""
        if self._table.sink is None:
            raise self._error(self._statement.target.span, *self._not_a_sink())
        targets = self._targets()
        items = self._statement.query.select.items
        self._check_count(targets, relation)
        self._check_required(targets)
        columns: list[tuple[str, Value]] = []
        for index, (target, field) in enumerate(zip(targets, relation.fields, strict=True)):
            span = items[index].span if len(items) == len(targets) else target.span
            value = self._assign(target.column, field, span)
            if self._table is ALERTS and target.column.name == "rule":
                self._check_rule_column(items[index].expr if len(items) == len(targets) else None, span)
                continue
            columns.append((target.column.name, value))
        self._check_times(relation)
        time = next((name for name, value in columns if value.column == relation.time), TIME)
        if time == TIME:
            columns.append((TIME, column(relation.time, Type.TIMESTAMP)))
        builder.project(columns)
        return {**self._kind([name for name, _ in columns if name != TIME]), "time": time}

    def _error(self, span: Span, reason: str, hint: str) -> RuleError:
        return RuleError.at(self._sql, span, "rule-sink", reason, hint)

    def _not_a_sink(self) -> tuple[str, str]:
        if self._table.name == "telemetry":
            hint = "Declare a table WITH ('topic.column' = 'topic') and a column topic STRING, and insert into that"
            return "telemetry is what devices send, and is only read", hint
        hint = "Declare a table for one topic without + and #, or WITH ('topic.column' = 'topic')"
        return f"{self._table.name} stands for several topics, and a row needs one", hint

    def _targets(self) -> list[_Target]:
        if not self._statement.columns:
            return [_Target(c, self._statement.target.span) for c in self._table.columns]
        targets: list[_Target] = []
        for ident in self._statement.columns:
            found = self._table.column(ident.name)
            if found is None:
                names = [c.name for c in self._table.columns]
                close = nearest(ident.name, names)
                hint = f"Did you mean {close}?" if close else f"There are {', '.join(names)}"
                reason = f"{self._table.name} has no column {ident.name}"
                raise RuleError.at(self._sql, ident.span, "rule-column", reason, hint)
            if any(t.column is found for t in targets):
                raise self._error(ident.span, f"{ident.name} is named twice", "Take one of them out")
            targets.append(_Target(found, ident.span))
        return targets

    def _check_count(self, targets: list[_Target], relation: Relation) -> None:
        if len(targets) == len(relation.fields):
            return
        names = ", ".join(t.column.name for t in targets)
        reason = f"{len(relation.fields)} columns are selected for {len(targets)} of {self._table.name}: {names}"
        if self._statement.columns:
            hint = "Select one value for each of the named columns, in their order"
        else:
            hint = (
                _EXAMPLES.get(self._table.name, "Name the columns that are selected") + ": name those that you select"
            )
        raise self._error(self._statement.query.select.span, reason, hint)

    def _check_required(self, targets: list[_Target]) -> None:
        assert self._table.sink is not None
        required = _REQUIRED.get(self._table.sink.kind, ())
        if self._table.sink.topic_column is not None:
            required = (self._table.sink.topic_column,)
        given = {t.column.name for t in targets}
        for name in required:
            if name not in given:
                hint = f"Add {name} to the columns, and a value for it to SELECT"
                raise self._error(self._statement.target.span, f"{self._table.name} needs the column {name}", hint)

    def _assign(self, target: Column, field: Field, span: Span) -> Value:
        """The value as the sink wants it, by Flink's implicit casts: to wider numbers, to STRING from STRING alone."""
        source, wanted = field.value.type, target.type
        if source.is_text and wanted.is_text:
            return field.value if target.name == "device" else field.value.text()
        if source is wanted:
            return field.value
        wider = source.is_number and (wanted is Type.DOUBLE or (source is Type.INT and wanted is Type.BIGINT))
        if wider:
            return convert(field.value, wanted)
        reason = f"{self._table.name}.{target.name} is {wanted.sql}, and {source.sql} is selected for it"
        cast = "TRY_CAST" if source.is_text else "CAST"
        raise self._error(span, reason, f"Write {cast}(… AS {wanted.sql}), or check the order of the columns")

    def _check_rule_column(self, expr: Expr | None, span: Span) -> None:
        """The engine fills the rule's name in; only this name can be selected for it."""
        if isinstance(expr, String) and expr.value == self._rule:
            return
        hint = "Leave it out: INSERT INTO alerts (device, message) SELECT …"
        raise self._error(span, f"an alert is of the rule that raised it, which is {self._rule!r}", hint)

    def _check_times(self, relation: Relation) -> None:
        times = [f.name or "a column" for f in relation.fields if f.value.rowtime]
        if len(times) > 1:
            reason = f"Flink refuses two event times in one result: {' and '.join(times)}"
            hint = "Write CAST(… AS TIMESTAMP(3)) around one of them"
            raise RuleError.at(self._sql, self._statement.query.select.span, "rule-unsafe", reason, hint)

    def _kind(self, given: list[str]) -> Plan:
        sink = self._table.sink
        assert sink is not None
        if self._table is ALERTS or self._table is COMMANDS:
            return {"kind": sink.kind}
        payload = [{"column": name, "as": name} for name in given if name != sink.topic_column]
        device = self._table.device
        return {
            "kind": "topic",
            "topic": sink.topic,
            "topic_column": sink.topic_column,
            "device_column": device if device in given else None,
            "columns": payload,
            "qos": sink.qos,
            "retain": sink.retain,
        }
