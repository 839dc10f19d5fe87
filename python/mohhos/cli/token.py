"""`mohhos token`: works on the data directory itself, so that it needs no token."""

import asyncio
from typing import Final

import click

from mohhos.app import open_registry
from mohhos.cli.context import Settings
from mohhos.cli.output import console, format_option, table
from mohhos.clock import SystemClock
from mohhos.model import Operator

__all__ = ["command"]

COLUMNS: Final = ("id", "name", "scope")


@click.group()
def command() -> None:
    """Operators' tokens, for whoever may read the data directory on this machine."""


@command.command("create")
@click.argument("name")
@click.option("--scope", type=click.Choice(["read", "operate", "admin"]), default="admin", show_default=True)
@click.option("--quiet", is_flag=True, help="Print the token alone.")
@click.pass_obj
def create(settings: Settings, name: str, scope: str, quiet: bool) -> None:
    """Makes a token for NAME and shows it, once. Works while the gateway runs."""

    async def make() -> str:
        async with open_registry(settings.configuration.data_dir, SystemClock()) as registry:
            return (await registry.operators.create(name, scope))[1]

    token = asyncio.run(make())
    if quiet:
        click.echo(token)
        return
    console.print(f"Token of {name} ({scope}), shown once:\n\n  {token}\n")
    console.print("Use it as MOHHOS_TOKEN, with mohhos login, or to sign in to the page.")


@command.command("ls")
@format_option
@click.pass_obj
def list_tokens(settings: Settings, form: str) -> None:
    """Lists tokens, without the tokens themselves."""

    async def load() -> list[Operator]:
        async with open_registry(settings.configuration.data_dir, SystemClock()) as registry:
            return await registry.operators.list()

    rows = ({"id": o.id, "name": o.name, "scope": o.scope.value} for o in asyncio.run(load()))
    table(COLUMNS, rows, form)


@command.command("rm")
@click.argument("token_id")
@click.pass_obj
def revoke(settings: Settings, token_id: str) -> None:
    """Ends a token by its id."""

    async def end() -> None:
        async with open_registry(settings.configuration.data_dir, SystemClock()) as registry:
            await registry.operators.revoke(token_id)

    asyncio.run(end())
    console.print(f"{token_id} is revoked")
