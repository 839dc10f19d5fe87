"""Outside /api/v1: health, metrics, error pages."""

import importlib.resources
import re
from typing import Any, Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse

from mohhos.api.auth import Read
from mohhos.api.prometheus import exposition
from mohhos.api.services import ServicesOf
from mohhos.errors import KINDS, MohhosError
from mohhos.hub import native

router = APIRouter(tags=["health"])
_CODE: Final = re.compile(r"[a-z0-9-]{1,64}")


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(services: ServicesOf) -> JSONResponse:
    """Devices can connect and what they send is kept; 503 with the reasons while that is not so."""
    reasons = [alarm.code for alarm in services.conditions.list()]
    body: dict[str, Any] = {"status": "not ready" if reasons else "ready", "reasons": reasons}
    return JSONResponse(body, 503 if reasons else 200)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(services: ServicesOf, _: Read) -> PlainTextResponse:
    """Prometheus text format 0.0.4. Aggregates only: the number of series does not grow with the number of devices."""
    stats = await native.call(services.gateway.stats)
    rules = await native.call(services.gateway.rules)
    latencies = await native.call(services.gateway.latencies)
    summary = await services.devices.summary()
    groups = await services.alerts.groups()
    text = exposition(stats, rules, summary.by_status, sum(g.unacknowledged for g in groups), latencies)
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


@router.get("/errors/{code}", response_class=PlainTextResponse)
async def error_page(code: str) -> PlainTextResponse:
    """The page of an error code: what it means and what to do."""
    if _CODE.fullmatch(code) is None or code not in KINDS:
        raise MohhosError("path-unknown", f'"{code}" is no error code', "no page has that name", "See docs/errors")
    page = importlib.resources.files("mohhos").joinpath("error_pages", f"{code}.md")
    return PlainTextResponse(page.read_text(encoding="utf-8"), media_type="text/markdown; charset=utf-8")
