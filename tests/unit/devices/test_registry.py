import hashlib
from typing import Any

import pytest
from tests.support.clock import ManualClock

from mohhos.devices.registry import DeviceQuery, DeviceRegistry
from mohhos.errors import MohhosError
from mohhos.hub.directory import Directory
from mohhos.model import DeviceStatus, Location, NewDevice, PrincipalKind
from mohhos.storage import principals
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio


def hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


@pytest.fixture
def registry(database: Database, clock: ManualClock) -> DeviceRegistry:
    return DeviceRegistry(database, clock, hashed, Directory())


async def refused(work: Any) -> MohhosError:
    with pytest.raises(MohhosError) as caught:
        await work
    return caught.value


async def test_a_device_is_registered_with_a_secret_that_only_its_hash_is_kept_of(
    registry: DeviceRegistry, database: Database, clock: ManualClock
) -> None:
    new = NewDevice("pump-1", "pump", "P4", "1.2", Location(48.1, 11.5, "north"), {"line": "3"})
    device, credentials = await registry.create(new)
    assert len(credentials.secret) == 43
    assert (device.id, device.status, device.version) == ("pump-1", DeviceStatus.NEVER, 1)
    assert device.location == Location(48.1, 11.5, "north")
    assert device.labels == {"line": "3"}
    assert device.created_us == clock.now_us()
    principal = await database.read(lambda c: principals.get(c, "pump-1"))
    assert principal is not None
    assert principal.secret == hashed(credentials.secret)
    assert principal.roles == ("device",)
    dump = await database.read(lambda c: "\n".join(c.iterdump()))
    assert credentials.secret not in dump


@pytest.mark.parametrize(
    "device",
    ["", "a/b", "a+b", "#", "$SYS", "a b", ".a", "a.", "ä", "a" * 129, "a\0", "gateway", "anonymous", "a\n", "-a"],
)
async def test_what_cannot_be_a_topic_level_and_user_name_is_no_device_id(
    registry: DeviceRegistry, device: str
) -> None:
    assert (await refused(registry.create(NewDevice(device)))).code == "device-id-invalid"


@pytest.mark.parametrize("device", ["a", "pump-1", "00:1B:44:11:3A:B7", "urn_x.y@z", "a" * 128])
async def test_usual_identifiers_are_device_ids(registry: DeviceRegistry, device: str) -> None:
    assert (await registry.create(NewDevice(device)))[0].id == device


@pytest.mark.parametrize(
    "device",
    [
        NewDevice("d", location=Location(91, 0)),
        NewDevice("d", location=Location(1, None)),
        NewDevice("d", location=Location(float("nan"), 1.0)),
        NewDevice("d", labels={"bad label": "x"}),
        NewDevice("d", labels={f"l{i}": "" for i in range(65)}),
        NewDevice("d", type="x" * 257),
        NewDevice("d", model="a\x1b[31m"),
        NewDevice("d", parent="d"),
        NewDevice("d", parent="nobody"),
        NewDevice("d", secret="short"),
    ],
)
async def test_a_description_that_is_not_usable_is_refused_and_nothing_is_stored(
    registry: DeviceRegistry, device: NewDevice
) -> None:
    assert (await refused(registry.create(device))).code == "device-invalid"
    assert (await registry.page()).items == []


async def test_a_second_device_of_the_same_id_is_refused(registry: DeviceRegistry) -> None:
    await registry.create(NewDevice("d"))
    assert (await refused(registry.create(NewDevice("d")))).code == "device-exists"


async def test_a_code_is_never_used_again_not_even_by_the_same_id(registry: DeviceRegistry) -> None:
    codes = []
    for name in ("a", "b", "b"):
        device, _ = await registry.create(NewDevice(name))
        codes.append(device.code)
        if name == "b":
            await registry.delete("b")
    assert len(set(codes)) == 3
    assert codes == sorted(codes)
    assert codes[0] >= 1


async def test_many_devices_come_in_one_transaction_all_or_none(registry: DeviceRegistry) -> None:
    made = await registry.create_many([NewDevice(f"d{i:04}", "light") for i in range(3000)])
    assert len({each.secret for each in made}) == 3000
    summary = await registry.summary()
    assert (summary.total, summary.by_type) == (3000, {"light": 3000})
    error = await refused(registry.create_many([NewDevice("new"), NewDevice("d0001")]))
    assert error.code == "device-exists"
    assert (await refused(registry.get("new"))).code == "device-unknown"


async def test_pages_go_through_all_devices_once_in_order_of_their_ids(registry: DeviceRegistry) -> None:
    names = [f"d{i}" for i in range(25)]
    await registry.create_many([NewDevice(name) for name in names])
    found: list[str] = []
    cursor = None
    while True:
        page = await registry.page(cursor=cursor, limit=10)
        found += [device.id for device in page.items]
        cursor = page.cursor
        if cursor is None:
            break
        if len(found) == 10:
            await registry.create(NewDevice("a-is-before-the-cursor"))
            await registry.delete("d10")
    assert found == sorted(names)


async def test_a_cursor_of_somebody_elses_making_is_refused(registry: DeviceRegistry) -> None:
    for cursor in ("x", "W10", "", "WzFd", "é"):
        assert (await refused(registry.page(cursor=cursor))).code == "cursor-invalid"


