"""`mohhos applications`."""

from typing import Final

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console, format_option, record, table

__all__ = ["command"]

COLUMNS: Final = ("name", "roles", "groups", "enabled", "created")


@click.group()
def command() -> None:
    """Applications: dashboards, bridges and tools that connect over MQTT."""


@command.command("ls")
@format_option
@click.pass_obj
def list_applications(settings: Settings, form: str) -> None:
    """Lists applications."""
    with settings.client() as client:
        found = client.request("GET", "/applications")["items"]
    joined = ({**each, "roles": ", ".join(each["roles"]), "groups": ", ".join(each["groups"])} for each in found)
    table(COLUMNS, found if form == "json" else joined, form)


@command.command("add")
@click.argument("name")
@click.option("--role", required=True, help="observer reads everything, bridge also publishes; or a role of yours.")
@click.option("--ask-password", is_flag=True, help="Choose the password; else one is generated.")
@format_option
@click.pass_obj
def add(settings: Settings, name: str, role: str, ask_password: bool, form: str) -> None:
    """Lets the application NAME in with a role over any topics."""
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True) if ask_password else None
    body = {"name": name, "role": role, "password": password}
    with settings.client() as client:
        made = client.request("POST", "/applications", json=body)
    if form == "json":
        record(made, form)
        return
    shown = {"user name": name, "role": role}
    if "secret" in made:
        shown["password"] = made["secret"]
    record(shown, form)
    if "secret" in made:
        console.print("The password is not shown again.")


@command.command("rm")
@click.argument("name", nargs=-1, required=True)
@click.pass_obj
def remove(settings: Settings, name: tuple[str, ...]) -> None:
    """Removes applications and disconnects them."""
    with settings.client() as client:
        for each in name:
            client.request("DELETE", f"/applications/{each}")
            console.print(f"{each} is removed")
