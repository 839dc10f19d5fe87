"""Expressions, from OR down to single values."""

from collections.abc import Callable

from mohhos.stream.dialect import Kind
from mohhos.stream.parse import call
from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.parse.interval import interval
from mohhos.stream.parse.typename import type_name
from mohhos.stream.reserved import RESERVED
from mohhos.stream.syntax import (
    Between,
    Binary,
    Boolean,
    Case,
    Cast,
    Distinct,
    Expr,
    In,
    Is,
    Like,
    Name,
    Null,
    Number,
    String,
    Timestamp,
    Unary,
)

__all__ = ["expression"]

_COMPARISONS = ("=", "<>", "<=", ">=", "<", ">")


def expression(cursor: Cursor) -> Expr:
    """The expression that comes next."""
    cursor.deeper()
    expr = _left_associative(cursor, _and, ("OR",))
    cursor.shallower()
    return expr


def _and(cursor: Cursor) -> Expr:
    return _left_associative(cursor, _not, ("AND",))


def _left_associative(cursor: Cursor, operand: Callable[[Cursor], Expr], operators: tuple[str, ...]) -> Expr:
    left = operand(cursor)
    chain = 0
    while operator := cursor.accept_any(*operators):
        chain += 1
        cursor.deeper(1)
        right = operand(cursor)
        left = Binary(left.span.to(right.span), operator, left, right)
    cursor.shallower(chain)
    return left


def _not(cursor: Cursor) -> Expr:
    if not cursor.sees("NOT"):
        return _predicate(cursor)
    start = cursor.take().span
    cursor.deeper()
    operand = _not(cursor)
    cursor.shallower()
    return Unary(start.to(operand.span), "NOT", operand)


def _predicate(cursor: Cursor) -> Expr:
    """Comparisons and what else gives BOOLEAN. Two of them in a row need parentheses, which Flink wants as well in
    most places and readers in all; only IS may follow."""
    left = _sum(cursor)
    found = _comparison(cursor, left)
    while cursor.sees("IS"):
        found = _is(cursor, found)
    if cursor.token.text in _COMPARISONS and cursor.token.kind is Kind.SIGN:
        hint = "Put the first comparison in parentheses, or join two comparisons with AND"
        cursor.fail(cursor.token.span, "rule-syntax", "comparisons cannot be chained", hint)
    return found


def _comparison(cursor: Cursor, left: Expr) -> Expr:
    if operator := cursor.accept_any(*_COMPARISONS):
        if cursor.sees("ALL") or cursor.sees("ANY") or cursor.sees("SOME"):
            cursor.later(cursor.token.span, "a comparison with a subquery", "Compare with a value")
        right = _sum(cursor)
        return Binary(left.span.to(right.span), operator, left, right)
    negated = cursor.sees("NOT") and cursor.ahead().word in ("BETWEEN", "IN", "LIKE", "SIMILAR", "RLIKE", "ILIKE")
    if negated:
        cursor.take()
    if cursor.accept("BETWEEN"):
        return _between(cursor, left, negated)
    if cursor.accept("IN"):
        return _in(cursor, left, negated)
    if cursor.accept("LIKE"):
        pattern = _sum(cursor)
        escape = _sum(cursor) if cursor.accept("ESCAPE") else None
        return Like(cursor.since(left.span), left, pattern, escape, negated)
    if cursor.sees("SIMILAR") or cursor.sees("RLIKE") or cursor.sees("ILIKE"):
        cursor.later(cursor.token.span, cursor.token.word, "Write LIKE with % and _, and UPPER(…) to ignore case")
    return left


def _between(cursor: Cursor, left: Expr, negated: bool) -> Expr:
    symmetric = cursor.accept("SYMMETRIC")
    if not symmetric:
        cursor.accept("ASYMMETRIC")
    low = _sum(cursor)
    cursor.expect("AND", "between the two bounds of BETWEEN")
    high = _sum(cursor)
    return Between(left.span.to(high.span), left, low, high, negated, symmetric)


def _in(cursor: Cursor, left: Expr, negated: bool) -> Expr:
    cursor.expect("(", "after IN")
    if cursor.sees("SELECT") or cursor.sees("WITH"):
        cursor.later(cursor.token.span, "IN with a subquery", "List the values: IN ('a', 'b')")
    items = [expression(cursor)]
    while cursor.accept(","):
        items.append(expression(cursor))
    cursor.expect(")", "after the values of IN")
    return In(cursor.since(left.span), left, tuple(items), negated)


def _is(cursor: Cursor, left: Expr) -> Expr:
    cursor.take()
    negated = cursor.accept("NOT")
    if cursor.accept("DISTINCT"):
        cursor.expect("FROM", "after IS DISTINCT")
        right = _sum(cursor)
        return Distinct(left.span.to(right.span), left, right, negated)
    if what := cursor.accept_any("NULL", "TRUE", "FALSE", "UNKNOWN"):
        return Is(cursor.since(left.span), left, what, negated)
    if cursor.sees("JSON"):
        cursor.later(
            cursor.token.span, "IS JSON", "Payloads are decoded before a rule sees them; test a column for NULL"
        )
    return cursor.unexpected("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM is expected after IS")


