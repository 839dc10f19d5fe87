"""Whether devices are there: status and last seen, from the hub's events.

A change of status is stored with the batch of events that it came in. When devices were seen is gathered and stored
every half minute, some thousands in a transaction, so that other writes get their turn: a hundred thousand devices that
send all the time cost a few per cent of a core. After a crash a time may be so much too early.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from mohhos.clock import Clock
from mohhos.devices import command_rows
from mohhos.hub.broadcast import Broadcast
from mohhos.model import DeviceStatus, Notice
from mohhos.storage.database import Database

if TYPE_CHECKING:
    from mohhos._native import Event

__all__ = ["Presence", "PresenceBatch"]

FLUSH_EVERY_US: Final = 30 * 1_000_000
CHUNK: Final = 5_000


@dataclass(slots=True)
class PresenceBatch:
    """What a batch of events comes to: per device the last status, and when it was first and last seen in it."""

    statuses: dict[str, tuple[DeviceStatus, int]] = field(default_factory=dict)
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Sequence["Event"]) -> "PresenceBatch":
        """Sums up events, which are in the order in which they happened."""
        batch = cls()
        for event in events:
            if event["kind"] == "seen":
                for device, at_us in event["devices"]:
                    batch.see(device, at_us)
            elif event["kind"] == "presence":
                for device, online, since_us in event["principals"]:
                    batch.statuses[device] = (DeviceStatus.ONLINE if online else DeviceStatus.OFFLINE, since_us)
            elif event["kind"] == "connected":
                batch.statuses[event["principal"]] = (DeviceStatus.ONLINE, event["at_us"])
                batch.see(event["principal"], event["at_us"])
            elif event.get("last", True):
                batch.statuses[event["principal"]] = (DeviceStatus.OFFLINE, event["at_us"])
        return batch

    def see(self, device: str, at_us: int) -> None:
        """The device was there at this time."""
        first, last = self.seen.get(device, (at_us, at_us))
        self.seen[device] = (min(first, at_us), max(last, at_us))


class Presence:
    """Keeps the status of devices in the registry."""

    def __init__(self, database: Database, clock: Clock, broadcast: Broadcast) -> None:
        self._database = database
        self._clock = clock
        self._broadcast = broadcast
        self._seen = PresenceBatch()
        self._statuses: dict[str, tuple[DeviceStatus, int]] = {}
        self._flushed_us = clock.monotonic_us()

    async def nobody_is_connected(self) -> int:
        """For the start: whoever was online when the gateway ended is not any more. Returns how many that were."""
        now_us = self._clock.now_us()

        def change(connection: sqlite3.Connection) -> int:
            return connection.execute(
                "UPDATE devices SET status = 'offline', status_since_us = ? WHERE status = 'online'", (now_us,)
            ).rowcount

        return await self._database.write(change)

    async def note(self, events: Sequence["Event"]) -> None:
        """Notes events of kind connected, disconnected, presence and seen; passes over who is no device.

        To be called from time to time without events too, for what was gathered. Raises MohhosError storage-failed;
        what was not stored is kept, and stored with the next call that can.
        """
        batch = PresenceBatch.of(events)
        for device, (first, last) in batch.seen.items():
            self._seen.see(device, first)
            self._seen.see(device, last)
        self._statuses |= batch.statuses
        if self._statuses:
            self._broadcast.publish(await self._database.write(lambda c: apply_statuses(c, self._statuses)))
            self._statuses = {}
        if self._clock.monotonic_us() - self._flushed_us >= FLUSH_EVERY_US:
            await self.flush()

    async def flush(self) -> None:
        """Stores when devices were seen. Raises MohhosError storage-failed; what was not stored is kept."""
        self._flushed_us = self._clock.monotonic_us()
        while chunk := dict(islice(self._seen.seen.items(), CHUNK)):
            await self._database.write(partial(apply_seen, seen=chunk))
            for device in chunk:
                del self._seen.seen[device]


def apply_seen(connection: sqlite3.Connection, seen: dict[str, tuple[int, int]]) -> None:
    """Stores when devices were first and last seen; neither ever goes the wrong way."""
    connection.executemany(
        "UPDATE devices SET first_seen_us = min(ifnull(first_seen_us, ?1), ?1), "
        "last_seen_us = max(ifnull(last_seen_us, ?2), ?2) WHERE id = ?3",
        [(first, last, device) for device, (first, last) in seen.items()],
    )


def apply_statuses(connection: sqlite3.Connection, statuses: dict[str, tuple[DeviceStatus, int]]) -> list[Notice]:
    """Stores statuses; returns what changed about them, and about commands that were waiting."""
    notices = []
    for device, (status, at_us) in statuses.items():
        changed = connection.execute(
            "UPDATE devices SET status = ?1, status_since_us = ?2 WHERE id = ?3 AND status <> ?1",
            (status.value, at_us, device),
        )
        if changed.rowcount:
            notices.append(Notice("device", {"device": device, "status": status.value, "since_us": at_us}))
    online = {device: at_us for device, (status, at_us) in statuses.items() if status is DeviceStatus.ONLINE}
    if online:
        apply_seen(connection, {device: (at_us, at_us) for device, at_us in online.items()})
        sent = command_rows.send_queued(connection, list(online), max(online.values()))
        notices += [Notice("command", command) for command in sent]
    return notices
