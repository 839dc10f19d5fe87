"""Aggregates of a window."""

from dataclasses import dataclass

from mohhos.stream.functions.base import Misuse
from mohhos.stream.types import Type, Value

__all__ = ["AGGREGATES", "Aggregate"]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate: its name in the engine, and whether it takes times as well as numbers."""

    engine: str
    of_time: bool = False

    def result(self, name: str, argument: Value | None) -> Type:
        """The type of the result; `argument` is None for COUNT(*). Raises Misuse."""
        if self.engine == "COUNT":
            return Type.BIGINT
        if argument is None:
            raise Misuse(None, "rule-function", f"{name} of * has no meaning", f"Write {name}(column), or COUNT(*)")
        if argument.type is Type.DECIMAL:
            hint = "Write numbers as 1.5e0, or CAST(… AS DOUBLE)"
            raise Misuse(0, "rule-type", f"{name} of a DECIMAL is not supported", hint)
        if self.of_time and argument.type is Type.TIMESTAMP:
            return Type.TIMESTAMP
        if self.of_time and argument.type.is_text:
            raise Misuse(0, "rule-unsupported", f"{name} of STRING is not yet supported here", "Use a number")
        if not argument.type.is_number:
            hint = "Convert a text with TRY_CAST(… AS DOUBLE), a condition with CASE WHEN … THEN 1 ELSE 0 END"
            raise Misuse(0, "rule-type", f"{name} wants a number, not {argument.type.sql}", hint)
        return argument.type


AGGREGATES: dict[str, Aggregate] = {
    "COUNT": Aggregate("COUNT"),
    "SUM": Aggregate("SUM"),
    "AVG": Aggregate("AVG"),
    "MIN": Aggregate("MIN", of_time=True),
    "MAX": Aggregate("MAX", of_time=True),
    "STDDEV": Aggregate("STDDEV_SAMP"),
    "STDDEV_POP": Aggregate("STDDEV_POP"),
    "STDDEV_SAMP": Aggregate("STDDEV_SAMP"),
    "VARIANCE": Aggregate("VAR_SAMP"),
    "VAR_POP": Aggregate("VAR_POP"),
    "VAR_SAMP": Aggregate("VAR_SAMP"),
}
"""Aggregates by upper-case name."""
