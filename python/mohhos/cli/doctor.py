"""`mohhos doctor`."""

import sys

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console
from mohhos.doctor import Finding, examine

__all__ = ["command"]

_MARKS = {"good": ("ok", "green"), "warning": ("warn", "yellow"), "bad": ("FAIL", "bold red")}


def _print(finding: Finding) -> None:
    mark, style = _MARKS[finding.level]
    console.print(f"[{style}]{mark:>4}[/]  {finding.subject}: {finding.what}", markup=True)
    if finding.next_step:
        console.print(f"      → {finding.next_step}", markup=False)


@click.command()
@click.pass_obj
def command(settings: Settings) -> None:
    """Checks limits, disk, clock, ports and permissions of this machine, and says what to do.

    Ends with 1 if something keeps the gateway from running well.
    """
    findings = examine(settings.configuration)
    for finding in findings:
        _print(finding)
    if any(finding.level == "bad" for finding in findings):
        sys.exit(1)
