import pytest

from mohhos.errors import MohhosError
from mohhos.identity.applications import Applications
from mohhos.identity.roles import BUILT_IN, Roles, check_filter

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("text", ["#", "+", "a/b", "a/+/c", "a/#", "devices/${device}/#", "/a", "a//b", "${device}/x"])
def test_topic_filters_are_taken(text: str) -> None:
    assert check_filter(text) == text


@pytest.mark.parametrize(
    "text", ["", "a#", "a/#/b", "#/a", "a+/b", "+a", "a/$x", "x${device}", "$SYS/#", "${devices}", "a\0b", "a" * 1025]
)
def test_what_is_no_topic_filter_is_refused(text: str) -> None:
    with pytest.raises(MohhosError) as caught:
        check_filter(text)
    assert caught.value.code == "role-invalid"


def test_an_observer_publishes_nothing_and_a_device_stays_below_its_own_topic() -> None:
    assert BUILT_IN["observer"].publish == ()
    assert BUILT_IN["device"].publish == BUILT_IN["device"].subscribe == ("devices/${device}/#",)


async def test_a_role_is_made_replaced_and_removed(roles: Roles) -> None:
    await roles.put("site", ["site/#"], [])
    await roles.put("site", ["site/a"], ["site/#"])
    assert (await roles.get("site")).publish == ("site/a",)
    assert [role.name for role in await roles.list()] == [*BUILT_IN, "site"]
    await roles.delete("site")
    with pytest.raises(MohhosError) as caught:
        await roles.get("site")
    assert caught.value.code == "role-unknown"
    assert "observer" in caught.value.next_step


async def test_built_in_roles_and_strange_names_are_refused(roles: Roles) -> None:
    for name in ("device", "observer", "bridge", "", "A", "a b", "a" * 64):
        with pytest.raises(MohhosError) as caught:
            await roles.put(name, [], [])
        assert caught.value.code == "role-invalid"
    with pytest.raises(MohhosError) as caught:
        await roles.put("many", ["a"] * 65, [])
    assert caught.value.code == "role-invalid"


async def test_a_role_that_somebody_has_is_not_removed(roles: Roles, applications: Applications) -> None:
    await roles.put("site", ["site/#"], [])
    await applications.add("panel", "site")
    for name in ("site", "observer"):
        with pytest.raises(MohhosError) as caught:
            await roles.delete(name)
        assert caught.value.code == "role-in-use"
    await applications.remove("panel")
    await roles.delete("site")
