"""Commands to devices, as operators give them."""

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from mohhos.clock import Clock
from mohhos.devices import command_rows as rows
from mohhos.devices import rows as device_rows
from mohhos.devices.command_rows import CommandQuery
from mohhos.errors import MohhosError
from mohhos.hub import native
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.topics import command_topic
from mohhos.model import Command, Notice, Page
from mohhos.storage.database import Database
from mohhos.storage.projection import Projection

if TYPE_CHECKING:
    from mohhos._native import Gateway

__all__ = ["CommandQuery", "Commands"]

MAX_PARAMETERS: Final = 64 * 1024
COMMIT_TIMEOUT_S: Final = 5.0
SWEEP_S: Final = 1.0
JUMP_US: Final = 30 * 1_000_000
_log = logging.getLogger(__name__)


class Commands:
    """All commands. `default_deadline_us` is asked for each command that names no deadline."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        broadcast: Broadcast,
        projection: Projection,
        *,
        gateway: "Gateway",
        default_deadline_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._clock = clock
        self._broadcast = broadcast
        self._projection = projection
        self._gateway = gateway
        self._default_deadline_us = default_deadline_us

    async def send(
        self,
        device: str,
        name: str,
        parameters: Any,
        *,
        issuer: str,
        deadline_us: int | None = None,
    ) -> Command:
        """Gives a command to a device; it is in the log when this returns, and waits there for an offline device.

        Raises MohhosError: device-unknown, command-invalid, projection-behind, and native codes (the log is full).
        """
        await self._database.read(lambda c: device_rows.get(c, device))
        now_us = self._clock.now_us()
        deadline_us = now_us + self._default_deadline_us() if deadline_us is None else deadline_us
        command = secrets.token_hex(16)
        payload = _payload(command, name, parameters, issuer, deadline_us=deadline_us, now_us=now_us)
        offset = await native.call(
            self._gateway.publish,
            command_topic(device, command),
            payload,
            content_type="application/json",
            device=device,
            expiry_s=max(1, (deadline_us - now_us) // 1_000_000),
        )
        await self._projection.wait_applied(offset, COMMIT_TIMEOUT_S)
        return await self.get(command)

    async def get(self, command: str) -> Command:
        """The command. Raises MohhosError command-unknown."""
        return await self._database.read(lambda c: rows.get(c, command))

    async def page(
        self, query: CommandQuery = rows.EVERYTHING, cursor: str | None = None, limit: int = 100
    ) -> Page[Command]:
        """One page, the newest first. Raises MohhosError cursor-invalid."""
        return await self._database.read(lambda c: rows.page(c, query, cursor, limit))

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Expires commands until cancelled."""
        sweeper = Sweeper(self._clock)
        failing = False
        while True:
            await pause(SWEEP_S)
            try:
                expired = await sweeper.sweep(self._database)
            except Exception as error:
                # Tried again in a second; the registry's state is told by the projection, which meets it first.
                if not failing:
                    _log.error("deadlines of commands are not looked at: %s", error)
                failing = True
            else:
                failing = False
                self._broadcast.publish(Notice("command", command) for command in expired)


class Sweeper:
    """Expires commands by the wall clock, and carries their deadlines along when the clock is set.

    A gateway without a battery-backed clock boots in the past; when it learns the time, nothing has expired by that.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_us = clock.now_us() - clock.monotonic_us()

    async def sweep(self, database: Database) -> list[Command]:
        """One look at all deadlines; returns what expired."""
        now_us = self._clock.now_us()
        offset_us = now_us - self._clock.monotonic_us()
        jump_us, self._offset_us = offset_us - self._offset_us, offset_us
        if abs(jump_us) >= JUMP_US:
            moved = await database.write(lambda c: rows.shift_deadlines(c, jump_us))
            _log.warning("the clock jumped by %+d s; %d deadlines of commands moved along", jump_us // 1_000_000, moved)
        return await database.write(lambda c: rows.expire(c, now_us))


def _payload(command: str, name: str, parameters: Any, issuer: str, *, deadline_us: int, now_us: int) -> bytes:
    why = ""
    if not name or len(name) > 128 or not name.isprintable():
        why = "its name has 1 to 128 printable characters"
    elif deadline_us <= now_us:
        why = "its deadline has passed already"
    else:
        members = {"id": command, "name": name, "parameters": parameters, "deadline": deadline_us, "issuer": issuer}
        try:
            payload = json.dumps(members, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            why = f"its parameters are no JSON ({error})"
        else:
            if len(payload) <= MAX_PARAMETERS:
                return payload
            why = f"it has {len(payload)} bytes, and {MAX_PARAMETERS} is the most"
    raise MohhosError("command-invalid", "The command was not sent", why, "Correct it and send it again")
