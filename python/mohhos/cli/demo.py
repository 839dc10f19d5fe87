"""`mohhos demo`: what `make run` starts."""

import asyncio
import dataclasses
import importlib.resources
import logging
import time
from pathlib import Path

import click

from mohhos.app import GatewayApp
from mohhos.cli.context import Settings
from mohhos.client.api import ApiClient
from mohhos.model import Scope
from mohhos.service import run
from mohhos.sim.credentials import enrol
from mohhos.sim.device import Broker, Progress
from mohhos.sim.fleet import plan
from mohhos.sim.run import run_fleet

__all__ = ["command"]

DEVICES = 24
FAULT_GAP_S = 240.0
SEED = 7
_log = logging.getLogger("mohhos.demo")


@click.command()
@click.option("--devices", type=click.IntRange(1, 5_000), default=DEVICES, show_default=True, help="How many devices.")
@click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="The data directory; default ./data/demo."
)
@click.pass_obj
def command(settings: Settings, devices: int, data: Path | None) -> None:
    """Starts a gateway with a demo fleet (pumps, air-quality stations, street lights with faults) and demo rules."""
    config = settings.configuration
    if settings.config is None or data is not None:
        where = (data or Path("data") / "demo").absolute()
        config = dataclasses.replace(
            config, gateway=dataclasses.replace(config.gateway, name="demo", data_dir=str(where))
        )

    async def beside(app: GatewayApp, url: str) -> None:
        await _fleet(app, url, devices)

    asyncio.run(run(config, lambda: config, beside=beside))


async def _fleet(app: GatewayApp, url: str, devices: int) -> None:
    """Registers the fleet, applies the demo rules that are not there, and runs the fleet until cancelled."""
    fleet = plan(devices, SEED, time.time(), FAULT_GAP_S)
    operator, token = await app.registry.operators.create("demo fleet", Scope.ADMIN)
    try:
        secrets = await asyncio.to_thread(_prepare, app, url, token, [m.body for m in fleet.members])
    finally:
        await app.registry.operators.revoke(operator.id)
    listener = app.config.mqtt.listeners[0]
    broker = Broker(listener.bind.rpartition(":")[0].strip("[]"), app.gateway.ports()[listener.name])
    _log.info("%d simulated devices connect", devices)
    await run_fleet(fleet, secrets, broker, float(devices), Progress())


def _prepare(app: GatewayApp, url: str, token: str, bodies: list[dict[str, object]]) -> dict[str, str]:
    with ApiClient(url, token) as client:
        secrets = enrol(client, app.config.data_dir / "run" / "simulator.json", bodies)
        known = {rule["name"] for rule in client.request("GET", "/rules")["items"]}
        for entry in importlib.resources.files("mohhos.sim").joinpath("rules").iterdir():
            name = entry.name.removesuffix(".sql")
            if entry.name.endswith(".sql") and name not in known:
                client.request("PUT", f"/rules/{name}", json={"sql": entry.read_text(encoding="utf-8")})
    return secrets
