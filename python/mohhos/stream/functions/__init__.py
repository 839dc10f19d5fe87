"""The functions of the language, one file per family. `FUNCTIONS` and `AGGREGATES` are the whole lists."""

from mohhos.stream.functions import conditional, mathematics, text, time
from mohhos.stream.functions.aggregate import AGGREGATES, Aggregate
from mohhos.stream.functions.base import Arguments, Function, Misuse
from mohhos.stream.functions.missing import MISSING

__all__ = ["AGGREGATES", "FUNCTIONS", "MISSING", "Aggregate", "Arguments", "Function", "Misuse"]

FUNCTIONS: dict[str, Function] = {
    **conditional.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **text.FUNCTIONS,
    **time.FUNCTIONS,
}
"""Scalar functions by upper-case name."""
