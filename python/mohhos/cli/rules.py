"""`mohhos rules`."""

import sys
from pathlib import Path
from typing import Final

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console, format_option, table

__all__ = ["command"]

COLUMNS: Final = ("name", "version", "state", "rows_in", "rows_out", "late", "error")
_FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


def _sql(file: Path) -> str:
    return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")


@click.group()
def command() -> None:
    """Rules: streaming SQL that raises alerts, sends commands and publishes."""


@command.command("ls")
@format_option
@click.pass_obj
def list_rules(settings: Settings, form: str) -> None:
    """Lists rules and how they run."""
    with settings.client() as client:
        table(COLUMNS, client.request("GET", "/rules")["items"], form)


@command.command("show")
@click.argument("name")
@click.pass_obj
def show(settings: Settings, name: str) -> None:
    """Prints the SQL of a rule."""
    with settings.client() as client:
        click.echo(client.request("GET", f"/rules/{name}")["sql"])


@command.command("apply")
@click.argument("file", type=_FILE)
@click.option("--name", help="The rule's name; else that of the file, without .sql.")
@click.pass_obj
def apply(settings: Settings, file: Path, name: str | None) -> None:
    """Deploys the rule in FILE (- for standard input), or replaces it, while the gateway runs."""
    if name is None and str(file) == "-":
        raise click.UsageError("Standard input has no name: give --name")
    name = name or file.stem
    with settings.client() as client:
        rule = client.request("PUT", f"/rules/{name}", json={"sql": _sql(file)})
    console.print(f"{name} runs, version {rule['version']}")


@command.command("check")
@click.argument("file", type=_FILE)
@click.pass_obj
def check(settings: Settings, file: Path) -> None:
    """Says whether the rule in FILE would be taken, and changes nothing."""
    with settings.client() as client:
        client.request("POST", "/rules/check", json={"sql": _sql(file)})
    console.print(f"{file} is right")


@command.command("rm")
@click.argument("name", nargs=-1, required=True)
@click.pass_obj
def remove(settings: Settings, name: tuple[str, ...]) -> None:
    """Stops and removes rules."""
    with settings.client() as client:
        for each in name:
            client.request("DELETE", f"/rules/{each}")
            console.print(f"{each} is removed")
