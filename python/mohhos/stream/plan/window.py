"""Tumbling windows: GROUP BY keys, window_start, window_end over TABLE(TUMBLE(…))."""

from mohhos.stream.errors import RuleError
from mohhos.stream.functions import AGGREGATES, Misuse
from mohhos.stream.plan.builder import Builder, column_names
from mohhos.stream.plan.expression import analyse, condition
from mohhos.stream.plan.items import select_items
from mohhos.stream.plan.relation import Relation
from mohhos.stream.plan.scope import Field, Scope
from mohhos.stream.syntax import Call, Expr, Name, Select, TumbleSource
from mohhos.stream.tables import MAX_SPAN_US
from mohhos.stream.types import Plan, Type, Value, column

__all__ = ["aggregate_window"]

_BOUNDS = ("window_start", "window_end")
_COLUMNS = (*_BOUNDS, "window_time")
_FORM = "Write GROUP BY device, window_start, window_end"


def aggregate_window(
    select: Select, source: TumbleSource, relation: Relation, scope: Scope, builder: Builder
) -> Relation:
    """Adds the operators of a SELECT over a window; `scope` has the columns of the window's input. Raises RuleError."""
    time = _time(source, relation, scope)
    rows = _WindowInput(scope)
    filter_ = None if select.where is None else condition(select.where, rows.outside("WHERE"), "WHERE")
    groups = _Groups(select, source, rows)
    fields = tuple(select_items(select.items, groups))
    having = None if select.having is None else condition(select.having, groups, "HAVING")

    if filter_ is not None:
        builder.filter(filter_)
    _project_keys(builder, groups, time)
    keys = [groups.key_column(n) for n in range(len(groups.keys))]
    builder.tumble(time, source.size.us, _offset(source), keys, groups.aggregates)
    if having is not None:
        builder.filter(having, having=True)
    return Relation(fields, "window_time", windowed=True)


def _time(source: TumbleSource, relation: Relation, scope: Scope) -> str:
    """The column that DESCRIPTOR names."""
    if not 0 < source.size.us <= MAX_SPAN_US:
        hint = "Write INTERVAL '10' SECOND"
        raise scope.error(source.size.span, "rule-window", "a window is at most 400 days long, and longer than 0", hint)
    value = scope.resolve(Name(source.time.span, (source.time,)))
    if relation.windowed:
        hint = "Aggregate once, over the longer window"
        raise scope.error(source.span, "rule-unsupported", "a window over a window is not yet supported here", hint)
    if not value.rowtime or value.column is None:
        hint = "Name the column of the table's WATERMARK, as it is"
        raise scope.error(
            source.time.span, "rule-window", f"{source.time.name} is not the event time of the table", hint
        )
    return value.column


def _offset(source: TumbleSource) -> int:
    """Windows begin at offset + n · size, so that any offset is one below the size."""
    if source.offset is None:
        return 0
    return source.offset.us % source.size.us


def _project_keys(builder: Builder, groups: "_Groups", time: str) -> None:
    """Computes the keys that are not columns already, before the window."""
    if all(key.column is not None for key in groups.keys):
        return
    passed = dict.fromkeys([time, *(k.column for k in groups.keys if k.column), *column_names(groups.aggregates)])
    columns = [(name, groups.input_column(name)) for name in passed]
    columns += [(groups.key_column(n), key) for n, key in enumerate(groups.keys) if key.column is None]
    builder.project(columns)


class _WindowInput(Scope):
    """The rows that fall into windows: the columns of the input, and those of the window, which have their places."""

    def __init__(self, scope: Scope) -> None:
        window = [Field(name, column(name, Type.TIMESTAMP, rowtime=name == "window_time")) for name in _COLUMNS]
        super().__init__(scope.sql, [*scope.fields, *window], scope.table)
        self.inner = scope

    def outside(self, clause: str) -> Scope:
        """The same for a clause that cannot see the window's columns."""
        return _WithoutWindow(self.inner, clause)


class _WithoutWindow(Scope):
    def __init__(self, scope: Scope, clause: str) -> None:
        super().__init__(scope.sql, scope.fields, scope.table)
        self._clause = clause

    def resolve(self, name: Name) -> Value:
        if name.parts[-1].name in _COLUMNS:
            what = f"{name.parts[-1].name} in {self._clause}"
            hint = "Test it in HAVING"
            raise self.error(name.span, "rule-unsupported", f"{what} is not yet supported here", hint)
        return super().resolve(name)


