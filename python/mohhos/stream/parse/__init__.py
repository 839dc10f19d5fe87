"""From text to syntax tree, strictly: one file per part of the language."""

from mohhos.stream.parse.script import parse

__all__ = ["parse"]
