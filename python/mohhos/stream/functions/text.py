"""Functions of text."""

from mohhos.stream.functions.base import Arguments, Function
from mohhos.stream.types import Type, Value, call

__all__ = ["FUNCTIONS"]


def _of_text(function: str, usage: str, result: Type, kinds: str, least: int) -> Function:
    """A function whose arguments are STRING ("s") or INT ("i") by `kinds`; those from `least` on may be left out."""

    def build(arguments: Arguments) -> Value:
        given = [arguments.text(n) if kinds[n] == "s" else arguments.integer(n) for n in range(len(arguments.values))]
        return call(result, function, *given)

    return Function(usage, least, len(kinds), build)


def _trim(arguments: Arguments) -> Value:
    if len(arguments.values) == 1 and arguments.words in ((), ("BOTH",)):
        return call(Type.STRING, "TRIM", arguments.text(0))
    if len(arguments.values) == 1:
        return call(Type.STRING, "LTRIM" if arguments.words == ("LEADING",) else "RTRIM", arguments.text(0))
    return call(Type.STRING, f"TRIM {arguments.words[0]}", arguments.text(0), arguments.text(1))


def _concat(function: str, least: int) -> Function:
    def build(arguments: Arguments) -> Value:
        return call(Type.STRING, function, *(arguments.text(n) for n in range(len(arguments.values))))

    usage = "CONCAT(text, text, …)" if function == "CONCAT" else "CONCAT_WS(separator, text, …)"
    return Function(usage, least, None, build)


def _json_value(arguments: Arguments) -> Value:
    return call(Type.STRING, "JSON_VALUE", arguments.text(0), arguments.constant(1, Type.STRING))


_SUBSTRING = _of_text("SUBSTRING", "SUBSTRING(text, from [, length])", Type.STRING, "sii", 2)
_LENGTH = _of_text("CHAR_LENGTH", "CHAR_LENGTH(text)", Type.INT, "s", 1)

FUNCTIONS: dict[str, Function] = {
    **{
        name: _of_text(name, f"{name}(text)", Type.STRING, "s", 1)
        for name in ("UPPER", "LOWER", "LTRIM", "RTRIM", "REVERSE")
    },
    "TRIM": Function("TRIM([BOTH | LEADING | TRAILING] 'x' FROM text)", 1, 2, _trim),
    "SUBSTRING": _SUBSTRING,
    "SUBSTR": _SUBSTRING,
    "LEFT": _of_text("LEFT", "LEFT(text, length)", Type.STRING, "si", 2),
    "RIGHT": _of_text("RIGHT", "RIGHT(text, length)", Type.STRING, "si", 2),
    "REPEAT": _of_text("REPEAT", "REPEAT(text, times)", Type.STRING, "si", 2),
    "LPAD": _of_text("LPAD", "LPAD(text, length, padding)", Type.STRING, "sis", 3),
    "RPAD": _of_text("RPAD", "RPAD(text, length, padding)", Type.STRING, "sis", 3),
    "REPLACE": _of_text("REPLACE", "REPLACE(text, part, other)", Type.STRING, "sss", 3),
    "CHAR_LENGTH": _LENGTH,
    "CHARACTER_LENGTH": _LENGTH,
    "POSITION": _of_text("POSITION", "POSITION(part IN text)", Type.INT, "ss", 2),
    "STARTSWITH": _of_text("STARTSWITH", "STARTSWITH(text, part)", Type.BOOLEAN, "ss", 2),
    "ENDSWITH": _of_text("ENDSWITH", "ENDSWITH(text, part)", Type.BOOLEAN, "ss", 2),
    "CONCAT": _concat("CONCAT", 2),
    "CONCAT_WS": _concat("CONCAT_WS", 2),
    "JSON_VALUE": Function("JSON_VALUE(text, '$.path')", 2, 2, _json_value),
}
