"""How a key of the configuration is described, read and refused."""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from mohhos.errors import MohhosError
from mohhos.units import DURATIONS, SIZES, format_quantity, parse_bind, parse_duration, parse_size

Kind = Literal["plain", "size", "duration", "bind"]
S = TypeVar("S")
_METADATA: Final = "mohhos.key"


@dataclass(frozen=True)
class Key:
    """What is known about one key.

    `low` and `high` are inclusive, in bytes or microseconds where the kind has a unit. `native` is the key's name in
    the native configuration: None for the same name, empty for none.
    """

    text: str
    kind: Kind = "plain"
    low: int | None = None
    high: int | None = None
    one_of: tuple[str, ...] = ()
    pattern: str = ""
    live: bool = False
    native: str | None = None
    section: type | None = None

    @staticmethod
    def of(item: "dataclasses.Field[Any]") -> "Key":
        """The description of a field that `key` made; a field of another making is a section."""
        described = item.metadata.get(_METADATA)
        return described if isinstance(described, Key) else Key("", section=type(item.default))

    @property
    def units(self) -> dict[str, int]:
        """The units of a size or duration; empty for other kinds."""
        return {"size": SIZES, "duration": DURATIONS}.get(self.kind, {})

    def allowed(self) -> str:
        """What may be written, in words."""
        if self.one_of:
            return ", ".join(f'"{each}"' for each in self.one_of)
        if self.low is not None and self.high is not None:
            return f"{self.show(self.low)} to {self.show(self.high)}"
        if self.pattern:
            return "1 to 64 letters, digits, `.`, `_` or `-`"
        return "ADDRESS:PORT" if self.kind == "bind" else ""

    def show(self, value: Any) -> str:
        """A value as it would be written in the file."""
        if self.units:
            return f'"{format_quantity(value, self.units)}"'
        if isinstance(value, tuple):
            return f"[{', '.join(self.show(each) for each in value)}]"
        if isinstance(value, bool):
            return str(value).lower()
        return f'"{value}"' if isinstance(value, str) else str(value)


def key(
    default: Any,
    text: str,
    *,
    kind: Kind = "plain",
    low: int | str | None = None,
    high: int | str | None = None,
    one_of: tuple[str, ...] = (),
    pattern: str = "",
    live: bool = False,
    native: str | None = None,
    section: type | None = None,
) -> Any:
    """A field of a configuration section. Sizes and durations are given as people write them, and held as integers."""

    def held(value: Any) -> Any:
        if kind == "size" and isinstance(value, str):
            return parse_size(value)
        if kind == "duration" and isinstance(value, str):
            return parse_duration(value)
        return value

    described = Key(text, kind, held(low), held(high), one_of, pattern, live, native, section)
    return dataclasses.field(default=held(default), metadata={_METADATA: described})


def read_section(section: type[S], tree: Any, path: str) -> S:
    """A section (a dataclass of `key`s) from a parsed TOML table.

    Raises MohhosError: config-unknown-key, config-wrong-type, config-out-of-range.
    """
    if not isinstance(tree, Mapping):
        raise _wrong_type(path, tree, "a table", f"Write [{path}] on a line of its own, and its keys below it")
    fields = {each.name: each for each in dataclasses.fields(section)}  # type: ignore[arg-type]  # always a dataclass
    values = {}
    for name, value in tree.items():
        here = f"{path}.{name}" if path else name
        if name not in fields:
            raise _unknown(here, name, path, list(fields))
        values[name] = _read(fields[name], value, here)
    return section(**values)


def _read(item: "dataclasses.Field[Any]", value: Any, path: str) -> Any:
    described = Key.of(item)
    if described.section is not None:
        if not isinstance(item.default, tuple):
            return read_section(described.section, value, path)
        if not isinstance(value, list):
            raise _wrong_type(path, value, "a list of tables", f"Write [[{path}]] with two brackets on each side")
        return tuple(read_section(described.section, each, f"{path}[{i}]") for i, each in enumerate(value))
    if described.units:
        value = _read_quantity(described, value, path)
    elif isinstance(item.default, tuple):
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise _wrong_type(path, value, "a list of texts in quotes", _example(path, described, item.default))
        return tuple(value)
    elif type(value) is not type(item.default):
        wanted = {int: "a whole number", str: "a text in quotes", bool: "true or false"}[type(item.default)]
        raise _wrong_type(path, value, wanted, _example(path, described, item.default))
    _check_range(described, item.default, value, path)
    return value


def _read_quantity(described: Key, value: Any, path: str) -> int:
    example = '"64 MiB"' if described.kind == "size" else '"30 d"'
    if not isinstance(value, str):
        raise _wrong_type(path, value, f"a {described.kind} in quotes with its unit, such as {example}", "Add the unit")
    try:
        return (parse_size if described.kind == "size" else parse_duration)(value)
    except ValueError as error:
        raise _out_of_range(path, f'"{value}"', str(error), f"Write something like {example}") from None


def _check_range(described: Key, default: Any, value: Any, path: str) -> None:
    example = _example(path, described, default)
    if described.low is not None and described.high is not None and not described.low <= value <= described.high:
        raise _out_of_range(path, described.show(value), f"allowed is {described.allowed()}", example)
    if described.one_of and value not in described.one_of:
        raise _out_of_range(path, f'"{value}"', f"allowed is one of {described.allowed()}", example)
    if described.pattern and re.fullmatch(described.pattern, value) is None:
        raise _out_of_range(path, f'"{value}"', f"allowed are {described.allowed()}", example)
    if described.kind == "bind":
        try:
            parse_bind(value)
        except ValueError as error:
            raise _out_of_range(path, f'"{value}"', f"that is no address: {error}", example) from None


def _example(path: str, described: Key, default: Any) -> str:
    return f"The default is {path.rpartition('.')[2]} = {described.show(default)}; see docs/configuration.md"


def _unknown(path: str, name: str, parent: str, known: list[str]) -> MohhosError:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return MohhosError(
        "config-unknown-key",
        f"The key {path} is unknown",
        f"{f'[{parent}]' if parent else 'the file'} knows {', '.join(sorted(known))}",
        f"Did you mean {near[0]}? Correct or remove the key" if near else "Remove the key; see docs/configuration.md",
        path=path,
    )


def _wrong_type(path: str, value: Any, wanted: str, next_step: str) -> MohhosError:
    given = f'the text "{value}"' if isinstance(value, str) else f"{str(value).lower()} ({type(value).__name__})"
    return MohhosError("config-wrong-type", f"{path} is {given}", f"it must be {wanted}", next_step, path=path)


def _out_of_range(path: str, given: str, why: str, next_step: str) -> MohhosError:
    return MohhosError("config-out-of-range", f"{path} is {given}", why, next_step, path=path)
