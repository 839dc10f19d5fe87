"""Alerts, as people handle them."""

import sqlite3

from mohhos.alerts import rows
from mohhos.alerts.rows import AlertEvent, AlertGroup, AlertQuery
from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.model import Alert, AlertState, Notice, Page
from mohhos.storage.database import Database

__all__ = ["AlertEvent", "AlertGroup", "AlertQuery", "Alerts"]


class Alerts:
    """All alerts: list them, acknowledge and resolve them."""

    def __init__(self, database: Database, clock: Clock, broadcast: Broadcast) -> None:
        self._database = database
        self._clock = clock
        self._broadcast = broadcast

    async def get(self, alert: str) -> Alert:
        """The alert. Raises MohhosError alert-unknown."""
        return await self._database.read(lambda c: rows.get(c, alert))

    async def page(
        self, query: AlertQuery = rows.EVERYTHING, cursor: str | None = None, limit: int = 100
    ) -> Page[Alert]:
        """One page, the newest first. Raises MohhosError cursor-invalid."""
        return await self._database.read(lambda c: rows.page(c, query, cursor, limit))

    async def groups(self) -> list[AlertGroup]:
        """What is not resolved, by cause; the worst and newest first."""
        return await self._database.read(rows.groups)

    async def events(self, alert: str, limit: int = 100) -> list[AlertEvent]:
        """The newest raises and clears of an alert. Raises MohhosError alert-unknown."""

        def load(connection: sqlite3.Connection) -> list[AlertEvent]:
            rows.get(connection, alert)
            return rows.events(connection, alert, limit)

        return await self._database.read(load)

    async def acknowledge(self, alert: str, operator: str) -> Alert:
        """Says that somebody takes care of it; a second time changes nothing.

        Raises MohhosError: alert-unknown, alert-resolved.
        """
        now_us = self._clock.now_us()

        def change(connection: sqlite3.Connection) -> Alert:
            _refuse_resolved(rows.get(connection, alert), "acknowledged")
            rows.acknowledge(connection, alert, now_us, operator)
            return rows.get(connection, alert)

        return self._changed(await self._database.write(change))

    async def resolve(self, alert: str, operator: str) -> Alert:
        """Says that it is over; the next raise of its cause opens a new alert.

        Raises MohhosError: alert-unknown, alert-resolved.
        """
        now_us = self._clock.now_us()

        def change(connection: sqlite3.Connection) -> Alert:
            _refuse_resolved(rows.get(connection, alert), "resolved")
            rows.resolve(connection, alert, now_us, operator)
            return rows.get(connection, alert)

        return self._changed(await self._database.write(change))

    def _changed(self, alert: Alert) -> Alert:
        self._broadcast.publish([Notice("alert", alert)])
        return alert


def _refuse_resolved(alert: Alert, action: str) -> None:
    if alert.state is AlertState.RESOLVED:
        raise MohhosError(
            "alert-resolved",
            f'"{alert.id}" cannot be {action}',
            f'"{alert.resolved_by}" resolved it already',
            "Look for a newer alert of the same rule and device",
            alert=alert.id,
        )