def _sum(cursor: Cursor) -> Expr:
    return _left_associative(cursor, _product, ("+", "-"))


def _product(cursor: Cursor) -> Expr:
    return _left_associative(cursor, _join, ("*", "/", "%"))


def _join(cursor: Cursor) -> Expr:
    return _left_associative(cursor, _sign, ("||",))


def _sign(cursor: Cursor) -> Expr:
    if not (cursor.sees("-") or cursor.sees("+")):
        return _value(cursor)
    operator = cursor.take()
    cursor.deeper()
    operand = _sign(cursor)
    cursor.shallower()
    return Unary(operator.span.to(operand.span), operator.text, operand)


def _value(cursor: Cursor) -> Expr:
    token = cursor.token
    if token.kind is Kind.NUMBER:
        return Number(cursor.take().span, token.text)
    if token.kind is Kind.STRING:
        cursor.take()
        if cursor.token.kind is Kind.STRING:
            hint = "Join them with ||, or write a quote inside a string twice"
            cursor.fail(cursor.token.span, "rule-syntax", "two strings follow one another", hint)
        return String(token.span, token.text)
    if token.kind is Kind.QUOTED:
        return call.quoted(cursor, expression) if cursor.ahead().text == "(" else _name(cursor)
    if cursor.sees("("):
        return _parentheses(cursor)
    if token.kind is not Kind.WORD:
        return cursor.unexpected("a value is expected")
    return _word(cursor)


def _word(cursor: Cursor) -> Expr:
    token = cursor.token
    reader = _WORDS.get(token.word)
    if reader is not None:
        return reader(cursor)
    if token.word in ("TIMESTAMP", "DATE", "TIME") and cursor.ahead().kind is Kind.STRING:
        return _time(cursor)
    if cursor.ahead().text == "(" and cursor.ahead().kind is Kind.SIGN:
        return call.call(cursor, expression)
    if token.word in call.WITHOUT_PARENTHESES:
        return call.without_parentheses(cursor)
    if token.word in RESERVED:
        reason = f"a value is expected, and {token.text} is a word that Flink SQL keeps for itself"
        cursor.fail(token.span, "rule-reserved", reason, f"If it is a column, write `{token.text}` in back quotes")
    return _name(cursor)


def _boolean(cursor: Cursor) -> Expr:
    token = cursor.take()
    return Boolean(token.span, {"TRUE": True, "FALSE": False}.get(token.word))


def _null(cursor: Cursor) -> Expr:
    return Null(cursor.take().span)


def _time(cursor: Cursor) -> Expr:
    word = cursor.take()
    if word.word != "TIMESTAMP":
        cursor.later(word.span, f"the type {word.word}", "Write TIMESTAMP '2026-01-31 12:00:00'")
    text = cursor.take()
    return Timestamp(cursor.since(word.span), text.text)


def _subquery(cursor: Cursor) -> Expr:
    return cursor.later(cursor.token.span, "a subquery among values", "Compute it in a query before, with WITH")


def _name(cursor: Cursor) -> Expr:
    parts = [cursor.ident("a column")]
    while cursor.accept("."):
        if cursor.sees("*"):
            cursor.unexpected("a column is expected")
        parts.append(cursor.ident("a column"))
    return Name(cursor.since(parts[0].span), tuple(parts))


def _parentheses(cursor: Cursor) -> Expr:
    start = cursor.take().span
    if cursor.sees("SELECT") or cursor.sees("WITH"):
        return _subquery(cursor)
    inner = expression(cursor)
    if cursor.sees(","):
        cursor.later(start, "a row of several values", "Compare the values one by one, with AND")
    cursor.expect(")", "to close the parenthesis")
    return inner


def _case(cursor: Cursor) -> Expr:
    start = cursor.take().span
    operand = None if cursor.sees("WHEN") else expression(cursor)
    whens: list[tuple[Expr, Expr]] = []
    while cursor.accept("WHEN"):
        condition = expression(cursor)
        cursor.expect("THEN", "after the condition of WHEN")
        whens.append((condition, expression(cursor)))
    if not whens:
        cursor.unexpected("WHEN is expected after CASE")
    default = expression(cursor) if cursor.accept("ELSE") else None
    cursor.expect("END", "at the end of CASE")
    return Case(cursor.since(start), operand, tuple(whens), default)


def _cast(cursor: Cursor) -> Expr:
    word = cursor.take()
    cursor.expect("(", f"after {word.word}")
    operand = expression(cursor)
    cursor.expect("AS", f"between the value and the type of {word.word}")
    target = type_name(cursor)
    cursor.expect(")", f"at the end of {word.word}")
    return Cast(cursor.since(word.span), operand, target, word.word == "TRY_CAST")


_WORDS: dict[str, Callable[[Cursor], Expr]] = {
    "TRUE": _boolean,
    "FALSE": _boolean,
    "UNKNOWN": _boolean,
    "NULL": _null,
    "CASE": _case,
    "CAST": _cast,
    "TRY_CAST": _cast,
    "INTERVAL": interval,
    "EXISTS": _subquery,
    "SELECT": _subquery,
    "WITH": _subquery,
}
"""What begins with a word of the language."""
