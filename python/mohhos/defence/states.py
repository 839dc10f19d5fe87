"""The states of devices: allow, throttle, quarantine; and the kick, which is an act and no state.

The hub is told first, so that a device that does harm is held within milliseconds, and the registry afterwards; if that
fails the hub is told what the registry still says. What the registry has is put into the hub at each start.
"""

import dataclasses
import json
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.directory import Directory
from mohhos.model import AuditEntry, DeviceState, Notice, Page, State
from mohhos.storage import audit
from mohhos.storage.database import Database

__all__ = ["DeviceStates"]

MAX_REASON: Final = 512
MAX_TOPICS: Final = 64
MAX_RATE: Final = 1_000_000.0
MIN_RATE: Final = 0.001
_COLUMNS: Final = "device, state, rate, topics, reason, operator, since_us"


def _state(row: Sequence[Any]) -> DeviceState:
    return DeviceState(row[0], State(row[1]), row[2], tuple(json.loads(row[3])), *row[4:])


def _get(connection: sqlite3.Connection, device: str) -> DeviceState:
    if connection.execute("SELECT 1 FROM devices WHERE id = ?", (device,)).fetchone() is None:
        raise MohhosError(
            "device-unknown",
            f'"{device}" is not known',
            "no device of that id is registered",
            "See mohhos devices ls",
            device=device,
        )
    row = connection.execute(f"SELECT {_COLUMNS} FROM device_states WHERE device = ?", (device,)).fetchone()
    return DeviceState(device) if row is None else _state(row)


def _invalid(what: str, why: str, next_step: str) -> MohhosError:
    return MohhosError("state-invalid", what, why, next_step)


def check(state: DeviceState) -> DeviceState:
    """The state, if it can be meant. Raises MohhosError state-invalid."""
    if not state.reason.strip() and state.state is not State.ALLOW:
        raise _invalid("The state was not changed", "no reason was given", "Say why: whoever looks later will ask")
    if len(state.reason) > MAX_REASON or not (state.reason.isprintable() or not state.reason):
        raise _invalid("The reason is not usable", f"it has at most {MAX_REASON} printable characters", "Shorten it")
    if (state.rate is not None) != (state.state is State.THROTTLE):
        raise _invalid(
            "The rate is not usable", "a throttle has one, in messages per second, and nothing else has", "Correct it"
        )
    if state.rate is not None and not MIN_RATE <= state.rate <= MAX_RATE:
        raise _invalid("The rate is not usable", f"it is not between {MIN_RATE:g} and {MAX_RATE:g}", "Correct it")
    if state.topics and state.state is not State.QUARANTINE:
        raise _invalid("The topics are not usable", "only a quarantine names topics", "Leave them out")
    if len(state.topics) > MAX_TOPICS:
        raise _invalid("The topics are not usable", f"there are more than {MAX_TOPICS}", "Use wildcards")
    return state


class DeviceStates:
    """The states of all devices."""

    def __init__(self, database: Database, clock: Clock, directory: Directory, broadcast: Broadcast) -> None:
        self._database = database
        self._clock = clock
        self._directory = directory
        self._broadcast = broadcast

    async def get(self, device: str) -> DeviceState:
        """The state of a device. Raises MohhosError device-unknown."""
        return await self._database.read(lambda c: _get(c, device))

    async def restricted(self) -> list[DeviceState]:
        """All devices that are throttled or in quarantine, by id."""
        sql = f"SELECT {_COLUMNS} FROM device_states ORDER BY device"
        return await self._database.read(lambda c: [_state(row) for row in c.execute(sql)])

    async def set(self, state: DeviceState) -> DeviceState:
        """Changes the state of a device: on the wire at once, and for every later start.

        Raises MohhosError: device-unknown, state-invalid, invalid-argument (a topic that is no pattern).
        """
        state = dataclasses.replace(check(state), since_us=self._clock.now_us())
        before = await self.get(state.device)
        await self._directory.set_state(state)
        try:
            await self._database.write(lambda connection: _store(connection, state, before))
        except BaseException:
            await self._directory.set_state(before)
            raise
        self._broadcast.publish([Notice("device", view(state))])
        return state

    async def kick(self, device: str, reason: str, operator: str, *, will: bool = False) -> int:
        """Disconnects a device; returns how many connections it had. Its will is not published unless `will`.

        Raises MohhosError: device-unknown, state-invalid (no reason).
        """
        check(DeviceState(device, State.QUARANTINE, reason=reason))
        await self.get(device)
        count = await self._directory.kick(device, reason, will=will)
        now_us = self._clock.now_us()
        await self._database.write(
            lambda c: audit.add(c, now_us, operator, "device.kick", device, reason, connections=count, will=will)
        )
        self._broadcast.publish([Notice("device", {"device": device, "kicked": count, "reason": reason})])
        return count

    async def history(self, subject: str | None, cursor: str | None, limit: int) -> Page[AuditEntry]:
        """Who did what (to one device, role or principal), the newest first. Raises MohhosError cursor-invalid."""
        return await self._database.read(lambda c: audit.page(c, subject, cursor, limit))

    async def put_all(self) -> int:
        """Tells the attached gateway about every restricted device; returns how many there are. For the start."""
        restricted = await self.restricted()
        for state in restricted:
            await self._directory.set_state(state)
        return len(restricted)


def view(state: DeviceState) -> dict[str, Any]:
    """What live subscribers are told of a change."""
    return {"device": state.device, "state": state.state, "rate": state.rate, "reason": state.reason}


def _store(connection: sqlite3.Connection, state: DeviceState, before: DeviceState) -> None:
    # Once more: it may have been removed since.
    _get(connection, state.device)
    connection.execute("DELETE FROM device_states WHERE device = ?", (state.device,))
    if state.state is not State.ALLOW:
        topics = json.dumps(state.topics)
        connection.execute(
            f"INSERT INTO device_states ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (state.device, state.state, state.rate, topics, state.reason, state.operator, state.since_us),
        )
    audit.add(
        connection,
        state.since_us or 0,
        state.operator,
        f"device.{state.state}",
        state.device,
        state.reason,
        before=before.state,
        **({"rate": state.rate} if state.rate else {}),
        **({"topics": list(state.topics)} if state.topics else {}),
    )
