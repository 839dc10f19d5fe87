"""Tables: the built-in ones and what CREATE TABLE declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from mohhos.stream.types import Type

__all__ = ["ALERTS", "BUILT_IN", "COMMANDS", "MAX_SPAN_US", "TELEMETRY", "Column", "Sink", "Table", "Watermark"]


MAX_SPAN_US: Final = 400 * 86_400_000_000
"""The longest window and the longest delay of a watermark, here as in the engine: 400 days."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column, its type as the engine sees it, and what it is for."""

    name: str
    type: Type
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class Watermark:
    """How event time proceeds in a table. `idle_timeout_us` None: the gateway's setting."""

    column: str
    delay_us: int
    scope: Literal["device", "table"] = "device"
    idle_timeout_us: int | None = None


@dataclass(frozen=True, slots=True)
class Sink:
    """How rows that are inserted leave.

    kind "topic" publishes a JSON object for each row to `topic`, or to the topic in the column `topic_column`, which
    is not part of the object.
    """

    kind: Literal["alerts", "commands", "topic"]
    topic: str | None = None
    topic_column: str | None = None
    qos: int = 1
    retain: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table. It can be read if it has a watermark, and inserted into if it has a sink.

    `id` is the engine's; 0 is `telemetry`, and None what the engine does not read. `filter` is the topic filter of a
    declared table that can be read.
    """

    name: str
    columns: tuple[Column, ...]
    id: int | None = None
    watermark: Watermark | None = None
    sink: Sink | None = None
    filter: str | None = None

    def column(self, name: str) -> Column | None:
        """The column of that name."""
        return next((c for c in self.columns if c.name == name), None)

    @property
    def device(self) -> str | None:
        """The column with the device that a message concerns."""
        return next((c.name for c in self.columns if c.name == "device" and c.type.is_text), None)


TELEMETRY = Table(
    "telemetry",
    (
        Column("device", Type.DEVICE, "the device that the reading concerns"),
        Column("metric", Type.METRIC, "what was measured"),
        Column("ts", Type.TIMESTAMP, "when, UTC"),
        Column("num", Type.DOUBLE, "the value; NULL for text; 1 and 0 for true and false"),
        Column("text", Type.STRING, "the value where it is text, otherwise NULL"),
        Column("quality", Type.QUALITY, "'good', or 'clock' when the reading's own time could not be believed"),
    ),
    id=0,
    watermark=Watermark("ts", 5_000_000),
)

ALERTS = Table(
    "alerts",
    (
        Column("device", Type.STRING, "the device that the alert concerns; required"),
        Column("rule", Type.STRING, "the rule's name; filled in, and normally left out"),
        Column("severity", Type.STRING, "'info', 'warning' or 'critical'; default 'warning'"),
        Column("dedup_key", Type.STRING, "tells several alerts of a rule and device apart; default ''"),
        Column("state", Type.STRING, "'raise' or 'clear'; default 'raise'"),
        Column("message", Type.STRING, "for people; default ''"),
        Column("num", Type.DOUBLE, "the value that caused it; default NULL"),
    ),
    sink=Sink("alerts"),
)

COMMANDS = Table(
    "commands",
    (
        Column("device", Type.STRING, "which device is to do it; required"),
        Column("name", Type.STRING, "what it is to do; required"),
        Column("parameters", Type.STRING, "how, as JSON; default '{}'"),
        Column("deadline", Type.TIMESTAMP, "until when; default never"),
    ),
    sink=Sink("commands"),
)

BUILT_IN: Mapping[str, Table] = {table.name: table for table in (TELEMETRY, ALERTS, COMMANDS)}
"""The tables that are there without being declared."""
