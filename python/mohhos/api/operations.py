"""For operators of the gateway itself: refusals, dead letters, conditions, statistics, backup."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from mohhos.api.auth import Admin, Read
from mohhos.api.problems import responses
from mohhos.api.services import ServicesOf
from mohhos.api.times import iso
from mohhos.api.views import alarm_view, refusal_view
from mohhos.hub import native

router = APIRouter(tags=["gateway"])


@router.get("/refusals", responses=responses(401, 403))
async def refusals(services: ServicesOf, _: Read, principal: str | None = None) -> dict[str, Any]:
    """Who was refused and why (one principal, or all), the newest first."""
    return {"items": [refusal_view(r) for r in services.refusals.list(principal=principal)], "next": None}


@router.get("/dead-letters", responses=responses(401, 403))
async def dead_letters(services: ServicesOf, _: Read) -> dict[str, Any]:
    """The newest payloads that could not be decoded, with the reason and their head."""
    letters = await native.call(services.gateway.dead_letters)
    return {
        "items": [
            {
                "device": letter["device"],
                "topic": letter["topic"],
                "reason": letter["reason"],
                "head": bytes(letter["head"]).decode("utf-8", "backslashreplace"),
                "time": iso(letter["at_us"]),
            }
            for letter in letters
        ],
        "next": None,
    }


@router.get("/conditions", responses=responses(401, 403))
async def conditions(services: ServicesOf, _: Read) -> dict[str, Any]:
    """What is wrong with the gateway itself now."""
    return {"items": [alarm_view(a) for a in services.conditions.list()], "next": None}


@router.get("/hub", responses=responses(401, 403))
async def hub(services: ServicesOf, _: Read) -> dict[str, Any]:
    """Counters and gauges of hub, log, stream and history, and the hub's latencies as histograms since the start."""
    stats = await native.call(services.gateway.stats)
    return {**stats, "latency": await native.call(services.gateway.latencies)}


@router.post("/backup", responses=responses(401, 403, 503))
async def backup(services: ServicesOf, _: Admin) -> StreamingResponse:
    """A consistent copy of everything as a tar file, made while the gateway runs."""
    directory = tempfile.TemporaryDirectory(prefix="backup-", dir=services.config().data_dir)
    archive = Path(directory.name) / "backup.tar"
    try:
        await services.backup.write(archive)
    except BaseException:
        directory.cleanup()
        raise

    def chunks() -> Iterator[bytes]:
        with directory, archive.open("rb") as file:
            while chunk := file.read(1 << 20):
                yield chunk

    headers = {
        "Content-Disposition": 'attachment; filename="mohhos-backup.tar"',
        "Content-Length": str(archive.stat().st_size),
    }
    return StreamingResponse(chunks(), media_type="application/x-tar", headers=headers)
