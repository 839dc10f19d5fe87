"""What commands print: tables, values, failures; colours on a terminal only."""

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["FORMATS", "console", "failure", "format_option", "record", "table"]

FORMATS: Final = ("table", "csv", "json")
_STYLES: Final = {
    "online": "green",
    "offline": "yellow",
    "never": "dim",
    "quarantine": "bold red",
    "throttle": "yellow",
    "allow": "green",
    "running": "green",
    "failed": "red",
    "open": "red",
    "acknowledged": "yellow",
    "resolved": "green",
    "critical": "bold red",
    "warning": "yellow",
}

#: What is piped is for programs: its lines are not folded.
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 500)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)

format_option = click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="How to print."
)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}" if abs(value) < 1e15 else repr(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False) if value else ""
    return str(value)


def table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]], form: str) -> None:
    """Prints rows: `csv` and `json` (one object per line) as they come, a table when all are there."""
    if form == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    elif form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            value = (row.get(c) for c in columns)
            writer.writerow(repr(v) if isinstance(v, float) else _text(v) for v in value)
    else:
        shown = Table(box=None, header_style="bold", pad_edge=False)
        for column in columns:
            shown.add_column(column, overflow="fold")
        for row in rows:
            texts = [_text(row.get(c)) for c in columns]
            shown.add_row(*(Text(t, style=_STYLES.get(t, "")) for t in texts))
        console.print(shown)


def record(values: Mapping[str, Any], form: str) -> None:
    """Prints one thing with all that is known of it."""
    if form == "json":
        sys.stdout.write(json.dumps(values, ensure_ascii=False) + "\n")
        return
    width = max((len(name) for name in values), default=0)
    for name, value in values.items():
        line = Text(f"{name:<{width}}  ", style="bold")
        shown = _text(value)
        line.append(Text(shown, style=_STYLES.get(shown, "")))
        console.print(line)


def failure(what: str, next_step: str, code: str, fields: Mapping[str, Any]) -> None:
    """Prints to standard error what happened and what to do next."""
    _errors.print(Text("error: ", style="bold red") + Text(what))
    if "line" in fields:
        _errors.print(Text(f"   at: line {fields['line']}, column {fields.get('column', 1)}", style="dim"))
    if hint := fields.get("hint"):
        _errors.print(Text(" hint: ", style="bold") + Text(str(hint)))
    if next_step and next_step != hint:
        _errors.print(Text(" next: ", style="bold") + Text(next_step))
    _errors.print(Text(f" code: {code}", style="dim"))
