"""Telemetry: the latest readings, a time range, buckets, and SQL over the history."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from mohhos.api.auth import Read
from mohhos.api.problems import responses
from mohhos.api.services import Services, ServicesOf
from mohhos.api.times import iso, parse_duration, parse_time
from mohhos.errors import MohhosError
from mohhos.model import Reading

router = APIRouter(tags=["telemetry"])

MAX_BUCKETS = 20_000
Metrics = Annotated[list[str], Query(description="may be repeated; none means all")]
Begin = Annotated[str, Query(alias="from", description="ISO 8601, microseconds, or an age such as -15m")]
End = Annotated[str, Query(alias="to", description="as `from`; `now` by default; exclusive")]


class QueryBody(BaseModel):
    """One SELECT over telemetry(device, metric, ts, num, text, quality) in DuckDB's SQL."""

    model_config = ConfigDict(extra="forbid")
    sql: str = Field(max_length=100_000)
    limit: int = Field(1_000, ge=1, le=100_000)


def reading_view(reading: Reading) -> dict[str, Any]:
    """A reading."""
    return {
        "metric": reading.metric,
        "table": reading.table,
        "ts": reading.ts_us,
        "time": iso(reading.ts_us),
        "num": reading.num,
        "text": reading.text,
        "quality": reading.quality,
    }


def _range(services: Services, begin: str, end: str) -> tuple[int, int]:
    now_us = services.clock.now_us()
    from_us, to_us = parse_time(begin, "from", now_us), parse_time(end, "to", now_us)
    if from_us >= to_us:
        raise MohhosError(
            "request-invalid",
            "The time range is empty",
            f"from ({iso(from_us)}) is not before to ({iso(to_us)})",
            "Swap them, or leave `to` out",
        )
    return from_us, to_us


@router.get("/devices/{device}/latest", responses=responses(401, 403, 404, 503))
async def latest(device: str, services: ServicesOf, _: Read) -> dict[str, Any]:
    """The newest reading of each metric."""
    await services.devices.get(device)
    return {"items": [reading_view(r) for r in await services.history.latest(device)], "next": None}


@router.get("/devices/{device}/telemetry", responses=responses(400, 401, 403, 404, 503))
async def readings(
    device: str,
    services: ServicesOf,
    _: Read,
    metric: Metrics = [],  # noqa: B006 - FastAPI copies it
    begin: Begin = "-1h",
    end: End = "now",
    order: Annotated[str, Query(pattern="^(asc|desc)$")] = "asc",
    limit: Annotated[int, Query(ge=1, le=100_000)] = 1_000,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Readings in a time range, by time; each reading once, those not yet in a file included."""
    await services.devices.get(device)
    from_us, to_us = _range(services, begin, end)
    page = await services.history.readings(
        device, metric, from_us, to_us, limit=limit, descending=order == "desc", cursor=cursor
    )
    return {"items": [reading_view(r) for r in page.items], "next": page.cursor}


@router.get("/devices/{device}/telemetry/buckets", responses=responses(400, 401, 403, 404, 503))
async def buckets(
    device: str,
    services: ServicesOf,
    _: Read,
    metric: Metrics = [],  # noqa: B006 - FastAPI copies it
    begin: Begin = "-1h",
    end: End = "now",
    bucket: Annotated[str, Query(description="such as 60s")] = "60s",
    aggregate: Annotated[str, Query(description="of avg, min, max, sum, count, last; comma separated")] = "avg,min,max",
) -> dict[str, Any]:
    """Numbers per metric and bucket of time; a bucket without readings is left out."""
    await services.devices.get(device)
    from_us, to_us = _range(services, begin, end)
    bucket_us = parse_duration(bucket, "bucket")
    if (to_us - from_us) // bucket_us > MAX_BUCKETS:
        raise MohhosError(
            "request-invalid",
            "The buckets are too many",
            f"at most {MAX_BUCKETS} are answered at once",
            "Ask for a shorter range or a longer bucket",
        )
    wanted = [word.strip() for word in aggregate.split(",") if word.strip()]
    return {
        "bucket_us": bucket_us,
        "metrics": await services.history.buckets(device, metric, from_us, to_us, bucket_us, wanted),
    }


@router.post("/query", responses=responses(401, 403, 408, 422, 503))
async def query(body: QueryBody, services: ServicesOf, _: Read) -> dict[str, Any]:
    """Ad-hoc SQL over the history, in the query process: read-only, bounded in time and memory."""
    table = await services.history.sql(body.sql, body.limit)
    return {"columns": list(table.columns), "rows": [list(row) for row in table.rows], "truncated": table.truncated}
