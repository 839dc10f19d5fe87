"""Runs a whole fleet until cancelled."""

import asyncio
from collections.abc import Mapping

from mohhos.sim.device import Broker, Progress, run_device
from mohhos.sim.fleet import FleetPlan

__all__ = ["run_fleet"]

CONNECTS_PER_S = 200.0


async def run_fleet(
    plan: FleetPlan, secrets: Mapping[str, str], broker: Broker, rate: float, progress: Progress
) -> None:
    """All devices at once; together they send `rate` messages a second. Connections are opened one after the other."""
    period_s = len(plan.members) / rate
    async with asyncio.TaskGroup() as group:
        for member in plan.members:
            group.create_task(run_device(broker, member.behaviour, secrets[member.device], period_s, progress))
            await asyncio.sleep(1 / CONNECTS_PER_S)
