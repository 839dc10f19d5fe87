"""What a function is to the planner."""

from collections.abc import Callable
from dataclasses import dataclass

from mohhos.stream.types import Type, Value

__all__ = ["Arguments", "Function", "Misuse"]


class Misuse(Exception):  # noqa: N818 - not an error by itself: the analyser gives it a place and makes a RuleError of it
    """A call that does not fit: the number of the argument to blame (None: the whole call), code, reason and hint."""

    def __init__(self, argument: int | None, code: str, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.argument = argument
        self.code = code
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of one call, with checks that raise Misuse."""

    name: str
    usage: str
    values: tuple[Value, ...]
    words: tuple[str, ...] = ()

    def _misuse(self, index: int | None, reason: str) -> Misuse:
        return Misuse(index, "rule-type", reason, f"Write {self.usage}")

    def _typed(self, index: int, fits: bool, wanted: str) -> Value:
        value = self.values[index]
        if not fits:
            raise self._misuse(index, f"{self.name} wants {wanted} here, not {value.type.sql}")
        return value

    def number(self, index: int) -> Value:
        """INT, BIGINT or DOUBLE; a number with a decimal point counts as DECIMAL and is refused."""
        value = self.values[index]
        if value.type is Type.DECIMAL:
            hint = f"Write {value.constant}e0 for a DOUBLE" if value.is_constant else "CAST it AS DOUBLE"
            raise Misuse(index, "rule-type", f"{self.name} of a DECIMAL is not supported", hint)
        return self._typed(index, value.type.is_number, "a number")

    def double(self, index: int) -> Value:
        """Any number, as DOUBLE."""
        return self._typed(index, self.values[index].type.is_number, "a number").double()

    def integer(self, index: int) -> Value:
        """INT."""
        return self._typed(index, self.values[index].type is Type.INT, "an INT")

    def text(self, index: int) -> Value:
        """STRING."""
        return self._typed(index, self.values[index].type.is_text, "a STRING")

    def boolean(self, index: int) -> Value:
        """BOOLEAN."""
        return self._typed(index, self.values[index].type is Type.BOOLEAN, "a BOOLEAN")

    def timestamp(self, index: int) -> Value:
        """TIMESTAMP(3)."""
        return self._typed(index, self.values[index].type is Type.TIMESTAMP, "a TIMESTAMP(3)")

    def constant(self, index: int, type_: Type) -> Value:
        """A literal."""
        value = self.values[index]
        if not value.is_constant or value.type is not type_:
            raise self._misuse(index, f"{self.name} wants a constant {type_.sql} here")
        return value


@dataclass(frozen=True, slots=True)
class Function:
    """A scalar function: how it is written, how many arguments it takes, and what it becomes."""

    usage: str
    least: int
    most: int | None
    build: Callable[[Arguments], Value]
