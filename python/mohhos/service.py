"""The gateway as a program in the foreground: configuration in, signals handled, people told where everything is."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TextIO

from mohhos.api import Services, create_app
from mohhos.api.server import listen, serve
from mohhos.app import GatewayApp, running
from mohhos.config import Config
from mohhos.errors import MohhosError

__all__ = ["run"]

_log = logging.getLogger("mohhos")


class _Lines(logging.Formatter):
    """One line an entry: time (UTC), level, words."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime


async def run(
    config: Config,
    reread: Callable[[], Config],
    bind: str | None = None,
    beside: Callable[[GatewayApp, str], Coroutine[Any, Any, None]] | None = None,
    out: TextIO = sys.stdout,
) -> None:
    """Runs a gateway until SIGINT or SIGTERM; `beside` runs next to it with the gateway and its API address.

    Raises MohhosError: what the configuration, the data directory and the ports may have wrong.
    """
    _set_up_logging(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with contextlib.closing(listen(bind or config.api.bind)) as listener:
        url = _url(listener)
        async with running(config, serve=lambda app: serve(create_app(services(app)), listener)) as app:
            loop.add_signal_handler(signal.SIGHUP, _reload, app, reread)
            path = _write_endpoints(app, url)
            _tell(app, url, out)
            try:
                await _until(stop, None if beside is None else beside(app, url))
            finally:
                path.unlink(missing_ok=True)
                _log.info("stopping")
    _log.info("stopped")


def services(app: GatewayApp) -> Services:
    """What the API stands on, out of a running gateway."""
    return Services(
        config=lambda: app.config,
        clock=app.clock,
        gateway=app.gateway,
        devices=app.registry.devices,
        commands=app.commands,
        alerts=app.alerts,
        rules=app.rules,
        history=app.history,
        operators=app.registry.operators,
        sessions=app.sessions,
        applications=app.registry.applications,
        roles=app.registry.roles,
        policy=app.registry.policy,
        states=app.states,
        refusals=app.events.refusals,
        conditions=app.events.conditions,
        flow=app.flow,
        broadcast=app.broadcast,
        backup=app.backup,
        started_us=app.started_us,
        version=app.version,
    )


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None] | None) -> None:
    """Waits for the end; `work` runs meanwhile, and its failure is the end too."""
    ending = asyncio.create_task(stop.wait())
    tasks: list[asyncio.Task[Any]] = [ending] if work is None else [ending, asyncio.create_task(work)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _set_up_logging(config: Config) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=config.gateway.log_level.upper(), handlers=[handler], force=True)
    for chatty in ("uvicorn", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _reload(app: GatewayApp, reread: Callable[[], Config]) -> None:
    """SIGHUP: a file that is wrong changes nothing and is told."""
    try:
        new = reread()
    except MohhosError as error:
        _log.error("the configuration stays as it is: %s", error)
        return
    app.reload(new)
    logging.getLogger().setLevel(app.config.gateway.log_level.upper())


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _write_endpoints(app: GatewayApp, url: str) -> Path:
    """Where this gateway listens, for commands on the same machine."""
    path = app.config.endpoints
    path.parent.mkdir(mode=0o700, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps({"pid": os.getpid(), "api": url, "mqtt": app.gateway.ports()}))
    part.replace(path)
    return path


def _tell(app: GatewayApp, url: str, out: TextIO) -> None:
    lines = [f"MOHHOS {app.version}: gateway {app.config.gateway.name} is up", f"  page and API   {url}/"]
    ports = app.gateway.ports()
    for each in app.config.mqtt.listeners:
        host = each.bind.rpartition(":")[0]
        notes = [*([each.name] if each.name != "mqtt" else []), *([each.transport] if each.transport != "tcp" else [])]
        lines.append(f"  MQTT           {host}:{ports[each.name]}" + (f"  ({', '.join(notes)})" if notes else ""))
    if app.first_token is not None:
        lines += [
            f"  operator token {app.first_token}",
            "                 (shown once; it signs you in to the page, and works as MOHHOS_TOKEN)",
        ]
    else:
        lines.append("  operator token as before; a new one: mohhos token create NAME")
    lines += ["  a device       mohhos devices add NAME   (Ctrl-C stops the gateway)"]
    out.write("\n".join(lines) + "\n")
    out.flush()
