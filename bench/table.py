"""A table of a report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["MIB", "Table", "mib"]

MIB: Final = 1 << 20


@dataclass(frozen=True)
class Table:
    """A heading, columns and rows of text; remarks below."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    remark: str = ""


def mib(size: int) -> str:
    """Bytes as whole MiB."""
    return f"{size / MIB:.0f}"
