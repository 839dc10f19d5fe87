"""`mohhos login`."""

import os

import click

from mohhos.cli.context import Settings, token_file
from mohhos.cli.output import console
from mohhos.client.api import ApiClient

__all__ = ["command"]


@click.command()
@click.option("--forget", is_flag=True, help="Forget the token instead.")
@click.pass_obj
def command(settings: Settings, forget: bool) -> None:
    """Asks for a token, tries it, and remembers it for this user (a file that only this user can read)."""
    path = token_file()
    if forget:
        path.unlink(missing_ok=True)
        console.print("The token is forgotten")
        return
    token = click.prompt("Token", hide_input=True).strip()
    with ApiClient(settings.api_url(), token) as client:
        client.request("GET", "/overview")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token + "\n")
    console.print(f"Signed in; the token is in {path}")
