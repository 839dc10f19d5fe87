"""Projections of the log into the registry: each record's effect and the log offset in one transaction.

A crash between two transactions repeats nothing and leaves nothing out. What a record means is an `Effect`'s business;
it must ignore an id that it has, for rules repeat theirs after a crash (docs/adr/0002).
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from mohhos.clock import Clock
from mohhos.errors import MohhosError
from mohhos.hub import native
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.current import Conditions
from mohhos.hub.topics import levels_match
from mohhos.model import Notice
from mohhos.storage.database import Database

if TYPE_CHECKING:
    from mohhos._native import Gateway, LogRecord

__all__ = ["Effect", "Projection", "apply"]

BATCH: Final = 2_000
WAIT_MS: Final = 500
RETRY_S: Final = 1.0
PACE_S: Final = 0.2
"""Between two looks at the log, unless somebody waits: a busy log is looked through in larger pieces."""
STORED_EVERY: Final = 16 << 20
"""Bytes of the log without anything of interest after which the position is stored all the same."""
BEHIND: Final = "projection-behind"
_log = logging.getLogger(__name__)


class Effect(Protocol):
    """What records of some topics do to the registry."""

    @property
    def prefixes(self) -> Sequence[str]:
        """Topics begin with one of these, in which a level `+` stands for any one level."""

    def apply(self, connection: sqlite3.Connection, record: "LogRecord") -> list[Notice]:
        """The effect of one record, within the transaction; records of other topics have none.

        Never raises because of what a record contains: the log cannot be changed, so such a record is passed over.
        """


def position(connection: sqlite3.Connection, name: str) -> int:
    """The offset up to which (exclusive) the projection has everything; 0 at first."""
    row = connection.execute("SELECT log_offset FROM projections WHERE name = ?", (name,)).fetchone()
    return 0 if row is None else int(row[0])


def apply(
    connection: sqlite3.Connection, name: str, effects: Sequence[Effect], records: Sequence["LogRecord"], following: int
) -> list[Notice]:
    """Applies records and moves the projection on to `following`, within the caller's transaction.

    Records below the projection's position are passed over, so that nothing is applied twice.
    """
    done = position(connection, name)
    notices = [
        notice
        for record in records
        if record["offset"] >= done
        for effect in effects
        if any(levels_match(prefix, record["topic"]) for prefix in effect.prefixes)
        for notice in effect.apply(connection, record)
    ]
    connection.execute(
        "INSERT INTO projections (name, log_offset) VALUES (?, ?) "
        "ON CONFLICT (name) DO UPDATE SET log_offset = max(log_offset, excluded.log_offset)",
        (name, following),
    )
    return notices


class Projection:
    """The task that follows the log and applies effects."""

    def __init__(
        self,
        name: str,
        database: Database,
        effects: Sequence[Effect],
        broadcast: Broadcast,
        *,
        conditions: Conditions,
        clock: Clock,
    ) -> None:
        self.name = name
        self._conditions = conditions
        self._clock = clock
        self._database = database
        self._effects = effects
        self._prefixes = sorted({prefix for effect in effects for prefix in effect.prefixes})
        self._broadcast = broadcast
        self._applied = 0
        self._stored = 0
        self._waiting = 0
        self._awaited = asyncio.Event()
        self._moved = asyncio.Condition()

    @property
    def applied(self) -> int:
        """Everything below this offset is in the registry."""
        return self._applied

    async def hold(self, gateway: "Gateway") -> None:
        """Tells the log what is still needed; before the gateway starts, so that nothing is trimmed meanwhile."""
        self._applied = self._stored = await self._database.read(lambda c: position(c, self.name))
        await native.call(gateway.hold_log, self.name, self._applied)

    async def run(self, gateway: "Gateway", pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Follows the log until cancelled. What fails is tried again, told as a condition; the log holds it."""
        await self.hold(gateway)
        while True:
            try:
                await self._step(gateway)
                await self._rest()
            except Exception as error:
                self._failing(error)
                await pause(RETRY_S)
            else:
                self._conditions.clear(BEHIND)

    def _failing(self, error: Exception) -> None:
        """Tells once that the registry falls behind. The gateway itself goes on: its data do not need the registry."""
        if not self._conditions.holds(BEHIND):
            _log.error("alerts and commands are not up to date", exc_info=error)
        self._conditions.set(BEHIND, f"alerts and commands are not up to date: {error}", self._clock.now_us())

    async def _step(self, gateway: "Gateway") -> None:
        records, following = await native.call(gateway.read_log, self._applied, self._prefixes, BATCH)
        if following == self._applied:
            await native.call(gateway.wait_log, self._applied, WAIT_MS)
            return
        notices: list[Notice] = []
        # A position that moved past telemetry alone costs no synced write each time: a restart scans that again.
        if records or following - self._stored > STORED_EVERY:
            notices = await self._database.write(lambda c: apply(c, self.name, self._effects, records, following))
            await native.call(gateway.hold_log, self.name, following)
            self._stored = following
        async with self._moved:
            self._applied = following
            self._moved.notify_all()
        self._broadcast.publish(notices)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PACE_S):
                await self._awaited.wait()

    async def wait_applied(self, offset: int, timeout_s: float) -> None:
        """Waits until the record at `offset` has had its effect. Raises MohhosError projection-behind."""
        self._waiting += 1
        self._awaited.set()
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self._applied > offset)
        except TimeoutError:
            raise MohhosError(
                BEHIND,
                "The answer is not there yet",
                f"the log has it, and the registry has not caught up within {timeout_s:g} s",
                "Ask again in a moment; if it stays so, look at the disk with mohhos doctor",
            ) from None
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._awaited.clear()
