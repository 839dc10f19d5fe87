"""Names of types."""

from mohhos.stream.dialect import Kind
from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.syntax import TypeName

__all__ = ["type_name"]


def type_name(cursor: Cursor) -> TypeName:
    """The type that comes next, of whatever name; whether it is usable is judged by its reader."""
    if cursor.token.kind is not Kind.WORD:
        cursor.unexpected("a type is expected")
    token = cursor.take()
    name = token.word
    if name == "DOUBLE":
        cursor.accept("PRECISION")
    elif name in ("CHAR", "CHARACTER") and cursor.accept("VARYING"):
        name = "VARCHAR"
    arguments: list[int] = []
    if cursor.accept("("):
        arguments.append(_argument(cursor))
        while cursor.accept(","):
            arguments.append(_argument(cursor))
        cursor.expect(")", "after the arguments of the type")
    if name == "TIMESTAMP" and cursor.accept("WITH", "LOCAL", "TIME", "ZONE"):
        name = "TIMESTAMP_LTZ"
    elif name == "TIMESTAMP":
        cursor.accept("WITHOUT", "TIME", "ZONE")
    return TypeName(cursor.since(token.span), name, tuple(arguments))


def _argument(cursor: Cursor) -> int:
    if cursor.token.kind is not Kind.NUMBER or not cursor.token.text.isascii() or not cursor.token.text.isdigit():
        cursor.unexpected("a whole number is expected in the type")
    if len(cursor.token.text) > 10:
        cursor.unexpected("a number of at most ten digits is expected in the type")
    return int(cursor.take().text)
