"""One simulated device on one MQTT connection: publishes readings, answers commands, comes back after an outage."""

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import aiomqtt

from mohhos.sim.behaviour import Behaviour

__all__ = ["Broker", "Progress", "end_if_cancelled", "run_device"]

KEEP_ALIVE_S: Final = 60
RETRY_S: Final = (0.5, 20.0)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Broker:
    """Where to connect."""

    host: str
    port: int


@dataclass
class Progress:
    """What a fleet has done, for the person who watches."""

    connected: int = 0
    sent: int = 0
    commands: int = 0
    failures: int = 0
    last_failure: str = ""


async def run_device(
    broker: Broker,
    behaviour: Behaviour,
    secret: str,
    period_s: float,
    progress: Progress,
    now_s: Callable[[], float] = time.time,
) -> None:
    """Runs until cancelled. Periods are met on a fixed grid with a phase of its own, so that a fleet does not pulse."""
    phase = random.Random(behaviour.device).random() * period_s
    retry_s = RETRY_S[0]
    while True:
        try:
            async with aiomqtt.Client(
                broker.host,
                broker.port,
                username=behaviour.device,
                password=secret,
                identifier=behaviour.device,
                protocol=aiomqtt.ProtocolVersion.V5,
                keepalive=KEEP_ALIVE_S,
                max_queued_outgoing_messages=100,
            ) as client:
                progress.connected += 1
                retry_s = RETRY_S[0]
                try:
                    await client.subscribe(f"devices/{behaviour.device}/commands/+", qos=1)
                    end_if_cancelled()
                    async with asyncio.TaskGroup() as group:
                        group.create_task(_answer(client, behaviour, progress))
                        group.create_task(_publish(client, behaviour, period_s, phase, progress, now_s))
                finally:
                    progress.connected -= 1
        except* aiomqtt.MqttError as failures:
            progress.failures += 1
            progress.last_failure = str(failures.exceptions[0])
        end_if_cancelled()
        await asyncio.sleep(retry_s * random.uniform(0.5, 1.5))
        retry_s = min(RETRY_S[1], retry_s * 2)


def end_if_cancelled() -> None:
    """Raises the cancellation of this task again, if what it waited for has swallowed it.

    `asyncio.wait_for` of Python 3.11, in which aiomqtt waits for acknowledgements, returns a result that comes in the
    same turn as the cancellation (cpython issue 86296). A loop around it would then never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def _publish(
    client: aiomqtt.Client,
    behaviour: Behaviour,
    period_s: float,
    phase: float,
    progress: Progress,
    now_s: Callable[[], float],
) -> None:
    topic = f"devices/{behaviour.device}/telemetry"
    while True:
        now = now_s()
        await asyncio.sleep(period_s - (now - phase) % period_s)
        at = now_s()
        readings = behaviour.step(at)
        if readings is None:
            continue
        await client.publish(topic, json.dumps({"ts": round(at * 1000), **readings}), qos=1)
        progress.sent += 1
        end_if_cancelled()


async def _answer(client: aiomqtt.Client, behaviour: Behaviour, progress: Progress) -> None:
    async for message in client.messages:
        result = _carry_out(behaviour, message.payload)
        await client.publish(f"{message.topic}/result", json.dumps(result), qos=1)
        progress.commands += 1
        end_if_cancelled()


def _carry_out(behaviour: Behaviour, payload: Any) -> dict[str, Any]:
    try:
        command = json.loads(payload)
        return {"status": "succeeded", "output": behaviour.command(command["name"], command.get("parameters"))}
    except (ValueError, KeyError, TypeError) as error:
        return {"status": "failed", "output": str(error)}
