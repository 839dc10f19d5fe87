"""Server-sent events: live telemetry, alerts, devices that come and go."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from mohhos.api.auth import Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.views import alert_view, command_view, device_view
from mohhos.hub import native
from mohhos.model import Alert, Command, Device, Notice

router = APIRouter(prefix="/events", tags=["events"])

KEEP_ALIVE_S: Final = 15.0
TAP_CAPACITY: Final = 4_096
TAP_BATCH: Final = 512
TAP_PAUSE_S: Final = 0.1
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _event(kind: str, data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def _stream(chunks: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(chunks, media_type="text/event-stream", headers=_HEADERS)


@router.get("/telemetry", responses=responses(401, 403, 404))
async def telemetry(services: ServicesOf, _: Read, request: Request, device: str = "") -> StreamingResponse:
    """Readings as they come (of one device, or of all), in groups; what a slow reader misses is told as `dropped`."""
    if device:
        await services.devices.get(device)
    tap = await native.call(services.gateway.tap_telemetry, device, TAP_CAPACITY)

    async def chunks() -> AsyncIterator[str]:
        try:
            yield ": open\n\n"
            told = 0
            quiet = 0.0
            while not await request.is_disconnected():
                # Without a time-out it never waits, so it needs no thread.
                if rows := tap.next(TAP_BATCH, 0):
                    yield _event("telemetry", rows)
                    quiet = 0.0
                else:
                    quiet += TAP_PAUSE_S
                if (dropped := tap.dropped()) > told:
                    yield _event("dropped", {"count": dropped - told})
                    told = dropped
                if quiet >= KEEP_ALIVE_S:
                    yield ": still here\n\n"
                    quiet = 0.0
                await asyncio.sleep(TAP_PAUSE_S)
        finally:
            tap.close()

    return _stream(chunks())


def _notices(services: ServicesOf, kind: str, view: Callable[[Notice], Any]) -> StreamingResponse:
    async def chunks() -> AsyncIterator[str]:
        with services.broadcast.subscribe([kind]) as changes:
            yield ": open\n\n"
            told = 0
            while True:
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        notice = await changes.next()
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                yield _event(kind, view(notice))
                if changes.dropped > told:
                    yield _event("dropped", {"count": changes.dropped - told})
                    told = changes.dropped

    return _stream(chunks())


def _view(notice: Notice) -> Any:
    data = notice.data
    if isinstance(data, Alert):
        return alert_view(data)
    if isinstance(data, Command):
        return command_view(data)
    return device_view(data) if isinstance(data, Device) else data


@router.get("/alerts", responses=responses(401, 403))
async def alerts(services: ServicesOf, _: Read) -> StreamingResponse:
    """Every change of an alert."""
    return _notices(services, "alert", _view)


@router.get("/devices", responses=responses(401, 403))
async def devices(services: ServicesOf, _: Read) -> StreamingResponse:
    """Devices that come and go."""
    return _notices(services, "device", _view)


@router.get("/commands", responses=responses(401, 403))
async def commands(services: ServicesOf, _: Read) -> StreamingResponse:
    """Every change of a command."""
    return _notices(services, "command", _view)
