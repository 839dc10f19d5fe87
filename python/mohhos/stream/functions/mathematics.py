"""Functions of numbers."""

from mohhos.stream.functions.base import Arguments, Function
from mohhos.stream.types import Type, Value, call

__all__ = ["FUNCTIONS"]


def _same(function: str) -> Function:
    def build(arguments: Arguments) -> Value:
        value = arguments.number(0)
        return call(value.type, function, value)

    return Function(f"{function}(number)", 1, 1, build)


def _double(function: str, arity: int = 1) -> Function:
    def build(arguments: Arguments) -> Value:
        return call(Type.DOUBLE, function, *(arguments.double(n) for n in range(arity)))

    return Function(f"{function}({', '.join('xy'[:arity])})", arity, arity, build)


def _rounding(function: str) -> Function:
    def build(arguments: Arguments) -> Value:
        value = arguments.number(0)
        if len(arguments.values) == 1:
            return call(value.type, function, value)
        return call(value.type, function, value, arguments.constant(1, Type.INT))

    return Function(f"{function}(number [, digits])", 1, 2, build)


def _logarithm(arguments: Arguments) -> Value:
    return call(Type.DOUBLE, "LOG", *(arguments.double(n) for n in range(len(arguments.values))))


def _nothing(function: str) -> Function:
    return Function(f"{function}()", 0, 0, lambda _: call(Type.DOUBLE, function))


FUNCTIONS: dict[str, Function] = {
    **{name: _same(name) for name in ("ABS", "SIGN")},
    **{name: _rounding(name) for name in ("ROUND", "TRUNCATE")},
    **{
        name: _double(name)
        for name in (
            "SQRT",
            "EXP",
            "LN",
            "LOG10",
            "LOG2",
            "SIN",
            "COS",
            "TAN",
            "ASIN",
            "ACOS",
            "ATAN",
            "DEGREES",
            "RADIANS",
        )
    },
    **{name: _double(name, 2) for name in ("POWER", "ATAN2")},
    "LOG": Function("LOG(x) or LOG(base, x)", 1, 2, _logarithm),
    "PI": _nothing("PI"),
    "E": _nothing("E"),
}
