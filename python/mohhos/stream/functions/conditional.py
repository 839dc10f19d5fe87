"""Functions that choose among their arguments."""

from mohhos.stream.functions.base import Arguments, Function, Misuse
from mohhos.stream.types import CODES, Type, Value, call, unify

__all__ = ["FUNCTIONS"]


def _choices(arguments: Arguments, values: list[Value]) -> tuple[Type, list[Value]]:
    unified = unify(values)
    if unified is None:
        types = " and ".join(dict.fromkeys(v.type.sql for v in values))
        raise Misuse(None, "rule-type", f"{arguments.name} cannot choose between {types}", "CAST all to one type")
    return unified


def _coalesce(arguments: Arguments) -> Value:
    values = list(arguments.values)
    if values[0].type is Type.NULL:
        raise Misuse(0, "rule-type", "NULL has no type here", "Leave it out")
    type_, given = _choices(arguments, values)
    return call(type_, "COALESCE", *given)


def _nullif(arguments: Arguments) -> Value:
    first, second = arguments.values
    if Type.NULL in (first.type, second.type):
        raise Misuse(None, "rule-type", "NULLIF compares, and nothing equals NULL", f"Write {arguments.usage}")
    if first.is_constant:
        raise Misuse(0, "rule-type", "NULLIF of a constant is known already", "Write the value, or NULL")
    if first.type is Type.DECIMAL:
        raise Misuse(0, "rule-type", "NULLIF of a DECIMAL is not supported", "CAST it AS DOUBLE")
    if not (first.type.is_text and second.type.is_text):
        _choices(arguments, [first, second])
        if first.type.is_integer and second.type is Type.DECIMAL:
            raise Misuse(1, "rule-type", "an integer is compared with a decimal number", "Write a whole number")
    return call(first.type, "NULLIF", first, second)


def _if(arguments: Arguments) -> Value:
    condition = arguments.boolean(0)
    for index in (1, 2):
        if arguments.values[index].type is Type.NULL:
            hint = "Write CASE WHEN condition THEN a END, or CAST(NULL AS TYPE)"
            raise Misuse(index, "rule-type", "NULL has no type here", hint)
    type_, (first, second) = _choices(arguments, list(arguments.values[1:]))
    return call(type_, "CASE", condition, first, second)


def _extreme(function: str) -> Function:
    def build(arguments: Arguments) -> Value:
        type_, given = _choices(arguments, list(arguments.values))
        if any(v.type is Type.NULL for v in arguments.values):
            raise Misuse(None, "rule-type", f"{function} with NULL is always NULL", "Leave NULL out")
        if type_ in (Type.BOOLEAN, Type.INTERVAL):
            raise Misuse(None, "rule-type", f"{function} of {type_.sql} is not supported", f"Write {arguments.usage}")
        if type_ in CODES:
            type_, given = Type.STRING, [v.text() for v in given]
        return call(type_, function, *given)

    return Function(f"{function}(a, b, …)", 1, None, build)


FUNCTIONS: dict[str, Function] = {
    "COALESCE": Function("COALESCE(a, b, …)", 1, None, _coalesce),
    "IFNULL": Function("IFNULL(a, b)", 2, 2, _coalesce),
    "NULLIF": Function("NULLIF(a, b)", 2, 2, _nullif),
    "IF": Function("IF(condition, a, b)", 3, 3, _if),
    "GREATEST": _extreme("GREATEST"),
    "LEAST": _extreme("LEAST"),
}
