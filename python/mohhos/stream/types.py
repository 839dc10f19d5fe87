"""Types and typed values, by Flink's rules.

DECIMAL is not computed with: it is the type of a number with a decimal point, and of CASE, COALESCE and the like over
such numbers. Those have at most `DECIMAL_DIGITS` digits, so that DOUBLE, the engine's type for them, tells them apart.
"""

import enum
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

__all__ = [
    "DECIMAL_DIGITS",
    "Plan",
    "Type",
    "Value",
    "call",
    "cast",
    "column",
    "common",
    "convert",
    "literal",
    "null",
    "unify",
]

DECIMAL_DIGITS = 15

Plan = dict[str, Any]


class Type(enum.Enum):
    """A type. The value is its name in SQL; the last five are of the planner alone."""

    DOUBLE = "DOUBLE"
    INT = "INT"
    BIGINT = "BIGINT"
    BOOLEAN = "BOOLEAN"
    STRING = "STRING"
    TIMESTAMP = "TIMESTAMP(3)"
    DEVICE = "DEVICE"
    METRIC = "METRIC"
    QUALITY = "QUALITY"
    DECIMAL = "DECIMAL"
    INTERVAL = "INTERVAL"
    NULL = "NULL"

    @property
    def sql(self) -> str:
        """The name as people know it: names that the engine holds as codes are STRING."""
        return "STRING" if self.is_text else self.value

    @property
    def is_text(self) -> bool:
        """STRING, as text or as a code."""
        return self in (Type.STRING, *CODES)

    @property
    def is_integer(self) -> bool:
        """INT or BIGINT."""
        return self in (Type.INT, Type.BIGINT)

    @property
    def is_number(self) -> bool:
        """Can be calculated with."""
        return self in (Type.INT, Type.BIGINT, Type.DOUBLE, Type.DECIMAL)

    @property
    def engine(self) -> str:
        """The name of the type in a plan."""
        return "DOUBLE" if self is Type.DECIMAL else self.value


CODES = (Type.DEVICE, Type.METRIC, Type.QUALITY)


@dataclass(frozen=True, slots=True)
class Value:
    """An expression with its type: `plan` computes it. `constant` is the value of a literal, as Python sees it."""

    type: Type
    plan: Plan
    constant: int | float | str | bool | Decimal | None = None
    rowtime: bool = False

    @property
    def is_constant(self) -> bool:
        """A literal, NULL excepted."""
        return self.constant is not None

    @property
    def column(self) -> str | None:
        """The column's name if it is a column as it is."""
        name = self.plan.get("name")
        return name if isinstance(name, str) else None

    def text(self) -> "Value":
        """A code as STRING; everything else as it is."""
        return cast(self, Type.STRING) if self.type in CODES else self

    def double(self) -> "Value":
        """As DOUBLE; the engine widens numbers by itself, so only constants change."""
        if self.constant is not None and self.type is not Type.DOUBLE:
            return literal(Type.DOUBLE, float(self.constant))
        return self if self.type is Type.DOUBLE else replace(self, type=Type.DOUBLE)


def literal(type_: Type, value: int | float | str | bool | Decimal) -> Value:
    """A constant."""
    plain = float(value) if type_ in (Type.DOUBLE, Type.DECIMAL) else value
    return Value(type_, {"e": "literal", "type": type_.engine, "value": plain}, value)


def null(type_: Type) -> Value:
    """NULL of a type; of `Type.NULL` if its place decides."""
    engine = "STRING" if type_ is Type.NULL or type_ in CODES else type_.engine
    return Value(type_, {"e": "literal", "type": engine, "value": None})


def column(name: str, type_: Type, rowtime: bool = False) -> Value:
    """A column of the operator before."""
    return Value(type_, {"e": "column", "name": name}, rowtime=rowtime)


def call(type_: Type, function: str, *arguments: Value) -> Value:
    """A function of the engine."""
    return Value(type_, {"e": "call", "function": function, "args": [a.plan for a in arguments]})


def cast(value: Value, target: Type, safe: bool = False) -> Value:
    """CAST or TRY_CAST in the engine."""
    function = "TRY_CAST" if safe else "CAST"
    return Value(target, {"e": "call", "function": function, "args": [value.plan], "type": target.engine})


def common(types: list[Type]) -> Type | None:
    """The type that CASE, COALESCE and the like give for branches of these types; None if there is none.

    Integers widen to what holds both, everything numeric with DOUBLE to DOUBLE; INT with DECIMAL is DECIMAL, while
    BIGINT with DECIMAL would be a DECIMAL that DOUBLE does not hold.
    """
    known = {t for t in types if t is not Type.NULL}
    if len(known) <= 1:
        return known.pop() if known else None
    if all(t.is_text for t in known):
        return Type.STRING
    if not all(t.is_number for t in known) or (known >= {Type.DECIMAL, Type.BIGINT} and Type.DOUBLE not in known):
        return None
    return next(t for t in (Type.DOUBLE, Type.DECIMAL, Type.BIGINT) if t in known)


def unify(values: list[Value]) -> tuple[Type, list[Value]] | None:
    """The common type of branches, and the branches ready for the engine: NULL typed, constants and codes converted."""
    target = common([v.type for v in values])
    if target is None:
        return None
    if target in CODES and any(v.type is Type.NULL for v in values):
        target = Type.STRING  # the engine has no NULL of a code
    return target, [convert(v, target) for v in values]


def convert(value: Value, target: Type) -> Value:
    """A value where one of type `target` is needed and the implicit cast exists."""
    if value.type is Type.NULL:
        return null(target)
    if target is Type.STRING:
        return value.text()
    if target in (Type.DOUBLE, Type.DECIMAL) and value.constant is not None:
        return literal(target, value.constant)
    if value.type.is_number and target.is_number and value.type is not target and value.constant is None:
        return cast(value, Type.DOUBLE if target is Type.DECIMAL else target)
    return value
