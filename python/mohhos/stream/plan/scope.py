"""Which columns an expression can name, and what they are."""

from collections.abc import Sequence
from dataclasses import dataclass

from mohhos.stream.errors import RuleError, Span, nearest
from mohhos.stream.syntax import Call, Expr, Ident, Name
from mohhos.stream.types import Value

__all__ = ["Field", "Scope"]


@dataclass(frozen=True, slots=True)
class Field:
    """A column of what stands in FROM. `name` is None for a computed column without a name."""

    name: str | None
    value: Value


class Scope:
    """The columns of FROM. `table` is the name that may stand before them. `sql` is the text, for errors."""

    def __init__(self, sql: str, fields: Sequence[Field], table: str | None) -> None:
        self.sql = sql
        self.fields = tuple(fields)
        self.table = table

    def special(self, _expr: Expr) -> Value | None:
        """What an expression is as a whole, where that is known without looking into it (columns of GROUP BY)."""
        return None

    def aggregate(self, call: Call) -> Value:
        """An aggregate, which has no place in a plain scope."""
        hint = f"Aggregate in a window, and filter by {call.name} with HAVING"
        raise self.error(call.span, "rule-window", f"{call.name} is an aggregate, and this is no place for one", hint)

    def resolve(self, name: Name) -> Value:
        """The column of that name. Raises RuleError."""
        if len(name.parts) > 2:
            hint = "Write column or table.column"
            raise self.error(name.span, "rule-column", "a column has at most a table before it", hint)
        if len(name.parts) == 2:
            self.check_table(name.parts[0])
        wanted = name.parts[-1]
        found = [f for f in self.fields if f.name == wanted.name]
        if len(found) > 1:
            hint = "Give the columns different names, with AS"
            raise self.error(wanted.span, "rule-column", f"several columns are called {wanted.name}", hint)
        if not found:
            raise self._unknown(wanted)
        return found[0].value

    def check_table(self, table: Ident) -> None:
        """Is this the name of what stands in FROM? Raises RuleError."""
        if table.name == self.table:
            return
        hint = f"Write {self.table}" if self.table else "Give what stands in FROM a name: FROM (…) AS q"
        raise self.error(table.span, "rule-table", f"{table.name} does not stand in FROM", hint)

    def _unknown(self, wanted: Ident) -> RuleError:
        names = [f.name for f in self.fields if f.name is not None]
        close = nearest(wanted.name, names)
        if close is not None and close.lower() == wanted.name.lower():
            hint = f"Write {close}: names are case-sensitive"
        else:
            hint = f"Did you mean {close}?" if close else f"There are {', '.join(names)}"
        return self.error(wanted.span, "rule-column", f"there is no column {wanted.name}", hint)

    def error(self, span: Span, code: str, reason: str, hint: str) -> RuleError:
        """The error about a piece of the text."""
        return RuleError.at(self.sql, span, code, reason, hint)
