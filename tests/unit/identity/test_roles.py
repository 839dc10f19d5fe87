import json
from types import ModuleType
from typing import Any

import pytest
from tests.support.clock import ManualClock

from mohhos.errors import MohhosError
from mohhos.hub.directory import role_document
from mohhos.identity.applications import Applications
from mohhos.identity.roles import BUILT_IN, Roles
from mohhos.model import Access, RoleLimits
from mohhos.storage import audit
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio


async def refused(work: Any) -> MohhosError:
    with pytest.raises(MohhosError) as caught:
        await work
    return caught.value


def test_an_observer_publishes_nothing_and_a_device_stays_below_its_own_topic() -> None:
    assert BUILT_IN["observer"].publish == Access()
    device = BUILT_IN["device"]
    assert device.publish.allow == device.subscribe.allow == ("devices/${device}/#",)


def test_the_role_of_devices_is_the_one_that_the_native_gateway_has(native: ModuleType) -> None:
    ours = role_document(BUILT_IN["device"])
    theirs = json.loads(native.built_in_roles())["device"]
    for action in ("publish", "subscribe"):
        assert {"deny": [], **theirs[action]} == ours[action]


async def test_a_role_is_made_replaced_and_removed(roles: Roles) -> None:
    await roles.put("site", {"publish": ["site/#"]})
    await roles.put("site", {"publish": ["site/a"], "subscribe": {"allow": ["site/#"], "deny": ["site/secret"]}})
    role = await roles.get("site")
    assert role.publish == Access(("site/a",))
    assert role.subscribe == Access(("site/#",), ("site/secret",))
    assert role.receive is None
    assert [role.name for role in await roles.list()] == [*BUILT_IN, "site"]
    await roles.delete("site")
    error = await refused(roles.get("site"))
    assert error.code == "role-unknown"
    assert "observer" in error.next_step


async def test_what_was_put_is_what_is_read_again(roles: Roles) -> None:
    document = {
        "description": "people at the line",
        "publish": {"allow": ["lines/${group}/#"], "deny": ["lines/+/stop"]},
        "subscribe": ["#"],
        "receive": {"deny": ["+/secret"]},
        "limits": {"messages_per_s": 0.5, "payload_bytes": 1024},
    }
    put = await roles.put("line", document)
    assert put == await roles.get("line")
    assert put.receive == Access(None, ("+/secret",))
    assert put.limits == RoleLimits(messages_per_s=0.5, payload_bytes=1024)
    assert put.description == "people at the line"
    again = await roles.put("line", {**role_document(put), "description": put.description})
    assert again == put, "what is shown can be put again"


async def test_built_in_roles_and_strange_names_are_refused(roles: Roles) -> None:
    for name in ("device", "observer", "bridge", "", "A", "a b", "a" * 64, "a,b"):
        assert (await refused(roles.put(name, {}))).code == "role-invalid"


async def test_a_role_that_somebody_has_is_not_removed(roles: Roles, applications: Applications) -> None:
    await roles.put("site", {"publish": ["site/#"]})
    await applications.add("panel", "site")
    for name in ("site", "observer"):
        assert (await refused(roles.delete(name))).code == "role-in-use"
    await applications.remove("panel")
    await roles.delete("site")


async def test_whoever_changes_a_role_is_in_the_audit(roles: Roles, database: Database, clock: ManualClock) -> None:
    await roles.put("site", {"publish": ["site/#"]}, "alice")
    await roles.delete("site", "bob")
    page = await database.read(lambda c: audit.page(c, "site"))
    assert [(e.operator, e.action) for e in page.items] == [("bob", "role.delete"), ("alice", "role.put")]
    assert page.items[1].detail["publish"] == {"allow": ["site/#"], "deny": []}
    assert page.items[0].at_us == clock.now_us()
