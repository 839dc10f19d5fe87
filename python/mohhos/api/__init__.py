"""The REST API, version 1: FastAPI over the areas. `create_app` is all that others need."""

from mohhos.api.application import create_app
from mohhos.api.services import Services

__all__ = ["Services", "create_app"]
