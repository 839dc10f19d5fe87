"""`mohhos devices quarantine`, `throttle`, `kick` and `release`: what a device may do beside its roles."""

from typing import Any

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console

__all__ = ["COMMANDS"]

_reason = click.option("--reason", required=True, help="Why; it is kept with your name.")


def _set(settings: Settings, devices: tuple[str, ...], body: dict[str, Any]) -> list[dict[str, Any]]:
    with settings.client() as client:
        return [client.request("PUT", f"/devices/{device}/state", json=body) for device in devices]


@click.command("quarantine")
@click.argument("device", nargs=-1, required=True)
@_reason
@click.option("--topic", multiple=True, help="What it may still talk to; ${device} is its id. Else its commands alone.")
@click.pass_obj
def quarantine(settings: Settings, device: tuple[str, ...], reason: str, topic: tuple[str, ...]) -> None:
    """Lets devices talk to named topics alone, at once and until they are released."""
    for state in _set(settings, device, {"state": "quarantine", "reason": reason, "topics": list(topic)}):
        console.print(f"{state['device']} is in quarantine")


@click.command("throttle")
@click.argument("device", nargs=-1, required=True)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), required=True, help="Messages per second.")
@_reason
@click.pass_obj
def throttle(settings: Settings, device: tuple[str, ...], rate: float, reason: str) -> None:
    """Holds devices to a rate: what they send beyond it is read later."""
    for state in _set(settings, device, {"state": "throttle", "reason": reason, "rate": rate}):
        console.print(f"{state['device']} is throttled to {state['rate']:g} messages per second")


@click.command("kick")
@click.argument("device", nargs=-1, required=True)
@_reason
@click.option("--will", is_flag=True, help="Publish the device's will, which else is not.")
@click.pass_obj
def kick(settings: Settings, device: tuple[str, ...], reason: str, will: bool) -> None:
    """Disconnects devices; they may come back at once."""
    for state in _set(settings, device, {"state": "kick", "reason": reason, "will": will}):
        kicked = state["kicked"]
        told = f"is disconnected ({kicked})" if kicked else "was not connected itself; a parent may speak for it"
        console.print(f"{state['device']} {told}")


@click.command("release")
@click.argument("device", nargs=-1, required=True)
@click.option("--reason", default="", help="Why; it is kept with your name.")
@click.pass_obj
def release(settings: Settings, device: tuple[str, ...], reason: str) -> None:
    """Ends quarantine or throttle of devices."""
    for state in _set(settings, device, {"state": "allow", "reason": reason}):
        console.print(f"{state['device']} is allowed")


COMMANDS = (quarantine, throttle, kick, release)
