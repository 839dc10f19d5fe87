"""Numbers, and calculating with them and with times."""

from decimal import Decimal

from mohhos.stream.plan.scope import Scope
from mohhos.stream.syntax import Binary, Call, Expr, Number, Unary
from mohhos.stream.types import DECIMAL_DIGITS, Type, Value, call, literal

__all__ = ["arithmetic", "negate", "number"]

_INT = 2**31
_BIGINT = 2**63


def number(expr: Number, scope: Scope) -> Value:
    """A literal: INT, BIGINT, DECIMAL with a point, DOUBLE with an exponent."""
    return _number(expr, expr.text, scope)


def _number(expr: Expr, text: str, scope: Scope) -> Value:
    if "e" in text.lower():
        value = float(text)
        if abs(value) == float("inf"):
            raise scope.error(
                expr.span, "rule-type", "the number is greater than a DOUBLE can be", "Write a smaller one"
            )
        return literal(Type.DOUBLE, value)
    if "." in text:
        return _decimal(expr, Decimal(text), scope)
    if len(text) > 40 or not -_BIGINT <= int(text) < _BIGINT:
        raise scope.error(
            expr.span, "rule-type", "the number is greater than a BIGINT can be", f"Write {text[:20]}e0 …"
        )
    whole = int(text)
    return literal(Type.INT if -_INT <= whole < _INT else Type.BIGINT, whole)


def _decimal(expr: Expr, value: Decimal, scope: Scope) -> Value:
    if len(value.as_tuple().digits) > DECIMAL_DIGITS:
        reason = f"a number with a decimal point has at most {DECIMAL_DIGITS} digits here"
        raise scope.error(expr.span, "rule-type", reason, "Write an exponent, as in 1.5e0, for a DOUBLE")
    return literal(Type.DECIMAL, value)


def negate(expr: Unary, scope: Scope, operand: Value | None) -> Value:
    """A sign before a value; `operand` is None when the value is a number as it is written."""
    if operand is None:
        assert isinstance(expr.operand, Number)
        return _number(expr, f"-{expr.operand.text}" if expr.op == "-" else expr.operand.text, scope)
    if operand.type is Type.INTERVAL and isinstance(operand.constant, int):
        return Value(Type.INTERVAL, {}, -operand.constant if expr.op == "-" else operand.constant)
    if not operand.type.is_number:
        reason = f"{expr.op} stands before a number, and this is {operand.type.sql}"
        raise scope.error(expr.operand.span, "rule-type", reason, "CAST it to a number")
    if expr.op == "+":
        return operand
    if operand.type is Type.DECIMAL and isinstance(operand.constant, Decimal):
        return literal(Type.DECIMAL, -operand.constant)
    return call(operand.type, "NEGATE", operand)


def arithmetic(expr: Binary, scope: Scope, left: Value, right: Value) -> Value:
    """+ - * / %. Raises RuleError for what Flink refuses, dies of, or computes as DECIMAL."""
    if Type.TIMESTAMP in (left.type, right.type) or Type.INTERVAL in (left.type, right.type):
        return _time(expr, scope, left, right)
    for part, value in ((expr.left, left), (expr.right, right)):
        if value.type is Type.NULL:
            raise scope.error(part.span, "rule-type", "NULL has no type here", "Write CAST(NULL AS DOUBLE)")
        if not value.type.is_number:
            hint = "Write TRY_CAST(… AS DOUBLE)" if value.type.is_text else "Calculate with numbers"
            reason = f"{expr.op} calculates with numbers, and this is {value.type.sql}"
            raise scope.error(part.span, "rule-type", reason, hint)
    if expr.op == "%" and Type.DOUBLE in (left.type, right.type):
        hint = "CAST both AS BIGINT, or write x - FLOOR(x / y) * y"
        raise scope.error(expr.span, "rule-type", "Flink's remainder is of integers", hint)
    if expr.op in ("/", "%"):
        _check_division(expr, scope, left, right)
    if Type.DOUBLE in (left.type, right.type):
        return call(Type.DOUBLE, expr.op, left.double(), right.double())
    if Type.DECIMAL in (left.type, right.type):
        return _decimals(expr, scope, left, right)
    return call(Type.BIGINT if Type.BIGINT in (left.type, right.type) else Type.INT, expr.op, left, right)


def _decimals(expr: Binary, scope: Scope, left: Value, right: Value) -> Value:
    a, b = left.constant, right.constant
    if isinstance(a, int | Decimal) and isinstance(b, int | Decimal) and expr.op in ("+", "-", "*"):
        x, y = Decimal(a), Decimal(b)
        return _decimal(expr, {"+": x + y, "-": x - y, "*": x * y}[expr.op], scope)
    hint = "CAST one of them AS DOUBLE"
    for value in (left, right):
        if value.type is Type.DECIMAL and value.is_constant:
            hint = f"Write {value.constant}e0, which is a DOUBLE, or CAST the other one AS DOUBLE"
    reason = f"{left.type.sql} {expr.op} {right.type.sql} is a DECIMAL in Flink, which rules do not have"
    raise scope.error(expr.span, "rule-type", reason, hint)


def _check_division(expr: Binary, scope: Scope, left: Value, right: Value) -> None:
    if left.is_constant and right.is_constant and not right.constant:
        raise scope.error(expr.span, "rule-unsafe", "this divides by zero", "Write the value itself")
    if Type.DOUBLE in (left.type, right.type):
        return  # inf or nan, in Flink as here
    if right.is_constant:
        if right.constant == 0:
            raise scope.error(expr.right.span, "rule-unsafe", "this divides by zero", "Divide by something else")
        return
    if _never_zero(expr.right):
        return
    reason = f"Flink dies of {left.type.sql} {expr.op} {right.type.sql} when the divisor is 0"
    hint = "Divide by NULLIF(…, 0), which gives NULL then, or CAST one of them AS DOUBLE"
    raise scope.error(expr.right.span, "rule-unsafe", reason, hint)


def _never_zero(divisor: Expr) -> bool:
    match divisor:
        case Call(name="NULLIF", arguments=(_, Number(text="0"))):
            return True
    return False


def _time(expr: Binary, scope: Scope, left: Value, right: Value) -> Value:
    if expr.op == "+" and left.type is Type.INTERVAL and right.type is Type.TIMESTAMP:
        left, right = right, left
    fits = left.type is Type.TIMESTAMP and right.type is Type.INTERVAL and expr.op in ("+", "-")
    if not fits or not isinstance(right.constant, int):
        hint = "Write ts + INTERVAL '5' SECOND, or TIMESTAMPDIFF(SECOND, earlier, later)"
        reason = f"{left.type.sql} {expr.op} {right.type.sql} is not possible"
        raise scope.error(expr.span, "rule-type", reason, hint)
    ms = right.constant // 1000
    return call(Type.TIMESTAMP, "TIMESTAMPADD_MS", left, literal(Type.BIGINT, ms if expr.op == "+" else -ms))
