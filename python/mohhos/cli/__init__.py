"""The command line: one file per command."""

from mohhos.cli.program import main

__all__ = ["main"]
