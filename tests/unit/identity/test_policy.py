from typing import Any

import pytest

from mohhos.errors import MohhosError
from mohhos.identity.applications import Applications
from mohhos.identity.policy import PrincipalPolicy
from mohhos.identity.roles import Roles
from mohhos.storage import audit
from mohhos.storage.database import Database

pytestmark = pytest.mark.anyio


async def refused(work: Any) -> str:
    with pytest.raises(MohhosError) as caught:
        await work
    return caught.value.code


async def test_a_principal_has_several_roles_and_an_application_groups(
    policy: PrincipalPolicy, applications: Applications, roles: Roles, database: Database
) -> None:
    await roles.put("line", {"publish": ["lines/${group}/#"]})
    await applications.add("panel", "observer")
    given = await policy.assign("panel", ["observer", "line", "line"], ["a", "b"], "alice", "new panel")
    assert (given.roles, given.groups) == (("observer", "line"), ("a", "b"))
    assert await policy.get("panel") == given
    kept = await policy.assign("panel", ["line"])
    assert kept.groups == ("a", "b"), "groups that are not named stay"
    (listed,) = await applications.list()
    assert (listed.roles, listed.groups) == (("line",), ("a", "b"))
    assert await refused(roles.delete("line")) == "role-in-use"
    _, first = (await database.read(lambda c: audit.page(c, "panel"))).items
    assert (first.operator, first.reason, first.detail["before"]) == ("alice", "new panel", ["observer"])


async def test_what_cannot_be_given_is_refused(policy: PrincipalPolicy, applications: Applications) -> None:
    await applications.add("panel", "observer")
    assert await refused(policy.get("nobody")) == "principal-unknown"
    assert await refused(policy.assign("nobody", ["observer"])) == "principal-unknown"
    assert await refused(policy.assign("panel", ["none"])) == "role-unknown"
    assert await refused(policy.assign("panel", ["device"])) == "role-invalid"
    assert await refused(policy.assign("panel", ["observer"] * 17)) == "role-invalid"
    for group in ("", "a/b", "a,b", "+", "a b", "$x"):
        assert await refused(policy.assign("panel", ["observer"], [group])) == "role-invalid"
    assert await refused(policy.explain("panel", "erase", "a")) == "request-invalid"


async def test_without_a_gateway_nothing_can_be_explained(policy: PrincipalPolicy) -> None:
    assert await refused(policy.explain("panel", "publish", "a")) == "principal-unknown"
