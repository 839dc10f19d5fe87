"""`mohhos up`: the gateway in the foreground."""

import asyncio
import dataclasses

import click

from mohhos.cli.context import Settings
from mohhos.service import run

__all__ = ["command"]


@click.command()
@click.option("--config", type=click.Path(dir_okay=False), help="mohhos.toml, as before the command.")
@click.option("--bind", help="Where the API and the page listen, instead of api.bind.")
@click.pass_obj
def command(settings: Settings, config: str | None, bind: str | None) -> None:
    """Starts the gateway and runs it until Ctrl-C or SIGTERM.

    SIGHUP reads the configuration again and takes over the keys that may change while running.
    """
    if config is not None:
        settings = dataclasses.replace(settings, config=config)
    asyncio.run(run(settings.configuration, settings.reread, bind=bind))
