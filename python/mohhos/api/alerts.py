"""Alerts: list, read, acknowledge, resolve."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from mohhos.alerts.alerts import AlertQuery
from mohhos.api.auth import Operate, Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.times import iso
from mohhos.api.views import alert_view
from mohhos.model import AlertState, Severity

router = APIRouter(prefix="/alerts", tags=["alerts"])


@router.get("", responses=responses(400, 401, 403))
async def list_alerts(
    services: ServicesOf,
    _: Read,
    state: Annotated[list[AlertState], Query(description="may be repeated")] = [],  # noqa: B006 - FastAPI copies it
    rule: str | None = None,
    device: str | None = None,
    severity: Severity | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: str | None = None,
) -> dict[str, Any]:
    """One page of alerts, the newest first."""
    page = await services.alerts.page(AlertQuery(tuple(state), rule, device, severity), cursor, limit)
    return {"items": [alert_view(a) for a in page.items], "next": page.cursor}


@router.get("/{alert}", responses=responses(401, 403, 404))
async def show(alert: str, services: ServicesOf, _: Read) -> dict[str, Any]:
    """One alert with the newest raises and clears of its life."""
    found = await services.alerts.get(alert)
    events = await services.alerts.events(alert)
    return {
        **alert_view(found),
        "events": [
            {"id": e.id, "state": e.state, "message": e.message, "num": e.num, "time": iso(e.ts_us)} for e in events
        ],
    }


@router.post("/{alert}/acknowledge", responses=responses(401, 403, 404, 409))
async def acknowledge(alert: str, services: ServicesOf, operator: Operate) -> dict[str, Any]:
    """Says that somebody takes care of it."""
    return alert_view(await services.alerts.acknowledge(alert, operator.name))


@router.post("/{alert}/resolve", responses=responses(401, 403, 404, 409))
async def resolve(alert: str, services: ServicesOf, operator: Operate) -> dict[str, Any]:
    """Says that it is over; the next raise of its cause opens a new alert."""
    return alert_view(await services.alerts.resolve(alert, operator.name))
