"""`mohhos alerts`."""

from typing import Final

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console, format_option, table

__all__ = ["command"]

COLUMNS: Final = ("id", "state", "severity", "rule", "device", "message", "occurrences", "last")
_alerts = click.argument("alert", nargs=-1, required=True)


@click.group()
def command() -> None:
    """Alerts: what rules raised for people."""


@command.command("ls")
@click.option(
    "--state",
    multiple=True,
    type=click.Choice(["open", "acknowledged", "resolved"]),
    default=("open", "acknowledged"),
    show_default=True,
    help="May be repeated.",
)
@click.option("--rule", help="Only of this rule.")
@click.option("--device", help="Only of this device.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@format_option
@click.pass_obj
def list_alerts(
    settings: Settings, state: tuple[str, ...], rule: str | None, device: str | None, limit: int, form: str
) -> None:
    """Lists alerts, the newest first."""
    with settings.client() as client:
        table(COLUMNS, client.items("/alerts", limit, state=list(state), rule=rule, device=device), form)


@command.command("ack")
@_alerts
@click.pass_obj
def acknowledge(settings: Settings, alert: tuple[str, ...]) -> None:
    """Says that you take care of alerts."""
    with settings.client() as client:
        for each in alert:
            client.request("POST", f"/alerts/{each}/acknowledge")
            console.print(f"{each} is acknowledged")


@command.command("resolve")
@_alerts
@click.pass_obj
def resolve(settings: Settings, alert: tuple[str, ...]) -> None:
    """Says that alerts are over."""
    with settings.client() as client:
        for each in alert:
            client.request("POST", f"/alerts/{each}/resolve")
            console.print(f"{each} is resolved")
