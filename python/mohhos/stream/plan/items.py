"""The selected columns."""

from collections.abc import Iterator

from mohhos.stream.plan.expression import analyse
from mohhos.stream.plan.scope import Field, Scope
from mohhos.stream.syntax import Expr, Item
from mohhos.stream.types import Type, Value

__all__ = ["select_items"]


def select_items(items: tuple[Item, ...], scope: Scope) -> Iterator[Field]:
    """The selected columns, `*` spelled out. Raises RuleError."""
    for item in items:
        if item.expr is not None:
            value = analyse(item.expr, scope)
            _check(item.expr, value, scope)
            yield Field(item.alias.name if item.alias else None, value)
            continue
        if item.table is not None:
            scope.check_table(item.table)
        if not scope.fields:
            hint = "Name the keys, window_start, window_end and the aggregates"
            raise scope.error(item.span, "rule-window", "* has no meaning after GROUP BY", hint)
        yield from scope.fields


def _check(expr: Expr, value: Value, scope: Scope) -> None:
    if value.type is Type.NULL:
        hint = "Write CAST(NULL AS STRING), or leave the column out of INSERT INTO … (columns)"
        raise scope.error(expr.span, "rule-type", "NULL has no type here", hint)
    if value.type is Type.INTERVAL:
        raise scope.error(expr.span, "rule-type", "an interval is not a column", "Add it to a time")
