"""Generated secrets as text."""

import base64
import secrets


def generate(prefix: str = "") -> str:
    """256 random bits as base64url text (43 characters) after a prefix."""
    return prefix + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
