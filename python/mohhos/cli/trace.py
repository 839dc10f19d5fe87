"""`mohhos trace`."""

import json
import sys
from typing import Any, Final

import click

from mohhos.cli.context import Settings
from mohhos.cli.output import console
from mohhos.units import parse_duration

__all__ = ["command"]

#: Shown in columns of their own, or of no interest in a line.
_APART: Final = frozenset({"packet", "direction", "at_us", "number", "client", "bytes"})
_DAY_US: Final = 86_400_000_000


@click.command()
@click.argument("device")
@click.option("--for", "length", default="60s", show_default=True, help="For how long (at most 1h).")
@click.option("--payloads", type=click.IntRange(0, 65_536), default=0, metavar="BYTES", help="Show so much of each.")
@click.option("--rate", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="At most per second.")
@click.option("--stop", is_flag=True, help="Stop the trace that runs.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_obj
def command(settings: Settings, device: str, length: str, payloads: int, rate: int, stop: bool, form: str) -> None:
    """Shows what DEVICE and the gateway say to each other, packet by packet, until the time is over (Ctrl-C ends it).

    Also how it is refused, if it is. Passwords are never shown, payloads only with --payloads.
    """
    path = f"/devices/{device}/trace"
    with settings.client() as client:
        if stop:
            client.request("DELETE", path)
            return
        try:
            seconds = max(1, parse_duration(length) // 1_000_000)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--for") from error
        body = {"seconds": seconds, "payload_bytes": payloads, "max_per_second": rate}
        client.request("POST", path, json=body)
        try:
            for kind, data in client.events(path):
                if form == "json":
                    sys.stdout.write(json.dumps({"event": kind, **data}, ensure_ascii=False) + "\n")
                elif kind == "packet":
                    console.print(line(data), markup=False)
                else:
                    left_out = data.get("left_out", 0)
                    more = f"; {left_out} packets came too fast and were left out" if left_out else ""
                    console.print(f"ended: {data['reason']}{more}", markup=False)
        except KeyboardInterrupt:
            client.request("DELETE", path)


def line(packet: dict[str, Any]) -> str:
    """A packet in one line: time of day (UTC), direction, type, what it says, length."""
    of_day = packet["at_us"] % _DAY_US
    seconds = of_day // 1_000_000
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{of_day % 1_000_000 // 1000:03}"
    arrow = {"in": "->", "out": "<-"}.get(packet.get("direction", ""), "--")
    said = " ".join(f"{name}={_short(value)}" for name, value in packet.items() if name not in _APART and value != "")
    length = f" ({packet['bytes']} bytes)" if "bytes" in packet else ""
    return f"{clock} {packet['client']} {arrow} {packet['packet']} {said}{length}"


def _short(value: Any) -> str:
    return value if isinstance(value, str) and " " not in value else json.dumps(value, ensure_ascii=False)
