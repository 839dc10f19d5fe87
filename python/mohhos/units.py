"""Sizes and durations as people write them: "64 MiB", "30 d", and the host and port of an address."""

import ipaddress
import re
from typing import Final

SIZES: Final = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
DURATIONS: Final = {
    "us": 1,
    "ms": 1000,
    "s": 10**6,
    "min": 60 * 10**6,
    "h": 3600 * 10**6,
    "d": 86400 * 10**6,
}
_QUANTITY = re.compile(r"\s*(\d{1,15})\s*([A-Za-z]+)\s*")


def _quantity(text: str, units: dict[str, int]) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None or match[2] not in units:
        raise ValueError(f"write a whole number and one of {', '.join(units)}")
    return int(match[1]) * units[match[2]]


def parse_size(text: str) -> int:
    """Bytes of "64 MiB". Raises ValueError with what is allowed."""
    return _quantity(text, SIZES)


def parse_duration(text: str) -> int:
    """Microseconds of "30 d". Raises ValueError with what is allowed."""
    return _quantity(text, DURATIONS)


def format_quantity(value: int, units: dict[str, int]) -> str:
    """The value in the largest unit that divides it: the text that parses to it again."""
    best = next(iter(units))
    for unit, factor in units.items():
        if value and value % factor == 0 and factor >= units[best]:
            best = unit
    return f"{value // units[best]} {best}"


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:1883" or "[::1]:1883"; the host is a numeric address. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("write ADDRESS:PORT with a port of 0 to 65535 (0: any free port)")
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        raise ValueError('write a numeric address, such as "127.0.0.1:1883", "0.0.0.0:1883" or "[::1]:1883"') from None
    if (address.version == 6) != bracketed:
        raise ValueError("write an IPv6 address in brackets, such as [::1]:1883")
    return str(address), int(port)
