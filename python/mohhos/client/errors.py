"""What the client raises."""

from typing import Any

__all__ = ["ApiError"]


class ApiError(Exception):
    """The gateway refused, or could not be reached (status 0). The members are those of RFC 9457."""

    def __init__(self, status: int, code: str, detail: str, next_step: str, fields: dict[str, Any]) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.next_step = next_step
        self.fields = fields
