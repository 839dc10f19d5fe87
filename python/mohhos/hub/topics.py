"""Topics that the gateway itself gives a meaning, and whose records of them count."""

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mohhos._native import LogRecord

__all__ = [
    "ALERTS",
    "COMMANDS",
    "GATEWAY",
    "RESERVED_NAMES",
    "command_topic",
    "from_gateway",
    "json_object",
    "levels_match",
]

GATEWAY: Final = "gateway"
"""The principal of what the gateway publishes itself: rules' results, commands of operators."""

RESERVED_NAMES: Final = frozenset({GATEWAY, "anonymous"})
"""Names that no device and no application may have, for they would be mistaken for the gateway."""

ALERTS: Final = "gateway/alerts/"
COMMANDS: Final = "devices/+/commands/"


def from_gateway(record: "LogRecord") -> bool:
    """Did the gateway publish it? A client with a wide role may write to any topic, but not in the gateway's name."""
    return record["principal"] == GATEWAY


def command_topic(device: str, command: str) -> str:
    """Where a command goes."""
    return f"devices/{device}/commands/{command}"


def levels_match(prefix: str, topic: str) -> bool:
    """Does the topic start with the prefix, in which a level `+` stands for any one level?"""
    wanted, given = prefix.split("/"), topic.split("/")
    if len(given) < len(wanted):
        return False
    whole = zip(wanted[:-1], given, strict=False)
    return all(w in ("+", g) for w, g in whole) and given[len(wanted) - 1].startswith(wanted[-1])


def json_object(payload: bytes) -> dict[str, Any] | None:
    """The JSON object in a payload, None for anything else."""
    try:
        members = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) else None
