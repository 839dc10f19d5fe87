"""INTERVAL '10' SECOND: lengths of time."""

import re

from mohhos.stream.dialect import Kind
from mohhos.stream.parse.cursor import Cursor
from mohhos.stream.syntax import Interval

__all__ = ["interval"]

_UNITS = {"DAY": 86_400_000_000, "HOUR": 3_600_000_000, "MINUTE": 60_000_000, "SECOND": 1_000_000}
_PLURALS = {"DAYS": "DAY", "HOURS": "HOUR", "MINUTES": "MINUTE", "SECONDS": "SECOND"}
_HINT = "Write INTERVAL '10' SECOND, and likewise MINUTE, HOUR or DAY"


def interval(cursor: Cursor) -> Interval:
    """The interval whose word INTERVAL comes next."""
    start = cursor.take().span
    value = cursor.take()
    if value.kind is not Kind.STRING:
        cursor.fail(value.span, "rule-syntax", "the length of an interval is a 'string'", _HINT)
    unit_token = cursor.take()
    unit = _PLURALS.get(unit_token.word, unit_token.word)
    if unit in ("YEAR", "YEARS", "MONTH", "MONTHS", "QUARTER", "QUARTERS", "WEEK", "WEEKS"):
        cursor.fail(unit_token.span, "rule-unsupported", f"an interval in {unit} has no fixed length here", _HINT)
    if unit not in _UNITS:
        cursor.fail(unit_token.span, "rule-syntax", "the unit of an interval is expected", _HINT)
    if cursor.sees("TO"):
        cursor.later(cursor.token.span, "an interval from one unit TO another", "Write it in the smaller of the units")
    digits = 2
    if cursor.accept("("):
        if cursor.token.kind is not Kind.NUMBER or cursor.token.text not in map(str, range(1, 11)):
            cursor.unexpected("how many digits the interval has, 1 to 10, is expected")
        digits = int(cursor.take().text)
        cursor.expect(")", "after the number of digits")
    pattern = r"-?(\d+)(?:\.(\d{1,6}))?" if unit == "SECOND" else r"-?(\d+)()"
    match = re.fullmatch(pattern, value.text, re.ASCII)
    if match is None:
        cursor.fail(value.span, "rule-syntax", f"{value.text!r} is not a number of {unit}S", _HINT)
    whole, fraction = match[1], match[2] or ""
    if len(whole.lstrip("0")) > digits:
        hint = f"Write {unit}({len(whole)}), or a larger unit"
        cursor.fail(value.span, "rule-syntax", f"Flink takes at most {digits} digits here", hint)
    us = int(whole) * _UNITS[unit] + int((fraction + "000000")[:6] or "0")
    if us % 1000:
        cursor.fail(value.span, "rule-unsupported", "an interval is a whole number of milliseconds", _HINT)
    return Interval(cursor.since(start), -us if value.text.startswith("-") else us)
