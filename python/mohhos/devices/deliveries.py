"""Commands that devices have acknowledged, as the hub reports it: their state becomes `delivered`."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from mohhos.devices import command_rows as rows
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.model import Notice
from mohhos.storage.database import Database

__all__ = ["Deliveries", "Receipt"]

MAX_WAITING: Final = 50_000
"""Receipts that wait for the registry; the oldest are dropped, and their commands stay `sent` until their results."""

BATCH: Final = 1_000
APPLIED_WITHIN_S: Final = 5.0
RETRY_S: Final = 1.0
_log = logging.getLogger(__name__)


class Receipt(NamedTuple):
    """A device has acknowledged the command that is in the log at `offset`."""

    device: str
    command: str
    offset: int
    at_us: int


class Deliveries:
    """Notes receipts in the registry, each after its command: the hub is quicker than the projection of the log."""

    def __init__(
        self, database: Database, broadcast: Broadcast, wait_applied: Callable[[int, float], Awaitable[None]]
    ) -> None:
        self._database = database
        self._broadcast = broadcast
        self._wait_applied = wait_applied
        self._waiting: deque[Receipt] = deque(maxlen=MAX_WAITING)
        self._arrived = asyncio.Event()

    def note(self, receipts: list[tuple[str, str, int, int]]) -> None:
        """Takes what the hub reports; returns at once."""
        self._waiting.extend(Receipt(*each) for each in receipts)
        self._arrived.set()

    async def run(self, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Notes receipts until cancelled; what the registry does not take now is tried again."""
        while True:
            await self._arrived.wait()
            try:
                await self.step()
            except MohhosError as error:
                _log.warning("deliveries of commands were not noted yet: %s", error)
                await pause(RETRY_S)

    async def step(self) -> None:
        """Notes some of what has come. Raises MohhosError projection-behind, storage-failed; nothing is lost then."""
        batch = [self._waiting[n] for n in range(min(BATCH, len(self._waiting)))]
        if batch:
            await self._wait_applied(max(receipt.offset for receipt in batch), APPLIED_WITHIN_S)
            found = [(receipt.device, receipt.command, receipt.at_us) for receipt in batch]
            delivered = await self._database.write(lambda c: rows.deliver(c, found))
            self._broadcast.publish(Notice("command", command) for command in delivered)
            for receipt in batch:
                # The oldest may have made room for new ones meanwhile.
                if self._waiting and self._waiting[0] == receipt:
                    self._waiting.popleft()
        if not self._waiting:
            self._arrived.clear()
