"""Records of the log, as the native gateway hands them out."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mohhos._native import LogRecord


def record(offset: int, topic: str, payload: Any, principal: str = "gateway", wall_us: int = 1_000) -> "LogRecord":
    """One record of 10 bytes; a payload that is not bytes becomes JSON."""
    return {
        "offset": offset,
        "next": offset + 10,
        "principal": principal,
        "device": "",
        "topic": topic,
        "qos": 1,
        "retain": False,
        "wall_us": wall_us,
        "content_type": "application/json",
        "payload": payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
    }
