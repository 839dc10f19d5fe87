"""Calls of functions, those with words among their arguments included."""

from collections.abc import Callable

from mohhos.stream.dialect import Kind
from mohhos.stream.errors import Span
from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.reserved import RESERVED
from mohhos.stream.syntax import Call, Expr, Name, String

__all__ = ["WITHOUT_PARENTHESES", "call", "quoted", "without_parentheses"]

Parse = Callable[[Cursor], Expr]

WITHOUT_PARENTHESES = frozenset(
    {"CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME", "LOCALTIME", "LOCALTIMESTAMP", "CURRENT_USER", "SYSTEM_USER"}
)
"""Reserved words that are a function of no arguments."""

_CALLABLE_WORDS = """
ABS AVG CARDINALITY CEIL CEILING CHAR_LENGTH CHARACTER_LENGTH COALESCE COLLECT CONVERT CORR COUNT COVAR_POP
COVAR_SAMP CUME_DIST DATE_TRUNC DENSE_RANK ELEMENT EVERY EXP EXTRACT FIRST_VALUE FLOOR GROUPING HOUR JSON_ARRAY
JSON_EXISTS JSON_OBJECT JSON_QUERY JSON_VALUE LAG LAST_VALUE LEAD LEFT LN LOWER MAX MIN MINUTE MOD MONTH NTH_VALUE
NTILE NULLIF OCTET_LENGTH OVERLAY PERCENTILE_CONT PERCENTILE_DISC PERCENT_RANK POSITION POWER RANK RIGHT ROW
ROW_NUMBER SECOND SOME SQRT STDDEV_POP STDDEV_SAMP STRING_AGG SUBSTRING SUM TRANSLATE TRIM TRUNCATE UPPER VAR_POP
VAR_SAMP YEAR DAY CLASSIFIER MATCH_NUMBER PREV NEXT USER
"""

_CALLABLE_RESERVED = frozenset(_CALLABLE_WORDS.split())
"""Reserved words that Flink's grammar takes as the name of a function."""


def without_parentheses(cursor: Cursor) -> Expr:
    """CURRENT_TIMESTAMP and its like."""
    token = cursor.take()
    return Call(token.span, token.word, token.span, ())


def quoted(cursor: Cursor, expression: Parse) -> Expr:
    """A function whose name is in back quotes."""
    token = cursor.take()
    cursor.take()
    return _ordinary(cursor, token.text.upper(), token.span.start, expression)


def call(cursor: Cursor, expression: Parse) -> Expr:
    """The call whose name comes next, followed by its opening parenthesis."""
    token = cursor.token
    if token.word in RESERVED and token.word not in _CALLABLE_RESERVED:
        hint = f"If it is a name, write `{token.text}` in back quotes"
        reason = f"{token.text} is a word that Flink SQL keeps for itself, and not a function"
        cursor.fail(token.span, "rule-reserved", reason, hint)
    cursor.take()
    cursor.take()
    special = _SPECIAL.get(token.word)
    if special is not None:
        arguments, words = special(cursor, expression)
        cursor.expect(")", f"at the end of {token.word}")
        return Call(cursor.since(token.span), token.word, token.span, arguments, words=words)
    return _ordinary(cursor, token.word, token.span.start, expression)


def _ordinary(cursor: Cursor, name: str, start: int, expression: Parse) -> Expr:
    name_span = Span(start, cursor.ahead(-2).span.end)
    star = distinct = False
    arguments: list[Expr] = []
    if cursor.accept("*"):
        star = True
    elif not cursor.sees(")"):
        distinct = cursor.accept("DISTINCT")
        if not distinct:
            cursor.accept("ALL")
        arguments.append(_argument(cursor, expression))
        while cursor.accept(","):
            arguments.append(_argument(cursor, expression))
    if cursor.sees("IGNORE", "NULLS") or cursor.sees("RESPECT", "NULLS"):
        cursor.later(cursor.token.span, "IGNORE NULLS", "Filter NULL out before, in WITH")
    if cursor.sees("RETURNING") or (name == "JSON_VALUE" and (cursor.sees("NULL", "ON") or cursor.sees("ERROR", "ON"))):
        hint = "JSON_VALUE gives a STRING, or NULL: convert it with TRY_CAST(JSON_VALUE(…) AS DOUBLE)"
        cursor.later(cursor.token.span, f"{cursor.token.text} in JSON_VALUE", hint)
    if cursor.sees("ORDER", "BY"):
        cursor.later(cursor.token.span, "ORDER BY inside a function", "Take it out")
    cursor.expect(")", f"after the arguments of {name}")
    where = None
    if cursor.sees("WITHIN", "GROUP"):
        cursor.later(cursor.token.span, "WITHIN GROUP", "Use AVG, MIN, MAX or STDDEV_POP")
    if cursor.accept("FILTER"):
        cursor.expect("(", "after FILTER")
        cursor.expect("WHERE", "in FILTER (WHERE …)")
        where = expression(cursor)
        cursor.expect(")", "at the end of FILTER")
    if cursor.sees("OVER"):
        cursor.later(cursor.token.span, "OVER", "Aggregate in a window: FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), …))")
    return Call(Span(start, cursor.last.end), name, name_span, tuple(arguments), star, distinct, where)


