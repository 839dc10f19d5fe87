"""Cursors of paged lists: opaque to clients, the key of the last item within."""

import base64
import binascii
import json
from typing import Final

from mohhos.errors import MohhosError

MAX_PAGE: Final = 1000


def encode(*keys: str | int) -> str:
    """The cursor that goes on after the item with these keys."""
    return base64.urlsafe_b64encode(json.dumps(keys, separators=(",", ":")).encode()).decode().rstrip("=")


def decode(cursor: str, *kinds: type) -> tuple[str | int, ...]:
    """The keys in a cursor, of the types given. Raises MohhosError cursor-invalid."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        keys = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        keys = None
    if not isinstance(keys, list) or [type(k) for k in keys] != list(kinds):
        raise MohhosError(
            "cursor-invalid",
            "The cursor is not usable",
            "it was not given out by this list",
            "Take the cursor as the page before returned it, or leave it out to start over",
        )
    return tuple(keys)


def page_size(limit: int) -> int:
    """The limit within what one page may have."""
    return max(1, min(limit, MAX_PAGE))
