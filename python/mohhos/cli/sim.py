"""`mohhos sim`."""

import asyncio
import json
import sys
import time
from pathlib import Path

import aiomqtt
import click
from rich.live import Live
from rich.progress import Progress as ProgressBar
from rich.text import Text

from mohhos.cli.context import Settings
from mohhos.cli.output import console
from mohhos.errors import MohhosError
from mohhos.sim.credentials import enrol
from mohhos.sim.device import Broker, Progress
from mohhos.sim.fleet import FleetPlan, plan
from mohhos.sim.recording import built_in, load_map, read
from mohhos.sim.replay import replay
from mohhos.sim.run import run_fleet
from mohhos.units import parse_bind

__all__ = ["command"]

FAULT_GAP_S = 600.0


def _broker(settings: Settings, given: str | None) -> Broker:
    if given is None:
        try:
            ports = json.loads(settings.configuration.endpoints.read_text())["mqtt"]
            given = f"127.0.0.1:{next(iter(ports.values()))}"
        except (OSError, ValueError, KeyError, StopIteration):
            given = settings.configuration.mqtt.listeners[0].bind
    try:
        host, port = parse_bind(given)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--mqtt") from error
    return Broker(host, port)


@click.command(epilog=f"Maps that come with the program: {', '.join(built_in())}.")
@click.option("--devices", type=click.IntRange(1, 20_000), default=30, show_default=True, help="How many devices.")
@click.option(
    "--rate", type=click.FloatRange(0, min_open=True), help="Messages a second of all together; default one a device."
)
@click.option("--faults", is_flag=True, help="Inject faults; their times are printed with --truth.")
@click.option(
    "--truth", type=click.Path(dir_okay=False, path_type=Path), help="Write the injected faults as JSON here."
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed behaves the same.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Stop after so long; else at Ctrl-C.")
@click.option("--replay", "recording", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A CSV file.")
@click.option("--map", "map_name", help="How to read the CSV file: a TOML file or a name from below.")
@click.option("--device", help="The device that replays; default: the file's name.")
@click.option("--speed", type=click.FloatRange(0), default=1.0, show_default=True, help="0: as fast as possible.")
@click.option("--mqtt", help="ADDRESS:PORT of the gateway's MQTT listener; found by itself on this machine.")
@click.pass_obj
def command(
    settings: Settings,
    devices: int,
    rate: float | None,
    faults: bool,
    truth: Path | None,
    seed: int,
    seconds: float | None,
    recording: Path | None,
    map_name: str | None,
    device: str | None,
    speed: float,
    mqtt: str | None,
) -> None:
    """Simulates pumps, air-quality stations and street lights, or replays a recording, over real MQTT connections."""
    broker = _broker(settings, mqtt)
    if recording is not None:
        if map_name is None:
            raise click.UsageError(f"--replay needs --map: a TOML file or one of {', '.join(built_in())}")
        _replay(settings, broker, recording, map_name, device or recording.stem, speed)
        return
    fleet = plan(devices, seed, time.time(), FAULT_GAP_S if faults else None)
    if truth is not None:
        truth.write_text(json.dumps(fleet.truth(), indent=1), encoding="utf-8")
    with settings.client() as client, console.status(f"registering {devices} devices"):
        secrets = enrol(client, _secrets(settings), [member.body for member in fleet.members])
    try:
        asyncio.run(_watch(fleet, secrets, broker, rate or float(devices), seconds))
    except KeyboardInterrupt:
        sys.exit(0)


def _secrets(settings: Settings) -> Path:
    return settings.configuration.data_dir / "run" / "simulator.json"


async def _watch(fleet: FleetPlan, secrets: dict[str, str], broker: Broker, rate: float, seconds: float | None) -> None:
    """Runs the fleet with a line that tells how it goes, for a time or until it is ended."""
    progress = Progress()
    task = asyncio.create_task(run_fleet(fleet, secrets, broker, rate, progress))
    until = None if seconds is None else time.monotonic() + seconds
    try:
        with Live(_line(progress, fleet), console=console, transient=False, auto_refresh=False) as live:
            while not task.done() and (until is None or time.monotonic() < until):
                await asyncio.wait([task], timeout=0.5)
                if console.is_terminal:
                    live.update(_line(progress, fleet), refresh=True)
            live.update(_line(progress, fleet), refresh=True)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _line(progress: Progress, fleet: FleetPlan) -> Text:
    text = f"{progress.connected} of {len(fleet.members)} connected, {progress.sent} messages"
    text += f", {progress.commands} commands"
    if progress.failures:
        text += f", {progress.failures} interruptions (last: {progress.last_failure})"
    return Text(text)


def _replay(settings: Settings, broker: Broker, path: Path, map_name: str, device: str, speed: float) -> None:
    rows = list(read(path, load_map(map_name)))
    with settings.client() as client:
        secret = enrol(client, _secrets(settings), [{"id": device, "type": "recording"}])[device]
    with ProgressBar(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{path.name} as {device}", total=len(rows))
        try:
            sent = asyncio.run(replay(broker, device, secret, rows, speed, lambda n: bar.update(task, completed=n)))
        except aiomqtt.MqttError as error:
            raise MohhosError(
                "replay-interrupted",
                f"The replay of {path.name} ended early",
                str(error),
                "Repeat it: readings that were kept already count once",
            ) from error
        except KeyboardInterrupt:
            sys.exit(0)
    console.print(f"{sent} messages were sent and acknowledged")
