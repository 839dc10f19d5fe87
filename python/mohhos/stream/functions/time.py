"""Functions of time. Flink and the engine both take TIMESTAMP(3) as UTC."""

from mohhos.stream.functions.base import Arguments, Function, Misuse
from mohhos.stream.types import Type, Value, call, cast, literal

__all__ = ["FUNCTIONS"]

_EXTRACTED = (
    "MILLISECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "DOW",
    "DOY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
    "EPOCH",
)
_ROUNDED = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
_LENGTH_MS = {"SECOND": 1000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}


def _unit(arguments: Arguments, known: tuple[str, ...]) -> str:
    unit = arguments.words[0]
    if unit not in known:
        raise Misuse(None, "rule-function", f"{arguments.name} does not know {unit}", f"It knows {', '.join(known)}")
    return unit


def _extract(arguments: Arguments) -> Value:
    unit = _unit(arguments, _EXTRACTED)
    return call(Type.BIGINT, "EXTRACT", literal(Type.STRING, unit), arguments.timestamp(0))


def _part(name: str, unit: str) -> Function:
    def build(arguments: Arguments) -> Value:
        return call(Type.BIGINT, "EXTRACT", literal(Type.STRING, unit), arguments.timestamp(0))

    return Function(f"{name}(timestamp)", 1, 1, build)


def _rounding(function: str) -> Function:
    def build(arguments: Arguments) -> Value:
        if arguments.words:
            unit = literal(Type.STRING, _unit(arguments, _ROUNDED))
            return call(Type.TIMESTAMP, f"{function}_TO", arguments.timestamp(0), unit)
        value = arguments.number(0)
        return call(value.type, function, value)

    return Function(f"{function}(number) or {function}(timestamp TO HOUR)", 1, 1, build)


def _difference(arguments: Arguments) -> Value:
    unit = _unit(arguments, tuple(_LENGTH_MS))
    ms = call(Type.BIGINT, "TIMESTAMPDIFF_MS", arguments.timestamp(0), arguments.timestamp(1))
    return cast(call(Type.BIGINT, "/", ms, literal(Type.BIGINT, _LENGTH_MS[unit])), Type.INT)


def _addition(arguments: Arguments) -> Value:
    unit = _unit(arguments, tuple(_LENGTH_MS))
    count = arguments.integer(0)
    if isinstance(count.constant, int):
        ms = literal(Type.BIGINT, count.constant * _LENGTH_MS[unit])
    else:
        ms = call(Type.BIGINT, "*", cast(count, Type.BIGINT), literal(Type.BIGINT, _LENGTH_MS[unit]))
    return call(Type.TIMESTAMP, "TIMESTAMPADD_MS", arguments.timestamp(1), ms)


FUNCTIONS: dict[str, Function] = {
    "EXTRACT": Function("EXTRACT(HOUR FROM timestamp)", 1, 1, _extract),
    "YEAR": _part("YEAR", "YEAR"),
    "QUARTER": _part("QUARTER", "QUARTER"),
    "MONTH": _part("MONTH", "MONTH"),
    "WEEK": _part("WEEK", "WEEK"),
    "DAYOFYEAR": _part("DAYOFYEAR", "DOY"),
    "DAYOFMONTH": _part("DAYOFMONTH", "DAY"),
    "DAYOFWEEK": _part("DAYOFWEEK", "DOW"),
    "HOUR": _part("HOUR", "HOUR"),
    "MINUTE": _part("MINUTE", "MINUTE"),
    "SECOND": _part("SECOND", "SECOND"),
    "FLOOR": _rounding("FLOOR"),
    "CEIL": _rounding("CEIL"),
    "CEILING": _rounding("CEIL"),
    "TIMESTAMPDIFF": Function("TIMESTAMPDIFF(SECOND, earlier, later)", 2, 2, _difference),
    "TIMESTAMPADD": Function("TIMESTAMPADD(SECOND, 5, timestamp)", 2, 2, _addition),
}
