"""How devices are connected: one in full, and all of them as one Arrow table."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Response

from mohhos.api import arrow
from mohhos.api.auth import Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.times import iso
from mohhos.api.views import refusal_view
from mohhos.hub import native
from mohhos.model import Refusal

__all__ = ["connection_view", "router"]

router = APIRouter(tags=["devices"])
REFUSALS: Final = 32


def connection_view(found: Mapping[str, Any], refusals: list[Refusal]) -> dict[str, Any]:
    """What the hub tells of a device's connection, in the words of the API."""
    bounds = found["latency_bounds_us"]
    return {
        **_timed(found, "since", "last_seen"),
        "commit_latency": _histogram(bounds, found["commit_latency"]),
        "delivery_latency": _histogram(bounds, found["delivery_latency"]),
        "sessions": [
            {**_timed(session, "since"), "topics": [_timed(topic, "last") for topic in session["topics"]]}
            for session in found["sessions"]
        ],
        "history": [_timed(visit, "since", "until") for visit in found["history"]],
        "refusals": [refusal_view(refusal) for refusal in refusals],
    }


def _timed(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The values, with ISO 8601 times in place of microseconds; without the bounds, which stand at the histograms."""
    times = {f"{name}_us": name for name in names}
    kept = {times.get(k, k): iso(v) if k in times else v for k, v in values.items()}
    kept.pop("latency_bounds_us", None)
    return kept


def _histogram(bounds_us: list[int], counts: list[int]) -> list[dict[str, Any]]:
    """The newer ones count in full, older ones less: the shape is what matters. `le_ms` is None for the rest."""
    return [
        {"le_ms": None if bound is None else bound / 1000, "count": count}
        for bound, count in zip([*bounds_us, None], counts, strict=True)
    ]


@router.get("/devices/{device}/connection", responses=responses(401, 403, 404))
async def connection(device: str, services: ServicesOf, _: Read) -> dict[str, Any]:
    """How the device is connected: its sessions with their terms, subscriptions, queues and latest topics; what it has
    sent and received; drops by cause, latencies, refusals with reasons; its last connections and why they ended."""
    await services.devices.get(device)
    found = await native.call(services.gateway.connection, device)
    if found is None:
        return {"connected": False}
    return connection_view(found, services.refusals.list(REFUSALS, device))


@router.get(
    "/hub/devices",
    response_class=Response,
    responses={200: {"content": {arrow.MEDIA_TYPE: {}}}, **responses(401, 403)},
)
async def device_table(services: ServicesOf, _: Read) -> Response:
    """What is counted for all devices, by id, as one Arrow IPC stream (for pyarrow, Polars and others)."""
    rows, columns = await native.call(services.gateway.device_table)
    return Response(arrow.stream(rows, columns), media_type=arrow.MEDIA_TYPE)
