"""Commands to a device."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from mohhos.api.auth import Operate, Read
from mohhos.api.problems import responses
from mohhos.api.services import Services, ServicesOf
from mohhos.api.views import command_view
from mohhos.devices.commands import CommandQuery
from mohhos.errors import MohhosError
from mohhos.hub.broadcast import Subscription
from mohhos.model import Command

router = APIRouter(prefix="/devices/{device}/commands", tags=["commands"])


class CommandBody(BaseModel):
    """A request to a device. It waits until the deadline for a device that is away."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(examples=["set_level"])
    parameters: Any = None
    deadline_s: float | None = Field(None, gt=0, le=365 * 86_400, description="seconds from now")


@router.get("", responses=responses(400, 401, 403, 404))
async def list_commands(
    device: str,
    services: ServicesOf,
    _: Read,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """One page of the device's commands, the newest first."""
    await services.devices.get(device)
    page = await services.commands.page(CommandQuery(device=device), cursor, limit)
    return {"items": [command_view(c) for c in page.items], "next": page.cursor}


@router.post(
    "",
    status_code=202,
    responses={200: {"description": "The result, with wait"}, **responses(401, 403, 404, 408, 422, 503)},
)
async def send(
    device: str,
    body: CommandBody,
    services: ServicesOf,
    operator: Operate,
    response: Response,
    wait: Annotated[float, Query(ge=0, le=60, description="seconds to wait for the result")] = 0,
) -> dict[str, Any]:
    """Gives a command to a device: 202 when it is queued; with `wait`, 200 with the result or 408."""
    deadline = None if body.deadline_s is None else services.clock.now_us() + round(body.deadline_s * 1e6)
    with services.broadcast.subscribe(["command"]) as changes:
        command = await services.commands.send(
            device, body.name, body.parameters, issuer=operator.name, deadline_us=deadline
        )
        if wait:
            command = await _result(services, changes, command, wait)
            response.status_code = 200
    response.headers["Location"] = f"/api/v1/devices/{device}/commands/{command.id}"
    return command_view(command)


async def _result(services: Services, changes: Subscription, command: Command, wait_s: float) -> Command:
    """The command in its final state. Raises MohhosError command-timeout."""
    try:
        async with asyncio.timeout(wait_s):
            while not command.state.final:
                await changes.next()
                command = await services.commands.get(command.id)
    except TimeoutError as error:
        raise MohhosError(
            "command-timeout",
            f'"{command.device}" has not answered',
            f"no result came within {wait_s:g} s; the command stays {command.state} until its deadline",
            f"Ask again: GET /api/v1/devices/{command.device}/commands/{command.id}",
            command=command.id,
        ) from error
    return command


@router.get("/{command}", responses=responses(401, 403, 404))
async def show(device: str, command: str, services: ServicesOf, _: Read) -> dict[str, Any]:
    """One command with its state and result."""
    found = await services.commands.get(command)
    if found.device != device:
        raise MohhosError(
            "command-unknown", f'"{command}" is not known', f'no command of "{device}" has that id', "List its commands"
        )
    return command_view(found)
