"""Expressions: types derived by Flink's rules, and the engine's expressions made."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mohhos.stream.declare import read_type
from mohhos.stream.errors import nearest
from mohhos.stream.functions import AGGREGATES, FUNCTIONS, MISSING, Arguments, Misuse
from mohhos.stream.plan.arithmetic import arithmetic, negate, number
from mohhos.stream.plan.comparison import between, compare, distinct, in_list
from mohhos.stream.plan.conversion import convert_explicitly
from mohhos.stream.plan.scope import Scope
from mohhos.stream.syntax import (
    Between,
    Binary,
    Boolean,
    Call,
    Case,
    Cast,
    Distinct,
    Expr,
    In,
    Interval,
    Is,
    Like,
    Name,
    Null,
    Number,
    String,
    Timestamp,
    Unary,
)
from mohhos.stream.types import Type, Value, call, literal, null, unify

__all__ = ["analyse", "condition"]


def condition(expr: Expr, scope: Scope, where: str) -> Value:
    """A BOOLEAN, for WHERE and its like. Raises RuleError."""
    value = analyse(expr, scope)
    if value.type is not Type.BOOLEAN:
        hint = "Write a comparison"
        raise scope.error(expr.span, "rule-type", f"{where} wants a BOOLEAN, not {value.type.sql}", hint)
    return value


def analyse(expr: Expr, scope: Scope) -> Value:
    """The expression with its type. Raises RuleError."""
    known = scope.special(expr)
    return known if known is not None else _ANALYSERS[type(expr)](expr, scope)


def _boolean_literal(expr: Boolean, _scope: Scope) -> Value:
    return null(Type.BOOLEAN) if expr.value is None else literal(Type.BOOLEAN, expr.value)


def _timestamp(expr: Timestamp, scope: Scope) -> Value:
    for pattern in ("%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S"):
        try:
            moment = datetime.strptime(expr.text, pattern).replace(tzinfo=UTC)
        except ValueError:
            continue
        if moment.microsecond % 1000 == 0:
            delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
            return literal(Type.TIMESTAMP, (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds)
    hint = "Write TIMESTAMP '2026-01-31 12:00:00' or TIMESTAMP '2026-01-31 12:00:00.123'"
    raise scope.error(expr.span, "rule-type", f"{expr.text!r} is not a time", hint)


def _interval(expr: Interval, _scope: Scope) -> Value:
    return Value(Type.INTERVAL, {}, expr.us)


def _unary(expr: Unary, scope: Scope) -> Value:
    if expr.op == "NOT":
        return call(Type.BOOLEAN, "NOT", condition(expr.operand, scope, "NOT"))
    return negate(expr, scope, None if isinstance(expr.operand, Number) else analyse(expr.operand, scope))


def _binary(expr: Binary, scope: Scope) -> Value:
    if expr.op in ("AND", "OR"):
        parts = [condition(part, scope, expr.op) for part in _flat(expr, expr.op)]
        return call(Type.BOOLEAN, expr.op, *parts)
    left, right = analyse(expr.left, scope), analyse(expr.right, scope)
    if expr.op == "||":
        for part, value in ((expr.left, left), (expr.right, right)):
            if not value.type.is_text:
                hint = "CAST it AS STRING"
                raise scope.error(part.span, "rule-type", f"|| joins STRINGs, and this is {value.type.sql}", hint)
        return call(Type.STRING, "||", left, right)
    if expr.op in ("+", "-", "*", "/", "%"):
        return arithmetic(expr, scope, left, right)
    return compare(expr.op, (expr.left, left), (expr.right, right), scope)


def _flat(expr: Expr, op: str) -> list[Expr]:
    """The operands of a chain of one operator, in order."""
    parts: list[Expr] = []
    while isinstance(expr, Binary) and expr.op == op:
        parts.append(expr.right)
        expr = expr.left
    return [expr, *reversed(parts)]


def _is(expr: Is, scope: Scope) -> Value:
    not_ = " NOT" if expr.negated else ""
    value = analyse(expr.operand, scope)
    if value.type in (Type.NULL, Type.INTERVAL):
        hint = "Test a column or a computed value"
        raise scope.error(expr.operand.span, "rule-type", f"IS {expr.what} of a constant is known already", hint)
    if expr.what == "NULL":
        return call(Type.BOOLEAN, f"IS{not_} NULL", value)
    if value.type is not Type.BOOLEAN:
        reason = f"IS {expr.what} is of a BOOLEAN, not of {value.type.sql}"
        raise scope.error(expr.operand.span, "rule-type", reason, "Write IS NULL or a comparison")
    return call(Type.BOOLEAN, f"IS{not_} {'NULL' if expr.what == 'UNKNOWN' else expr.what}", value)


def _distinct(expr: Distinct, scope: Scope) -> Value:
    left, right = analyse(expr.left, scope), analyse(expr.right, scope)
    return distinct(expr.negated, (expr.left, left), (expr.right, right), scope)


def _between(expr: Between, scope: Scope) -> Value:
    given = [(part, analyse(part, scope)) for part in (expr.operand, expr.low, expr.high)]
    found = between(given, expr.symmetric, scope)
    return call(Type.BOOLEAN, "NOT", found) if expr.negated else found


def _in(expr: In, scope: Scope) -> Value:
    items = [(item, analyse(item, scope)) for item in expr.items]
    found = in_list((expr.operand, analyse(expr.operand, scope)), items, scope)
    return call(Type.BOOLEAN, "NOT", found) if expr.negated else found


def _like(expr: Like, scope: Scope) -> Value:
    operand = analyse(expr.operand, scope)
    if not operand.type.is_text:
        reason = f"LIKE is of a STRING, not of {operand.type.sql}"
        raise scope.error(expr.operand.span, "rule-type", reason, "CAST it AS STRING, or compare numbers")
    arguments = [operand]
    for part, what in ((expr.pattern, "pattern"), (expr.escape, "escape character")):
        if part is None:
            continue
        if not isinstance(part, String) or (part is expr.escape and len(part.value) != 1):
            hint = "Write it as in LIKE 'pump-%' or LIKE '50#%' ESCAPE '#'"
            raise scope.error(part.span, "rule-unsupported", f"the {what} of LIKE is a constant", hint)
        arguments.append(literal(Type.STRING, part.value))
    found = call(Type.BOOLEAN, "LIKE", *arguments)
    return call(Type.BOOLEAN, "NOT", found) if expr.negated else found


def _case(expr: Case, scope: Scope) -> Value:
    operand = None if expr.operand is None else (expr.operand, analyse(expr.operand, scope))
    conditions: list[Value] = []
    results: list[Value] = []
    for when, then in expr.whens:
        if operand is None:
            conditions.append(condition(when, scope, "WHEN"))
        else:
            conditions.append(compare("=", operand, (when, analyse(when, scope)), scope))
        results.append(analyse(then, scope))
    results.append(null(Type.NULL) if expr.default is None else analyse(expr.default, scope))
    unified = unify(results)
    if unified is None:
        types = " and ".join(dict.fromkeys(r.type.sql for r in results))
        hint = "CAST all results to one type"
        raise scope.error(expr.span, "rule-type", f"the results of CASE have no common type: {types}", hint)
    type_, converted = unified
    if type_ is Type.INTERVAL:
        raise scope.error(expr.span, "rule-unsupported", "an interval is a constant here", "Use CASE around the sum")
    arguments: list[Value] = []
    for when_value, then_value in zip(conditions, converted, strict=False):
        arguments += [when_value, then_value]
    return call(type_, "CASE", *arguments, converted[-1])


def _cast(expr: Cast, scope: Scope) -> Value:
    target = read_type(scope.sql, expr.target)
    return convert_explicitly(expr, analyse(expr.operand, scope), target, scope)


def _call(expr: Call, scope: Scope) -> Value:
    if expr.name in AGGREGATES:
        return scope.aggregate(expr)
    function = FUNCTIONS.get(expr.name)
    if function is None and expr.name == "MOD" and len(expr.arguments) == 2:
        left, right = expr.arguments
        modulo = Binary(expr.span, "%", left, right)
        return arithmetic(modulo, scope, analyse(left, scope), analyse(right, scope))
    if function is None:
        raise _unknown_function(expr, scope)
    if expr.star or expr.distinct or expr.where is not None:
        hint = f"Write {function.usage}"
        raise scope.error(expr.span, "rule-function", f"{expr.name} is not an aggregate", hint)
    count = len(expr.arguments)
    if count < function.least or (function.most is not None and count > function.most):
        hint = f"Write {function.usage}"
        raise scope.error(expr.span, "rule-function", f"{expr.name} does not take {count} arguments", hint)
    values = tuple(analyse(argument, scope) for argument in expr.arguments)
    for argument, value in zip(expr.arguments, values, strict=True):
        if value.type is Type.INTERVAL:
            hint = "Add it to a time: ts + INTERVAL '5' SECOND"
            raise scope.error(argument.span, "rule-type", "an interval is no argument of a function", hint)
    try:
        return function.build(Arguments(expr.name, function.usage, values, expr.words))
    except Misuse as misuse:
        span = expr.span if misuse.argument is None else expr.arguments[misuse.argument].span
        raise scope.error(span, misuse.code, misuse.reason, misuse.hint) from None


def _unknown_function(expr: Call, scope: Scope) -> Exception:
    instead = MISSING.get(expr.name)
    if instead is not None:
        return scope.error(expr.name_span, "rule-unsupported", f"{expr.name} is not in the rule language", instead)
    close = nearest(expr.name, [*FUNCTIONS, *AGGREGATES, "MOD"])
    hint = f"Did you mean {close}?" if close else "docs/rules.md lists the functions"
    return scope.error(expr.name_span, "rule-function", f"there is no function {expr.name}", hint)


_ANALYSERS: dict[type[Expr], Callable[[Any, Scope], Value]] = {
    Name: lambda expr, scope: scope.resolve(expr),
    Number: number,
    String: lambda expr, _: literal(Type.STRING, expr.value),
    Boolean: _boolean_literal,
    Null: lambda _, __: null(Type.NULL),
    Timestamp: _timestamp,
    Interval: _interval,
    Unary: _unary,
    Binary: _binary,
    Is: _is,
    Distinct: _distinct,
    Between: _between,
    In: _in,
    Like: _like,
    Case: _case,
    Cast: _cast,
    Call: _call,
}