class _Groups(Scope):
    """What SELECT and HAVING see: keys, the window's bounds, and aggregates, which are collected as they are met."""

    def __init__(self, select: Select, source: TumbleSource, rows: _WindowInput) -> None:
        super().__init__(rows.sql, (), rows.table)
        self._rows = rows
        self.keys: list[Value] = []
        self.aggregates: list[Plan] = []
        self._shapes: set[type[Expr]] = set()
        self._bounds: set[str] = set()
        if select.group is None:
            hint = f"{_FORM}; without GROUP BY, read the table itself"
            raise self.error(source.span, "rule-window", "a window without GROUP BY is not yet supported here", hint)
        for expr in select.group:
            self._group_by(expr)
        missing = [name for name in _BOUNDS if name not in self._bounds]
        if missing:
            reason = (
                f"{' and '.join(missing)} are missing in GROUP BY"
                if len(missing) > 1
                else f"{missing[0]} is missing in GROUP BY"
            )
            span = select.group[0].span.to(select.group[-1].span)
            raise self.error(span, "rule-window", f"{reason}, so that results would change for ever", _FORM)

    def _group_by(self, expr: Expr) -> None:
        value = analyse(expr, self._rows)
        if value.column in _COLUMNS:
            self._bounds.add(value.column or "")
            return
        if value.is_constant or value.type in (Type.NULL, Type.INTERVAL):
            raise self.error(
                expr.span, "rule-window", "a constant is no key", "Name a column; numbers of columns do not count"
            )
        self._shapes.add(type(expr))
        if value.plan not in [key.plan for key in self.keys]:
            self.keys.append(value)

    def key_column(self, index: int) -> str:
        """The name that a key has as a column of the window's input."""
        return self.keys[index].column or f"$key{index + 1}"

    def input_column(self, name: str) -> Value:
        """A column of the window's input by the name that the operator gives it."""
        return next(f.value for f in self._rows.inner.fields if f.value.column == name)

    def special(self, expr: Expr) -> Value | None:
        """A key or a bound of the window."""
        if isinstance(expr, Name):
            return self._name(expr)
        if type(expr) not in self._shapes:
            return None
        try:
            return self._key(analyse(expr, self._rows))
        except RuleError:
            return None  # not a key as a whole; its parts are looked at, and what is wrong with it is found there

    def _key(self, value: Value) -> Value | None:
        for index, key in enumerate(self.keys):
            if key.plan == value.plan:
                return column(self.key_column(index), key.type)
        return None

    def _name(self, name: Name) -> Value:
        value = self._rows.resolve(name)
        wanted = name.parts[-1].name
        if value.column in _COLUMNS:
            if value.column in self._bounds:
                return value
            raise self.error(name.span, "rule-window", f"{wanted} is not in GROUP BY", f"Add {wanted} to GROUP BY")
        found = self._key(value)
        if found is None:
            hint = f"Add {wanted} to GROUP BY, or take an aggregate of it: MAX({wanted})"
            raise self.error(name.span, "rule-window", f"{wanted} is not in GROUP BY", hint)
        return found

    def aggregate(self, call: Call) -> Value:
        """Registers an aggregate; the same one twice is computed once."""
        argument = self._argument(call)
        try:
            type_ = AGGREGATES[call.name].result(call.name, argument)
        except Misuse as misuse:
            span = call.span if misuse.argument is None else call.arguments[misuse.argument].span
            raise self.error(span, misuse.code, misuse.reason, misuse.hint) from None
        outside = self._rows.outside("an aggregate")
        filter_ = None if call.where is None else condition(call.where, outside, "FILTER").plan
        made = {
            "type": type_.engine,
            "function": AGGREGATES[call.name].engine,
            "argument": None if argument is None else argument.plan,
            "filter": filter_,
        }
        for known in self.aggregates:
            if {**known, "name": ""} == {**made, "name": ""}:
                return column(str(known["name"]), type_)
        name = f"$aggregate{len(self.aggregates) + 1}"
        self.aggregates.append({"name": name, **made})
        return column(name, type_)

    def _argument(self, call: Call) -> Value | None:
        if call.distinct:
            hint = "Aggregate without DISTINCT"
            raise self.error(call.span, "rule-unsupported", f"{call.name}(DISTINCT …) is not yet supported here", hint)
        if call.star:
            return None
        if len(call.arguments) != 1:
            hint = f"Write {call.name}(column)" + (" or COUNT(*)" if call.name == "COUNT" else "")
            reason = f"{call.name} takes one argument, not {len(call.arguments)}"
            raise self.error(call.span, "rule-function", reason, hint)
        value = analyse(call.arguments[0], self._rows.outside("an aggregate"))
        if value.type in (Type.NULL, Type.INTERVAL):
            hint = "Aggregate a column"
            raise self.error(call.arguments[0].span, "rule-type", "this has no value to aggregate", hint)
        return value
