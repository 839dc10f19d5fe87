"""The syntax tree of a rule's text. Every node knows where it stands in the text."""

from dataclasses import dataclass, field

from mohhos.stream.errors import Span


@dataclass(frozen=True, slots=True)
class Node:
    """Anything in the tree."""

    span: Span


@dataclass(frozen=True, slots=True)
class Ident(Node):
    """A name, as it was written without its back quotes."""

    name: str


# ---- expressions


@dataclass(frozen=True, slots=True)
class Expr(Node):
    """An expression."""


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A column, perhaps with its table before it: `t.num`."""

    parts: tuple[Ident, ...]


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """A number as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class String(Expr):
    """A string."""

    value: str


@dataclass(frozen=True, slots=True)
class Boolean(Expr):
    """TRUE, FALSE, or UNKNOWN, which is the NULL of BOOLEAN."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Null(Expr):
    """NULL without a type."""


@dataclass(frozen=True, slots=True)
class Timestamp(Expr):
    """TIMESTAMP '2026-01-31 12:00:00'."""

    text: str


@dataclass(frozen=True, slots=True)
class Interval(Expr):
    """INTERVAL '10' SECOND. `us` is its length; months and years have none and are refused."""

    us: int


@dataclass(frozen=True, slots=True)
class Unary(Expr):
    """`op` is "-", "+" or "NOT"."""

    op: str
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """`op` is one of + - * / % || = <> < <= > >= AND OR."""

    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Is(Expr):
    """`operand IS [NOT] what`, `what` being NULL, TRUE, FALSE or UNKNOWN."""

    operand: Expr
    what: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Distinct(Expr):
    """`left IS [NOT] DISTINCT FROM right`."""

    left: Expr
    right: Expr
    negated: bool


@dataclass(frozen=True, slots=True)
class Between(Expr):
    """`operand [NOT] BETWEEN [SYMMETRIC] low AND high`."""

    operand: Expr
    low: Expr
    high: Expr
    negated: bool
    symmetric: bool


@dataclass(frozen=True, slots=True)
class In(Expr):
    """`operand [NOT] IN (items)`."""

    operand: Expr
    items: tuple[Expr, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Like(Expr):
    """`operand [NOT] LIKE pattern [ESCAPE escape]`."""

    operand: Expr
    pattern: Expr
    escape: Expr | None
    negated: bool


@dataclass(frozen=True, slots=True)
class Case(Expr):
    """CASE with or without an operand."""

    operand: Expr | None
    whens: tuple[tuple[Expr, Expr], ...]
    default: Expr | None


@dataclass(frozen=True, slots=True)
class TypeName(Node):
    """A type as it was written: upper-case name without arguments, and its arguments."""

    name: str
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cast(Expr):
    """CAST and, when `safe`, TRY_CAST."""

    operand: Expr
    target: TypeName
    safe: bool


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """A function: `name` in upper case. `star` is COUNT(*); `words` are words among the arguments (EXTRACT, TRIM)."""

    name: str
    name_span: Span
    arguments: tuple[Expr, ...]
    star: bool = False
    distinct: bool = False
    where: Expr | None = None
    words: tuple[str, ...] = ()


# ---- queries


@dataclass(frozen=True, slots=True)
class Source(Node):
    """What stands in FROM."""


@dataclass(frozen=True, slots=True)
class TableSource(Source):
    """A table, a view or a WITH query by name."""

    name: Ident
    alias: Ident | None


@dataclass(frozen=True, slots=True)
class QuerySource(Source):
    """A query in parentheses."""

    query: "Query"
    alias: Ident | None


@dataclass(frozen=True, slots=True)
class TumbleSource(Source):
    """TABLE(TUMBLE(TABLE source, DESCRIPTOR(time), size [, offset]))."""

    source: TableSource | QuerySource
    time: Ident
    size: Interval
    offset: Interval | None
    alias: Ident | None


@dataclass(frozen=True, slots=True)
class Item(Node):
    """One column of SELECT; `expr` is None for `*` (of `table`, if that is not None)."""

    expr: Expr | None
    alias: Ident | None
    table: Ident | None = None


@dataclass(frozen=True, slots=True)
class Select(Node):
    """SELECT … FROM … WHERE … GROUP BY … HAVING …."""

    items: tuple[Item, ...]
    source: Source
    where: Expr | None
    group: tuple[Expr, ...] | None
    having: Expr | None


@dataclass(frozen=True, slots=True)
class With(Node):
    """One named query of a WITH clause."""

    name: Ident
    columns: tuple[Ident, ...]
    query: "Query"


@dataclass(frozen=True, slots=True)
class Query(Node):
    """WITH … SELECT …."""

    withs: tuple[With, ...]
    select: Select


# ---- statements


@dataclass(frozen=True, slots=True)
class ColumnDef(Node):
    """A column of CREATE TABLE."""

    name: Ident
    type: TypeName
    not_null: bool


@dataclass(frozen=True, slots=True)
class WatermarkDef(Node):
    """WATERMARK FOR column AS column - INTERVAL …."""

    column: Ident
    delay: Interval | None


@dataclass(frozen=True, slots=True)
class CreateTable(Node):
    """CREATE TABLE. `options` maps the key to its value and the place of the value."""

    name: Ident
    columns: tuple[ColumnDef, ...]
    watermark: WatermarkDef | None
    options: dict[str, tuple[str, Span, Span]]
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class CreateView(Node):
    """CREATE VIEW name [(columns)] AS query."""

    name: Ident
    columns: tuple[Ident, ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Insert(Node):
    """INSERT INTO target [(columns)] query."""

    target: Ident
    columns: tuple[Ident, ...]
    query: Query


@dataclass(frozen=True, slots=True)
class Script:
    """A whole text."""

    sql: str
    tables: tuple[CreateTable, ...] = ()
    views: tuple[CreateView, ...] = ()
    inserts: tuple[Insert, ...] = field(default=())
