"""What alert records in the log do: a raise opens an alert or counts it up, a clear resolves it."""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from mohhos.alerts import rows
from mohhos.hub.topics import ALERTS, from_gateway, json_object
from mohhos.model import Notice, Severity

if TYPE_CHECKING:
    from mohhos._native import LogRecord

__all__ = ["AlertEffect", "AlertRecord", "parse"]

KEPT_EVENTS: Final = 1_000_000
KEPT_RESOLVED: Final = 200_000
_PRUNED_EVERY: Final = 1_000


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """A raise or a clear, as the stream engine publishes it."""

    id: str
    rule: str
    device: str
    severity: Severity
    dedup_key: str
    state: Literal["raise", "clear"]
    message: str
    num: float | None
    ts_us: int


def parse(payload: bytes) -> AlertRecord | None:
    """The record in a payload, None for anything else."""
    members = json_object(payload)
    if members is None:
        return None
    texts: dict[str, str] = {}
    for name in ("id", "rule", "device", "dedup_key", "message"):
        value = members.get(name)
        if value is not None and not isinstance(value, str):
            return None
        texts[name] = value or ""
    state, ts, severity = members.get("state", "raise"), members.get("ts"), members.get("severity", "warning")
    if not (texts["id"] and texts["rule"]) or state not in ("raise", "clear") or severity not in list(Severity):
        return None
    if isinstance(ts, bool) or not isinstance(ts, int):
        return None
    return AlertRecord(**texts, severity=Severity(severity), state=state, num=_number(members.get("num")), ts_us=ts)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


class AlertEffect:
    """The projection of alert records."""

    prefixes: Sequence[str] = (ALERTS,)

    def __init__(self) -> None:
        self._since_pruned = 0

    def apply(self, connection: sqlite3.Connection, record: "LogRecord") -> list[Notice]:
        """Applies a raise or a clear; an id that is known has no effect."""
        event = parse(record["payload"])
        if event is None or not from_gateway(record):
            return []
        if rows.event_known(connection, event.id):
            return []
        unresolved = rows.unresolved(connection, event.rule, event.device, event.dedup_key)
        if event.state == "raise":
            alert: str | None = event.id if unresolved is None else unresolved
            if unresolved is None:
                rows.open_alert(connection, event)
            else:
                rows.count_up(connection, unresolved, event)
        else:
            alert = unresolved
            if unresolved is not None:
                rows.resolve(connection, unresolved, event.ts_us, f"rule:{event.rule}")
        rows.insert_event(connection, event, alert)
        self._prune(connection)
        return [] if alert is None else [Notice("alert", rows.get(connection, alert))]

    def _prune(self, connection: sqlite3.Connection) -> None:
        """Bounds what is kept, by number: a clock that jumps takes nothing away."""
        self._since_pruned += 1
        if self._since_pruned >= _PRUNED_EVERY:
            self._since_pruned = 0
            rows.prune(connection, KEPT_EVENTS, KEPT_RESOLVED)
