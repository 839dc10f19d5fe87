"""`mohhos devices`."""

from collections.abc import Iterable
from typing import Any, Final

import click

from mohhos.cli.context import Settings
from mohhos.cli.device_states import COMMANDS as STATES
from mohhos.cli.output import console, format_option, record, table

__all__ = ["command"]

COLUMNS: Final = ("id", "status", "type", "model", "firmware", "site", "last_seen")


def _flat(devices: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    return ({**device, "site": device["location"]["site"]} for device in devices)


@click.group()
def command() -> None:
    """Devices: who may connect, and what they are."""


for _state in STATES:
    command.add_command(_state)


@command.command("ls")
@click.option("--type", "kind", help="Only of this type.")
@click.option("--status", type=click.Choice(["online", "offline", "never"]), help="Only with this status.")
@click.option("--site", help="Only at this site.")
@click.option("--label", multiple=True, metavar="NAME:VALUE", help="Only with this label; may be repeated.")
@click.option("--limit", type=click.IntRange(1), default=1000, show_default=True)
@click.argument("prefix", default="")
@format_option
@click.pass_obj
def list_devices(
    settings: Settings,
    kind: str | None,
    status: str | None,
    site: str | None,
    label: tuple[str, ...],
    limit: int,
    prefix: str,
    form: str,
) -> None:
    """Lists devices whose id begins with PREFIX (all without it)."""
    with settings.client() as client:
        found = client.items(
            "/devices", limit, type=kind, status=status, site=site, label=list(label), q=prefix or None
        )
        table(COLUMNS, _flat(found) if form != "json" else found, form)


@command.command("show")
@click.argument("device")
@format_option
@click.pass_obj
def show(settings: Settings, device: str, form: str) -> None:
    """Shows a device, its connection and its latest readings."""
    with settings.client() as client:
        values = client.request("GET", f"/devices/{device}")
        state = client.request("GET", f"/devices/{device}/state")
        values["state"] = state["state"]
        if state["state"] != "allow":
            told = ("rate", "topics", "reason", "operator", "since")
            values |= {f"state_{name}": state[name] for name in told if state[name]}
        values["connection"] = client.request("GET", f"/devices/{device}/connection")
        latest = client.request("GET", f"/devices/{device}/latest")["items"]
    if form == "json":
        record({**values, "latest": latest}, form)
        return
    record(values, form)
    if latest:
        console.print()
        table(("metric", "num", "text", "quality", "time"), latest, form)


@command.command("add")
@click.argument("device")
@click.option("--type", "kind", default="")
@click.option("--model", default="")
@click.option("--firmware", default="")
@click.option("--site", default="")
@click.option("--lat", type=float)
@click.option("--lon", type=float)
@click.option("--parent", help="The device that speaks for it.")
@click.option("--label", multiple=True, metavar="NAME:VALUE", help="May be repeated.")
@format_option
@click.pass_obj
def add(
    settings: Settings,
    device: str,
    kind: str,
    model: str,
    firmware: str,
    site: str,
    lat: float | None,
    lon: float | None,
    parent: str | None,
    label: tuple[str, ...],
    form: str,
) -> None:
    """Registers DEVICE and shows the secret that it signs in with, once."""
    labels = {}
    for text in label:
        name, colon, value = text.partition(":")
        if not colon:
            raise click.BadParameter(f"{text!r} has no colon: write NAME:VALUE", param_hint="--label")
        labels[name] = value
    body = {
        "id": device,
        "type": kind,
        "model": model,
        "firmware": firmware,
        "location": {"lat": lat, "lon": lon, "site": site},
        "labels": labels,
        "parent": parent,
    }
    with settings.client() as client:
        made = client.request("POST", "/devices", json=body)
    if form == "json":
        record(made, form)
        return
    console.print(f"{device} is registered. It signs in over MQTT with")
    record({"user name": device, "password": made["secret"], "publish to": f"devices/{device}/telemetry"}, form)
    console.print("The password is not shown again; mohhos devices secret gives a new one.")


@command.command("secret")
@click.argument("device")
@click.pass_obj
def secret(settings: Settings, device: str) -> None:
    """Gives DEVICE a new secret; the old one stops working at once."""
    with settings.client() as client:
        click.echo(client.request("POST", f"/devices/{device}/secret")["secret"])


@command.command("rm")
@click.argument("device", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(settings: Settings, device: tuple[str, ...], yes: bool) -> None:
    """Removes devices and disconnects them; their history stays until retention."""
    if not yes:
        click.confirm(f"Remove {', '.join(device)}?", abort=True)
    with settings.client() as client:
        for each in device:
            client.request("DELETE", f"/devices/{each}")
            console.print(f"{each} is removed")
