"""Messages between the gateway and the query process: four bytes of length (big endian), then JSON in UTF-8.

Requests, from the gateway:

- `{"op": "codes", "devices": [[code, name], ...], "metrics": [[code, name], ...]}` replaces the names; no reply.
- `{"op": "select", "sql": text, "limit": rows}` runs a statement of ours.
- `{"op": "ask", "files": [paths], "sql": text, "limit": rows}` runs a person's SELECT over `telemetry`.

Replies to `select` and `ask`: `{"columns": [names]}`, then any number of `{"rows": [[values]]}`, then
`{"end": true, "truncated": bool}`; or, instead of any of them, `{"error": message}`, and the query is over.
"""

import asyncio
import json
from typing import Any, BinaryIO, Final

__all__ = ["MAX_MESSAGE", "encode", "read", "receive", "write"]

MAX_MESSAGE: Final = 64 << 20
"""A longer message is a mistake, and is not read."""

_LENGTH: Final = 4

Message = dict[str, Any]


def encode(message: Message) -> bytes:
    """The message with its length."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(_LENGTH, "big") + body


def write(stream: BinaryIO, message: Message) -> None:
    """Writes a message to a pipe."""
    stream.write(encode(message))
    stream.flush()


def read(stream: BinaryIO) -> Message | None:
    """The next message of a pipe, None at its end, be it in the middle of a message. Raises ValueError."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    length = _checked(head)
    body = stream.read(length)
    return _decoded(body) if len(body) == length else None


async def receive(stream: asyncio.StreamReader) -> Message | None:
    """As `read`, without blocking the event loop."""
    try:
        length = _checked(await stream.readexactly(_LENGTH))
        return _decoded(await stream.readexactly(length))
    except asyncio.IncompleteReadError:
        return None


def _checked(head: bytes) -> int:
    length = int.from_bytes(head, "big")
    if length > MAX_MESSAGE:
        raise ValueError(f"a message of {length} bytes")
    return length


def _decoded(body: bytes) -> Message:
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("a message that is no object")
    return message
