"""Whole texts: statements with semicolons between them."""

from mohhos.stream.parse.create import create
from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.parse.query import query
from mohhos.stream.syntax import CreateTable, CreateView, Insert, Script

__all__ = ["parse"]

_FORM = "A rule is INSERT INTO alerts | commands | a table, then SELECT …; CREATE TABLE may stand before it"


def parse(sql: str) -> Script:
    """The syntax tree of a text. Raises RuleError."""
    cursor = Cursor(sql)
    tables: list[CreateTable] = []
    views: list[CreateView] = []
    inserts: list[Insert] = []
    while not cursor.at_end():
        if cursor.accept(";"):
            continue
        if cursor.sees("CREATE"):
            made = create(cursor)
            if isinstance(made, CreateTable):
                tables.append(made)
            else:
                views.append(made)
        elif cursor.sees("INSERT"):
            inserts.append(_insert(cursor))
        else:
            _refuse_statement(cursor)
        if not cursor.at_end():
            cursor.expect(";", "after the statement")
    return Script(sql, tuple(tables), tuple(views), tuple(inserts))


def _insert(cursor: Cursor) -> Insert:
    start = cursor.take().span
    if cursor.sees("OVERWRITE"):
        cursor.later(cursor.token.span, "INSERT OVERWRITE", "Write INSERT INTO")
    cursor.expect("INTO", "after INSERT")
    target = cursor.ident("the table to insert into")
    if cursor.sees("."):
        reason, hint = "tables have no catalog and no database before them", "Write the table's name alone"
        cursor.fail(cursor.since(target.span), "rule-table", reason, hint)
    columns = cursor.idents("a column of the table")
    if cursor.sees("PARTITION"):
        cursor.later(cursor.token.span, "PARTITION", "Take it out")
    body = query(cursor)
    return Insert(cursor.since(start), target, columns, body)


def _refuse_statement(cursor: Cursor) -> None:
    token = cursor.token
    if token.word in ("SELECT", "WITH"):
        hint = "Say where its rows go: INSERT INTO alerts (device, message) SELECT …"
        cursor.fail(token.span, "rule-syntax", "a query alone is not a rule", hint)
    if token.word in (
        "DROP",
        "ALTER",
        "SET",
        "USE",
        "EXECUTE",
        "BEGIN",
        "UPDATE",
        "DELETE",
        "EXPLAIN",
        "SHOW",
        "DESCRIBE",
    ):
        cursor.fail(token.span, "rule-unsupported", f"{token.word} is not part of a rule", _FORM)
    cursor.fail(token.span, "rule-syntax", "no statement begins like this", _FORM)
