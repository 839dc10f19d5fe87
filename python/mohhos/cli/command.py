"""`mohhos command`."""

import json

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import format_option, record

__all__ = ["command"]


@click.command()
@click.argument("device")
@click.argument("name")
@click.argument("parameters", default="null")
@click.option("--deadline", type=click.FloatRange(min=0, min_open=True), help="Seconds that it may take.")
@click.option("--wait", type=click.FloatRange(0, 60), default=0, help="Seconds to wait for the result.")
@format_option
@click.pass_obj
def command(
    settings: Settings, device: str, name: str, parameters: str, deadline: float | None, wait: float, form: str
) -> None:
    """Sends the command NAME with PARAMETERS (JSON) to DEVICE; it waits for a device that is away."""
    try:
        value = json.loads(parameters)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="PARAMETERS") from error
    body = {"name": name, "parameters": value, "deadline_s": deadline}
    with settings.client() as client:
        record(client.request("POST", f"/devices/{device}/commands", json=body, wait=wait or None), form)
