"""CREATE TABLE: from syntax to a table."""

import re
from collections.abc import Mapping
from typing import Literal, NoReturn

from mohhos.stream.errors import RuleError, Span, nearest
from mohhos.stream.syntax import CreateTable, TypeName
from mohhos.stream.tables import BUILT_IN, MAX_SPAN_US, Column, Sink, Table, Watermark
from mohhos.stream.types import Type

__all__ = ["declare", "read_type"]

_TYPES = {
    "DOUBLE": Type.DOUBLE,
    "INT": Type.INT,
    "INTEGER": Type.INT,
    "BIGINT": Type.BIGINT,
    "BOOLEAN": Type.BOOLEAN,
    "STRING": Type.STRING,
}
_INSTEAD = {
    "FLOAT": "Use DOUBLE",
    "REAL": "Use DOUBLE",
    "DECIMAL": "Use DOUBLE, or BIGINT for amounts in the smallest unit",
    "DEC": "Use DOUBLE, or BIGINT for amounts in the smallest unit",
    "NUMERIC": "Use DOUBLE, or BIGINT for amounts in the smallest unit",
    "TINYINT": "Use INT",
    "SMALLINT": "Use INT",
    "VARCHAR": "Use STRING",
    "CHAR": "Use STRING",
    "CHARACTER": "Use STRING",
    "TIMESTAMP_LTZ": "Use TIMESTAMP(3), which is UTC",
    "DATE": "Use TIMESTAMP(3)",
    "TIME": "Use TIMESTAMP(3)",
    "BYTES": "Use STRING",
    "BINARY": "Use STRING",
    "VARBINARY": "Use STRING",
    "ARRAY": "Use one column for each value",
    "MAP": "Use one column for each value",
    "MULTISET": "Use one column for each value",
    "ROW": "Use one column for each value",
}
_KNOWN = "DOUBLE, INT, BIGINT, BOOLEAN, STRING and TIMESTAMP(3)"
_OPTIONS = ("topic", "topic.column", "qos", "retain", "watermark.scope", "watermark.idle-timeout")
_IDLE = re.compile(r"(\d{1,9})\s*(ms|s|min|h|d)", re.ASCII)
_IDLE_US = {"ms": 1000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_WINDOW_COLUMNS = ("window_start", "window_end", "window_time")
_MAX_COLUMNS = 200


def read_type(sql: str, name: TypeName) -> Type:
    """The type that is meant. Raises RuleError."""
    if name.name == "TIMESTAMP":
        if name.arguments == (3,):
            return Type.TIMESTAMP
        raise RuleError.at(sql, name.span, "rule-type", "times have milliseconds here", "Write TIMESTAMP(3)")
    found = _TYPES.get(name.name)
    if found is not None and not name.arguments:
        return found
    if found is not None:
        hint = f"Write {found.value}"
        raise RuleError.at(sql, name.span, "rule-type", f"{name.name} takes nothing in parentheses", hint)
    close = nearest(name.name, [*_TYPES, "TIMESTAMP"])
    hint = _INSTEAD.get(name.name) or (f"Did you mean {close}?" if close else f"Use one of {_KNOWN}")
    raise RuleError.at(sql, name.span, "rule-type", f"the type {name.name} is not supported", hint)


def declare(sql: str, create: CreateTable, table_id: int | None = None) -> Table:
    """The table that a CREATE TABLE of the text `sql` declares. Raises RuleError."""
    return _Declaration(sql, create).table(table_id)


class _Declaration:
    def __init__(self, sql: str, create: CreateTable) -> None:
        self._sql = sql
        self._create = create
        self._options: Mapping[str, tuple[str, Span, Span]] = create.options

    def table(self, table_id: int | None) -> Table:
        create = self._create
        if create.name.name in BUILT_IN:
            hint = "Give yours another name"
            self._fail(create.name.span, f"{create.name.name} is a built-in table", hint)
        self._check_options()
        columns = self._columns()
        watermark = self._watermark(columns)
        topic, sink = self._topic(columns)
        if watermark is None and sink is None:
            hint = "Add WATERMARK FOR ts AS ts - INTERVAL '5' SECOND to read it, or take + and # out to insert into it"
            self._fail(create.name.span, "the table can be neither read nor inserted into", hint)
        if watermark is not None and topic is None:
            hint = "Add WITH ('topic' = 'devices/+/telemetry/pump')"
            self._fail(
                create.name.span, "a table with a watermark reads messages, and this one does not say which", hint
            )
        read = watermark is not None
        if read:
            columns = tuple(
                Column(c.name, Type.DEVICE) if c.name == "device" and c.type.is_text else c for c in columns
            )
        return Table(
            create.name.name,
            columns,
            id=table_id if read else None,
            watermark=watermark,
            sink=sink,
            filter=topic if read else None,
        )

    def _fail(self, span: Span, reason: str, hint: str) -> NoReturn:
        raise RuleError.at(self._sql, span, "rule-table", reason, hint)

    def _check_options(self) -> None:
        for key, (_, span, _) in self._options.items():
            if key not in _OPTIONS:
                close = nearest(key, _OPTIONS)
                hint = f"Did you mean '{close}'?" if close else f"Options are {', '.join(_OPTIONS)}"
                self._fail(span, f"there is no option '{key}'", hint)

    def _columns(self) -> tuple[Column, ...]:
        columns: list[Column] = []
        names: set[str] = set()
        for definition in self._create.columns:
            name = definition.name.name
            if name in names:
                self._fail(definition.name.span, f"the column {name} is declared twice", "Take one of them out")
            if name in _WINDOW_COLUMNS:
                self._fail(definition.name.span, f"windows add a column {name}", "Give the column another name")
            if definition.not_null:
                hint = "Take NOT NULL out, and filter with WHERE … IS NOT NULL"
                self._fail(definition.span, "what a device sends can always be missing", hint)
            names.add(name)
            columns.append(Column(name, read_type(self._sql, definition.type)))
        if not columns:
            self._fail(self._create.name.span, "the table has no columns", "Declare the members of the payload")
        if len(columns) > _MAX_COLUMNS:
            self._fail(self._create.name.span, f"the table has more than {_MAX_COLUMNS} columns", "Split it")
        return tuple(columns)

    def _watermark(self, columns: tuple[Column, ...]) -> Watermark | None:
        definition = self._create.watermark
        if definition is None:
            for key in ("watermark.scope", "watermark.idle-timeout"):
                if key in self._options:
                    hint = "Add WATERMARK FOR ts AS ts - INTERVAL '5' SECOND after the columns"
                    self._fail(self._options[key][1], "the table has no watermark", hint)
            return None
        name = definition.column.name
        column = next((c for c in columns if c.name == name), None)
        if column is None:
            close = nearest(name, [c.name for c in columns])
            hint = f"Did you mean {close}?" if close else f"Declare {name} TIMESTAMP(3)"
            self._fail(definition.column.span, f"the table has no column {name}", hint)
        if column.type is not Type.TIMESTAMP:
            hint = f"Declare {name} TIMESTAMP(3)"
            self._fail(definition.column.span, f"a watermark is of a TIMESTAMP(3), not of {column.type.sql}", hint)
        delay = definition.delay.us if definition.delay else 0
        if delay < 0:
            self._fail(definition.span, "a watermark is not ahead of the time column", "Take the minus sign out")
        if delay > MAX_SPAN_US:
            self._fail(definition.span, "a watermark is at most 400 days behind", "Write a shorter interval")
        return Watermark(name, delay, self._scope(columns), self._idle_timeout())

    def _scope(self, columns: tuple[Column, ...]) -> Literal["device", "table"]:
        device = any(c.name == "device" and c.type.is_text for c in columns)
        if "watermark.scope" not in self._options:
            return "device" if device else "table"
        value, _, span = self._options["watermark.scope"]
        if value == "table":
            return "table"
        if value != "device":
            self._fail(span, f"there is no scope {value!r}", "Write 'device' or 'table'")
        if not device:
            self._fail(span, "the table has no column device STRING to keep watermarks for", "Add it, or write 'table'")
        return "device"

    def _idle_timeout(self) -> int | None:
        if "watermark.idle-timeout" not in self._options:
            return None
        value, _, span = self._options["watermark.idle-timeout"]
        match = _IDLE.fullmatch(value.strip())
        if match is None or int(match[1]) == 0:
            self._fail(span, f"{value!r} is not a length of time", "Write a number and ms, s, min, h or d: '30 s'")
        return int(match[1]) * _IDLE_US[match[2]]

    def _topic(self, columns: tuple[Column, ...]) -> tuple[str | None, Sink | None]:
        qos, retain = self._delivery()
        if "topic.column" in self._options:
            return None, self._topic_column(columns, qos, retain)
        if "topic" not in self._options:
            hint = "Add WITH ('topic' = 'site/state'), or ('topic.column' = 'topic')"
            self._fail(self._create.name.span, "the table does not say which topic it is about", hint)
        topic, _, span = self._options["topic"]
        self._check_filter(topic, span)
        if "+" in topic or "#" in topic:
            for key in ("qos", "retain"):
                if key in self._options:
                    hint = "Take it out: it is of tables that are inserted into"
                    self._fail(self._options[key][1], "a table with + or # in its topic is only read", hint)
            return topic, None
        return topic, Sink("topic", topic=topic, qos=qos, retain=retain)

    def _topic_column(self, columns: tuple[Column, ...], qos: int, retain: bool) -> Sink:
        name, _, span = self._options["topic.column"]
        if "topic" in self._options:
            self._fail(span, "the table has both 'topic' and 'topic.column'", "Take one of them out")
        if self._create.watermark is not None:
            hint = "Take the watermark out, or name a 'topic'"
            self._fail(span, "a table whose topics are in a column is only inserted into", hint)
        column = next((c for c in columns if c.name == name), None)
        if column is None or column.type is not Type.STRING:
            self._fail(span, f"the table has no column {name} of type STRING", f"Declare `{name}` STRING")
        return Sink("topic", topic_column=name, qos=qos, retain=retain)

    def _delivery(self) -> tuple[int, bool]:
        qos, _, qos_span = self._options.get("qos", ("1", self._create.span, self._create.span))
        if qos not in ("0", "1", "2"):
            self._fail(qos_span, f"{qos!r} is not a QoS", "Write '0', '1' or '2'")
        retain, _, retain_span = self._options.get("retain", ("false", self._create.span, self._create.span))
        if retain not in ("true", "false"):
            self._fail(retain_span, f"{retain!r} is neither true nor false", "Write 'true' or 'false'")
        return int(qos), retain == "true"

    def _check_filter(self, topic: str, span: Span) -> None:
        levels = topic.split("/")
        if not topic or "\0" in topic or len(topic.encode()) > 65_535:
            self._fail(span, "this cannot be a topic", "Write levels with / between them: 'devices/+/telemetry/pump'")
        if topic.startswith("$"):
            self._fail(span, "topics that begin with $ belong to the gateway", "Use another topic")
        for index, level in enumerate(levels):
            if "+" in level and level != "+":
                self._fail(span, "+ stands for a whole level", "Write it alone between two /")
            if "#" in level and (level != "#" or index != len(levels) - 1):
                self._fail(span, "# stands for all levels that follow", "Write it alone, at the end")