def _argument(cursor: Cursor, expression: Parse) -> Expr:
    if cursor.sees("SELECT") or cursor.sees("TABLE"):
        cursor.later(cursor.token.span, "a query or a table as an argument", "Use a column or a value")
    argument = expression(cursor)
    if cursor.sees("=>"):
        cursor.fail(cursor.token.span, "rule-unsupported", "arguments are not named here", "Give them in their order")
    return argument


def _unit(cursor: Cursor, example: str) -> str:
    unit = cursor.take()
    if not unit.word:
        cursor.fail(unit.span, "rule-syntax", "a unit of time is expected", f"Write {example}")
    return unit.word


def _extract(cursor: Cursor, expression: Parse) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
    unit = _unit(cursor, "EXTRACT(HOUR FROM ts)")
    cursor.expect("FROM", "after the unit of EXTRACT")
    return (expression(cursor),), (unit,)


def _unit_first(cursor: Cursor, expression: Parse) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
    unit = _unit(cursor, "TIMESTAMPDIFF(SECOND, earlier, later) or TIMESTAMPADD(SECOND, 5, ts)")
    cursor.expect(",", "after the unit")
    first = expression(cursor)
    cursor.expect(",", "between the arguments")
    return (first, expression(cursor)), (unit,)


def _to_unit(cursor: Cursor, expression: Parse) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
    argument = expression(cursor)
    if cursor.accept("TO"):
        return (argument,), (_unit(cursor, "FLOOR(ts TO HOUR)"),)
    return (argument,), ()


def _trim(cursor: Cursor, expression: Parse) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
    side = cursor.accept_any("BOTH", "LEADING", "TRAILING")
    if side and cursor.accept("FROM"):
        return (expression(cursor),), (side,)
    first = expression(cursor)
    if cursor.accept("FROM"):
        return (expression(cursor), first), (side or "BOTH",)
    if side:
        cursor.unexpected(f"FROM is expected in TRIM({side} … FROM …)")
    return (first,), ("BOTH",)


def _substring(cursor: Cursor, expression: Parse) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
    arguments = [expression(cursor)]
    if not (cursor.accept("FROM") or cursor.accept(",")):
        cursor.unexpected("FROM or a comma is expected in SUBSTRING")
    arguments.append(expression(cursor))
    if cursor.accept("FOR") or cursor.accept(","):
        arguments.append(expression(cursor))
    return tuple(arguments), ()


def _position(cursor: Cursor, expression: Parse) -> tuple[tuple[Expr, ...], tuple[str, ...]]:
    sought = _before_in(cursor, expression)
    cursor.expect("IN", "in POSITION(part IN text)")
    return (sought, expression(cursor)), ()


def _before_in(cursor: Cursor, expression: Parse) -> Expr:
    """A string, a column or something in parentheses: what IN follows without being the operator IN."""
    if cursor.token.kind is Kind.STRING:
        token = cursor.take()
        return String(token.span, token.text)
    if cursor.accept("("):
        inner = expression(cursor)
        cursor.expect(")", "to close the parenthesis")
        return inner
    ident = cursor.ident("a string, a column or an expression in parentheses")
    return Name(ident.span, (ident,))


_SPECIAL: dict[str, Callable[[Cursor, Parse], tuple[tuple[Expr, ...], tuple[str, ...]]]] = {
    "CEIL": _to_unit,
    "CEILING": _to_unit,
    "EXTRACT": _extract,
    "FLOOR": _to_unit,
    "POSITION": _position,
    "SUBSTRING": _substring,
    "TIMESTAMPADD": _unit_first,
    "TIMESTAMPDIFF": _unit_first,
    "TRIM": _trim,
}
