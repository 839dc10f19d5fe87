import hashlib
from typing import TYPE_CHECKING

import pytest
from tests.support.clock import ManualClock

from mohhos.devices import presence as module
from mohhos.devices.presence import Presence, PresenceBatch
from mohhos.devices.registry import DeviceRegistry
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Broadcast
from mohhos.hub.directory import Directory
from mohhos.model import DeviceStatus, NewDevice
from mohhos.storage.database import Database

if TYPE_CHECKING:
    from mohhos._native import Event

pytestmark = pytest.mark.anyio


@pytest.fixture
async def registry(database: Database, clock: ManualClock) -> DeviceRegistry:
    registry = DeviceRegistry(database, clock, lambda s: hashlib.sha256(s.encode()).digest(), Directory())
    await registry.create_many([NewDevice("a"), NewDevice("b")])
    return registry


@pytest.fixture
def broadcast() -> Broadcast:
    return Broadcast()


@pytest.fixture
def presence(database: Database, clock: ManualClock, broadcast: Broadcast) -> Presence:
    return Presence(database, clock, broadcast)


def connected(principal: str, at_us: int) -> "Event":
    return {"kind": "connected", "principal": principal, "client": "c", "at_us": at_us, "protocol": 5}


def disconnected(principal: str, at_us: int, last: bool = True) -> "Event":
    return {"kind": "disconnected", "principal": principal, "client": "c", "at_us": at_us, "last": last}


async def test_a_device_is_online_from_its_connection_to_the_end_of_its_last_one(
    registry: DeviceRegistry, presence: Presence
) -> None:
    await presence.note([connected("a", 10)])
    device = await registry.get("a")
    assert (device.status, device.status_since_us) == (DeviceStatus.ONLINE, 10)
    assert (device.first_seen_us, device.last_seen_us) == (10, 10)
    await presence.note([disconnected("a", 20, last=False)])
    assert (await registry.get("a")).status is DeviceStatus.ONLINE
    await presence.note([disconnected("a", 30)])
    device = await registry.get("a")
    assert (device.status, device.status_since_us) == (DeviceStatus.OFFLINE, 30)
    assert device.version == 1, "its status is no change of its description"
    assert (await registry.get("b")).status is DeviceStatus.NEVER


async def test_the_last_of_several_events_in_one_batch_counts(registry: DeviceRegistry, presence: Presence) -> None:
    await presence.note([connected("a", 1), disconnected("a", 2), connected("a", 3)])
    assert (await registry.get("a")).status is DeviceStatus.ONLINE
    await presence.note([disconnected("a", 4), connected("a", 5), disconnected("a", 6)])
    assert (await registry.get("a")).status_since_us == 6


async def test_how_it_stands_is_noted_where_events_were_dropped(registry: DeviceRegistry, presence: Presence) -> None:
    await presence.note([connected("b", 1)])
    await presence.note([{"kind": "presence", "principals": [("a", True, 3), ("b", False, 4)]}])
    found = [await registry.get(device) for device in "ab"]
    assert [(device.status, device.status_since_us) for device in found] == [
        (DeviceStatus.ONLINE, 3),
        (DeviceStatus.OFFLINE, 4),
    ]


async def test_first_seen_goes_back_and_last_seen_forward_only(registry: DeviceRegistry, presence: Presence) -> None:
    await presence.note([{"kind": "seen", "devices": [("a", 50), ("a", 70), ("b", 5), ("nobody", 1)]}])
    await presence.flush()
    await presence.note([{"kind": "seen", "devices": [("a", 60)]}])
    await presence.flush()
    device = await registry.get("a")
    assert (device.first_seen_us, device.last_seen_us) == (50, 70)
    assert device.status is DeviceStatus.NEVER


async def test_when_devices_were_seen_is_gathered_and_stored_now_and_then(
    registry: DeviceRegistry, presence: Presence, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)
    clock.advance(29)
    await presence.note([{"kind": "seen", "devices": [("a", 1), ("b", 2)]}])
    assert (await registry.get("a")).last_seen_us is None
    clock.advance(1)
    await presence.note([])
    assert [(await registry.get(name)).last_seen_us for name in ("a", "b")] == [1, 2]
    await presence.note([{"kind": "seen", "devices": [("a", 5)]}])
    await presence.note([])
    assert (await registry.get("a")).last_seen_us == 1


async def test_after_a_restart_nobody_is_online(
    registry: DeviceRegistry, presence: Presence, clock: ManualClock
) -> None:
    await presence.note([connected("a", 1)])
    assert await presence.nobody_is_connected() == 1
    device = await registry.get("a")
    assert (device.status, device.status_since_us) == (DeviceStatus.OFFLINE, clock.now_us())


@pytest.mark.usefixtures("registry")
async def test_subscribers_hear_of_changes_of_status_only(presence: Presence, broadcast: Broadcast) -> None:
    with broadcast.subscribe(["device"]) as subscription:
        await presence.note([connected("a", 1), connected("grafana", 1)])
        await presence.note([connected("a", 2)])
        await presence.note([disconnected("a", 3)])
        assert (await subscription.next()).data == {"device": "a", "status": "online", "since_us": 1}
        assert (await subscription.next()).data == {"device": "a", "status": "offline", "since_us": 3}


def test_a_batch_keeps_one_status_and_one_range_per_device() -> None:
    batch = PresenceBatch.of(
        [connected("a", 5), {"kind": "seen", "devices": [("a", 3), ("a", 9)]}, disconnected("a", 8)]
    )
    assert batch.statuses == {"a": (DeviceStatus.OFFLINE, 8)}
    assert batch.seen == {"a": (3, 9)}


async def test_a_change_that_the_registry_did_not_take_is_made_when_it_does(
    registry: DeviceRegistry, presence: Presence, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: object) -> None:
        raise MohhosError("storage-failed", "what", "why", "next")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", full)
        for events in ([connected("a", 10), connected("b", 11)], [disconnected("b", 20)], []):
            with pytest.raises(MohhosError):
                await presence.note(events)
    await presence.note([])
    assert [(d.status, d.status_since_us) for d in [await registry.get("a"), await registry.get("b")]] == [
        (DeviceStatus.ONLINE, 10),
        (DeviceStatus.OFFLINE, 20),
    ]
