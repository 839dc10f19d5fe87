"""The Python client of the API."""

from mohhos.client.api import ApiClient, ApiError

__all__ = ["ApiClient", "ApiError"]
