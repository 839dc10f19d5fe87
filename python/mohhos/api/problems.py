"""Every failure as RFC 9457 problem details."""

from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from mohhos.errors import MohhosError

__all__ = ["install", "problem_response"]

MEDIA_TYPE: Final = "application/problem+json"
_CODES: Final = {404: "path-unknown", 405: "method-not-allowed"}


def problem_response(error: MohhosError, instance: str) -> JSONResponse:
    """The answer to a request that failed."""
    headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
    if error.status == 503:
        headers["Retry-After"] = "1"
    return JSONResponse(error.problem(instance), error.status, headers, MEDIA_TYPE)


def _validation(error: RequestValidationError) -> MohhosError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return MohhosError(
        "request-invalid",
        f"{where} is not usable",
        str(first["msg"]).rstrip("."),
        "Correct it; /openapi.json says what is expected",
        errors=[{"where": ".".join(str(p) for p in e["loc"]), "message": e["msg"]} for e in error.errors()],
    )


def install(app: FastAPI) -> None:
    """Makes the application answer every failure as a problem."""

    @app.exception_handler(MohhosError)
    async def _ours(request: Request, error: MohhosError) -> JSONResponse:
        return problem_response(error, request.url.path)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(_validation(error), request.url.path)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        known = MohhosError(
            _CODES.get(error.status_code, "request-invalid"),
            f"{request.method} {request.url.path} was not answered",
            str(error.detail),
            "Look the path up in /openapi.json",
        )
        return problem_response(known, request.url.path)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems of an operation, for OpenAPI."""
    schema = {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string"},
            "next_step": {"type": "string"},
            "instance": {"type": "string"},
        },
    }
    return {s: {"description": "Problem", "content": {MEDIA_TYPE: {"schema": schema}}} for s in statuses}
