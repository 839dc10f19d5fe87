"""CREATE TABLE and CREATE VIEW."""

from mohhos.stream.errors import Span
from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.parse.interval import interval
from mohhos.stream.parse.query import query
from mohhos.stream.parse.typename import type_name
from mohhos.stream.syntax import ColumnDef, CreateTable, CreateView, Ident, WatermarkDef

__all__ = ["create"]

_WATERMARK = "Write WATERMARK FOR ts AS ts - INTERVAL '5' SECOND"


def create(cursor: Cursor) -> CreateTable | CreateView:
    """The statement whose CREATE comes next."""
    start = cursor.take().span
    if cursor.sees("OR", "REPLACE"):
        cursor.later(cursor.token.span, "OR REPLACE", "Put the table again; what is compatible is taken over")
    temporary = cursor.accept("TEMPORARY")
    if cursor.accept("TABLE"):
        return _table(cursor, start)
    if cursor.accept("VIEW"):
        return _view(cursor, start)
    if temporary:
        cursor.unexpected("TABLE or VIEW is expected after CREATE TEMPORARY")
    what = cursor.token
    if what.word in ("FUNCTION", "CATALOG", "DATABASE", "MODEL", "MATERIALIZED"):
        cursor.later(what.span, f"CREATE {what.word}", "Declare tables and views")
    return cursor.unexpected("TABLE or VIEW is expected after CREATE")


def _view(cursor: Cursor, start: Span) -> CreateView:
    name = cursor.ident("the name of the view")
    columns = cursor.idents("the name of a column")
    cursor.expect("AS", "before the query of the view")
    body = query(cursor)
    return CreateView(cursor.since(start), name, columns, body)


def _table(cursor: Cursor, start: Span) -> CreateTable:
    if_not_exists = cursor.accept("IF", "NOT", "EXISTS")
    name = cursor.ident("the name of the table")
    if cursor.sees("."):
        reason, hint = "tables have no catalog and no database before them", "Write the table's name alone"
        cursor.fail(cursor.since(name.span), "rule-table", reason, hint)
    cursor.expect("(", "after the name of the table")
    columns: list[ColumnDef] = []
    watermark: WatermarkDef | None = None
    while True:
        if cursor.sees("WATERMARK"):
            if watermark is not None:
                cursor.fail(cursor.token.span, "rule-table", "a table has one watermark", "Take the second one out")
            watermark = _watermark(cursor)
        else:
            columns.append(_column(cursor))
        if not cursor.accept(","):
            break
    cursor.expect(")", "after the columns")
    for clause in ("COMMENT", "PARTITIONED", "DISTRIBUTED", "LIKE", "AS"):
        if cursor.sees(clause):
            cursor.later(cursor.token.span, f"{clause} of a table", "Take it out")
    options = _options(cursor)
    return CreateTable(cursor.since(start), name, tuple(columns), watermark, options, if_not_exists)


def _column(cursor: Cursor) -> ColumnDef:
    for word in ("PRIMARY", "CONSTRAINT", "UNIQUE", "PERIOD"):
        if cursor.sees(word):
            cursor.later(cursor.token.span, f"{word} in a table", "Take it out: a table here is a stream of messages")
    name = cursor.ident("the name of a column")
    if cursor.sees("AS"):
        hint = "Compute it in the rule, or in a view over the table"
        cursor.later(cursor.token.span, "a computed column", hint)
    type_ = type_name(cursor)
    not_null = cursor.accept("NOT", "NULL")
    if not not_null:
        cursor.accept("NULL")
    for word in ("METADATA", "COMMENT", "PRIMARY", "DEFAULT"):
        if cursor.sees(word):
            cursor.later(cursor.token.span, f"{word} of a column", "Take it out")
    return ColumnDef(cursor.since(name.span), name, type_, not_null)


def _watermark(cursor: Cursor) -> WatermarkDef:
    start = cursor.take().span
    cursor.expect("FOR", "after WATERMARK")
    column = cursor.ident("the time column")
    cursor.expect("AS", "after the time column")
    again: Ident = cursor.ident("the time column")
    if again.name != column.name:
        cursor.fail(
            again.span, "rule-table", f"the watermark is of {column.name} and computed from another", _WATERMARK
        )
    delay = None
    if cursor.accept("-"):
        if not cursor.sees("INTERVAL"):
            cursor.fail(cursor.token.span, "rule-syntax", "the delay of a watermark is an INTERVAL", _WATERMARK)
        delay = interval(cursor)
    elif not (cursor.sees(",") or cursor.sees(")")):
        cursor.fail(
            cursor.token.span, "rule-unsupported", "a watermark is the time column minus an interval", _WATERMARK
        )
    return WatermarkDef(cursor.since(start), column, delay)


def _options(cursor: Cursor) -> dict[str, tuple[str, Span, Span]]:
    options: dict[str, tuple[str, Span, Span]] = {}
    if not cursor.accept("WITH"):
        return options
    cursor.expect("(", "after WITH")
    while True:
        key = cursor.string("an option")
        cursor.expect("=", "after the option")
        value = cursor.string("the option's value")
        if key.text in options:
            cursor.fail(key.span, "rule-table", "the option is given twice", "Take one of them out")
        options[key.text] = (value.text, key.span, value.span)
        if not cursor.accept(","):
            break
    cursor.expect(")", "after the options")
    return options
