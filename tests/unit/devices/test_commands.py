import hashlib
from typing import Any

import pytest
from tests.support.clock import ManualClock
from tests.support.records import record

from mohhos.devices import command_rows as rows
from mohhos.devices.command_effect import CommandEffect
from mohhos.devices.commands import Sweeper, _payload
from mohhos.devices.presence import Presence
from mohhos.devices.registry import DeviceRegistry
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.directory import Directory
from mohhos.model import Command, CommandState, NewDevice, Principal, PrincipalKind
from mohhos.storage import principals
from mohhos.storage.database import Database
from mohhos.storage.projection import apply

pytestmark = pytest.mark.anyio


@pytest.fixture
async def log(database: Database, clock: ManualClock) -> "Log":
    registry = DeviceRegistry(database, clock, lambda s: hashlib.sha256(s.encode()).digest(), Directory())
    await registry.create_many([NewDevice("a"), NewDevice("b")])
    return Log(database)


class Log:
    """Applies records one after the other, each at an offset of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.offset = 0

    async def add(self, topic: str, payload: Any, principal: str = "gateway", wall_us: int = 1_000) -> int:
        made = record(self.offset, topic, payload, principal, wall_us)
        self.offset = made["next"]
        notices = await self.database.write(lambda c: apply(c, "registry", [CommandEffect()], [made], made["next"]))
        return len(notices)

    async def get(self, command: str) -> Command:
        return await self.database.read(lambda c: rows.get(c, command))


COMMAND = {"name": "open", "parameters": {"by": 3}, "deadline": 9_000_000, "issuer": "anna"}


async def test_a_command_for_an_absent_device_is_queued_and_sent_when_it_comes(
    log: Log, database: Database, clock: ManualClock
) -> None:
    await log.add("devices/a/commands/c1", COMMAND, wall_us=77)
    command = await log.get("c1")
    assert command == Command("c1", "a", "open", {"by": 3}, "anna", CommandState.QUEUED, 77, 9_000_000, 77, None)
    presence = Presence(database, clock, Broadcast())
    await presence.note([{"kind": "connected", "principal": "b", "at_us": 80}])
    assert (await log.get("c1")).state is CommandState.QUEUED
    await presence.note([{"kind": "connected", "principal": "a", "at_us": 81}])
    assert (await log.get("c1")).state is CommandState.SENT
    await log.add("devices/a/commands/c2", COMMAND)
    assert (await log.get("c2")).state is CommandState.SENT


@pytest.mark.parametrize(("status", "state"), [("succeeded", CommandState.SUCCEEDED), ("failed", CommandState.FAILED)])
async def test_the_devices_result_ends_a_command_and_its_first_final_word_stands(
    log: Log, status: str, state: CommandState
) -> None:
    await log.add("devices/a/commands/c1", COMMAND)
    await log.add("devices/a/commands/c1/result", {"status": "running"}, "a")
    assert (await log.get("c1")).state is CommandState.DELIVERED
    assert await log.add("devices/a/commands/c1/result", {"status": status, "output": [1]}, "a", 55) == 1
    ended = await log.get("c1")
    assert (ended.state, ended.output, ended.updated_us) == (state, [1], 55)
    assert await log.add("devices/a/commands/c1/result", {"status": "running"}, "a") == 0
    assert await log.add("devices/a/commands/c1/result", {"status": "failed", "output": 2}, "a") == 0
    assert await log.get("c1") == ended


@pytest.mark.parametrize("payload", [b"OK", b"\xff", b"[]", b'{"status": "done"}', b'{"status": ["x"]}', b"[" * 9000])
async def test_a_result_that_is_not_understood_is_a_failure_that_says_so(log: Log, payload: bytes) -> None:
    await log.add("devices/a/commands/c1", COMMAND)
    await log.add("devices/a/commands/c1/result", payload, "a")
    command = await log.get("c1")
    assert command.state is CommandState.FAILED
    assert "running" in command.output


async def test_the_same_command_again_changes_nothing(log: Log) -> None:
    await log.add("devices/a/commands/c1", COMMAND)
    await log.add("devices/a/commands/c1/result", {"status": "succeeded"}, "a")
    assert await log.add("devices/a/commands/c1", {**COMMAND, "name": "close"}) == 0
    assert (await log.get("c1")).name == "open"
    assert (await log.get("c1")).state is CommandState.SUCCEEDED


async def test_a_device_commands_nobody_and_applications_command_in_their_own_name(
    log: Log, database: Database
) -> None:
    bridge = Principal("bridge-1", PrincipalKind.APPLICATION, "bridge", b"x" * 32, None)
    await database.write(lambda c: principals.insert(c, [bridge], 1))
    assert await log.add("devices/a/commands/c1", COMMAND, "a") == 0
    assert await log.add("devices/a/commands/c1", COMMAND, "stranger") == 0
    assert await log.add("devices/a/commands/c1", COMMAND, "bridge-1") == 1
    assert (await log.get("c1")).issuer == "bridge-1"
    await log.add("devices/a/commands/c2", {"name": "x", "rule": "hot"})
    assert (await log.get("c2")).issuer == "rule:hot"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("devices/nobody/commands/c1", COMMAND),
        ("devices/a/commands/c1", b"no json"),
        ("devices/a/commands/c1", {"parameters": {}}),
        ("devices/a/commands/c1/result", {"status": "succeeded"}),
        ("devices/a/commands/c1/result/more", {"status": "succeeded"}),
        ("devices/a/telemetry/commands/c1", COMMAND),
    ],
)
async def test_what_is_no_command_has_no_effect(log: Log, topic: str, payload: Any) -> None:
    assert await log.add(topic, payload) == 0
    with pytest.raises(MohhosError) as caught:
        await log.get("c1")
    assert caught.value.code == "command-unknown"


async def test_a_result_below_another_devices_topic_does_not_count(log: Log) -> None:
    await log.add("devices/a/commands/c1", COMMAND)
    assert await log.add("devices/b/commands/c1/result", {"status": "succeeded"}, "b") == 0
    assert (await log.get("c1")).state is CommandState.QUEUED


async def test_a_command_expires_at_its_deadline_and_a_late_result_is_still_noted(
    log: Log, database: Database, clock: ManualClock
) -> None:
    await log.add("devices/a/commands/c1", {**COMMAND, "deadline": clock.now_us() + 10_000_000})
    await log.add("devices/a/commands/c2", {"name": "x"})
    sweeper = Sweeper(clock)
    clock.advance(9.9)
    assert await sweeper.sweep(database) == []
    clock.advance(0.1)
    assert [each.id for each in await sweeper.sweep(database)] == ["c1"]
    assert (await log.get("c1")).state is CommandState.EXPIRED
    assert await sweeper.sweep(database) == []
    await log.add("devices/a/commands/c1/result", {"status": "running"}, "a")
    assert (await log.get("c1")).state is CommandState.EXPIRED
    await log.add("devices/a/commands/c1/result", {"status": "succeeded"}, "a")
    assert (await log.get("c1")).state is CommandState.SUCCEEDED


async def test_a_clock_that_is_set_expires_nothing(log: Log, database: Database, clock: ManualClock) -> None:
    await log.add("devices/a/commands/c1", {**COMMAND, "deadline": clock.now_us() + 10_000_000})
    sweeper = Sweeper(clock)
    clock.set_wall(clock.now_us() + 365 * 86_400 * 1_000_000)
    assert await sweeper.sweep(database) == []
    clock.advance(9)
    assert await sweeper.sweep(database) == []
    clock.advance(2)
    assert [each.id for each in await sweeper.sweep(database)] == ["c1"]


async def test_finished_commands_are_kept_up_to_a_number_and_pending_ones_always(log: Log, database: Database) -> None:
    for i in range(6):
        await log.add(f"devices/a/commands/c{i}", COMMAND)
        if i not in (0, 5):
            await log.add(f"devices/a/commands/c{i}/result", {"status": "succeeded"}, "a")
    await database.write(lambda c: rows.prune(c, 3))
    page = await database.read(lambda c: rows.page(c, rows.EVERYTHING, None, 10))
    assert [each.id for each in page.items] == ["c5", "c4", "c3", "c0"]


async def test_commands_are_paged_the_newest_first(log: Log, database: Database) -> None:
    for i in range(5):
        await log.add(f"devices/{'ab'[i % 2]}/commands/c{i}", COMMAND)
    query = rows.CommandQuery(device="a")
    first = await database.read(lambda c: rows.page(c, query, None, 2))
    assert [each.id for each in first.items] == ["c4", "c2"]
    second = await database.read(lambda c: rows.page(c, query, first.cursor, 2))
    assert ([each.id for each in second.items], second.cursor) == (["c0"], None)


@pytest.mark.parametrize(
    ("name", "parameters", "deadline_us"),
    [("", {}, 5), ("x" * 129, {}, 5), ("x", float("nan"), 5), ("x", object(), 5), ("x", "y" * 70_000, 5), ("x", {}, 1)],
)
def test_a_command_that_is_not_usable_is_refused_before_it_is_sent(
    name: str, parameters: Any, deadline_us: int
) -> None:
    with pytest.raises(MohhosError) as caught:
        _payload("c1", name, parameters, "anna", deadline_us=deadline_us, now_us=1)
    assert caught.value.code == "command-invalid"
