from typing import Any

import pytest
from tests.unit.devices.test_commands import COMMAND, Log, log  # noqa: F401 - a fixture

from mohhos.devices.deliveries import BATCH, Deliveries
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.model import CommandState
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio


class Applied:
    """How far the projection is."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    async def wait(self, offset: int, timeout_s: float) -> None:
        if offset >= self.offset:
            raise MohhosError("projection-behind", "what", "why", f"within {timeout_s}")


async def test_an_acknowledged_command_is_delivered_and_whoever_listens_is_told(log: Log, database: Database) -> None:  # noqa: F811
    await log.add("devices/a/commands/c1", COMMAND, wall_us=10)
    broadcast = Broadcast()
    deliveries = Deliveries(database, broadcast, Applied(log.offset).wait)
    deliveries.note([("a", "c1", 0, 50)])
    with broadcast.subscribe(["command"]) as changes:
        await deliveries.step()
        notice = await changes.next()
    assert (notice.data.state, notice.data.updated_us) == (CommandState.DELIVERED, 50)
    assert await log.get("c1") == notice.data


async def test_a_receipt_waits_for_its_command_to_be_in_the_registry(log: Log, database: Database) -> None:  # noqa: F811
    applied = Applied(0)
    deliveries = Deliveries(database, Broadcast(), applied.wait)
    deliveries.note([("a", "c1", 0, 50)])
    with pytest.raises(MohhosError):
        await deliveries.step()
    await log.add("devices/a/commands/c1", COMMAND)
    applied.offset = log.offset
    await deliveries.step()
    assert (await log.get("c1")).state is CommandState.DELIVERED


@pytest.mark.parametrize("status", ["succeeded", "failed", "running"])
async def test_a_result_that_came_before_stands(log: Log, database: Database, status: str) -> None:  # noqa: F811
    await log.add("devices/a/commands/c1", COMMAND)
    await log.add("devices/a/commands/c1/result", {"status": status, "output": 7}, "a")
    before = await log.get("c1")
    deliveries = Deliveries(database, Broadcast(), Applied(log.offset).wait)
    deliveries.note([("a", "c1", 0, 50)])
    await deliveries.step()
    assert await log.get("c1") == before


async def test_who_acknowledges_another_devices_command_changes_nothing(log: Log, database: Database) -> None:  # noqa: F811
    await log.add("devices/a/commands/c1", COMMAND)
    deliveries = Deliveries(database, Broadcast(), Applied(log.offset).wait)
    deliveries.note([("b", "c1", 0, 50), ("a", "none", 0, 50)])
    await deliveries.step()
    assert (await log.get("c1")).state is CommandState.QUEUED


async def test_many_receipts_are_noted_piece_by_piece(log: Log, database: Database) -> None:  # noqa: F811
    await log.add("devices/a/commands/c1", COMMAND)
    deliveries = Deliveries(database, Broadcast(), Applied(log.offset).wait)
    others: list[Any] = [("a", f"x{n}", 0, 50) for n in range(BATCH)]
    deliveries.note([*others, ("a", "c1", 0, 50)])
    await deliveries.step()
    assert (await log.get("c1")).state is CommandState.QUEUED
    await deliveries.step()
    assert (await log.get("c1")).state is CommandState.DELIVERED
