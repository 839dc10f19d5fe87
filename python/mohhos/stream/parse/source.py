"""What stands in FROM: tables, queries and window table functions."""

from collections.abc import Callable

from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.parse.interval import interval
from mohhos.stream.syntax import Ident, Interval, Query, QuerySource, Source, TableSource, TumbleSource

__all__ = ["source"]

Parse = Callable[[Cursor], Query]

_TUMBLE = "TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND))"
_OTHER_WINDOWS = ("HOP", "CUMULATE", "SESSION")
_JOINS = ("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "CROSS", "NATURAL")


def source(cursor: Cursor, query: Parse) -> Source:
    """The source that comes next. Joins and patterns are refused here, where they would follow."""
    found = _table_function(cursor, query) if cursor.sees("TABLE") else _plain(cursor, query)
    if cursor.sees(",") or cursor.token.word in _JOINS:
        hint = "Declare a table with one column for each value, so that one row has them all"
        cursor.later(cursor.token.span, "a join", hint)
    return found


def _plain(cursor: Cursor, query: Parse) -> Source:
    start = cursor.token.span
    if cursor.accept("("):
        if not (cursor.sees("SELECT") or cursor.sees("WITH")):
            cursor.unexpected("a query is expected in the parentheses")
        inner = query(cursor)
        cursor.expect(")", "after the query")
        alias = _alias(cursor)
        return QuerySource(cursor.since(start), inner, alias)
    for word in ("LATERAL", "UNNEST"):
        if cursor.sees(word):
            cursor.later(cursor.token.span, word, "Declare a table with one column for each value")
    name = _table_name(cursor)
    if cursor.sees("FOR", "SYSTEM_TIME"):
        cursor.later(cursor.token.span, "FOR SYSTEM_TIME AS OF", "Put what the rule needs to know into its text")
    if cursor.sees("MATCH_RECOGNIZE"):
        cursor.later(cursor.token.span, "MATCH_RECOGNIZE", f"Aggregate in a window: FROM {_TUMBLE}")
    alias = _alias(cursor)
    return TableSource(cursor.since(start), name, alias)


def _table_name(cursor: Cursor) -> Ident:
    name = cursor.ident("a table")
    if cursor.sees("."):
        reason, hint = "tables have no catalog and no database before them", "Write the table's name alone"
        cursor.fail(cursor.since(name.span), "rule-table", reason, hint)
    if cursor.sees("("):
        hint = f"A window is written FROM {_TUMBLE}"
        cursor.fail(cursor.since(name.span), "rule-syntax", "a function stands where a table is expected", hint)
    return name


def _alias(cursor: Cursor) -> Ident | None:
    alias = None
    if cursor.accept("AS") or cursor.sees_ident():
        alias = cursor.ident("another name for the table")
    if alias is not None and cursor.sees("("):
        cursor.later(cursor.token.span, "a list of column names after the table", "Rename columns in a query, with AS")
    return alias


def _table_function(cursor: Cursor, query: Parse) -> Source:
    start = cursor.take().span
    cursor.expect("(", "after TABLE")
    function = cursor.token
    if function.word in _OTHER_WINDOWS:
        cursor.later(function.span, f"the window {function.word}", f"Use {_TUMBLE}")
    if function.word != "TUMBLE":
        cursor.fail(function.span, "rule-function", "this is not a window table function", f"Write {_TUMBLE}")
    cursor.take()
    cursor.expect("(", "after TUMBLE")
    if cursor.token.word == "DATA" and cursor.ahead().text == "=>":
        cursor.fail(cursor.token.span, "rule-unsupported", "arguments are not named here", f"Write {_TUMBLE}")
    data = _window_data(cursor, query)
    if cursor.sees("PARTITION"):
        cursor.fail(cursor.token.span, "rule-window", "TUMBLE has no PARTITION BY", "Put the keys into GROUP BY")
    cursor.expect(",", "after the table of TUMBLE")
    cursor.expect("DESCRIPTOR", "as the second argument of TUMBLE")
    cursor.expect("(", "after DESCRIPTOR")
    time = cursor.ident("the time column")
    cursor.expect(")", "after the time column")
    cursor.expect(",", "before the size of the window")
    size = _size(cursor, "the size of the window")
    offset = _size(cursor, "the offset of the window") if cursor.accept(",") else None
    cursor.expect(")", "at the end of TUMBLE")
    cursor.expect(")", "at the end of TABLE")
    alias = _alias(cursor)
    return TumbleSource(cursor.since(start), data, time, size, offset, alias)


def _window_data(cursor: Cursor, query: Parse) -> TableSource | QuerySource:
    start = cursor.token.span
    if cursor.accept("TABLE"):
        name = _table_name(cursor)
        return TableSource(cursor.since(start), name, None)
    if cursor.accept("("):
        if not (cursor.sees("SELECT") or cursor.sees("WITH")):
            cursor.unexpected("a query is expected in the parentheses")
        inner = query(cursor)
        cursor.expect(")", "after the query")
        return QuerySource(cursor.since(start), inner, None)
    return cursor.unexpected("TABLE and the name of the table are expected as the first argument")


def _size(cursor: Cursor, what: str) -> Interval:
    if not cursor.sees("INTERVAL"):
        cursor.unexpected(f"INTERVAL is expected for {what}")
    return interval(cursor)
