"""Sends a recording as a device would: with the recorded times, at the recorded pace or faster."""

import asyncio
import json
from collections.abc import Callable, Iterable
from itertools import pairwise

import aiomqtt

from mohhos.sim.device import Broker
from mohhos.sim.recording import Row, payload

__all__ = ["replay"]

INFLIGHT = 32


async def replay(
    broker: Broker,
    device: str,
    secret: str,
    rows: Iterable[Row],
    speed: float,
    sent: Callable[[int], None] = lambda _: None,
) -> int:
    """Publishes every row and waits until all are acknowledged; returns how many. Raises aiomqtt.MqttError.

    `speed` 1 is the recorded pace, 60 a minute a second, 0 as fast as acknowledgements come. A recorded step back in
    time is no wait.
    """
    count = 0
    topic = f"devices/{device}/telemetry"
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username=device,
        password=secret,
        identifier=f"{device}-replay",
        protocol=aiomqtt.ProtocolVersion.V5,
        max_inflight_messages=INFLIGHT,
    ) as client:
        pending: set[asyncio.Task[None]] = set()
        for row, following in pairwise([*rows, None]):
            if row is None:
                break
            pending.add(asyncio.ensure_future(client.publish(topic, json.dumps(payload(row)), qos=1)))
            if len(pending) >= INFLIGHT:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                _raise(done)
            count += 1
            sent(count)
            if speed > 0 and following is not None:
                await asyncio.sleep(max(0.0, (following.ts_us - row.ts_us) / 1e6 / speed))
        await asyncio.gather(*pending)
    return count


def _raise(done: set["asyncio.Task[None]"]) -> None:
    for task in done:
        task.result()
