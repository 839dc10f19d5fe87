"""The FastAPI application: all routes, the page, and the headers that every answer carries."""

from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mohhos.api import (
    access,
    alerts,
    commands,
    connections,
    devices,
    events,
    operations,
    overview,
    page,
    plain,
    policy,
    problems,
    rules,
    telemetry,
    traces,
)
from mohhos.api.services import Services

__all__ = ["create_app"]

#: Nothing from anywhere else is loaded or run, and nobody frames the page.
_SECURITY: Final = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def create_app(services: Services) -> FastAPI:
    """The application over these services."""
    app = FastAPI(
        title="MOHHOS IoT Edge Gateway",
        version=services.version,
        description="Devices, telemetry, rules, alerts and commands of one gateway.",
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    problems.install(app)
    version_1 = APIRouter(prefix="/api/v1")
    for part in (
        access,
        overview,
        devices,
        connections,
        traces,
        telemetry,
        commands,
        rules,
        alerts,
        policy,
        events,
        operations,
    ):
        version_1.include_router(part.router)
    app.include_router(version_1)
    app.include_router(plain.router)
    page.install(app)

    app.add_middleware(_Headers)
    return app


class _Headers:
    """Adds the headers to every answer as it starts, so that streams pass through unbuffered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith("/api/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
