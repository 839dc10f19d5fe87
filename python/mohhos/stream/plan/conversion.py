"""CAST and TRY_CAST."""

from dataclasses import replace

from mohhos.stream.plan.scope import Scope
from mohhos.stream.syntax import Cast
from mohhos.stream.types import Type, Value, cast, literal, null

__all__ = ["convert_explicitly"]


def convert_explicitly(expr: Cast, value: Value, target: Type, scope: Scope) -> Value:
    """The value as `target`. Raises RuleError for what cannot be converted, or may fail while the rule runs."""
    source = value.type
    if source is Type.NULL:
        return null(target)
    if source is Type.INTERVAL:
        raise scope.error(expr.operand.span, "rule-type", "an interval is not converted", "Add it to a time")
    if source is Type.DECIMAL and target in (Type.STRING, Type.BOOLEAN):
        hint = "Write a string, or CAST(CAST(… AS DOUBLE) AS STRING)"
        raise scope.error(expr.span, "rule-type", "a DECIMAL is not converted to this", hint)
    if source is target or (source.is_text and target is Type.STRING):
        return replace(value, rowtime=False)
    if source.is_text:
        return _from_text(expr, value, target, scope)
    if Type.TIMESTAMP in (source, target) and target is not Type.STRING:
        hint = "Take EXTRACT(…) of a time, or TRY_CAST(text AS TIMESTAMP(3))"
        raise scope.error(expr.span, "rule-type", f"{source.sql} does not become {target.sql}", hint)
    if target is Type.DOUBLE and isinstance(value.constant, int) and not isinstance(value.constant, bool):
        return literal(Type.DOUBLE, value.constant)
    if target is Type.DOUBLE and source is Type.DECIMAL:
        return value.double()
    return cast(value, target, expr.safe)


def _from_text(expr: Cast, value: Value, target: Type, scope: Scope) -> Value:
    if not expr.safe:
        reason = f"a text that is no {target.sql} ends the rule on Flink"
        hint = f"Write TRY_CAST(… AS {target.sql}), which gives NULL for it"
        raise scope.error(expr.span, "rule-unsafe", reason, hint)
    return cast(value.text(), target, safe=True)
