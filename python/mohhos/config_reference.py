"""docs/configuration.md, made from the descriptions in `mohhos.config`: `python -m mohhos.config_reference FILE`."""

import dataclasses
import inspect
import sys
from pathlib import Path
from typing import Any

from mohhos.config import DATA_DIR_VARIABLE, Config
from mohhos.config_keys import Key

_HEAD = f"""# Configuration

The gateway reads `mohhos.toml`: `mohhos up --config FILE`. Every key has a default, and an empty file is a whole
configuration. An unknown key, a wrong type or a value out of range is refused with its path.

Sizes have a unit (`B`, `KiB`, `MiB`, `GiB`, `TiB`, or `KB`, `MB`, `GB`, `TB`), durations too (`us`, `ms`, `s`, `min`,
`h`, `d`), both in quotes: `"64 MiB"`, `"30 d"`. The environment variable `{DATA_DIR_VARIABLE}` goes before
`gateway.data_dir`.

A running gateway reads the file again on SIGHUP (`systemctl reload`). Keys marked **live** change at once; of
the others it says by name that they wait for a restart.

This page is made from the program: `python -m mohhos.config_reference docs/configuration.md`.
"""


def render() -> str:
    """The whole page."""
    parts = [_HEAD]
    for section in dataclasses.fields(Config):
        parts += _section(f"[{section.name}]", section.default, section.name)
    return "\n".join(parts).rstrip() + "\n"


def _section(heading: str, defaults: Any, path: str) -> list[str]:
    fields: list[dataclasses.Field[Any]] = list(dataclasses.fields(defaults))
    plain = [item for item in fields if Key.of(item).section is None]
    lists = [item for item in fields if Key.of(item).section is not None]
    text = inspect.cleandoc(type(defaults).__doc__ or "")
    parts = [f"## {heading}\n", f"{text}\n"]
    if plain:
        parts += ["| key | type | default | allowed | change | meaning |", "| --- | --- | --- | --- | --- | --- |"]
        parts += [_row(item) for item in plain]
        parts.append("")
    for item in lists:
        # Where there is none by default, the page shows what one has when it says nothing.
        described, listed = Key.of(item).section, item.default
        entry: Any = listed[0] if isinstance(listed, tuple) and listed else described and described()
        parts += _section(f"[[{path}.{item.name}]]", entry, f"{path}.{item.name}")
    return parts


def _row(item: "dataclasses.Field[Any]") -> str:
    described = Key.of(item)
    kind = (
        described.kind
        if described.kind != "plain"
        else {int: "number", str: "text", bool: "true or false", tuple: "list of texts"}[type(item.default)]
    )
    change = "**live**" if described.live else "restart"
    cells = [f"`{item.name}`", kind, f"`{described.show(item.default)}`", described.allowed(), change, described.text]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(render(), encoding="utf-8")
