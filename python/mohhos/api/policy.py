"""Who may do what, and why: explanations, roles of principals, states of devices, the audit."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from mohhos.api.auth import Admin, Operate, Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.views import audit_view, principal_view, role_view, state_view
from mohhos.model import DeviceState, State

router = APIRouter(tags=["policy"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AccessBody(_Body):
    """Patterns of topics; deny wins. For `receive`, no `allow` allows everything that was subscribed."""

    allow: list[str] | None = None
    deny: list[str] = []


class LimitsBody(_Body):
    """How much a principal may use, over all its connections."""

    messages_per_s: float | None = None
    bytes_per_s: float | None = None
    payload_bytes: int | None = None
    inflight: int | None = None
    connections: int | None = None


class RoleBody(_Body):
    """A role; a list alone stands for what is allowed. docs/policy.md is the reference of the language."""

    description: str = ""
    publish: list[str] | AccessBody = []
    subscribe: list[str] | AccessBody = []
    receive: list[str] | AccessBody | None = None
    limits: LimitsBody = LimitsBody()


class RolesBody(_Body):
    """The roles of a principal, and the groups of an application (left out: as they are)."""

    roles: list[str]
    groups: list[str] | None = None
    reason: str = Field("", max_length=512)


class StateBody(_Body):
    """What a device may do beside its roles: `rate` (messages/s) for throttle, `topics` for quarantine."""

    state: Literal["allow", "throttle", "quarantine", "kick"]
    reason: str = ""
    rate: float | None = None
    topics: list[str] = []
    will: bool = Field(False, description="of a kick: publish its will, which else is not")


@router.get("/roles", responses=responses(401, 403))
async def list_roles(services: ServicesOf, _: Read) -> dict[str, Any]:
    """All roles, the built-in ones first."""
    return {"items": [role_view(r) for r in await services.roles.list()], "next": None}


@router.get("/roles/{name}", responses=responses(401, 403, 404))
async def show_role(name: str, services: ServicesOf, _: Read) -> dict[str, Any]:
    """One role."""
    return role_view(await services.roles.get(name))


@router.put("/roles/{name}", responses=responses(401, 403, 422))
async def put_role(name: str, body: RoleBody, services: ServicesOf, operator: Admin) -> dict[str, Any]:
    """Makes or replaces a role; connected clients are held to it at once."""
    return role_view(await services.roles.put(name, body.model_dump(), operator.name))


@router.delete("/roles/{name}", status_code=204, responses=responses(401, 403, 404, 409))
async def delete_role(name: str, services: ServicesOf, operator: Admin) -> None:
    """Removes a role that nobody has."""
    await services.roles.delete(name, operator.name)


@router.get("/policy/explain", responses=responses(400, 401, 403, 404))
async def explain(
    services: ServicesOf,
    _: Read,
    principal: str,
    action: str,
    topic: Annotated[str, Query(description="a topic; for subscribe, a topic filter")],
    client: Annotated[str, Query(description="a client id: what ${client} stands for")] = "",
) -> dict[str, Any]:
    """Whether a principal may `publish`, `subscribe` or `receive`, which rule decides, and why."""
    found = await services.policy.explain(principal, action, topic, client)
    return {"principal": principal, "action": action, "topic": topic, **found}


@router.get("/principals/{name}", responses=responses(401, 403, 404))
async def show_principal(name: str, services: ServicesOf, _: Read) -> dict[str, Any]:
    """A device or application as the policy sees it."""
    return principal_view(await services.policy.get(name))


@router.put("/principals/{name}/roles", responses=responses(401, 403, 404, 422))
async def assign_roles(name: str, body: RolesBody, services: ServicesOf, operator: Admin) -> dict[str, Any]:
    """Gives a principal these roles instead of those that it had; its live sessions are held to them at once."""
    given = await services.policy.assign(name, body.roles, body.groups, operator.name, body.reason)
    return principal_view(given)


@router.get("/devices/{device}/state", responses=responses(401, 403, 404))
async def show_state(device: str, services: ServicesOf, _: Read) -> dict[str, Any]:
    """Whether the device is throttled or in quarantine, since when, by whom and why."""
    return state_view(await services.states.get(device))


@router.put("/devices/{device}/state", responses=responses(401, 403, 404, 422))
async def set_state(device: str, body: StateBody, services: ServicesOf, operator: Operate) -> dict[str, Any]:
    """Allows, throttles, quarantines or kicks a device: on the wire at once, also behind its parent.

    Throttle and quarantine outlive restarts. A kick ends its connections and nothing else: the answer says how many.
    """
    if body.state == "kick":
        kicked = await services.states.kick(device, body.reason, operator.name, will=body.will)
        return {**state_view(await services.states.get(device)), "kicked": kicked}
    state = DeviceState(device, State(body.state), body.rate, tuple(body.topics), body.reason, operator.name)
    return state_view(await services.states.set(state))


@router.get("/device-states", responses=responses(401, 403))
async def list_states(services: ServicesOf, _: Read) -> dict[str, Any]:
    """All devices that are throttled or in quarantine."""
    return {"items": [state_view(s) for s in await services.states.restricted()], "next": None}


@router.get("/audit", responses=responses(400, 401, 403))
async def list_audit(
    services: ServicesOf,
    _: Read,
    subject: Annotated[str | None, Query(description="a device, role or principal")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Who changed what, when and why, the newest first; go on with `cursor` = `next`."""
    page = await services.states.history(subject, cursor, limit)
    return {"items": [audit_view(entry) for entry in page.items], "next": page.cursor}
