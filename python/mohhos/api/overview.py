"""The first screen: what needs action, what changed, is data flowing, how is the gateway."""

import shutil
from typing import Any

from fastapi import APIRouter

from mohhos.api.auth import Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.times import iso
from mohhos.api.views import alarm_view, device_view
from mohhos.devices.registry import DeviceQuery
from mohhos.model import DeviceStatus

router = APIRouter(tags=["overview"])
WENT_OFFLINE = 10


@router.get("/overview", responses=responses(401, 403))
async def overview(services: ServicesOf, _: Read) -> dict[str, Any]:
    """Everything that the overview shows, in one answer that does not grow with the number of devices."""
    groups = await services.alerts.groups()
    summary = await services.devices.summary()
    offline = await services.devices.page(DeviceQuery(status=DeviceStatus.OFFLINE), None, WENT_OFFLINE)
    flow = services.flow.flow()
    stats = services.flow.stats
    hub, log, history, process = (stats.get(part, {}) for part in ("hub", "log", "history", "process"))
    disk = shutil.disk_usage(services.config().data_dir)
    rules = await services.rules.list()
    return {
        "alerts": {
            "open": sum(g.unacknowledged for g in groups),
            "acknowledged": sum(g.alerts - g.unacknowledged for g in groups),
            "groups": [
                {
                    "rule": g.rule,
                    "severity": g.severity,
                    "alerts": g.alerts,
                    "devices": g.devices,
                    "open": g.unacknowledged,
                    "last": iso(g.last_us),
                }
                for g in groups
            ],
        },
        "devices": {
            "total": summary.total,
            **{status.value: summary.by_status.get(status.value, 0) for status in DeviceStatus},
            "by_type": summary.by_type,
            "by_site": [
                {"site": s.name, "total": s.total, "offline": s.offline, "lat": s.lat, "lon": s.lon}
                for s in summary.sites
            ],
            "offline_devices": [device_view(d) for d in offline.items],
        },
        "flow": {
            "messages_per_s": flow.messages_per_s,
            "readings_per_s": flow.readings_per_s,
            "baseline_per_s": flow.baseline_per_s,
            "series": flow.series,
            "dropped": hub.get("dropped", 0),
            "dead_letters": hub.get("dead_letters", 0),
            "refusals": hub.get("refused", 0),
            "log_backlog_bytes": log.get("uncommitted_bytes", 0),
        },
        "gateway": {
            "name": services.config().gateway.name,
            "version": services.version,
            "started": iso(services.started_us),
            "connections": hub.get("connections", 0),
            "memory_bytes": process.get("resident_bytes", 0),
            "disk_free_bytes": disk.free,
            "disk_days_left": _days_left(
                disk.free,
                log.get("bytes", 0) + history.get("bytes", 0),
                services.clock.now_us() - services.started_us,
                log.get("bytes_written", 0) + history.get("bytes_written", 0),
            ),
            "clock_synchronised": bool(process.get("clock_synchronised", True)),
            "conditions": [alarm_view(a) for a in services.conditions.list()],
            "rules": len(rules),
            "rules_failed": sum(rule.state == "failed" for rule in rules),
        },
    }


def _days_left(free: int, kept: int, up_us: int, written: int) -> float | None:
    """How long the disk lasts at the rate since the start; None while that is not known (10 minutes) or nothing grows.

    What retention will have deleted by then is not counted against it: it is a pessimistic figure.
    """
    if up_us < 600_000_000 or written == 0 or kept == 0:
        return None
    return round(free / (written / up_us * 86_400e6), 1)
