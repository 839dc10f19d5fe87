"""`mohhos restore`."""

from pathlib import Path

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console
from mohhos.storage.backup import restore

__all__ = ["command"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.pass_obj
def command(settings: Settings, file: Path) -> None:
    """Fills the configured data directory, which must be empty or missing, from the backup FILE."""
    target = settings.configuration.data_dir
    with console.status(f"unpacking to {target}"):
        restore(file, target)
    console.print(f"{target} is restored; start the gateway with: mohhos up")
