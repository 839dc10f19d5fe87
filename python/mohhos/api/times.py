"""Times at the edge: ISO 8601 or integer microseconds in, ISO 8601 UTC out."""

import datetime as dt
from typing import Final

from mohhos import units
from mohhos.errors import MohhosError

__all__ = ["iso", "parse_duration", "parse_time"]

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def iso(us: int | None) -> str | None:
    """Microseconds UTC as ISO 8601; None stays None."""
    if us is None:
        return None
    return (_EPOCH + dt.timedelta(microseconds=us)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str, name: str, now_us: int) -> int:
    """Microseconds UTC from an ISO 8601 time, an integer of microseconds, `now`, or an age such as `-15m`.

    A time without a zone is UTC. Raises MohhosError request-invalid.
    """
    text = text.strip()
    if text == "now":
        return now_us
    if text.startswith("-") and not text[1:].isdigit():
        return now_us - parse_duration(text[1:], name)
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        # A plus sign of a zone arrives as a space when it was not percent-encoded.
        moment = dt.datetime.fromisoformat(text.replace(" ", "+") if text.count(" ") == 1 and "T" in text else text)
    except ValueError as error:
        raise MohhosError(
            "request-invalid",
            f"{name} is {text!r}",
            "it is neither an ISO 8601 time, nor microseconds since 1970, nor an age",
            "Write 2026-01-31T12:00:00Z, 1769860800000000, now, or -15m",
            parameter=name,
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def parse_duration(text: str, name: str) -> int:
    """Microseconds of a duration such as `500ms`, `60s`, `5m`, `1h`, `7d`; a bare number is seconds.

    Raises MohhosError request-invalid.
    """
    written = text + "s" if text.isdigit() else text + "in" if text.endswith("m") else text
    try:
        us = units.parse_duration(written)
        if us == 0:
            raise ValueError("it must be longer than nothing")
    except ValueError as error:
        raise MohhosError(
            "request-invalid",
            f"{name} is {text!r}",
            "it is no duration",
            "Write a number and a unit: 500ms, 60s, 5m, 1h, 7d",
            parameter=name,
        ) from error
    return us
