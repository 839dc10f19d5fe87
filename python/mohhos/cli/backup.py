"""`mohhos backup`."""

import os
from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from mohhos.cli.context import Settings
from mohhos.cli.output import console

__all__ = ["command"]


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.pass_obj
def command(settings: Settings, file: Path, force: bool) -> None:
    """Writes a consistent backup of the running gateway to FILE. It holds secrets: only you can read it."""
    if file.exists() and not force:
        raise click.UsageError(f"{file} exists: choose another name, or say --force")
    part = file.with_name(file.name + ".part")
    bar = Progress(
        TextColumn("backup"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), disable=not console.is_terminal
    )
    try:
        with settings.client() as client, bar:
            task = bar.add_task("backup", total=None)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as out:
                for chunk, total in client.download("POST", "/backup"):
                    out.write(chunk)
                    bar.update(task, advance=len(chunk), total=total or None)
                out.flush()
                os.fsync(out.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    console.print(f"{file} holds {file.stat().st_size:,} bytes")
