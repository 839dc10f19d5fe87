"""What a query gives: its columns, and where they are in the operator before."""

from collections.abc import Sequence
from dataclasses import dataclass

from mohhos.stream.plan.builder import TIME, Builder
from mohhos.stream.plan.scope import Field
from mohhos.stream.types import Type, Value, column

__all__ = ["Relation", "materialize"]


@dataclass(frozen=True, slots=True)
class Relation:
    """The columns of a query. `time` is the operator's column with the rows' time; `windowed` rows are of a window."""

    fields: tuple[Field, ...]
    time: str
    windowed: bool = False


def materialize(builder: Builder, relation: Relation) -> Relation:
    """The same columns, every one a column of the last operator; projects if one is computed."""
    if all(field.value.column is not None for field in relation.fields):
        return relation
    names = _unique([field.name for field in relation.fields])
    columns = [(name, field.value) for name, field in zip(names, relation.fields, strict=True)]
    time = next((name for name, value in columns if value.column == relation.time), None)
    if time is None:
        time = TIME
        columns.append((TIME, _time_column(relation)))
    builder.project(columns)
    fields = tuple(
        Field(field.name, column(name, field.value.type, field.value.rowtime))
        for name, field in zip(names, relation.fields, strict=True)
    )
    return Relation(fields, time, relation.windowed)


def _time_column(relation: Relation) -> Value:
    return column(relation.time, Type.TIMESTAMP, rowtime=True)


def _unique(names: Sequence[str | None]) -> list[str]:
    """Names for the operator's columns: as in the query, where they are given and not taken."""
    unique: list[str] = []
    for index, name in enumerate(names, 1):
        free = name is not None and name not in unique and not name.startswith("$")
        unique.append(name if free and name is not None else f"${index}")
    return unique
