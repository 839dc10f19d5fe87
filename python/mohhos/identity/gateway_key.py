"""The gateway's own key, under which every generated secret is hashed.

The file `gateway.key` in the data directory: 32 random bytes, readable by the gateway's user alone. Without it no
device and no operator can sign in, so a backup has it.
"""

import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from mohhos.errors import MohhosError

__all__ = ["FILE", "GatewayKey", "load_or_create"]

FILE: Final = "gateway.key"
_SIZE: Final = 32


class GatewayKey:
    """The key in memory; it never shows in a message or a repr."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != _SIZE:
            raise MohhosError(
                "gateway-key-damaged",
                "The gateway key is damaged",
                f"it has {len(key)} bytes instead of {_SIZE}",
                f"Put {FILE} back from a backup; a new key would lock out every device and operator",
            )
        self._key = key

    def hash(self, secret: str) -> bytes:
        """HMAC-SHA-256 of a generated secret, 32 bytes: the same as `mohhos._native.hash_secret`.

        Enough for 256 random bits; a password that a person chose needs Argon2id instead.
        """
        return hmac.new(self._key, secret.encode(), hashlib.sha256).digest()

    def reveal(self) -> bytes:
        """The key itself, for the native configuration."""
        return self._key


def load_or_create(directory: Path) -> GatewayKey:
    """The key of a data directory; made at the first start.

    Raises MohhosError gateway-key-damaged: wrong size, or readable by others; data-dir-unusable: it cannot be written.
    """
    path = directory / FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return _created(path)
    if mode & 0o077:
        raise MohhosError(
            "gateway-key-damaged",
            f"{path} is not used",
            f"its mode {mode:04o} lets other users of this machine read it",
            f"chmod 600 {path}; and if others may have read it, renew all secrets and tokens",
        )
    return GatewayKey(path.read_bytes())


def _created(path: Path) -> GatewayKey:
    try:
        return _create(path)
    except OSError as error:
        raise MohhosError(
            "data-dir-unusable",
            f"{path} cannot be written",
            error.strerror or str(error),
            "Free some space on the disk, or name another directory as gateway.data_dir",
        ) from error


def _create(path: Path) -> GatewayKey:
    key = secrets.token_bytes(_SIZE)
    # Written beside and linked, so that a power cut leaves the whole key or none.
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return GatewayKey(key)
