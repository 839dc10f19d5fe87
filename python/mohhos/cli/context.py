"""Which gateway a command speaks to, and as whom."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mohhos.config import Config, load
from mohhos.errors import MohhosError

if TYPE_CHECKING:
    from mohhos.client.api import ApiClient

__all__ = ["Settings", "token_file"]

DEFAULT_CONFIG: Final = "mohhos.toml"


def token_file() -> Path:
    """Where `mohhos login` keeps the token (XDG base directories)."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "mohhos" / "token"


@dataclass
class Settings:
    """What was given before the command."""

    config: str | None
    url: str | None
    token: str | None

    @cached_property
    def configuration(self) -> Config:
        """The configuration: of --config, else of ./mohhos.toml if there is one, else the defaults."""
        return self.reread()

    def reread(self) -> Config:
        """The configuration as the file is now."""
        path = Path(self.config) if self.config else Path(DEFAULT_CONFIG)
        return load(path if self.config or path.exists() else None)

    def api_url(self) -> str:
        """Given, or that of the gateway that runs on the configured data directory, or the configured one."""
        if self.url:
            return self.url
        try:
            return str(json.loads(self.configuration.endpoints.read_text())["api"])
        except (OSError, ValueError, KeyError):
            return f"http://{self.configuration.api.bind}"

    def client(self) -> "ApiClient":
        """A client with the operator's token. Raises MohhosError token-missing."""
        from mohhos.client.api import ApiClient  # noqa: PLC0415 - `mohhos up` does not need the HTTP library

        token = self.token
        if not token and token_file().exists():
            token = token_file().read_text(encoding="ascii").strip()
        if not token:
            raise MohhosError(
                "token-missing",
                "No token was given",
                "the API answers nobody that it does not know",
                "Set MOHHOS_TOKEN, or run mohhos login; a new token comes from: mohhos token create NAME",
            )
        return ApiClient(self.api_url(), token)
