"""Traces: what a device and the gateway say to each other, packet by packet, for a while."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from mohhos.api.auth import Operate, Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.times import iso
from mohhos.errors import MohhosError
from mohhos.hub import native

if TYPE_CHECKING:
    from mohhos._native import TracePart

router = APIRouter(prefix="/devices/{device}/trace", tags=["traces"])

BATCH: Final = 500
PAUSE_S: Final = 0.1
KEEP_ALIVE_S: Final = 15.0
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class TraceBody(BaseModel):
    """The bounds of a trace; it ends with the first that is reached."""

    model_config = ConfigDict(extra="forbid")
    seconds: int = Field(60, ge=1, le=3600)
    max_bytes: int = Field(1 << 20, ge=1 << 10, le=16 << 20, description="of packets in words, in memory")
    max_per_second: int = Field(1_000, ge=1, le=10_000, description="what comes faster is counted and left out")
    payload_bytes: int = Field(0, ge=0, le=65_536, description="how much of each payload is shown; 0 for nothing")


def _view(device: str, part: "TracePart") -> dict[str, Any]:
    return {"device": device, "until": iso(part["until_us"]), "ended": part["ended"], "left_out": part["left_out"]}


def _unknown(device: str) -> MohhosError:
    return MohhosError(
        "trace-unknown",
        f'"{device}" is not traced',
        "no trace was begun, or it was stopped",
        f"Begin one: POST /api/v1/devices/{device}/trace",
        device=device,
    )


@router.post("", status_code=201, responses=responses(400, 401, 403, 404, 409))
async def begin(device: str, services: ServicesOf, _: Operate, body: TraceBody | None = None) -> dict[str, Any]:
    """Traces the device from now on, in place of a trace that it has: connections that it has, those that it opens, and
    those that it is refused. Passwords and authentication data are never shown."""
    await services.devices.get(device)
    bounds = body or TraceBody.model_validate({})
    part = await native.call(
        services.gateway.begin_trace,
        device,
        bounds.seconds,
        bounds.max_bytes,
        bounds.max_per_second,
        bounds.payload_bytes,
    )
    return _view(device, part)


@router.get("", response_class=StreamingResponse, responses=responses(401, 403, 404))
async def read(
    device: str,
    services: ServicesOf,
    _: Read,
    request: Request,
    after: Annotated[int, Query(ge=0, description="the number of the last packet that is known")] = 0,
) -> StreamingResponse:
    """The trace as server-sent events: `packet` for each packet from the first on, `ended` with the reason as the last.

    The event's id is the packet's number, so that a browser goes on where it was.
    """
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() else after
    if await native.call(services.gateway.read_trace, device, after, 0, 0) is None:
        raise _unknown(device)

    async def chunks() -> AsyncIterator[str]:
        known, quiet = after, 0.0
        yield ": open\n\n"
        while not await request.is_disconnected():
            # Without a time-out it never waits, so it needs no thread.
            part = services.gateway.read_trace(device, known, BATCH, 0)
            if part is None:
                yield _event("ended", json.dumps({"reason": "it was stopped"}))
                return
            if part["packets"]:
                yield "".join(_event("packet", text, number) for number, text in part["packets"])
                known, quiet = part["packets"][-1][0], 0.0
                continue
            if part["ended"] is not None:
                yield _event("ended", json.dumps({"reason": part["ended"], "left_out": part["left_out"]}))
                return
            quiet += PAUSE_S
            if quiet >= KEEP_ALIVE_S:
                yield ": still here\n\n"
                quiet = 0.0
            await asyncio.sleep(PAUSE_S)

    return StreamingResponse(chunks(), media_type="text/event-stream", headers=_HEADERS)


def _event(kind: str, data: str, number: int | None = None) -> str:
    return ("" if number is None else f"id: {number}\n") + f"event: {kind}\ndata: {data}\n\n"


@router.delete("", status_code=204, responses=responses(401, 403, 404))
async def end(device: str, services: ServicesOf, _: Operate) -> None:
    """Ends the trace and forgets it."""
    if not await native.call(services.gateway.end_trace, device):
        raise _unknown(device)
