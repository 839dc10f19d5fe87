"""Recorded readings in a CSV file, and the map that says how to read it."""

import csv
import datetime as dt
import importlib.resources
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from mohhos.errors import MohhosError

__all__ = ["Map", "Row", "load_map", "read"]

_MAPS: Final = "maps"


@dataclass(frozen=True)
class Map:
    """How to read a recording.

    `time` names the columns that together (joined by a space) are the time, in `time_format` (strptime); empty for
    ISO 8601. Times without a zone are UTC. `missing` are texts that stand for no value; `skip` are columns to leave
    out; `rename` gives metrics other names than their columns.
    """

    time: tuple[str, ...]
    time_format: str = ""
    separator: str = ","
    decimal: str = "."
    missing: tuple[str, ...] = ("",)
    skip: tuple[str, ...] = ()
    rename: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """The readings of one moment: microseconds UTC, and values by metric. A row without any value is left out."""

    ts_us: int
    readings: dict[str, float | str]


def _wrong(what: str, why: str, next_step: str) -> MohhosError:
    return MohhosError("recording-invalid", what, why, next_step)


def built_in() -> list[str]:
    """The names of the maps that come with the program."""
    folder = importlib.resources.files("mohhos.sim").joinpath(_MAPS)
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_map(name: str) -> Map:
    """The map of that name, or in that TOML file. Raises MohhosError recording-invalid."""
    if name in built_in():
        text = importlib.resources.files("mohhos.sim").joinpath(_MAPS, f"{name}.toml").read_text(encoding="utf-8")
    else:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except OSError as error:
            raise _wrong(
                f"There is no map {name!r}",
                str(error),
                f"Name a TOML file, or one of {', '.join(built_in())}",
            ) from error
    try:
        members = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _wrong(f"{name} is no map", str(error), "Correct the TOML") from error
    known = {f.name for f in fields(Map)}
    if unknown := sorted(set(members) - known):
        raise _wrong(f"{name} has a key {unknown[0]!r}", f"a map has {', '.join(sorted(known))}", "Correct it")
    if "time" not in members:
        raise _wrong(f"{name} names no time", "without one a reading has no place", 'Add time = ["COLUMN"]')
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in members.items()}
    return Map(**values)


def read(path: Path, how: Map) -> Iterator[Row]:
    """The rows of a recording in the order of the file. Raises MohhosError recording-invalid with the line."""
    try:
        yield from _rows(path, how)
    except UnicodeDecodeError as error:
        raise _wrong(f"{path} is not UTF-8", str(error), "Convert it, for example with iconv") from error
    except csv.Error as error:
        raise _wrong(f"{path} is no CSV file", str(error), "Correct the file, or the separator in the map") from error


def _rows(path: Path, how: Map) -> Iterator[Row]:
    # Spreadsheets begin a file with a mark of the byte order, which is no part of the first column's name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file, delimiter=how.separator)
        header = next(lines, [])
        if absent := [name for name in how.time if name not in header]:
            raise _wrong(
                f"{path} has no column {absent[0]!r}",
                f"its columns are {', '.join(h for h in header if h)}",
                "Name the right map with --map",
            )
        at = [header.index(name) for name in how.time]
        metrics = [
            (index, how.rename.get(name, name))
            for index, name in enumerate(header)
            if name and name not in how.skip and index not in at
        ]
        for cells in lines:
            if not any(cells):
                continue
            try:
                row = _row(cells, at, metrics, how)
            except (ValueError, IndexError) as error:
                raise _wrong(
                    f"{path}, line {lines.line_num} is not usable", str(error), "Correct the file or the map"
                ) from error
            if row.readings:
                yield row


def _row(cells: list[str], at: list[int], metrics: list[tuple[int, str]], how: Map) -> Row:
    ts_us = _time(" ".join(cells[i] for i in at), how.time_format)
    readings: dict[str, float | str] = {}
    for index, metric in metrics:
        text = cells[index].strip() if index < len(cells) else ""
        if text not in how.missing:
            readings[metric] = _value(text, how.decimal)
    return Row(ts_us, readings)


def _time(text: str, form: str) -> int:
    moment = dt.datetime.strptime(text, form) if form else dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def _value(text: str, decimal: str) -> float | str:
    try:
        number = float(text.replace(decimal, ".") if decimal != "." else text)
    except ValueError:
        return text
    # JSON has no word for what is not finite: as a number it would make the whole message unreadable.
    return number if math.isfinite(number) else text


def payload(row: Row) -> dict[str, Any]:
    """The row as a device would publish it: flat JSON with its own time in microseconds."""
    return {"ts": row.ts_us, **row.readings}
