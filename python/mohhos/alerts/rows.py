"""Alerts as rows of the registry."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mohhos.errors import MohhosError
from mohhos.model import Alert, AlertState, Page, Severity
from mohhos.storage import cursors

if TYPE_CHECKING:
    from mohhos.alerts.effect import AlertRecord

__all__ = ["EVERYTHING", "AlertEvent", "AlertGroup", "AlertQuery"]

_COLUMNS: Final = (
    "id, rule, device, severity, dedup_key, state, message, num, opened_us, last_us, occurrences, "
    "acknowledged_us, acknowledged_by, resolved_us, resolved_by"
)


@dataclass(frozen=True, slots=True)
class AlertQuery:
    """Which alerts: every given condition holds. `states` empty means all."""

    states: tuple[AlertState, ...] = ()
    rule: str | None = None
    device: str | None = None
    severity: Severity | None = None


EVERYTHING: Final = AlertQuery()


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One raise or clear in an alert's life."""

    id: str
    state: str
    message: str
    num: float | None
    ts_us: int


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Unresolved alerts of one cause: a rule and a severity."""

    rule: str
    severity: Severity
    alerts: int
    devices: int
    unacknowledged: int
    last_us: int


def _alert(row: Sequence[Any]) -> Alert:
    return Alert(row[0], row[1], row[2], Severity(row[3]), row[4], AlertState(row[5]), *row[6:])


def get(connection: sqlite3.Connection, alert: str) -> Alert:
    """The alert. Raises MohhosError alert-unknown."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM alerts WHERE id = ?", (alert,)).fetchone()
    if row is None:
        raise MohhosError(
            "alert-unknown",
            f'"{alert}" is not known',
            "no alert has that id; resolved ones are kept up to a number",
            "See mohhos alerts ls",
            alert=alert,
        )
    return _alert(row)


def page(connection: sqlite3.Connection, query: AlertQuery, cursor: str | None, limit: int) -> Page[Alert]:
    """One page, the newest first. Raises MohhosError cursor-invalid."""
    clauses: list[str] = []
    values: list[str | int] = []
    if query.states:
        clauses.append(f"state IN ({', '.join('?' * len(query.states))})")
        values += query.states
    for column in ("rule", "device", "severity"):
        if (value := getattr(query, column)) is not None:
            clauses.append(f"{column} = ?")
            values.append(value)
    if cursor is not None:
        clauses.append("seq < ?")
        values.append(cursors.decode(cursor, int)[0])
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    limit = cursors.page_size(limit)
    sql = f"SELECT seq, {_COLUMNS} FROM alerts {where} ORDER BY seq DESC LIMIT ?"
    found = connection.execute(sql, (*values, limit + 1)).fetchall()
    items = [_alert(row[1:]) for row in found[:limit]]
    return Page(items, cursors.encode(found[limit - 1][0]) if len(found) > limit else None)


def groups(connection: sqlite3.Connection) -> list[AlertGroup]:
    """What is not resolved, by cause; the worst and newest first."""
    rows = connection.execute(
        "SELECT rule, severity, count(*), count(DISTINCT device), sum(state = 'open'), max(last_us) FROM alerts "
        "WHERE state IN ('open', 'acknowledged') GROUP BY rule, severity"
    )
    worst = {severity: rank for rank, severity in enumerate(Severity)}
    found = [AlertGroup(rule, Severity(severity), *numbers) for rule, severity, *numbers in rows]
    return sorted(found, key=lambda g: (-worst[g.severity], -g.last_us))


def events(connection: sqlite3.Connection, alert: str, limit: int) -> list[AlertEvent]:
    """The newest raises and clears of an alert, the newest first."""
    sql = "SELECT id, state, message, num, ts_us FROM alert_events WHERE alert = ? ORDER BY seq DESC LIMIT ?"
    return [AlertEvent(*row) for row in connection.execute(sql, (alert, cursors.page_size(limit)))]


def event_known(connection: sqlite3.Connection, event: str) -> bool:
    """Was this raise or clear applied?"""
    return connection.execute("SELECT 1 FROM alert_events WHERE id = ?", (event,)).fetchone() is not None


def insert_event(connection: sqlite3.Connection, event: "AlertRecord", alert: str | None) -> None:
    """Remembers that a raise or clear was applied, and to which alert."""
    connection.execute(
        "INSERT INTO alert_events (id, alert, state, message, num, ts_us) VALUES (?, ?, ?, ?, ?, ?)",
        (event.id, alert, event.state, event.message, event.num, event.ts_us),
    )


def unresolved(connection: sqlite3.Connection, rule: str, device: str, dedup_key: str) -> str | None:
    """The alert of this cause that is not resolved."""
    row = connection.execute(
        "SELECT id FROM alerts WHERE rule = ? AND device = ? AND dedup_key = ? AND state <> 'resolved'",
        (rule, device, dedup_key),
    ).fetchone()
    return None if row is None else str(row[0])


def open_alert(connection: sqlite3.Connection, event: "AlertRecord") -> None:
    """Opens the alert of a raise."""
    connection.execute(
        "INSERT INTO alerts (id, rule, device, severity, dedup_key, state, message, num, opened_us, last_us) "
        "VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?, ?)",
        (
            event.id,
            event.rule,
            event.device,
            event.severity.value,
            event.dedup_key,
            event.message,
            event.num,
            event.ts_us,
            event.ts_us,
        ),
    )


def count_up(connection: sqlite3.Connection, alert: str, event: "AlertRecord") -> None:
    """Notes a repeated raise: what it says now is what is shown."""
    connection.execute(
        "UPDATE alerts SET occurrences = occurrences + 1, last_us = max(last_us, ?), message = ?, num = ?, "
        "severity = ? WHERE id = ?",
        (event.ts_us, event.message, event.num, event.severity.value, alert),
    )


def resolve(connection: sqlite3.Connection, alert: str, at_us: int, by: str) -> None:
    """Ends an alert."""
    connection.execute(
        "UPDATE alerts SET state = 'resolved', resolved_us = ?, resolved_by = ? WHERE id = ?", (at_us, by, alert)
    )


def acknowledge(connection: sqlite3.Connection, alert: str, at_us: int, by: str) -> None:
    """Somebody takes care of an open alert; one that is acknowledged stays as it is."""
    connection.execute(
        "UPDATE alerts SET state = 'acknowledged', acknowledged_us = ?, acknowledged_by = ? "
        "WHERE id = ? AND state = 'open'",
        (at_us, by, alert),
    )


def prune(connection: sqlite3.Connection, kept_events: int, kept_resolved: int) -> None:
    """Removes the oldest events, and the oldest resolved alerts, beyond these numbers."""
    connection.execute("DELETE FROM alert_events WHERE seq <= (SELECT max(seq) FROM alert_events) - ?", (kept_events,))
    connection.execute(
        "DELETE FROM alerts WHERE state = 'resolved' AND seq <= (SELECT seq FROM alerts WHERE state = 'resolved' "
        "ORDER BY seq DESC LIMIT 1 OFFSET ?)",
        (kept_resolved,),
    )
