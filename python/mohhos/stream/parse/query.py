"""Queries: WITH and SELECT with their clauses."""

from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.parse.expression import expression
from mohhos.stream.parse.source import source
from mohhos.stream.syntax import Expr, Item, Name, Query, Select, With

__all__ = ["query"]

_LATER_CLAUSES = {
    "ORDER": ("ORDER BY", "A stream has no last row to sort by; take ORDER BY out"),
    "LIMIT": ("LIMIT", "Select with WHERE or HAVING"),
    "OFFSET": ("OFFSET", "Select with WHERE or HAVING"),
    "FETCH": ("FETCH", "Select with WHERE or HAVING"),
    "QUALIFY": ("QUALIFY", "Select with HAVING, or with WHERE around a query"),
    "WINDOW": ("a named WINDOW", "Use FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"),
    "UNION": ("UNION", "Write one rule for each of the queries"),
    "INTERSECT": ("INTERSECT", "Combine the conditions with AND"),
    "EXCEPT": ("EXCEPT", "Combine the conditions with AND NOT"),
    "MINUS": ("MINUS", "Combine the conditions with AND NOT"),
}


def query(cursor: Cursor) -> Query:
    """The query that comes next: [WITH …] SELECT …."""
    cursor.deeper()
    start = cursor.token.span
    withs: list[With] = []
    if cursor.accept("WITH"):
        if cursor.sees("RECURSIVE"):
            cursor.later(cursor.token.span, "WITH RECURSIVE", "Use plain WITH")
        withs.append(_with(cursor))
        while cursor.accept(","):
            withs.append(_with(cursor))
    if cursor.sees("VALUES"):
        cursor.later(cursor.token.span, "VALUES", "Write SELECT … FROM a table")
    if cursor.sees("("):
        cursor.unexpected("SELECT is expected")
    select = _select(cursor)
    if later := _LATER_CLAUSES.get(cursor.token.word):
        cursor.later(cursor.token.span, *later)
    cursor.shallower()
    return Query(cursor.since(start), tuple(withs), select)


def _with(cursor: Cursor) -> With:
    name = cursor.ident("the name of a query")
    columns = cursor.idents("the name of a column")
    cursor.expect("AS", "after the name in WITH")
    cursor.expect("(", "before the query in WITH")
    body = query(cursor)
    cursor.expect(")", "after the query in WITH")
    return With(cursor.since(name.span), name, columns, body)


def _select(cursor: Cursor) -> Select:
    start = cursor.expect("SELECT", "at the beginning of a query").span
    if cursor.sees("DISTINCT"):
        cursor.later(cursor.token.span, "SELECT DISTINCT", "Count in a window: GROUP BY …, window_start, window_end")
    cursor.accept("ALL")
    items = [_item(cursor)]
    while cursor.accept(","):
        items.append(_item(cursor))
    if not cursor.sees("FROM"):
        cursor.unexpected("FROM is expected after the selected columns")
    cursor.take()
    from_ = source(cursor, query)
    where = expression(cursor) if cursor.accept("WHERE") else None
    group = _group(cursor)
    having = expression(cursor) if cursor.accept("HAVING") else None
    return Select(cursor.since(start), tuple(items), from_, where, group, having)


def _item(cursor: Cursor) -> Item:
    start = cursor.token.span
    if cursor.accept("*"):
        return Item(start, None, None)
    if cursor.sees_ident() and cursor.ahead().text == "." and cursor.ahead(2).text == "*":
        table = cursor.ident("a table")
        cursor.accept(".")
        cursor.accept("*")
        return Item(cursor.since(start), None, None, table)
    expr = expression(cursor)
    alias = None
    if cursor.accept("AS") or cursor.sees_ident():
        alias = cursor.ident("the name of a selected column")
    elif isinstance(expr, Name):
        alias = expr.parts[-1]
    return Item(cursor.since(start), expr, alias)


def _group(cursor: Cursor) -> tuple[Expr, ...] | None:
    if not cursor.accept("GROUP"):
        return None
    cursor.expect("BY", "after GROUP")
    for word in ("GROUPING", "CUBE", "ROLLUP"):
        if cursor.sees(word):
            cursor.later(cursor.token.span, f"GROUP BY {word}", "Write one rule for each grouping")
    if cursor.sees("("):
        cursor.later(cursor.token.span, "a list in parentheses in GROUP BY", "Take the parentheses out")
    group = [expression(cursor)]
    while cursor.accept(","):
        group.append(expression(cursor))
    return tuple(group)