async def test_devices_are_filtered_by_type_status_site_label_and_prefix(
    registry: DeviceRegistry, database: Database
) -> None:
    await registry.create_many(
        [
            NewDevice("pump-1", "pump", location=Location(site="north"), labels={"line": "1", "owner": "x"}),
            NewDevice("pump-2", "pump", location=Location(site="south"), labels={"line": "2", "owner": "x"}),
            NewDevice("pump_2", "light", labels={"line": "1"}),
        ]
    )
    await database.write(lambda c: c.execute("UPDATE devices SET status = 'offline' WHERE id = 'pump-2'"))

    async def ids(**conditions: Any) -> list[str]:
        return [device.id for device in (await registry.page(DeviceQuery(**conditions))).items]

    assert await ids(type="pump") == ["pump-1", "pump-2"]
    assert await ids(status=DeviceStatus.OFFLINE) == ["pump-2"]
    assert await ids(site="north") == ["pump-1"]
    assert await ids(labels=(("line", "1"),)) == ["pump-1", "pump_2"]
    assert await ids(labels=(("line", "1"), ("owner", "x"))) == ["pump-1"]
    assert await ids(prefix="pump_") == ["pump_2"]
    assert await ids(prefix="pump") == ["pump-1", "pump-2", "pump_2"]
    assert await ids(type="pump", labels=(("line", "9"),)) == []
    assert {s.name: s.offline for s in (await registry.summary()).sites if s.offline} == {"south": 1}


async def test_a_merge_patch_changes_what_it_names_and_counts_the_version_up(registry: DeviceRegistry) -> None:
    await registry.create(NewDevice("d", "pump", location=Location(1.0, 2.0, "n"), labels={"a": "1", "b": "2"}))
    patch = {"firmware": "2.0", "labels": {"a": None, "c": "3"}, "location": {"site": "s"}, "type": None}
    device = await registry.update("d", patch)
    assert (device.firmware, device.type, device.version) == ("2.0", "", 2)
    assert device.labels == {"b": "2", "c": "3"}
    assert device.location == Location(1.0, 2.0, "s")
    assert (await registry.page(DeviceQuery(labels=(("a", "1"),)))).items == []
    assert [d.id for d in (await registry.page(DeviceQuery(labels=(("c", "3"),)))).items] == ["d"]
    assert (await registry.update("d", {"location": None})).location == Location()


@pytest.mark.parametrize(
    "patch",
    [
        {"id": "other"},
        {"status": "online"},
        {"labels": []},
        {"labels": {"a": 1}},
        {"location": {"lat": "north", "lon": 1}},
        {"location": {"lat": True, "lon": True}},
        {"location": {"altitude": 1}},
        {"type": 7},
        {"parent": "d"},
    ],
)
async def test_a_patch_that_is_not_usable_changes_nothing(registry: DeviceRegistry, patch: dict[str, Any]) -> None:
    await registry.create(NewDevice("d"))
    assert (await refused(registry.update("d", patch))).code == "device-invalid"
    assert (await registry.get("d")).version == 1


async def test_a_change_made_for_an_older_version_is_refused(registry: DeviceRegistry) -> None:
    await registry.create(NewDevice("d"))
    assert (await registry.update("d", {"model": "a"}, if_version=1)).version == 2
    error = await refused(registry.update("d", {"model": "b"}, if_version=1))
    assert (error.code, error.status, error.fields["version"]) == ("device-changed", 412, 2)


async def test_who_speaks_for_whom_has_no_circle(registry: DeviceRegistry) -> None:
    await registry.create_many([NewDevice("a"), NewDevice("b", parent="a"), NewDevice("c", parent="b")])
    assert (await refused(registry.update("a", {"parent": "c"}))).code == "device-invalid"
    assert (await registry.update("c", {"parent": "a"})).parent == "a"


async def test_a_parent_is_not_removed_before_its_children(registry: DeviceRegistry, database: Database) -> None:
    await registry.create_many([NewDevice("a"), NewDevice("b", parent="a")])
    assert (await refused(registry.delete("a"))).code == "device-has-children"
    await registry.delete("b")
    await registry.delete("a")
    assert (await registry.page()).items == []
    assert await database.read(lambda c: principals.all_of(c, PrincipalKind.DEVICE)) == []


async def test_a_renewed_secret_replaces_the_old_one(registry: DeviceRegistry, database: Database) -> None:
    _, old = await registry.create(NewDevice("d"))
    new = await registry.renew_secret("d")
    principal = await database.read(lambda c: principals.get(c, "d"))
    assert principal is not None
    assert principal.secret == hashed(new.secret) != hashed(old.secret)
    await registry.set_enabled("d", False)
    principal = await database.read(lambda c: principals.get(c, "d"))
    assert principal is not None
    assert not principal.enabled


async def test_an_unknown_device_is_told_with_how_to_register_it(registry: DeviceRegistry) -> None:
    for work in (registry.get("x"), registry.delete("x"), registry.update("x", {}), registry.renew_secret("x")):
        error = await refused(work)
        assert error.code == "device-unknown"
        assert "mohhos devices add x" in error.next_step
