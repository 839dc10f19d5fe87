"""Devices: list, read, register, change, remove."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mohhos.api.auth import Operate, Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.views import device_view
from mohhos.devices.registry import DeviceQuery
from mohhos.errors import MohhosError
from mohhos.model import Device, DeviceStatus, Location, NewDevice

router = APIRouter(prefix="/devices", tags=["devices"])
BULK = 10_000
_ETAG = re.compile(r'(?:W/)?"(\d+)"')


class LocationBody(BaseModel):
    """Where a device is: degrees (WGS 84) and the name of the site."""

    model_config = ConfigDict(extra="forbid")
    lat: float | None = None
    lon: float | None = None
    site: str = ""


class DeviceBody(BaseModel):
    """A device to register."""

    model_config = ConfigDict(extra="forbid")
    id: str = Field(examples=["pump-1"])
    type: str = ""
    model: str = ""
    firmware: str = ""
    location: LocationBody = LocationBody()
    labels: dict[str, str] = {}
    parent: str | None = None

    def new(self) -> NewDevice:
        """As the registry takes it."""
        where = self.location
        return NewDevice(
            self.id,
            self.type,
            self.model,
            self.firmware,
            Location(where.lat, where.lon, where.site),
            self.labels,
            self.parent,
        )


class BulkBody(BaseModel):
    """Devices to register; a parent stands before its children."""

    model_config = ConfigDict(extra="forbid")
    items: list[DeviceBody] = Field(max_length=BULK)


def _labels(texts: list[str]) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts:
        name, colon, value = text.partition(":")
        if not colon:
            raise MohhosError("request-invalid", f"label is {text!r}", "it has no colon", "Write label=name:value")
        pairs.append((name, value))
    return tuple(pairs)


def _answer(device: Device, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{device.version}"'
    return device_view(device)


@router.get("", responses=responses(400, 401, 403))
async def list_devices(
    services: ServicesOf,
    _: Read,
    type: str | None = None,  # noqa: A002 - the name of the query parameter
    status: DeviceStatus | None = None,
    site: str | None = None,
    parent: str | None = None,
    q: Annotated[str, Query(description="the beginning of the id")] = "",
    label: Annotated[list[str], Query(description="name:value, may be repeated")] = [],  # noqa: B006 - FastAPI copies it
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """One page of devices by id; go on with `cursor` = `next`."""
    query = DeviceQuery(type=type, status=status, site=site, prefix=q, parent=parent, labels=_labels(label))
    page = await services.devices.page(query, cursor, limit)
    return {"items": [device_view(d) for d in page.items], "next": page.cursor}


@router.post("", status_code=201, responses=responses(401, 403, 409, 422))
async def register(body: DeviceBody, services: ServicesOf, _: Operate, response: Response) -> dict[str, Any]:
    """Registers a device. `secret` is what it signs in with; it is shown in this answer and never again."""
    device, credentials = await services.devices.create(body.new())
    response.headers["Location"] = f"/api/v1/devices/{device.id}"
    return {**_answer(device, response), "secret": credentials.secret}


@router.post(":bulk", status_code=201, responses=responses(401, 403, 409, 422))
async def register_many(body: BulkBody, services: ServicesOf, _: Operate) -> dict[str, Any]:
    """Registers devices in one transaction, all or none; their secrets are shown in this answer and never again."""
    made = await services.devices.create_many([item.new() for item in body.items])
    return {"items": [{"id": each.device, "secret": each.secret} for each in made]}


@router.get("/{device}", responses=responses(401, 403, 404))
async def show(device: str, services: ServicesOf, _: Read, response: Response) -> dict[str, Any]:
    """One device; its ETag goes into If-Match of a change."""
    return _answer(await services.devices.get(device), response)


@router.patch("/{device}", responses=responses(401, 403, 404, 412, 422))
async def change(
    device: str,
    request: Request,
    services: ServicesOf,
    _: Operate,
    response: Response,
    if_match: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """Changes a device by a JSON merge patch (RFC 7396)."""
    try:
        patch = await request.json()
    except ValueError as error:
        raise MohhosError("request-invalid", "The patch was not taken", "it is not JSON", "Send an object") from error
    if not isinstance(patch, dict):
        raise MohhosError("request-invalid", "The patch was not taken", "it is no object", "Send an object")
    version = None
    if if_match is not None and if_match != "*":
        match = _ETAG.fullmatch(if_match)
        # An ETag that is not one of ours cannot be the present one.
        version = int(match[1]) if match else -1
    return _answer(await services.devices.update(device, patch, version), response)


@router.delete("/{device}", status_code=204, responses=responses(401, 403, 404, 409))
async def remove(device: str, services: ServicesOf, _: Operate) -> None:
    """Removes a device and disconnects it; its history stays until retention."""
    await services.devices.delete(device)


@router.post("/{device}/secret", responses=responses(401, 403, 404))
async def renew_secret(device: str, services: ServicesOf, _: Operate) -> dict[str, Any]:
    """A new secret; the old one stops working at once."""
    credentials = await services.devices.renew_secret(device)
    return {"id": credentials.device, "secret": credentials.secret}
