"""Comparisons: = <> < <= > >= BETWEEN IN and IS DISTINCT FROM."""

from mohhos.stream.plan.scope import Scope
from mohhos.stream.syntax import Expr
from mohhos.stream.types import Type, Value, call, literal

__all__ = ["between", "compare", "distinct", "in_list"]

Given = tuple[Expr, Value]


def compare(op: str, left: Given, right: Given, scope: Scope) -> Value:
    """One of = <> < <= > >=. Raises RuleError."""
    return call(Type.BOOLEAN, op, *_ready([left, right], scope))


def between(given: list[Given], symmetric: bool, scope: Scope) -> Value:
    """`x BETWEEN low AND high`, `given` being these three."""
    x, low, high = _ready(given, scope)
    plain = call(Type.BOOLEAN, "BETWEEN", x, low, high)
    if not symmetric:
        return plain
    return call(Type.BOOLEAN, "OR", plain, call(Type.BOOLEAN, "BETWEEN", x, high, low))


def in_list(operand: Given, items: list[Given], scope: Scope) -> Value:
    """`operand IN (items)`."""
    return call(Type.BOOLEAN, "IN", *_ready([operand, *items], scope))


def distinct(negated: bool, left: Given, right: Given, scope: Scope) -> Value:
    """IS [NOT] DISTINCT FROM: as <> or =, NULL being equal to NULL."""
    a, b = _ready([left, right], scope)
    same = call(
        Type.BOOLEAN,
        "CASE",
        call(Type.BOOLEAN, "IS NULL", a),
        call(Type.BOOLEAN, "IS NULL", b),
        call(Type.BOOLEAN, "IS NULL", b),
        literal(Type.BOOLEAN, False),
        call(Type.BOOLEAN, "=", a, b),
    )
    return same if negated else call(Type.BOOLEAN, "NOT", same)


def _ready(given: list[Given], scope: Scope) -> list[Value]:
    """The operands, every one comparable with the first, as the engine wants them."""
    first = given[0]
    _check_alone(first, scope)
    for other in given[1:]:
        _check_alone(other, scope)
        _check_pair(first, other, scope)
    if any(v.type in (Type.DECIMAL, Type.DOUBLE) for _, v in given):
        return [v.double() if v.is_constant else v for _, v in given]
    return [v for _, v in given]


def _check_alone(given: Given, scope: Scope) -> None:
    expr, value = given
    if value.type is Type.NULL:
        raise scope.error(expr.span, "rule-type", "nothing equals NULL, not even NULL", "Write IS NULL or IS NOT NULL")
    if value.type is Type.INTERVAL:
        hint = "Compare times: ts > window_start + INTERVAL '5' SECOND"
        raise scope.error(expr.span, "rule-type", "an interval is not compared", hint)


def _check_pair(first: Given, other: Given, scope: Scope) -> None:
    a, b = first[1].type, other[1].type
    if (a.is_text and b.is_text) or (a is b and a is not Type.DECIMAL):
        return
    if a.is_number and b.is_number:
        if Type.DECIMAL in (a, b) and Type.BIGINT in (a, b):
            reason = "Flink compares BIGINT with a decimal number as DECIMAL, which rules do not have"
            raise scope.error(other[0].span, "rule-type", reason, "Write a whole number, or CAST the BIGINT AS DOUBLE")
        return
    raise scope.error(other[0].span, "rule-type", f"{a.sql} is not compared with {b.sql}", _hint(a, b))


def _hint(a: Type, b: Type) -> str:
    if Type.TIMESTAMP in (a, b):
        return "Write a time as TIMESTAMP '2026-01-31 12:00:00'"
    if a.is_text and b.is_number:
        return "Write the value in quotes, or convert the text with TRY_CAST(… AS DOUBLE)"
    if a.is_number and b.is_text:
        return "Write the value without quotes, or convert the text with TRY_CAST(… AS DOUBLE)"
    return "CAST one of them to the type of the other"
