import sqlite3
from typing import Any

import pytest
from tests.support.clock import ManualClock

from mohhos.defence.states import DeviceStates
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.directory import Directory
from mohhos.model import DeviceState, State
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio


class Hub(Directory):
    """A directory that notes what the hub is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, State]] = []
        self.kicked: list[tuple[str, str, bool]] = []

    async def set_state(self, state: DeviceState) -> None:
        self.told.append((state.device, state.state))

    async def kick(self, principal: str, text: str, *, will: bool) -> int:
        self.kicked.append((principal, text, will))
        return 2


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def states(database: Database, clock: ManualClock, hub: Hub) -> DeviceStates:
    def add(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO devices (id, created_us) VALUES ('pump', 0), ('lamp', 0)")

    await database.write(add)
    return DeviceStates(database, clock, hub, Broadcast())


async def refused(work: Any) -> str:
    with pytest.raises(MohhosError) as caught:
        await work
    return caught.value.code


def quarantine(device: str = "pump", **fields: Any) -> DeviceState:
    return DeviceState(device, State.QUARANTINE, **{"reason": "it scans", "operator": "alice", **fields})


async def test_a_state_is_kept_with_who_when_and_why_and_put_at_the_next_start(
    states: DeviceStates, hub: Hub, clock: ManualClock
) -> None:
    assert await states.get("pump") == DeviceState("pump")
    await states.set(quarantine(topics=("devices/${device}/repair/#",)))
    await states.set(DeviceState("lamp", State.THROTTLE, rate=2.5, reason="too loud", operator="bob"))
    found = await states.get("pump")
    assert (found.state, found.reason, found.operator) == (State.QUARANTINE, "it scans", "alice")
    assert (found.topics, found.since_us) == (("devices/${device}/repair/#",), clock.now_us())
    assert (await states.get("lamp")).rate == 2.5
    hub.told.clear()
    assert await states.put_all() == 2
    assert hub.told == [("lamp", State.THROTTLE), ("pump", State.QUARANTINE)]
    await states.set(DeviceState("pump", operator="alice"))
    assert (await states.get("pump")).state is State.ALLOW
    assert [s.device for s in await states.restricted()] == ["lamp"]
    page = await states.history("pump", None, 10)
    assert [(e.action, e.operator, e.reason) for e in page.items] == [
        ("device.allow", "alice", ""),
        ("device.quarantine", "alice", "it scans"),
    ]


async def test_a_kick_is_an_act_with_a_reason_and_leaves_no_state(states: DeviceStates, hub: Hub) -> None:
    assert await states.kick("pump", "it misbehaves", "alice") == 2
    assert hub.kicked == [("pump", "it misbehaves", False)]
    assert (await states.get("pump")).state is State.ALLOW
    (entry,) = (await states.history("pump", None, 10)).items
    assert (entry.action, entry.reason, entry.detail) == (
        "device.kick",
        "it misbehaves",
        {"connections": 2, "will": False},
    )
    assert await refused(states.kick("pump", " ", "alice")) == "state-invalid"
    assert await refused(states.kick("nobody", "x", "alice")) == "device-unknown"


@pytest.mark.parametrize(
    "state",
    [
        quarantine(reason=""),
        quarantine(reason="x" * 513),
        quarantine(reason="a\nb"),
        quarantine(rate=1.0),
        quarantine(topics=("a",) * 65),
        DeviceState("pump", State.THROTTLE, reason="x"),
        DeviceState("pump", State.THROTTLE, rate=0.0, reason="x"),
        DeviceState("pump", State.THROTTLE, rate=float("nan"), reason="x"),
        DeviceState("pump", State.THROTTLE, rate=1.0, topics=("a",), reason="x"),
        DeviceState("pump", State.ALLOW, rate=1.0),
    ],
)
async def test_a_state_that_cannot_be_meant_is_refused_and_nobody_is_told(
    states: DeviceStates, hub: Hub, state: DeviceState
) -> None:
    assert await refused(states.set(state)) == "state-invalid"
    assert hub.told == []


async def test_when_the_registry_cannot_store_it_the_hub_is_told_the_old_state_again(
    states: DeviceStates, hub: Hub, database: Database
) -> None:
    await database.write(lambda c: c.execute("DROP TABLE audit"))
    with pytest.raises(MohhosError):
        await states.set(quarantine())
    assert hub.told == [("pump", State.QUARANTINE), ("pump", State.ALLOW)]
    assert (await states.get("pump")).state is State.ALLOW


async def test_the_audit_is_read_page_by_page(states: DeviceStates) -> None:
    for n in range(5):
        await states.set(quarantine(reason=f"{n}"))
    seen, cursor = [], None
    while True:
        page = await states.history(None, cursor, 2)
        seen += [entry.reason for entry in page.items]
        if (cursor := page.cursor) is None:
            break
    assert seen == ["4", "3", "2", "1", "0"]
    assert await refused(states.history(None, "nonsense", 2)) == "cursor-invalid"


async def test_a_device_that_is_removed_takes_its_state_along(states: DeviceStates, database: Database) -> None:
    await states.set(quarantine())
    await database.write(lambda c: c.execute("DELETE FROM devices WHERE id = 'pump'"))
    assert await states.restricted() == []
