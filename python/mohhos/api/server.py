"""Runs the application on uvicorn, within the gateway's event loop."""

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from mohhos.errors import MohhosError
from mohhos.units import parse_bind

__all__ = ["listen", "serve"]


def listen(bind: str) -> socket.socket:
    """A listening socket. Raises MohhosError api-port-taken."""
    host, port = parse_bind(bind)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        raise MohhosError(
            "api-port-taken",
            f"The API cannot listen on {bind}",
            str(error.strerror or error),
            "End the program that has the port, or name another one as api.bind",
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Leaves signals to the program: it decides when all of the gateway stops."""

    def install_signal_handlers(self) -> None:
        """None."""


async def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answers requests until cancelled; then open streams are ended, and requests under way are finished."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    task = asyncio.create_task(server._serve([listener]), name="uvicorn")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        server.should_exit = True
        await task
        raise
